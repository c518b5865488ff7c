"""The container runtimes that are compared, with images whose layers are directories of an engine's store.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import time

import machine
from bench_common import MIB, Failed, directory
from oci_runtime import Store

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
COMMAND_MAX = 400  # seconds for a command, and for the first output: an emulated host needs some of it
RAM_MIB = 256
LAYER_MIB, TOP_MIB = 16, 8  # of random bytes in each of the three layers that images share, and in the fourth
IMAGES = 4
READ_MIB = 50
STAY = "echo ready; exec sleep 100000"
READ_ALL = f"cat /layer-* >/dev/null; {STAY}"


class Runtime:
    """A runtime with a root of its own in the folder."""

    name = ""
    is_machine = False
    counts = {"a": (1, 2, 4, 8, 16), "b": (1, 2, 4, 8)}  # of containers that run at the same time

    def __init__(self, folder):
        self.folder = folder
        self.pids = {}

    def words(self):
        """The program with the options that each command has."""
        raise NotImplementedError

    def layer_files(self, store):
        """The files whose pages of the page cache are the layers."""
        raise NotImplementedError

    def volume(self, image, directory):
        """Changes of config.json for a volume at /data: `image` has a file system, `directory` is on the host's."""
        raise NotImplementedError

    def run(self, *args, **more):
        """Runs a command; returns what it prints."""
        with open(self.folder / "errors", "w+b") as errors:
            streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": errors} | more
            done = subprocess.run([*self.words(), *args], timeout=COMMAND_MAX, check=False, env={}, **streams)
            if done.returncode:
                errors.seek(0)
                raise Failed(
                    f"{self.name}: {args}: {done.returncode}: {errors.read().decode(errors='replace')[-2000:]}"
                )
        return (done.stdout or b"").decode()

    def start(self, name, bundle):
        """Seconds from the start of `create` to the first line that the container prints."""
        reader, writer = os.pipe()
        pid_file = self.folder / f"{name}.pid"
        try:
            began = time.monotonic()
            self.run("create", "--bundle", bundle, "--pid-file", pid_file, name, stdout=writer)
            self.pids[name] = int(pid_file.read_text())
            self.run("start", name)
            os.close(writer)
            writer = -1
            if not select.select([reader], [], [], COMMAND_MAX)[0] or not os.read(reader, 1):
                raise Failed(f"{self.name}: the container {name} prints nothing")
            return time.monotonic() - began
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)

    def exec(self, name, *args):
        return self.run("exec", name, *args)

    def delete(self, name):
        self.run("delete", "--force", name)
        self.pids.pop(name, None)

    def members(self, name):
        """The processes of a container: those of its control group."""
        group = re.search(r"^0::(.*)$", pathlib.Path(f"/proc/{self.pids[name]}/cgroup").read_text(), re.MULTILINE)[1]
        return [int(pid) for pid in pathlib.Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text().split()]


