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

from oci_runtime import COMMAND_MAX, FOREVER, eventually, make_bundle, make_image, volume, wait_for

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


def change(bundle, annotations):
    """More annotations."""
    config = json.loads((bundle / "config.json").read_text())
    config["annotations"] |= annotations
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def set_namespace(bundle, kind, path):
    config = json.loads((bundle / "config.json").read_text())
    next(one for one in config["linux"]["namespaces"] if one["type"] == kind)["path"] = path
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def read_file(image, path):
    """Of an ext4, after a crash as well."""
    assert subprocess.run(["/sbin/e2fsck", "-fp", image], check=False, capture_output=True).returncode in (0, 1)
    shown = subprocess.run(["/sbin/debugfs", "-R", f"cat {path}", image], check=True, capture_output=True, text=True)
    return shown.stdout


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


@pytest.fixture(name="disk")
def make_disk(tmp_path):
    """A directory on ext4, whose files can belong to another user in a mount."""
    image = tmp_path / "disk.img"
    with open(image, "wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", image], check=True)
    (tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-o", "loop", image, tmp_path / "disk"], check=True)
    try:
        yield tmp_path / "disk"
    finally:
        subprocess.run(["umount", tmp_path / "disk"], check=True)


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
def test_a_virtiofsd_that_is_killed_ends_its_container_alone(pod, oci):
    script = "while :; do cat /volume/file >/dev/null; echo x >/volume/file; done"
    pid = start(oci, "a", pod.with_directory("a", "sh", "-c", script))
    other = start(oci, "b", pod.with_layers("b", "sleep", "10000"))
    with oci.popen("exec", "a", "sh", "-c", "echo there; " + script, stdout=subprocess.PIPE) as session:
        assert session.stdout.readline() == b"there\n"
        os.kill(oci.members("a")["virtiofsd"], signal.SIGKILL)
        assert wait_for(pid) == 137
        # A page of its program that virtiofsd can no longer give is SIGBUS (135), if that comes before SIGKILL of all.
        assert session.wait(COMMAND_MAX) in (135, 137)
    assert oci.status("a") == "stopped"
    oci("delete", "a")
    # The others have their shares, and new ones can come.
    assert oci("exec", "b", "sh", "-c", "echo of b >/volume/b; cat /volume/b") == "of b\n"
    start(oci, "c", pod.with_directory("c", "sleep", "10000"))
    assert oci("exec", "c", "cat", "/volume/b") == "of b\n"
    assert os.waitpid(other, os.WNOHANG) == (0, 0) and os.waitpid(pod.pid, os.WNOHANG) == (0, 0)
    oci("kill", "s", "KILL")
    assert wait_for(pod.pid) == 137 and wait_for(other) == 137
    for name in "bcs":
        oci("delete", "--force", name)
    assert oci.left() == []


@pytest.mark.long
def test_a_container_with_persistent_memory_in_the_pid_namespace_of_another(disk, pod, oci):
    before = devices(oci)
    pid_a = start(oci, "a", pod.with_layers("a", "sleep 4321"))
    # pmvm runs as another user, whom the file is not for.
    image = make_image(disk / "data.img")
    image.chmod(0o600)
    bundle = pod.with_layers("c", FOREVER)
    change(bundle, annotations={"io.pmvm.pmem": f"{image}:/data", "io.pmvm.upper": "pmem,size=64M"})
    set_namespace(bundle, "pid", f"/proc/{pid_a}/ns/pid")
    pid_c = start(oci, "c", bundle)
    assert namespaces(oci, "c")["pid"] == namespaces(oci, "a")["pid"] != namespaces(oci, "s")["pid"]
    assert "sleep 4321" in oci("exec", "c", "ps")
    mounted = oci("exec", "c", "grep", "-e", " / ", "-e", " /data ", "/proc/mounts")
    assert " /data ext4 " in mounted and "upperdir=/run/oci/2/upper/diff" in mounted, mounted
    # Another container does not get it meanwhile.
    error = oci.create("d", change(pod.with_layers("d", "true"), annotations={"io.pmvm.pmem": f"{image}:/x"}), status=1)
    assert "in use" in error and str(image) in error, error
    flushes = volume(oci, "c", image)["flushes"]
    oci("exec", "c", "sh", "-c", "echo durable >/data/file; echo gone >/file; sync /data/file")
    assert volume(oci, "c", image)["flushes"] > flushes and volume(oci, "c", "upper")["size"] == 64 << 20
    # It ends with the one whose namespace it is in. Nothing of it is left in the guest, or on the host.
    oci("kill", "a", "KILL")
    assert wait_for(pid_a) == 137 and wait_for(pid_c) == 137
    error = oci.create("e", set_namespace(pod.with_layers("e", "true"), "pid", f"/proc/{pid_a}/ns/pid"), status=1)
    assert "not that of a container of pod web-0: not supported" in error, error
    for name in "ac":
        oci("delete", "--force", name)
    assert devices(oci) == before
    assert read_file(image, "/file") == "durable\n"
    assert not list((pod.store.folder / "c-own/diff").iterdir()) and not list(oci.cache.glob("scratch*"))
    # Also when the machine is killed.
    start(oci, "c", change(pod.with_directory("f", FOREVER), annotations={"io.pmvm.pmem": f"{image}:/data"}))
    oci("exec", "c", "sh", "-c", "echo again >/data/file; sync /data/file")
    os.kill(oci.members("s")["pmvm"], signal.SIGKILL)
    assert wait_for(pod.pid) == 137
    oci("delete", "--force", "c")
    assert read_file(image, "/file") == "again\n"


@contextlib.contextmanager
def network_namespace(name):
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield f"/var/run/netns/{name}"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def as_crio_writes_it(bundle, kind, name, paths):
    """Namespaces are pinned below /var/run, and only the annotations say what belongs together."""
    config = json.loads((bundle / "config.json").read_text())
    texts = {"Annotations": "{}", "ContainerID": name, "ContainerName": f"k8s_{name}_web-0", "ContainerType": kind}
    texts |= {"HostName": "web-0", "Labels": "{}", "Namespace": "default", "SandboxID": "s", "SandboxName": "web-0"}
    config["annotations"] = {CRIO + name: text for name, text in texts.items()}
    if kind == "sandbox":
        config["hostname"] = "web-0"
    else:
        config.pop("hostname", None)
    for namespace in config["linux"]["namespaces"]:
        if namespace["type"] in paths:
            namespace["path"] = paths[namespace["type"]]
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


@pytest.mark.long
def test_a_pod_as_crio_writes_it(oci, tmp_path):
    with network_namespace("crio-0") as path:
        paths = {"network": path, "ipc": "/var/run/ipcns/crio-0", "uts": "/var/run/utsns/crio-0"}
        pid = start(oci, "s", as_crio_writes_it(make_bundle(tmp_path / "s", FOREVER), "sandbox", "s", paths))
        paths["pid"] = f"/proc/{pid}/ns/pid"
        bundle = as_crio_writes_it(make_bundle(tmp_path / "a", "sleep 100; exit 4"), "container", "a", paths)
        pid_a = start(oci, "a", bundle)
        of_s, of_a = namespaces(oci, "s"), namespaces(oci, "a")
        assert {kind: of_a[kind] for kind in ("net", "ipc", "uts", "pid")}.items() <= of_s.items()
        assert of_a["mnt"] != of_s["mnt"] and oci("exec", "a", "uname", "-n") == "web-0\n"
        # It has no name for the target of `kubectl debug`.
        paths["pid"] = "/var/run/pidns/crio-0"
        bundle = as_crio_writes_it(make_bundle(tmp_path / "b", "true"), "container", "b", paths)
        error = oci.create("b", bundle, status=1)
        assert "/var/run/pidns/crio-0, which is not that of a container of pod web-0: not supported" in error, error
        oci("delete", "--force", "s")
        assert wait_for(pid) == 137 and wait_for(pid_a) == 137
        oci("delete", "a")
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
    assert f"/proc/{os.getpid()}/ns/pid, which is not that of a container of pod web-0: not supported" in error, error
    oci("delete", "--force", "s")
    assert oci.left() == []
