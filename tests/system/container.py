#!/usr/bin/python3
"""Runs a command as a container engine does with its defaults: capabilities, masked files, and a seccomp profile.

SPDX-License-Identifier: Apache-2.0

Usage: tests/system/container.py DIRECTORY PROFILE COMMAND ARG...
  DIRECTORY  is in the container under the same name, with the files of the command; the container's own are below it
  PROFILE    podman: as its package has it; docker: with what Docker's default profile refuses besides

The kernel gets all of it from crun. There is no user namespace: root in the container is root.
"""
import json
import os
import pathlib
import sys

PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")
CRUN = pathlib.Path("/usr/bin/crun")
CAPABILITIES = [
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
        "AUDIT_WRITE"
    ).split()
]
MASKED = "/proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/timer_list /sys/firmware"
READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"
# Docker allows these only with more capabilities, or not at all. Of clone it allows what makes no namespace; clone3 has
# its flags in memory.
DOCKER_REFUSES = set(
    "bpf clone clone3 fsconfig fsmount fsopen fspick get_mempolicy keyctl mbind mount mount_setattr move_mount "
    "open_tree perf_event_open pidfd_getfd pivot_root process_vm_readv process_vm_writev quotactl set_mempolicy setns "
    "syslog umount umount2 unshare".split()
)
NAMESPACES = 0x7E020000
EPERM, ENOSYS = 1, 38


def missing():
    """The package without which there is no container; None: there can be one."""
    packages = {CRUN: "crun", PROFILE: "golang-github-containers-common"}
    return next((package for path, package in packages.items() if not path.exists()), None)


def applies(rule):
    """The rule is for this processor and these capabilities."""
    include, exclude = rule.get("includes") or {}, rule.get("excludes") or {}
    return (
        all(name in CAPABILITIES for name in include.get("caps") or [])
        and "amd64" in (include.get("arches") or ["amd64"])
        and not any(name in CAPABILITIES for name in exclude.get("caps") or [])
        and "amd64" not in (exclude.get("arches") or [])
    )


def rule_of(names, action, args=(), error=None):
    rule = {"names": names, "action": action, "args": [*args]}
    return rule | ({} if error is None else {"errnoRet": error})


def seccomp(name):
    """The profile in the form of the OCI runtime specification."""
    profile = json.loads(PROFILE.read_text())
    refused = DOCKER_REFUSES if name == "docker" else set()
    rules = [
        rule_of(names, rule["action"], rule["args"] or [], rule.get("errnoRet"))
        for rule in profile["syscalls"]
        if applies(rule) and (names := [call for call in rule["names"] if call not in refused])
    ]
    if refused:
        no_namespace = {"index": 0, "value": NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
        rules.append(rule_of(["clone"], "SCMP_ACT_ALLOW", [no_namespace]))
        rules.append(rule_of(sorted(refused - {"clone", "clone3"}), "SCMP_ACT_ERRNO", error=EPERM))
        rules.append(rule_of(["clone3"], "SCMP_ACT_ERRNO", error=ENOSYS))
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": rules,
    }


def mount(path, kind, *options):
    return {"destination": path, "type": kind, "source": path, "options": ["nosuid", *options]}


def config(directory, root, profile, command):
    kvm = os.stat("/dev/kvm")
    device = {"type": "c", "major": os.major(kvm.st_rdev), "minor": os.minor(kvm.st_rdev)}
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(root), "readonly": True},
        "process": {
            "cwd": directory,
            "args": command,
            "env": ["PATH=/usr/bin"],
            "user": {"uid": 0, "gid": 0},
            "noNewPrivileges": True,
            "capabilities": dict.fromkeys(["bounding", "effective", "permitted"], CAPABILITIES),
        },
        "mounts": [
            mount("/proc", "proc", "noexec", "nodev"),
            mount("/dev", "tmpfs", "noexec", "mode=755"),
            mount("/dev/pts", "devpts", "noexec", "newinstance", "ptmxmode=0666"),
            mount("/sys", "sysfs", "noexec", "nodev", "ro"),
            mount("/usr", "bind", "rbind", "ro"),
            mount(directory, "bind", "rbind", "rw"),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "network", "ipc", "uts")],
            "devices": [device | {"path": "/dev/kvm", "fileMode": 0o666, "uid": 0, "gid": 0}],
            "seccomp": seccomp(profile),
            "maskedPaths": MASKED.split(),
            "readonlyPaths": READONLY.split(),
        },
    }


def main():
    directory, profile, *command = sys.argv[1:]
    bundle = pathlib.Path(directory) / "place"
    root = bundle / "root"
    for name in ("proc", "dev", "sys", "usr", directory.strip("/")):
        (root / name).mkdir(parents=True)
    for name in ("lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (bundle / "config.json").write_text(json.dumps(config(directory, root, profile, command)))
    os.chdir(bundle)
    state = bundle / "state"
    os.execv(CRUN, [str(CRUN), f"--root={state}", "--cgroup-manager=disabled", "run", f"pmvm-{os.getpid()}"])


if __name__ == "__main__":
    main()
