"""What is written while the power is cut, and where: shared by the host's side and the real machine's.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re

import bare

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
WORK = CHECKOUT / "build/powercut"
PATH = "/usr/sbin:/sbin:" + os.environ["PATH"]
STEP_MAX = 600  # seconds for anything; bounds a wait that would otherwise have no end

# The host's file systems. Those with a disk each have one; the others share the NVDIMM, so that a run has one of them.
MKFS = {"ext4": ["mkfs.ext4", "-qF", "-b", "4096"], "xfs": ["mkfs.xfs", "-qf", "-m", "reflink=0"]}
DISKS = ["ext4", "xfs"]
DAX = ["ext4-dax", "xfs-dax"]

# The Linux guest's file systems: length, mkfs, check of the image on the host.
GUEST_FILE_SYSTEMS = {
    "ext4": ("128M", "mkfs.ext4 -q -b 4096", ["e2fsck", "-fn"]),
    "xfs": ("320M", "mkfs.xfs -q -m reflink=0", ["xfs_repair", "-n", "-f"]),
}
# The files of each, and how they are written.
FILES = {"grown": "append", "one": "in-place", "two": "in-place"}
# Its databases. With a deleted journal FULL does not sync the directory: a journal that reappears undoes the last
# transaction, as sqlite documents. EXTRA syncs the directory.
DATABASES = {
    "wal": "PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=10; PRAGMA synchronous=full;",
    "delete": "PRAGMA journal_mode=delete; PRAGMA synchronous=extra;",
}


class Trouble(Exception):
    """The test could not be done, which is no result of pmvm."""


class Lost(Exception):
    """What was acknowledged is not there."""


def say(text):
    print(text, flush=True)


def disks(hosts):
    return [host for host in hosts if host in DISKS]


def block_device(number):
    return f"/dev/vd{'abc'[number]}"


def devices(hosts):
    """The Linux guest's devices: (host, file system of the guest). The NVDIMM has room for one."""
    return [(host, fs) for host in hosts for fs in GUEST_FILE_SYSTEMS if host in DISKS or fs == "ext4"]


def names(guest, hosts):
    """All that report records."""
    if guest == "bare":
        return [f"{host}/bare/{writer}" for host in disks(hosts) for writer in range(bare.NWRITERS)]
    return [f"{host}/{fs}/{name}" for host, fs in devices(hosts) for name in [*FILES, *DATABASES]]


def numbers(pattern, text):
    """The last number for each name."""
    return {name: int(number) for name, number in re.findall(pattern, text, re.MULTILINE)}


def reported(text):
    return numbers(r"([\w-]+/\w+/\w+): record (\d+) durable", text)


def probe_block(name):
    """Contents and place of a block on the disk that is tested."""
    return name.encode().ljust(4096, b"."), 0 if name == "flushed" else 8 << 20
