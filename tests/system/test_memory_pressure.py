"""The host reclaims memory while the guest runs. Persistent memory is page cache, and no data is lost.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib
import subprocess

import pytest

from machine import MIB, Guest, pmem
from monitor import Qmp

CGROUPS = pathlib.Path("/sys/fs/cgroup")
SIZE = 112 * MIB
FILE_LEN = 96 * MIB  # the rest is the guest's file system
# From here on the host reclaims. The guest's RAM of 96 MiB and what the kernel needs for it cannot be reclaimed.
LIMIT = 120 * MIB
MOST = LIMIT + 64 * MIB  # where the host is too slow for that
GUEST_MAX = 300


@contextlib.contextmanager
def cgroup(limit):
    """A new cgroup from which the host reclaims memory above a limit. Only well above it does a process end."""
    directory = CGROUPS / f"pmvm-test-{os.getpid()}"
    try:
        (CGROUPS / "cgroup.subtree_control").write_text("+memory")
        directory.mkdir()
        (directory / "memory.high").write_text(str(limit))
        (directory / "memory.max").write_text(str(MOST))
    except OSError as error:
        pytest.skip(f"no cgroup with a memory limit here: {error}")
    try:
        if (directory / "memory.swap.max").exists():
            (directory / "memory.swap.max").write_text("0")
        yield directory
    finally:
        directory.rmdir()


@contextlib.contextmanager
def disk(tmp_path):
    """A file system on a disk, to which the host can write dirty pages."""
    file, where = tmp_path / "disk", tmp_path / "mounted"
    with open(file, "wb") as opened:
        # Allocated now, and not given back by mkfs: later writes to it are charged to no cgroup.
        os.posix_fallocate(opened.fileno(), 0, SIZE + 64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", file], check=True)
    where.mkdir()
    subprocess.run(["mount", "-o", "loop", file, where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


def numbers(file):
    return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}


def test_more_persistent_memory_than_memory(tmp_path):
    """The limit leaves, beside the guest's RAM, a quarter of what the guest writes and reads. Every byte is right."""
    with disk(tmp_path) as where, cgroup(LIMIT) as group:
        prefix = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', group / "cgroup.procs"]
        # The limit was found with this kernel. The unpacked one makes the guest touch more of its RAM.
        options = {"memory": "96M", "image": "bzImage", "prefix": prefix}
        qmp_option = ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]
        with (
            Guest(*pmem(where / "a.img", size=f"{SIZE // MIB}M"), *qmp_option, **options) as guest,
            Qmp(tmp_path / "qmp") as qmp,
        ):

            def resident():
                return qmp.run("query-pmem")[0]["resident"]

            guest.run("mkfs.ext4 -q -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
            guest.run(f"dax-tool write /mnt/f {FILE_LEN} 7", timeout=GUEST_MAX)
            written = resident()
            # The host reclaims memory: clean pages at once, dirty pages after they were written.
            can_ask = (group / "memory.reclaim").exists()  # Linux 5.19
            if can_ask:
                with contextlib.suppress(OSError):  # it says so if that much was not there
                    (group / "memory.reclaim").write_text(str(LIMIT))
            reclaimed = resident()
            assert guest.run(f"dax-tool verify /mnt/f {FILE_LEN} 7", timeout=GUEST_MAX) == f"ok {FILE_LEN}"
            events = numbers(group / "memory.events")
            print(
                f"resident: {written // MIB} MiB when written, {reclaimed // MIB} MiB after reclaim, "
                f"{resident() // MIB} MiB when read; {events}"
            )
            # The limit was reached, and the OOM killer did not run.
            assert events["high"] > 0
            assert events["oom_kill"] == 0
            assert written < FILE_LEN and (reclaimed < written or not can_ask)
            assert guest.power_off() == 0
