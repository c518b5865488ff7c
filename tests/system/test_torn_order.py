"""Every state in which a power failure may leave the host's disk holds what had been reported durable before it.

SPDX-License-Identifier: Apache-2.0

tests/powercut.py sees one state for each cut. Here dm-log-writes records what the host's file system writes and flushes
while a bare guest works. From the log come all states of one run: after each flush, and with some of the writes
behind it in any selection, as a disk with a volatile cache may keep them. Each is mounted, with journal replay, and
searched for the records. What had been reported is known from marks in the log: each holds the numbers that had
left the guest before it was set.
"""
import contextlib
import fcntl
import os
import random
import re
import shutil
import struct
import subprocess
from typing import NamedTuple

import pytest

import bare
from machine import CHECKOUT, MIB, Vm, near, pmem

SECTOR = 512
PIECE = 4096  # what the disk writes whole, or not at all
FLUSH_MS = 100  # a slow disk: a report of what is not durable yet gets its mark before the flush
REPORTS = 40  # after so many the run ends
LENGTH = {"ext4": 64 * MIB, "xfs": 300 * MIB}
MKFS = {"ext4": ["mkfs.ext4", "-qF", "-b", "4096"], "xfs": ["mkfs.xfs", "-qf"]}

# Of a log's entry, drivers/md/dm-log-writes.c in Linux.
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
MAGIC = 0x6A736677736872
END = "dm-log-writes-end"  # the mark that it sets itself
# Of linux/dm-ioctl.h: version, lengths and so on up to the name; the whole; the ioctl.
DM_HEADER = "=3I2II i 3I Q 128s"
DM_LEN = 312
DM_TARGET_MSG = 3 << 30 | DM_LEN << 16 | 0xFD << 8 | 14

pytestmark = [
    pytest.mark.skipif(not os.environ.get("PMVM_IN_BOX"), reason="makes block devices: only in the test box"),
    pytest.mark.skipif(not shutil.which("dmsetup", path="/usr/sbin:/sbin"), reason="dmsetup is not installed"),
]


def run(*command):
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PATH": "/usr/sbin:/sbin:" + os.environ["PATH"]},
    )
    assert done.returncode == 0, f"{done.args}: {done.stdout}"
    return done.stdout.strip()


class Entry(NamedTuple):
    """A write, a flush, or a mark. Writes come before the flush that makes them durable."""

    flags: int
    offset: int  # on the disk
    data: bytes
    reported: tuple  # of a mark: the last number of each writer


def read_log(path):
    with open(path, "rb") as f:
        magic, version, count, sector_size = struct.unpack("<QQQI", f.read(28))
        assert (magic, version, sector_size) == (MAGIC, 1, SECTOR)
        f.seek(SECTOR)
        for _ in range(count):
            header = f.read(SECTOR)
            sector, sectors, flags, length = struct.unpack("<QQQQ", header[:32])
            assert not flags & DISCARD
            text = header[32 : 32 + length].decode() if flags & MARK else ""
            if text != END:
                yield Entry(flags, sector * SECTOR, f.read(sectors * SECTOR), tuple(map(int, re.findall(r"\d+", text))))


@contextlib.contextmanager
def logged_device(data, log):
    """A block device on a file, slow at flushes; writes to it also go to the log."""
    sectors = data.stat().st_size // SECTOR
    with contextlib.ExitStack() as stack:

        def loop(path):
            device = run("losetup", "--find", "--show", path)
            stack.callback(run, "losetup", "--detach", device)
            return device

        def mapped(name, table):
            run("dmsetup", "create", name, "--table", f"0 {sectors} {table}")
            stack.callback(run, "dmsetup", "remove", "--retry", name)
            # Not below /dev/mapper: the box has no udev to make names there.
            return "/dev/" + run("dmsetup", "info", "-c", "--noheadings", "-o", "blkdevname", name)

        disk, log_disk = loop(data), loop(log)
        run("modprobe", "-a", "dm-delay", "dm-log-writes")
        slow = mapped("slow", f"delay {disk} 0 0 {disk} 0 0 {disk} 0 {FLUSH_MS}")
        yield mapped("logged", f"log-writes {slow} {log_disk}")


@contextlib.contextmanager
def mounted(device, directory, *options):
    directory.mkdir(exist_ok=True)
    run("mount", *options, device, directory)
    try:
        yield directory
    finally:
        run("umount", directory)


