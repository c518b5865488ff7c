"""The disk below the image fails, and the host's file system with it: real errors of the kernel, not injected ones.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import errno
import re
import shutil
import subprocess
import time

import machine
import pytest

from machine import MIB, Guest, pmem
from monitor import Qmp

SIZE = 16 * MIB
SECTOR_SIZE = 512
PAGE_SIZE = 4096
NOTICED_MAX = 60
PAUSE_MAX = 10
UNKNOWN_MAX = 120  # the machine waits a minute for a page that may only come late
LATE_MS = 7_000  # a page that never comes pauses the machine sooner, where the reason is known
EIO = "Input/output error"


def run(*command, **kwargs):
    return subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, timeout=120, **kwargs
    ).stdout


@contextlib.contextmanager
def loop_device(tmp_path):
    disk = tmp_path / "disk"
    run("truncate", "-s", "320M", disk)
    device = run("losetup", "-f", "--show", disk).strip()
    try:
        yield device
    finally:
        run("losetup", "-d", device)


@contextlib.contextmanager
def mounted(device, where, *options):
    where.mkdir(exist_ok=True)
    run("mount", *options, device, where)
    try:
        yield where
    finally:
        run("umount", where)


def qmp_options(tmp_path):
    return ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]


def bare(image, directory, *options):
    """A program that stores to every page."""
    program = machine.near(machine.CHECKOUT / "build/tests/guest/stall.elf")
    return machine.Vm(["-m", "64M", "-nographic", "-kernel", program, *pmem(image), *qmp_options(directory), *options])


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")


def write_record(guest, number, device="pmem0"):
    """What the guest's fsync said."""
    status, output = guest.run(
        f"printf 'record {number}' | dd of=/dev/{device} bs=4096 seek={number} conv=fsync,notrunc", check=False
    )
    return "0" if status == 0 else EIO if EIO in output else output


def has_record(image, number):
    with open(image, "rb") as file:
        file.seek(number * PAGE_SIZE)
        return file.read(PAGE_SIZE).startswith(f"record {number}".encode())


class FailingDisk:
    """A device-mapper device, of which a part can be made to fail, or to answer late."""

    def __init__(self, below):
        self.name, self.below = "pmvm-" + below.rsplit("/", 1)[1], below
        self.path = f"/dev/mapper/{self.name}"
        self.length = int(run("blockdev", "--getsz", below))

    def table(self, bad=(), delay_ms=0):
        """One line for each part; `bad` are pairs (first sector, number of sectors); late rather than failing."""
        at, lines = 0, []
        for start, length in [*sorted(bad), (self.length, 0)]:
            if start > at:
                lines.append(f"{at} {start - at} linear {self.below} {at}")
            if length:
                late = f"delay {self.below} {start} {delay_ms}"
                lines.append(f"{start} {length} {late if delay_ms else 'error'}")
            at = start + length
        return "\n".join(lines)

    def set_bad(self, bad=(), delay_ms=0):
        run("dmsetup", "reload", self.name, input=self.table(bad, delay_ms))
        run("dmsetup", "suspend", "--nolockfs", self.name)
        run("dmsetup", "resume", "--noudevsync", self.name)

    def __enter__(self):
        run("dmsetup", "create", "--noudevsync", self.name, input=self.table())
        run("dmsetup", "mknodes", self.name)
        return self

    def __exit__(self, *exc):
        run("dmsetup", "remove", "--noudevsync", "--retry", self.name)


def sectors(image):
    """Where the file lies on its disk: pairs (first sector, number of sectors)."""
    lines = re.findall(
        r"^ *\d+: +\d+\.\. *\d+: +(\d+)\.\. *\d+: +(\d+):", run("filefrag", "-s", "-b512", "-v", image), re.MULTILINE
    )
    assert sum(int(length) for _, length in lines) == SIZE // SECTOR_SIZE
    return [(int(start), int(length)) for start, length in lines]


