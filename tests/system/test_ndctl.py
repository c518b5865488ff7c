"""ndctl in the guest: namespaces in every mode, and found again in the next run.

SPDX-License-Identifier: Apache-2.0

virtio-pmem is to the guest a region without labels: one namespace, which has the whole region and can only change its
mode. A block at the beginning of the memory holds the mode, so it is in the host's file and lasts. A namespace
without such a block is raw; ndctl lists it as fsdax with the map in main memory, which is the same thing here, because
the region has page structures (the kernel calls it PAGEMAP).
"""
import contextlib
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


@contextlib.contextmanager
def guest_on(image, size=None, **kwargs):
    """A guest with ndctl. There is no udev in it: it would load these modules when they are needed."""
    with Guest(*pmem(image, size=size), archives=("ndctl",), **kwargs) as guest:
        guest.run("modprobe -a nd_btt dax_pmem device_dax")
        yield guest
        assert guest.run("dmesg | grep -E 'BUG:|Oops|WARNING: CPU' | grep -v fpu/xstate.c", check=False)[1] == ""
        assert guest.power_off() == 0


def listed(guest, options="-N"):
    """What `ndctl list` prints of the only thing there is."""
    found = json.loads(guest.run(f"ndctl list {options}"))
    (only,) = found["regions"] if "regions" in found else found
    return only


def create(guest, mode, *options):
    """Changes the namespace's mode; returns what ndctl prints about the result, which must be what it lists then."""
    made = json.loads(
        guest.run(" ".join(["ndctl create-namespace -e namespace0.0 --force", f"--mode={mode}", *options]))
    )
    there = listed(guest)
    # Sizes are in words in one, in bytes in the other.
    same = [key for key in made if key in there and key != "size"]
    assert {key: made[key] for key in same} == {key: there[key] for key in same}
    return there


def is_raw(namespace, size=SIZE):
    return (namespace["mode"], namespace["map"], namespace["size"], namespace["blockdev"], namespace.get("uuid")) == (
        "fsdax",
        "mem",
        size,
        "pmem0",
        None,
    )


def test_list(tmp_path):
    with guest_on(tmp_path / "a.img", "64M") as guest:
        region = listed(guest, "-RND")
        assert region["dev"] == "region0" and region["type"] == "pmem" and region["size"] == SIZE
        assert region["align"] == UNIT and region["available_size"] == 0
        (namespace,) = region["namespaces"]
        assert namespace["dev"] == "namespace0.0" and is_raw(namespace)
        assert listed(guest, "-B")["provider"] == "virtio-pmem"
        # As people type it.
        for shown in '"dev":"region0"', '"dev":"namespace0.0"', '"size":"64.00 MiB (67.11 MB)"', '"blockdev":"pmem0"':
            assert shown in guest.run("ndctl list -RNuD")


@pytest.mark.parametrize("flavour", ["cloud", "generic"])
def test_every_mode_and_back(tmp_path, flavour):
    with guest_on(tmp_path / "a.img", "64M", flavour=flavour) as guest:
        # In use: not without --force.
        status, output = guest.run("ndctl create-namespace -e namespace0.0 --mode=fsdax", check=False)
        assert status != 0 and "is active, specify --force" in output
        assert is_raw(listed(guest))

        modes = ["fsdax", "devdax", "sector", "raw", "devdax", "raw", "sector", "fsdax", "raw"]
        devices = {"fsdax": "pmem0", "devdax": "dax0.0", "sector": "pmem0s", "raw": "pmem0"}
        for mode in modes:
            namespace = create(guest, mode)
            assert guest.run("cd /dev && ls -d pmem* dax* 2>/dev/null", check=False)[1] == devices[mode], mode
            if mode == "raw":
                assert is_raw(namespace)
            else:
                assert namespace["mode"] == mode and namespace["uuid"] and 0 < namespace["size"] < SIZE
            if mode == "sector":
                assert namespace["sector_size"] == 4096
            elif mode != "raw":
                assert namespace["map"] == "dev"

        # Destroying gives back the same: there is no label to remove.
        create(guest, "fsdax")
        guest.run("ndctl destroy-namespace -f namespace0.0 && ndctl enable-namespace namespace0.0")
        assert is_raw(listed(guest))