class PmvmOci(Runtime):
    """The program under test."""

    name = "pmvm"
    is_machine = True

    def __init__(self, folder):
        super().__init__(folder)
        # In the emulated host the checkout is slow, and each machine reads its kernel.
        settings = {
            "create-timeout": COMMAND_MAX,
            "layer-cache": folder / "cache",
            "memory": f"{RAM_MIB}M",
            "kernel": machine.near(CHECKOUT / "build/oci/kernel"),
        } | self.programs()
        (folder / "oci.conf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))

    def programs(self):
        """The settings of what a peer has in its place."""
        return {"pmvm": machine.pmvm(), "initrd": machine.near(CHECKOUT / "build/oci/initrd.img")}

    def words(self):
        program = machine.near(CHECKOUT / "build/pmvm-oci")
        return [program, "--root", self.folder / "root", "--config", self.folder / "oci.conf"]

    def layer_files(self, store):
        return list((self.folder / "cache").glob("*.erofs"))

    def volume(self, image, directory):
        return {"annotations": {"io.pmvm.pmem": f"{image}:/data"}}


class Crun(Runtime):
    """Containers without a machine."""

    name = "crun"

    def words(self):
        return [shutil.which("crun"), "--cgroup-manager=cgroupfs", "--root", self.folder / "root"]

    def layer_files(self, store):
        return [path for path in store.folder.glob("*/diff/**/*") if path.is_file() and not path.is_symlink()]

    def volume(self, image, directory):
        return {"mounts": [bind(directory)]}


def bind(directory):
    return {"destination": "/data", "type": "bind", "source": str(directory), "options": ["bind", "rw"]}


class Images(Store):
    """Four images that share three of four layers; each layer has a file of random bytes."""

    def __init__(self, folder):
        super().__init__(folder)
        self.base = self.layer("base")
        self.add_file(self.base, "layer-base", LAYER_MIB)
        shutil.copy(CHECKOUT / "build/guest/tools/bin/dax-tool", self.base / "bin/dax-tool")
        self.add_file(self.base, "read", READ_MIB)
        self.shared = [self.layer(name, {f"layer-{name}": os.urandom(LAYER_MIB * MIB)}) for name in ("two", "one")]
        self.tops = [self.layer(f"top{i}", {"layer-top": os.urandom(TOP_MIB * MIB)}) for i in range(IMAGES)]

    @staticmethod
    def add_file(layer, name, mib):
        (layer / name).write_bytes(os.urandom(mib * MIB))

    def make(self, folder, idx, script, mounts=(), **changes):
        """A bundle of one of the images; with further mounts."""
        bundle = self.bundle(folder, [self.tops[idx], *self.shared, self.base], script, **changes)
        config = json.loads((bundle / "config.json").read_text())
        config["mounts"] += mounts
        (bundle / "config.json").write_text(json.dumps(config))
        return bundle

    def drop(self, folder):
        """Removes a bundle."""
        subprocess.run(["umount", folder / "rootfs"], check=True)
        self.mounts.remove(folder / "rootfs")
        for path in folder, self.folder / f"{folder.name}-own":
            shutil.rmtree(path)


class Microvm(PmvmOci):
    """pmvm-oci and its guest with QEMU instead of pmvm: microvm has no virtio-pmem, so the layers are disks."""

    name = "QEMU microvm"
    counts = {"a": (1, 2, 4), "b": (1, 2, 4)}  # it takes its time, and its guests keep a copy of the layers

    def programs(self):
        return {"pmvm": machine.near(CHECKOUT / "bench/microvm.py"), "initrd": self.initrd()}

    def initrd(self):
        """The same initramfs, then the agent that mounts disks, and their driver: the last of a name counts."""
        original, tree = CHECKOUT / "build/oci/initrd.img", self.folder / "tree"
        (tree / "modules").mkdir(parents=True)
        subprocess.run(["strip", "-o", tree / "init", CHECKOUT / "build/bench/bench-agent-disk"], check=True)
        with open(original, "rb") as file:
            listing = subprocess.run(
                ["cpio", "--quiet", "-i", "--to-stdout", "*modules/list"],
                stdin=file,
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        driver = next((CHECKOUT / "build/guest/cloud/modules").glob("**/virtio_blk.ko"))
        (tree / "modules/list").write_bytes(listing + driver.name.encode() + b"\n")
        shutil.copy(driver, tree / "modules")
        names = "\n".join(["init", "modules", "modules/list", f"modules/{driver.name}"])
        more = subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"],
            input=names.encode(),
            stdout=subprocess.PIPE,
            cwd=tree,
            check=True,
        ).stdout
        path = self.folder / "initrd.img"
        path.write_bytes(original.read_bytes() + more)
        return path


def drop(files):
    """Takes from the page cache what no process has mapped."""
    subprocess.run(["sync"], check=True)
    for path in files:
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def runtimes(kinds):
    """(images, a runtime of each kind), on a disk: what is in the page cache can be dropped from it."""
    subprocess.run(["modprobe", "-a", "vhost_vsock", "overlay"], check=False)
    with directory("ext4") as where:
        images, found = Images(where / "store"), []
        for kind in kinds:
            folder = where / kind.name.replace(" ", "-")
            folder.mkdir()
            found.append(kind(folder))
        try:
            yield images, found
        finally:
            images.close()
