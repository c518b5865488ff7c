"""Calls pmvm-oci as an engine does, with bundles whose root file system is a directory with busybox.

SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import time

import machine

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = CHECKOUT / "build/pmvm-oci"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
# An emulated host needs most of it.
COMMAND_MAX = 400
APPLETS = [
    "cat",
    "echo",
    "false",
    "grep",
    "id",
    "kill",
    "ls",
    "ps",
    "sh",
    "sleep",
    "stty",
    "sync",
    "touch",
    "true",
    "tty",
]
APPLETS += ["uname"]
PR_SET_CHILD_SUBREAPER = 36
FOREVER = "trap 'exit 5' TERM; echo ready; while :; do sleep 1; done"


def why_not_on_host():
    """Why this host cannot have containers; empty: it can."""
    subprocess.run(["modprobe", "-a", "vhost_vsock", "vhost_net", "tun"], check=False, capture_output=True)
    if not pathlib.Path("/dev/vhost-vsock").exists():
        return "this host has no /dev/vhost-vsock: modprobe vhost_vsock"
    return ""


def why_not():
    """Why containers cannot run here; empty: they can."""
    if why := why_not_on_host():
        return why
    if not (PROGRAM.parent / "oci/initrd.img").exists():
        return "there is no build/oci/initrd.img: oci/guest/build"
    return ""


def become_subreaper():
    """The processes that outlive a command become our children, as conmon has it."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def make_tree(tree):
    """A root file system: busybox and some of its applets."""
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"]:
        (tree / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    for applet in APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")


def make_bundle(folder, *args, terminal=False, **changes):
    """A bundle whose program is args; a single one is a script. changes: members of config.json."""
    make_tree(folder / "rootfs")
    subprocess.run([PROGRAM, "spec", "--bundle", folder], check=True, timeout=COMMAND_MAX)
    config = json.loads((folder / "config.json").read_text())
    config["process"]["args"] = ["/bin/sh", "-c", *args] if len(args) == 1 else list(args)
    config["process"]["terminal"] = terminal
    config["root"]["readonly"] = False
    config.update(changes)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def make_image(path):
    """A volume on persistent memory."""
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-b", "4096", path], check=True)
    return path


def volume(oci, name, image):
    """What pmvm counts of a volume, or of `upper`."""
    rows = json.loads(oci("events", "--stats", name))["pmem"]
    return next(row for row in rows if row["file"] == str(image))


class Store:
    """Layers as an engine keeps them, and overlay mounts of them."""

    def __init__(self, folder):
        self.folder = folder
        self.mounts = []
        (folder / "l").mkdir(parents=True)

    def layer(self, name, files=None):
        """A directory with these files; without any, with a root file system."""
        diff = self.folder / name / "diff"
        if files is None:
            make_tree(diff)
        for path, content in (files or {}).items():
            (diff / path).parent.mkdir(parents=True, exist_ok=True)
            (diff / path).write_bytes(content)
        (diff.parent / "link").write_text(name)
        return diff

    def bundle(self, folder, lowers, *args, **changes):
        """A bundle of make_bundle, with an overlay of these layers, the topmost first, mounted over its root."""
        make_bundle(folder, *args, **changes)
        own = self.folder / f"{folder.name}-own"
        (own / "diff").mkdir(parents=True)
        (own / "work").mkdir()
        options = f"lowerdir={':'.join(map(str, lowers))},upperdir={own}/diff,workdir={own}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, folder / "rootfs"], check=True)
        self.mounts.append(folder / "rootfs")
        return folder

    def close(self):
        for mount in self.mounts:
            subprocess.run(["umount", mount], check=True)


class Runtime:
    """The program with a root of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"
        self.containers = set()
        self.settings = folder / "oci.conf"
        self.cache = folder / "cache"
        settings = f"create-timeout = {COMMAND_MAX}\nlayer-cache = {self.cache}\nmemory = 256M\n"
        if machine.SANDBOX != "on":
            settings += f"pmvm = {self._pmvm_with_other_sandbox()}\n"
        self.settings.write_text(settings)

    def _pmvm_with_other_sandbox(self):
        """pmvm-oci has no setting for that."""
        program = self.folder / "pmvm"
        program.write_text(f'#!/bin/sh\nexec {PROGRAM.parent}/pmvm "$@" -sandbox {machine.SANDBOX}\n')
        program.chmod(0o755)
        return program

    def popen(self, *args, options=(), prefix=(), **kwargs):
        command = [*prefix, PROGRAM, "--root", self.root, "--config", self.settings, *options, *map(str, args)]
        return subprocess.Popen(command, **({"env": {}, "stdin": subprocess.DEVNULL} | kwargs))

    def __call__(self, *args, status=0, stdin="", **kwargs):
        """What it prints; with another status what it prints as an error."""
        with self.popen(
            *args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs
        ) as process:  # fmt: skip
            try:
                output, errors = process.communicate(stdin, timeout=COMMAND_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == status, (args, process.returncode, output, errors)
        return errors if status else output

    def create(self, name, bundle, *options, status=0, output=None):
        """Without pipes of ours: what outlives it keeps its streams. Returns the pid, or what it printed."""
        pid_file, said = self.folder / f"{name}.pid", self.folder / f"{name}.said"
        with open(output or "/dev/null", "wb") as out, open(said, "wb") as errors:
            process = self.popen(
                "create", "--bundle", bundle, "--pid-file", pid_file, *options, name, stdout=out, stderr=errors
            )
            await_end(process.pid)
            got = process.wait()
        self.containers.add(name)
        assert got == status, (got, said.read_text())
        return int(pid_file.read_text()) if status == 0 else said.read_text()

    def status(self, name):
        return json.loads(self("state", name))["status"]

    def processes(self):
        """Those that have anything to do with this root: keepers, pmvm, virtiofsd."""
        found = {}
        for path in pathlib.Path("/proc").iterdir():
            try:
                words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (OSError, UnicodeDecodeError):
                continue
            if path.name.isdigit() and str(self.root) in words and int(path.name) != os.getpid():
                found[int(path.name)] = words
        return found

    def members(self, name):
        """{program: pid} of the container's control group; of several the first, which has started the others."""
        procs = CGROUPS / f"pmvm-oci-{name}" / "cgroup.procs"
        found = {}
        for pid in sorted(map(int, procs.read_text().split() if procs.exists() else [])):
            try:
                found.setdefault(pathlib.Path(os.readlink(f"/proc/{pid}/exe")).name, pid)
            except OSError:
                pass  # a thread of the kernel (vhost), or it has ended
        return found

    def left(self):
        """All that a deleted container must not leave."""
        mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if str(self.root) in line]
        files = list(self.root.iterdir()) if self.root.exists() else []
        groups = [CGROUPS / f"pmvm-oci-{name}" for name in self.containers]
        return [*self.processes().values(), *mounts, *files, *[path for path in groups if path.exists()]]


def await_end(pid):
    """Waits until a child has ended, without asking again and again: a slow host may have twenty that wait."""
    fd = os.pidfd_open(pid)
    try:
        if not select.select([fd], [], [], COMMAND_MAX)[0]:
            os.kill(pid, signal.SIGKILL)
            raise AssertionError("it does not end")
    finally:
        os.close(fd)


def wait_for(pid):
    """The exit status of a child, as conmon gives it to its engine."""
    await_end(pid)
    status = os.waitpid(pid, 0)[1]
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def eventually(question):
    """Waits until the answer is true, and returns it."""
    end = time.monotonic() + COMMAND_MAX
    while not (answer := question()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
    return answer
