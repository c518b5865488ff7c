"""pmvm-oci with pods: what containerd's shim asks for under Kubernetes. One machine, whose containers come and go.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import re
import signal
import subprocess

import pytest

from oci_runtime import FOREVER, eventually, make_bundle, wait_for

CRI = "io.kubernetes.cri."
CRIO = "io.kubernetes.cri-o."


def sandbox_annotations(name="web-0"):
    return {CRI + "container-type": "sandbox", CRI + "sandbox-id": "s", CRI + "sandbox-name": name}


def in_pod(bundle, pid, shared=("network", "ipc", "uts"), engine=CRI):
    """Changes config.json: a container of the pod whose sandbox has this pid."""
    names = {CRI: ("container-type", "sandbox-id", "sandbox-name"), CRIO: ("ContainerType", "SandboxID", "SandboxName")}
    annotations = dict(zip((engine + name for name in names[engine]), ("container", "s", "web-0")))
    config = json.loads((bundle / "config.json").read_text())
    config["annotations"] = annotations
    for namespace in config["linux"]["namespaces"]:
        if namespace["type"] in shared:
            kind = {"network": "net"}.get(namespace["type"], namespace["type"])
            namespace["path"] = f"/proc/{pid}/ns/{kind}"
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def add_mounts(bundle, *mounts):
    config = json.loads((bundle / "config.json").read_text())
    config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] not in {to for _, to in mounts}]
    config["mounts"] += [
        {"destination": to, "type": "bind", "source": str(source), "options": ["rbind", "rw"]} for source, to in mounts
    ]
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


@contextlib.contextmanager
def tmpfs(path):
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=1777", "none", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def namespaces(oci, name):
    """{kind: identity}, as a process of the container has them."""
    listing = oci("exec", name, "ls", "-l", "/proc/self/ns")
    return dict(re.findall(r"(\w+):(\[\d+\])", listing))


def devices(oci):
    """What the guest has of layers and shares, by the sandbox."""
    return sorted(oci("exec", "s", "ls", "/sys/bus/virtio/devices").split()), oci("exec", "s", "ls", "/sys/block")


def start(oci, name, bundle):
    pid = oci.create(name, bundle)
    assert oci.status(name) == "created"
    oci("start", name)
    assert oci.status(name) == "running"
    return pid


class Pod:
    """A sandbox that runs, and bundles for its containers. All have the same volumes."""

    def __init__(self, store, oci, tmp_path, mounts):
        self.store, self.oci, self.path, self.mounts = store, oci, tmp_path, mounts
        self.base, self.top = store.layer("base"), store.layer("top", {"of-the-top": b"x\n"})
        bundle = store.bundle(tmp_path / "s", [self.base], FOREVER, annotations=sandbox_annotations())
        self.pid = start(oci, "s", add_mounts(bundle, mounts[0]))

    def with_layers(self, name, *args):
        """Namespaces of its own, and layers of which the sandbox has one as well."""
        bundle = self.store.bundle(self.path / name, [self.top, self.base], *args)
        return add_mounts(in_pod(bundle, self.pid), *self.mounts)

    def with_directory(self, name, *args):
        """In the pid namespace of the sandbox, as shareProcessNamespace has it; its root is no overlay."""
        bundle = in_pod(make_bundle(self.path / name, *args), self.pid, ("network", "ipc", "uts", "pid"), CRIO)
        return add_mounts(bundle, *self.mounts)


@pytest.fixture(name="pod")
def make_pod(store, oci, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    with tmpfs(tmp_path / "shm") as shm, tmpfs(tmp_path / "volumes/kubernetes.io~empty-dir/cache") as cache:
        yield Pod(store, oci, tmp_path, [(shm, "/dev/shm"), (cache, "/cache"), (volume, "/volume")])
        for name in oci.containers - {"s"}:
            oci("delete", "--force", name)
        oci("delete", "--force", "s")


def check_that_it_is_one_machine(oci):
    boot = oci("exec", "s", "cat", "/proc/sys/kernel/random/boot_id")
    assert oci("exec", "a", "cat", "/proc/sys/kernel/random/boot_id", "/of-the-top") == boot + "x\n"
    smaps = oci("exec", "a", "cat", "/proc/self/smaps")
    text = smaps[: smaps.index("VmFlags")]
    assert "/bin/busybox" in text and re.search(r"^Rss: +0 kB", text, re.MULTILINE), text


def check_namespaces(oci):
    of_s, of_a, of_b = (namespaces(oci, name) for name in "sab")
    for kind in "net", "ipc", "uts":
        assert of_s[kind] == of_a[kind] == of_b[kind], (kind, of_s, of_a, of_b)
    assert of_s["pid"] == of_b["pid"] != of_a["pid"] and len({of["mnt"] for of in (of_s, of_a, of_b)}) == 3
    assert "sleep 10000" in oci("exec", "s", "ps")
    assert "sleep 10000" not in oci("exec", "a", "ps")


def check_volumes(oci, mounts):
    """What they share, and what the host has of it."""
    oci("exec", "a", "sh", "-c", "echo memory >/dev/shm/file; echo cached >/cache/file")
    assert oci("exec", "b", "cat", "/dev/shm/file", "/cache/file", "/volume/a") == "memory\ncached\nof a\n"
    shm, cache, volume = (source for source, _ in mounts)
    assert not list(shm.iterdir()) and not list(cache.iterdir()) and (volume / "a").read_text() == "of a\n"


def check_verbs(oci):
    assert oci("exec", "a", "/bin/sh", "-c", "cat; exit 9", stdin="input", status=9) == ""
    assert len(json.loads(oci("ps", "--format", "json", "b"))) == 1
    assert json.loads(oci("events", "--stats", "a"))["data"]["memory"]["current"] > 0
    oci("update", "--pids-limit", "50", "a")


def check_pause(oci, pid):
    """Of one container: it gets the signal when it is resumed. The others go on."""
    oci("pause", "a")
    assert oci.status("a") == "paused" and "is paused" in oci("exec", "a", "true", status=255)
    oci("kill", "a", "TERM")
    assert oci("exec", "b", "sh", "-c", "sleep 3; echo b goes on") == "b goes on\n"
    assert os.waitpid(pid, os.WNOHANG) == (0, 0) and oci.status("a") == "paused"
    oci("resume", "a")
    # The exit status of one is no matter of the others.
    assert wait_for(pid) == 7 and oci.status("a") == "stopped"


def test_containers_come_and_go_in_the_machine_of_their_sandbox(pod, oci):
    before = devices(oci)
    script = "echo of a >/new; echo of a >/volume/a; trap 'exit 7' TERM; while :; do sleep 1; done"
    bundle_a = pod.with_layers("a", script)
    pid_a = start(oci, "a", bundle_a)
    pid_b = start(oci, "b", pod.with_directory("b", "sleep", "10000"))
    assert oci.members("a").keys() >= {"pmvm-oci", "virtiofsd"} and "pmvm" not in oci.members("a")
    check_that_it_is_one_machine(oci)
    check_namespaces(oci)
    check_volumes(oci, pod.mounts)
    check_verbs(oci)
    check_pause(oci, pid_a)
    assert "container not running" in oci("kill", "a", "TERM", status=1)
    assert (pod.store.folder / "a-own/diff/new").read_text() == "of a\n"
    oci("delete", "a")
    # One whose process on the host is killed leaves the machine, and its devices with it.
    os.kill(pid_b, signal.SIGKILL)
    assert wait_for(pid_b) == 137
    oci("delete", "--force", "b")
    eventually(lambda: devices(oci) == before)
    # The id can be used again. With the sandbox all containers end.
    pid_a = start(oci, "a", bundle_a)
    assert "executable file" in oci.create("c", pod.with_directory("c", "/bin/no", "x"), status=1)
    assert oci("exec", "a", "cat", "/new", "/cache/file") == "of a\ncached\n"
    oci("kill", "s", "KILL")
    assert wait_for(pod.pid) == 137 and wait_for(pid_a) == 137
    assert oci.status("a") == "stopped"
    oci("delete", "a")
    oci("delete", "s")
    assert oci.left() == []


@pytest.mark.long
def test_a_virtiofsd_that_is_killed_ends_the_pod(pod, oci):
    pid = start(oci, "a", pod.with_directory("a", "sleep", "10000"))
    os.kill(oci.members("a")["virtiofsd"], signal.SIGKILL)
    assert wait_for(pid) in (137, 255) and wait_for(pod.pid) == 255
    oci("delete", "--force", "a")
    oci("delete", "--force", "s")
    assert oci.left() == []


def test_what_a_pod_cannot_have(oci, tmp_path):
    bundle = in_pod(make_bundle(tmp_path / "a", "true"), 1)
    error = oci.create("a", bundle, status=1)
    assert "pod web-0: its sandbox 's' has no machine: not supported" in error and "--root" in error, error
    error = oci.create("b", in_pod(make_bundle(tmp_path / "b", "true"), 1, shared=()), status=1)
    assert "one of its own for a container in the machine of pod web-0: not supported" in error, error
    assert oci.left() == []


@pytest.mark.long
def test_a_container_of_another_or_of_no_pod(oci, tmp_path):
    alone = oci.create("s", make_bundle(tmp_path / "s", FOREVER))
    error = oci.create("a", in_pod(make_bundle(tmp_path / "a", "true"), alone), status=1)
    assert "no sandbox of a pod: not supported" in error, error
    shared = "network", "ipc", "uts", "pid"
    error = oci.create("a", in_pod(make_bundle(tmp_path / "b", "true"), os.getpid(), shared), status=1)
    assert f"/proc/{os.getpid()}/ns/pid, which is not that of the sandbox of pod web-0: not supported" in error, error
    oci("delete", "--force", "s")
    assert oci.left() == []
