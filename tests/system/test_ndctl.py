"""ndctl in the guest: namespaces in every mode, and found again in the next run.

SPDX-License-Identifier: Apache-2.0

virtio-pmem is to the guest a region without labels: one namespace, which has the whole region and can only change its
mode. A block at the beginning of the memory holds the mode, so it is in the host's file and lasts. A namespace
without such a block is raw; ndctl lists it as fsdax with the map in main memory, which is the same thing here, because
the region has page structures (the kernel calls it PAGEMAP).

One guest with several devices, and then another one with the same files.
"""
import json
import os
import pathlib
import shutil
import tempfile

import pytest

from machine import MIB, Guest, pmem

SIZE = 64 * MIB
# libnvdimm on x86 wants a namespace other than raw to begin and end at multiples of this.
UNIT = 16 * MIB
# Each device's number is that of its region, as Linux probes them in the order of their slots.
SIZES_MIB = {"modes": 64, "small": 4, "odd": 66, "least": 16, "fsdax": 64, "devdax": 64, "sector": 64}


class Pmem:
    """One of the guest's devices, as ndctl sees it."""

    def __init__(self, guest, number):
        self.guest, self.number = guest, number

    def listed(self, options="-N"):
        """What `ndctl list` prints of the only thing there is in this region."""
        found = json.loads(self.guest.run(f"ndctl list {options} -r region{self.number}"))
        (only,) = found["regions"] if "regions" in found else found
        return only

    def try_to_create(self, mode, *options):
        words = ["ndctl create-namespace", f"-e namespace{self.number}.0", f"--mode={mode}", *options]
        return self.guest.run(" ".join(words), check=False)

    def create(self, mode, *options):
        """Changes the namespace's mode; returns what ndctl prints about the result, which it must list then."""
        status, output = self.try_to_create(mode, "--force", *options)
        assert status == 0, output
        made, there = json.loads(output), self.listed()
        # Sizes are in words in one, in bytes in the other.
        same = [key for key in made if key in there and key != "size"]
        assert {key: made[key] for key in same} == {key: there[key] for key in same}
        return there

    def is_raw(self, size=SIZE):
        namespace = self.listed()
        keys = ("mode", "map", "size", "blockdev", "uuid")
        return [namespace.get(key) for key in keys] == ["fsdax", "mem", size, f"pmem{self.number}", None]


class Machine:
    """A guest with ndctl. There is no udev in it: it would load these modules when they are needed."""

    def __init__(self, images, **kwargs):
        options = [
            word
            for number, (name, image) in enumerate(images.items())
            for word in pmem(image, number, size=f"{SIZES_MIB[name]}M")
        ]
        self.guest = Guest(*options, archives=("ndctl",), **kwargs)
        self.guest.run("modprobe -a nd_btt dax_pmem device_dax")
        for number, name in enumerate(images):
            setattr(self, name, Pmem(self.guest, number))

    def ends_well(self):
        trouble = self.guest.run("dmesg | grep -E 'BUG:|Oops|WARNING: CPU' | grep -v fpu/xstate.c", check=False)[1]
        assert trouble == ""
        assert self.guest.power_off() == 0


def worker_first(guest):
    """
    Lets the flush worker run before the vCPU that kicked it goes on.

    In sector mode the guest's kernel (Debian's 6.1 at least) writes while it must not sleep, and then waits for a
    flush; virtio-pmem sleeps there. "BUG: scheduling while atomic" follows, under any monitor, unless
    the answer is there before the guest looks. So: one processor, the worker before everything else on it, and a file
    in memory, on which a sync does not wait.
    """
    for thread in pathlib.Path(f"/proc/{guest.process.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {min(os.sched_getaffinity(0))})
        if (thread / "comm").read_text().startswith("flush"):
            try:
                os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(1))
            except PermissionError:
                pytest.skip(
                    "sector mode needs a real-time worker, because of a bug in the guest's kernel: not permitted here"
                )