def mark(text):
    """What `dmsetup message logged 0 mark TEXT` does, which takes longer than a flush."""
    message = struct.pack("=Q", 0) + f"mark {text}".encode() + b"\0"
    header = struct.pack(DM_HEADER, 4, 0, 0, DM_LEN + len(message), DM_LEN, 0, 0, 0, 0, 0, 0, b"logged")
    with open("/dev/mapper/control", "r+b", buffering=0) as control:
        fcntl.ioctl(control, DM_TARGET_MSG, bytearray(header.ljust(DM_LEN, b"\0") + message))


def write_and_mark(image):
    """Lets a guest write, and marks in the log what it has reported."""
    program = near(CHECKOUT / "build/tests/guest/writers.elf")
    reported, count = [0] * bare.NWRITERS, 0
    with Vm(["-m", "64M", "-nographic", "-kernel", program, *pmem(image, size="16M")]) as vm:
        seen = 0
        while count < REPORTS:
            seen = vm.wait_for(r"durable\r?\n", start=seen).end()
            for report in re.finditer(r"^bare/(\d): record (\d+) durable", vm.text, re.MULTILINE):
                reported[int(report[1])] = int(report[2])
            seen = vm.text.rfind("\n")
            count = sum(reported)
            mark(",".join(map(str, reported)))
        vm.kill()


@pytest.fixture(scope="module", params=["ext4", pytest.param("xfs", marks=pytest.mark.long)])
def recorded(request, tmp_path_factory):
    """The initial contents of a disk, and the writes of one run."""
    directory = tmp_path_factory.mktemp(request.param)
    data, log, base = directory / "data", directory / "log", directory / "base"
    for path, length in ((data, LENGTH[request.param]), (log, 1024 * MIB)):
        with open(path, "wb") as f:
            f.truncate(length)
    run(*MKFS[request.param], data)
    run("cp", data, base)
    with logged_device(data, log) as device:
        with mounted(device, directory / "disk") as disk:
            write_and_mark(disk / "bare.img")
    data.unlink()
    entries = list(read_log(log))
    last_mark = max(i for i, entry in enumerate(entries) if entry.flags & MARK)
    yield base, entries[: last_mark + 1]
    shutil.rmtree(directory)


class Disk:
    """A disk's state, of which copies are examined."""

    def __init__(self, base, directory):
        self.path, self.copy, self.directory = directory / "disk.img", directory / "copy.img", directory / "mnt"
        run("cp", base, self.path)

    def write(self, entries, path=None):
        with open(path or self.path, "r+b") as f:
            for entry in entries:
                f.seek(entry.offset)
                f.write(entry.data)

    def missing(self, reported, more=()):
        """What was reported as durable and is missing after a power failure in this state, with these writes added."""
        run("cp", self.path, self.copy)
        self.write(more, self.copy)
        with mounted(self.copy, self.directory, "-o", "loop") as directory:
            image = directory / "bare.img"
            found = bare.last_good_records(image) if image.exists() else [0] * bare.NWRITERS
        return [
            (writer, there, number) for writer, (there, number) in enumerate(zip(found, reported)) if there < number
        ]


def steps(entries):
    """Yields each boundary of the run: (writes that it made durable, what had been reported before it)."""
    writes, reported = [], (0,) * bare.NWRITERS
    for entry in entries:
        if entry.flags & MARK:
            reported = entry.reported
            continue
        writes.append(entry)
        if entry.flags & (FLUSH | FUA):
            yield writes, reported
            writes = []
    yield writes, reported


def pieces(writes):
    for write in writes:
        for at in range(0, len(write.data), PIECE):
            yield write._replace(offset=write.offset + at, data=write.data[at : at + PIECE])


def test_every_state_has_what_was_reported(recorded, tmp_path):
    base, entries = recorded
    chance = random.Random(0)
    disk = Disk(base, tmp_path)
    nstates, ntorn = 0, 0
    for writes, reported in steps(entries):
        # Before the boundary: none of its writes is certain to be durable.
        assert not disk.missing(reported), f"state {nstates}: (writer, last good record, last reported)"
        # Some of them may be. Not at a FUA write: writes that were finished before it follow it in the log.
        volatile = list(pieces(entry for entry in writes if not entry.flags & FUA))
        some = [piece for piece in volatile if chance.random() < 0.5]
        if some:
            assert not disk.missing(
                reported, some
            ), f"state {nstates}, and {len(some)} of {len(volatile)} volatile blocks"
            ntorn += 1
        disk.write(writes)
        nstates += 1
    assert nstates > 10 and ntorn > 5 and sum(entries[-1].reported) >= REPORTS