def test_options_of_the_modes(tmp_path):
    with guest_on(tmp_path / "a.img", "64M") as guest:
        assert create(guest, "fsdax", "--align=2M")["align"] == 2 * MIB
        # The page structures, 64 bytes for each 4 KiB, are in the memory itself or in the guest's RAM.
        for where in "dev", "mem":
            namespace = create(guest, "devdax", "--align=4k", f"--map={where}")
            assert namespace["map"] == where and namespace["align"] == 4096
            guest.run("dax-tool write /dev/dax0.0 8192 1 && dax-tool verify /dev/dax0.0 8192 1")
        assert create(guest, "sector", "--sector-size=512")["sector_size"] == 512
        # The block at the beginning holds nothing any more: the same as raw.
        assert is_raw(create(guest, "fsdax", "--map=mem"))


def test_sizes(tmp_path):
    """Any size that the device takes is a raw namespace; the other modes want units of 16 MiB."""
    with guest_on(tmp_path / "small.img", "4M") as guest:
        assert is_raw(listed(guest), 4 * MIB)
        status, output = guest.run("ndctl create-namespace -e namespace0.0 --force --mode=devdax", check=False)
        assert status != 0 and "must be >= 16MiB" in output
    with guest_on(tmp_path / "odd.img", "66M") as guest:
        assert is_raw(listed(guest), 66 * MIB)
        status, output = guest.run("ndctl create-namespace -e namespace0.0 --force --mode=fsdax", check=False)
        assert status != 0 and "is misaligned" in output
    with guest_on(tmp_path / "least.img", "16M") as guest:
        for mode in "fsdax", "devdax":
            assert create(guest, mode)["mode"] == mode
        # The sectors alone are 16 MiB at least, and their table comes on top.
        status, output = guest.run("ndctl create-namespace -e namespace0.0 --force --mode=sector", check=False)
        assert status != 0 and "failed to enable" in output


def test_fsdax_lasts(tmp_path):
    image = tmp_path / "a.img"
    with guest_on(image, "64M") as guest:
        made = create(guest, "fsdax")
        guest.run("mkfs.ext4 -q -b 4096 /dev/pmem0 && mount -o dax /dev/pmem0 /mnt && dax-tool write /mnt/f 1000000 7")
        assert guest.run("dax-tool isdax /mnt/f") == "dax"
        # Stores are durable after a flush only: no MAP_SYNC in this mode either.
        assert guest.run("dax-tool mapsync /mnt/f") == "EOPNOTSUPP"
        guest.run("umount /mnt")
    with guest_on(image) as guest:
        assert listed(guest) == made
        guest.run("mount -o dax /dev/pmem0 /mnt && dax-tool verify /mnt/f 1000000 7")
        assert guest.run("dax-tool isdax /mnt/f") == "dax"
        guest.run("umount /mnt")


def test_devdax_lasts(tmp_path):
    """A DAX device has neither msync nor fsync, so no flush: its stores are in the file when the guest has ended."""
    image = tmp_path / "a.img"
    with guest_on(image, "64M") as guest:
        made = create(guest, "devdax")
        assert made["align"] == 2 * MIB
        guest.run(f"dax-tool write /dev/dax0.0 {4 * MIB} 9 && dax-tool verify /dev/dax0.0 {4 * MIB} 9")
        assert guest.run(f"dax-tool verify /dev/dax0.0 {4 * MIB} 8", check=False) == (1, "wrong bytes at 0")
        assert json.loads(guest.run("daxctl list"))[0]["chardev"] == "dax0.0"
    with guest_on(image) as guest:
        assert listed(guest) == made
        guest.run(f"dax-tool verify /dev/dax0.0 {4 * MIB} 9")


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


@pytest.fixture(name="memory_path")
def fixture_memory_path():
    if shutil.disk_usage("/dev/shm").free < 2 * SIZE:
        pytest.skip("no room in /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="pmvm-") as directory:
        yield pathlib.Path(directory)


def test_sector_lasts(memory_path):
    image = memory_path / "a.img"
    with guest_on(image, "64M") as guest:
        worker_first(guest)
        made = create(guest, "sector")
        assert made["blockdev"] == "pmem0s"
        guest.run("mkfs.ext4 -q -b 4096 /dev/pmem0s && mount /dev/pmem0s /mnt && dax-tool write /mnt/f 1000000 5")
        assert guest.run("dax-tool isdax /mnt/f", check=False) == (1, "not dax")
        guest.run("umount /mnt && mount /dev/pmem0s /mnt && dax-tool verify /mnt/f 1000000 5 && umount /mnt")
    with guest_on(image) as guest:
        worker_first(guest)
        assert listed(guest) == made
        guest.run("mount /dev/pmem0s /mnt && dax-tool verify /mnt/f 1000000 5 && umount /mnt")