@pytest.fixture(name="images", scope="module")
def fixture_images(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ndctl")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="pmvm-") as memory:
        images = {name: directory / f"{name}.img" for name in SIZES_MIB}
        if shutil.disk_usage("/dev/shm").free >= 2 * SIZE:
            images["sector"] = pathlib.Path(memory) / "sector.img"
        yield images


def running(images, **kwargs):
    machine = Machine(images, **kwargs)
    with machine.guest:
        yield machine
        if machine.guest.process.poll() is None:
            machine.ends_well()


@pytest.fixture(name="first", scope="module")
def fixture_first(images):
    yield from running(images)


def test_list(first):
    region = first.modes.listed("-RND")
    assert region["dev"] == "region0" and region["type"] == "pmem" and region["size"] == SIZE
    assert region["align"] == UNIT and region["available_size"] == 0
    (namespace,) = region["namespaces"]
    assert namespace["dev"] == "namespace0.0" and first.modes.is_raw()
    assert first.modes.listed("-B")["provider"] == "virtio-pmem"
    # As people type it.
    text = first.guest.run("ndctl list -RNuD")
    for shown in '"dev":"region0"', '"dev":"namespace0.0"', '"size":"64.00 MiB (67.11 MB)"', '"blockdev":"pmem0"':
        assert shown in text


def goes_through(machine, device, modes):
    # In use: not without --force.
    status, output = device.try_to_create("fsdax")
    assert status != 0 and "is active, specify --force" in output
    assert device.is_raw()

    devices = {"fsdax": "pmem0", "devdax": "dax0.0", "sector": "pmem0s", "raw": "pmem0"}
    for mode in modes:
        namespace = device.create(mode)
        assert machine.guest.run("cd /dev && ls -d pmem0* dax0* 2>/dev/null", check=False)[1] == devices[mode], mode
        if mode == "raw":
            assert device.is_raw()
        else:
            assert namespace["mode"] == mode and namespace["uuid"] and 0 < namespace["size"] < SIZE
        if mode == "sector":
            assert namespace["sector_size"] == 4096
        elif mode != "raw":
            assert namespace["map"] == "dev"

    # Destroying gives back the same: there is no label to remove.
    device.create("fsdax")
    machine.guest.run("ndctl destroy-namespace -f namespace0.0 && ndctl enable-namespace namespace0.0")
    assert device.is_raw()


def test_every_mode_and_back(first):
    goes_through(first, first.modes, ["fsdax", "devdax", "sector", "raw"])


@pytest.mark.long
def test_every_mode_and_back_with_another_kernel(tmp_path):
    for machine in running({"modes": tmp_path / "a.img"}, flavour="generic"):
        modes = ["fsdax", "devdax", "sector", "raw", "devdax", "raw", "sector", "fsdax", "raw"]
        goes_through(machine, machine.modes, modes)


def test_options_of_the_modes(first):
    device = first.modes
    assert device.create("fsdax", "--align=2M")["align"] == 2 * MIB
    # The page structures, 64 bytes for each 4 KiB, are in the memory itself or in the guest's RAM.
    for where in "dev", "mem":
        namespace = device.create("devdax", "--align=4k", f"--map={where}")
        assert namespace["map"] == where and namespace["align"] == 4096
        first.guest.run("dax-tool write /dev/dax0.0 8192 1 && dax-tool verify /dev/dax0.0 8192 1")
    assert device.create("sector", "--sector-size=512")["sector_size"] == 512
    # The block at the beginning holds nothing any more: the same as raw.
    device.create("fsdax", "--map=mem")
    assert device.is_raw()


def test_sizes(first):
    """Any size that the device takes is a raw namespace; the other modes want units of 16 MiB."""
    assert first.small.is_raw(4 * MIB)
    status, output = first.small.try_to_create("devdax", "--force")
    assert status != 0 and "must be >= 16MiB" in output
    assert first.odd.is_raw(66 * MIB)
    status, output = first.odd.try_to_create("fsdax", "--force")
    assert status != 0 and "is misaligned" in output
    for mode in "fsdax", "devdax":
        assert first.least.create(mode)["mode"] == mode
    # The sectors alone are 16 MiB at least, and their table comes on top.
    status, output = first.least.try_to_create("sector", "--force")
    assert status != 0 and "failed to enable" in output


class Made:
    """What the first guest left in the files."""

    fsdax = devdax = sector = None


def test_fsdax(first):
    guest, device = first.guest, first.fsdax
    Made.fsdax = device.create("fsdax")
    disk = f"/dev/pmem{device.number}"
    guest.run(f"mkfs.ext4 -q -b 4096 {disk} && mount -o dax {disk} /mnt && dax-tool write /mnt/f 1000000 7")
    assert guest.run("dax-tool isdax /mnt/f") == "dax"
    # Stores are durable after a flush only: no MAP_SYNC in this mode either.
    assert guest.run("dax-tool mapsync /mnt/f") == "EOPNOTSUPP"
    guest.run("umount /mnt")


def test_devdax(first):
    """A DAX device has neither msync nor fsync, so no flush: its stores are in the file when the guest has ended."""
    guest, device = first.guest, first.devdax
    Made.devdax = device.create("devdax")
    assert Made.devdax["align"] == 2 * MIB
    path = f"/dev/dax{device.number}.0"
    guest.run(f"dax-tool write {path} {4 * MIB} 9 && dax-tool verify {path} {4 * MIB} 9")
    assert guest.run(f"dax-tool verify {path} {4 * MIB} 8", check=False) == (1, "wrong bytes at 0")
    assert f"dax{device.number}.0" in [dev["chardev"] for dev in json.loads(guest.run("daxctl list"))]


def needs_memory(images):
    if not images["sector"].is_relative_to("/dev/shm"):
        pytest.skip("no room in /dev/shm")


def test_sector(first, images):
    needs_memory(images)
    guest, device = first.guest, first.sector
    worker_first(guest)
    Made.sector = device.create("sector")
    disk = f"/dev/pmem{device.number}s"
    assert "/dev/" + Made.sector["blockdev"] == disk
    guest.run(f"mkfs.ext4 -q -b 4096 {disk} && mount {disk} /mnt && dax-tool write /mnt/f 1000000 5")
    assert guest.run("dax-tool isdax /mnt/f", check=False) == (1, "not dax")
    guest.run(f"umount /mnt && mount {disk} /mnt && dax-tool verify /mnt/f 1000000 5 && umount /mnt")


# ---- another guest; the first one is switched off by a test, as pytest would end it after these


def test_the_first_guest_ends(first):
    first.ends_well()


@pytest.fixture(name="second", scope="module")
def fixture_second(images):
    yield from running(images)


def test_fsdax_lasts(second):
    guest, device = second.guest, second.fsdax
    assert device.listed() == Made.fsdax
    guest.run(f"mount -o dax /dev/pmem{device.number} /mnt && dax-tool verify /mnt/f 1000000 7")
    assert guest.run("dax-tool isdax /mnt/f") == "dax"
    guest.run("umount /mnt")


def test_devdax_lasts(second):
    assert second.devdax.listed() == Made.devdax
    second.guest.run(f"dax-tool verify /dev/dax{second.devdax.number}.0 {4 * MIB} 9")


def test_sector_lasts(second, images):
    needs_memory(images)
    worker_first(second.guest)
    assert second.sector.listed() == Made.sector
    disk = f"/dev/pmem{second.sector.number}s"
    second.guest.run(f"mount {disk} /mnt && dax-tool verify /mnt/f 1000000 5 && umount /mnt")
