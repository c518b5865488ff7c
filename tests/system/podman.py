"""Podman with a storage of its own, and images that are made without a registry.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import time

import oci_engine
import oci_runtime
import pytest
from oci_engine import IS_OURS

TWO_LAYERS = """
FROM localhost/base
RUN echo one >/data/one && rm /data/greeting && mkdir /data/dir && echo hidden >/data/dir/hidden && ln /data/one /data/link
RUN rm -r /data/dir && mkdir /data/dir && chown 1000:2000 /data/dir && chmod 2750 /data/dir
"""
BUSYBOX = pathlib.Path("/bin/busybox")
DIRECTORIES = ["bin", "data", "dev", "etc", "proc", "root", "sys", "tmp"]
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/data:/bin/sh\n",
    "etc/group": "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n",
    "data/greeting": "hello from the image\n",
}
CONF = """
[containers]
default_sysctls = []
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "{runtime}"
[network]
network_backend = "netavark"
"""


def base_tar(path, directories=tuple(DIRECTORIES), files=None):
    """A root file system with busybox. Of files, those that begin as a script are programs."""

    def add(name, mode, content=None, **more):
        info = tarfile.TarInfo(name)
        info.mode, info.mtime = mode, 1600000000
        for key, value in more.items():
            setattr(info, key, value)
        info.size = len(content or b"")
        tar.addfile(info, io.BytesIO(content) if content else None)

    with tarfile.open(path, "w") as tar:
        for name in directories:
            add(name, {".": 0o555, "tmp": 0o1777}.get(name, 0o755), type=tarfile.DIRTYPE)
        add("bin/busybox", 0o755, BUSYBOX.read_bytes())
        applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                add(f"bin/{applet}", 0o777, type=tarfile.SYMTYPE, linkname="busybox")
        for name, text in (files or FILES).items():
            add(name, 0o755 if text.startswith("#!") else 0o644, text.encode())


def missing():
    """What is not there that the tests need; empty: nothing."""
    programs = [name for name in ("podman", "conmon", "crun", "netavark", "iptables") if not find(name)]
    return programs + oci_engine.missing()


def find(name):
    return shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin:/usr/lib/podman:/usr/libexec/podman")


MISSING = missing()


class Podman:
    """podman(1) with its files in one folder."""

    def __init__(self, folder, runtime):
        self.folder = folder
        self.runtime = runtime
        folder.mkdir()
        self.conf = folder / "containers.conf"
        self.conf.write_text(CONF.format(runtime=runtime))

    def command(self, *args):
        """The command line of one call."""
        settings = ["--root", self.folder / "root", "--runroot", self.folder / "run", "--tmpdir", self.folder / "tmp"]
        return [
            "env",
            f"CONTAINERS_CONF={self.conf}",
            "podman",
            "--log-level=error",
            "--storage-driver=overlay",
            *map(str, settings),
            *map(str, args),
        ]

    def __call__(self, *args, status=0, **more):
        """Runs it; returns its standard output. The status must be the one that is expected."""
        end = self.try_(*args, **more)
        assert end.returncode == status, f"{args}: status {end.returncode}: {end.stdout[-2000:]}{end.stderr[-4000:]}"
        return end.stdout

    def try_(self, *args, timeout=300, **more):
        """Runs it; returns how it ended."""
        return subprocess.run(
            self.command(*args), capture_output=True, text=True, timeout=timeout, check=False, errors="replace", **more
        )

    def run(self, *args, status=0, **more):
        """`podman run --rm` without a network."""
        return self("run", "--rm", "--network=none", *args, status=status, **more)


@contextlib.contextmanager
def engine(folder):
    """Podman with the images localhost/base and localhost/two. No machine may be left."""
    if IS_OURS and (why := oci_runtime.why_not()):
        pytest.skip(why)
    podman = Podman(folder / "engine", oci_engine.RUNTIME or oci_engine.installed(folder / "pmvm"))
    base_tar(folder / "base.tar")
    podman("import", folder / "base.tar", "localhost/base")
    (folder / "Containerfile").write_text(TWO_LAYERS)
    podman("--runtime=crun", "build", "--network=none", "-t", "localhost/two", folder)
    yield podman
    remove(podman, "-a")
    assert not machines(), "machines are left"
    podman("network", "prune", "-f")


def machines():
    """The command lines of the machines that run."""
    found = []
    for process in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0") if process.name.isdigit() else [b""]
            if os.path.basename(words[0]) == b"pmvm":
                found.append(words)
    return found


def remove(podman, *what):
    """podman waits 5 s for the end of a process, in which an emulated host does little."""
    wait_for(lambda: podman.try_("rm", "-f", "-t", "0", *what).returncode == 0, f"the removal of {what}")


@contextlib.contextmanager
def detached(podman, *args):
    """A container that runs; its id."""
    container = podman("run", "-d", *args).strip()
    try:
        yield container
    finally:
        remove(podman, container)


def wait_for(condition, what):
    for _ in range(600):
        if value := condition():
            return value
        time.sleep(0.2)
    raise AssertionError(f"does not happen: {what}")