@pytest.mark.skipif(shutil.which("dmsetup", path="/usr/sbin:/sbin") is None, reason="dmsetup is not installed")
def test_a_disk_that_fails_for_a_while(tmp_path):
    """The host's kernel forgets what it could not write. The guest knows, to the record."""
    where = tmp_path / "mounted"
    with loop_device(tmp_path) as loop, FailingDisk(loop) as disk:
        run("mkfs.ext4", "-q", disk.path)
        with mounted(disk.path, where):
            image = where / "a.img"
            image.write_bytes(bytes(SIZE))
            run("sync", "-f", where)
            with Guest(*pmem(image), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
                assert write_record(guest, 1) == "0"
                disk.set_bad(sectors(image))
                assert write_record(guest, 2) == EIO
                event = qmp.wait_event("PMEM_ERROR", NOTICED_MAX)
                assert event["data"]["id"] == "nv1" and event["data"]["errno"] == errno.EIO
                disk.set_bad()
                # A sync would succeed now, as it does for any other program of the host.
                run("sync", "-d", image)
                assert write_record(guest, 3) == EIO
                assert qmp.run("query-pmem")[0]["state"] == "failed"
                qmp.run("pmem_clear_error", id="nv1")
                assert write_record(guest, 4) == "0"
                assert guest.power_off() == 0
        # What is on the disk, not in the host's memory.
        with mounted(disk.path, where):
            found = {number: has_record(image, number) for number in (1, 2, 4)}
    # Record 2 is what a device that forgets the error would have acknowledged.
    assert found == {1: True, 2: False, 4: True}


def test_a_file_system_that_turns_read_only(tmp_path):
    """As ext4 does with errors=remount-ro. Stores continue, into memory, even without a block; every flush fails."""
    where = tmp_path / "mounted"
    with loop_device(tmp_path) as loop:
        run("mkfs.ext4", "-q", loop)
        with mounted(loop, where, "-o", "errors=remount-ro"):
            written, sparse = where / "written.img", where / "sparse.img"
            written.write_bytes(bytes(SIZE))
            options = [*pmem(written), *pmem(sparse, 2, size="24M"), *qmp_options(tmp_path)]
            with Guest(*options) as guest, Qmp(tmp_path / "qmp") as qmp:
                first = guest.run("cat /sys/block/pmem0/size") == str(SIZE // SECTOR_SIZE)
                devices = {"nv1": "pmem0" if first else "pmem1", "nv2": "pmem1" if first else "pmem0"}
                for device in devices.values():
                    assert write_record(guest, 1, device) == "0"
                with open(f"/sys/fs/ext4/{loop.rsplit('/', 1)[1]}/trigger_fs_error", "w", encoding="ascii") as file:
                    file.write("a test")
                for name, device in devices.items():
                    assert write_record(guest, 2, device) == EIO
                    event = qmp.wait_event("PMEM_ERROR", NOTICED_MAX)
                    assert event["data"]["id"] == name and event["data"]["errno"] == errno.EROFS
                    assert write_record(guest, 3, device) == EIO
                assert [device["state"] for device in qmp.run("query-pmem")] == ["failed", "failed"]
                assert qmp.run("query-status")["running"]
                assert guest.power_off() == 1
            assert has_record(written, 1) and has_record(sparse, 1)


@pytest.mark.parametrize("image", ["written", "sparse"])
def test_a_file_system_that_shuts_down(tmp_path, image):
    """As xfs does when it cannot write its log: not even a store can be done. The machine pauses, and stays so."""
    where = tmp_path / "mounted"
    with loop_device(tmp_path) as loop:
        run("mkfs.xfs", "-q", loop)
        with mounted(loop, where):
            with open(where / "a.img", "wb") as file:
                if image == "written":
                    file.write(bytes(SIZE))
                file.truncate(SIZE)
            with bare(where / "a.img", tmp_path, "-S") as vm, Qmp(tmp_path / "qmp") as qmp:
                run("xfs_io", "-x", "-c", "shutdown", where)
                qmp.run("cont")
                event = qmp.wait_event("PMEM_ERROR", NOTICED_MAX)
                assert event["data"]["id"] == "nv1" and event["data"]["errno"] == errno.EIO
                qmp.wait_event("STOP", NOTICED_MAX)
                assert qmp.run("query-status") == {"status": "io-error", "running": False}
                qmp.run("quit")
                assert vm.end() == 1


def part(places, off, length):
    """The sectors of the bytes [off, off + length) of a file that lies at these places; they must be in one piece."""
    for start, size in places:
        if off < size * SECTOR_SIZE:
            assert off + length <= size * SECTOR_SIZE
            return start + off // SECTOR_SIZE, length // SECTOR_SIZE
        off -= size * SECTOR_SIZE
    raise AssertionError("beyond the file")


@pytest.mark.skipif(shutil.which("dmsetup", path="/usr/sbin:/sbin") is None, reason="dmsetup is not installed")
@pytest.mark.parametrize(
    "place, latest", [(6 * MIB, PAUSE_MAX), pytest.param(5 * MIB, UNKNOWN_MAX, marks=pytest.mark.long)]
)
def test_a_page_that_cannot_be_read_pauses(tmp_path, place, latest):
    """There is space. pmvm reads a page of each 2 MiB; if it can, it may see only that the guest gets no page."""
    where = tmp_path / "mounted"
    with loop_device(tmp_path) as loop, FailingDisk(loop) as disk:
        run("mkfs.ext4", "-q", disk.path)
        with mounted(disk.path, where):
            image = where / "a.img"
            image.write_bytes(b"x" * SIZE)
            run("sync", "-f", where)
            bad = part(sectors(image), place, 64 * 1024)
            drop_caches()
            disk.set_bad([bad])
            with bare(image, tmp_path) as vm, Qmp(tmp_path / "qmp") as qmp:
                vm.wait_for("^stall: stores")
                began = time.monotonic()
                qmp.wait_event("STOP", UNKNOWN_MAX)
                took = time.monotonic() - began
                assert qmp.run("query-status") == {"status": "io-error", "running": False}
                assert EIO in vm.error_text or (latest == UNKNOWN_MAX and "reason unknown" in vm.error_text)
                assert took < latest
                disk.set_bad()
                qmp.run("cont")
                assert vm.end() == 0
                assert "SUCCESS" in vm.text
            after = image.read_bytes()
            assert all(after[at : at + 2] == b"\1x" for at in range(0, SIZE, PAGE_SIZE))


@pytest.mark.skipif(shutil.which("dmsetup", path="/usr/sbin:/sbin") is None, reason="dmsetup is not installed")
def test_a_page_that_comes_late(tmp_path):
    """A disk that needs long for a page. In KVM's statistics it looks like a page that never comes. No pause."""
    where, place = tmp_path / "mounted", 4 * MIB
    with loop_device(tmp_path) as loop, FailingDisk(loop) as disk:
        run("mkfs.ext4", "-q", disk.path)
        with mounted(disk.path, where):
            image = where / "a.img"
            image.write_bytes(b"x" * SIZE)
            run("sync", "-f", where)
            with bare(image, tmp_path, "-S") as vm, Qmp(tmp_path / "qmp") as qmp:
                drop_caches()
                disk.set_bad([part(sectors(image), place, 64 * 1024)], LATE_MS)
                began = time.monotonic()
                qmp.run("cont")
                vm.wait_for("SUCCESS")
                # Otherwise the page was in memory, and this shows nothing.
                assert time.monotonic() - began >= LATE_MS / 1000
                disk.set_bad()
                assert vm.end() == 0
                with contextlib.suppress(ConnectionError):
                    while True:
                        qmp.events.append(qmp.receive())
                names = [event["event"] for event in qmp.events]
                assert "SHUTDOWN" in names and "STOP" not in names
