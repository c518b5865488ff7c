"""The memory of a container's machine: what the guest does not need goes back to the host, or is never used.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import subprocess

import pytest

from oci_runtime import CHECKOUT, FOREVER, eventually, make_bundle

FILES, FILE_KIB = 800, 64
FILL = f"""x=$(busybox head -c {FILE_KIB << 10} /dev/zero | busybox tr '\\0' x)
i=0; while [ $i -lt {FILES} ]; do echo "$x" >/dev/shm/$i; i=$((i+1)); done"""
HOLES = f"i=0; while [ $i -lt {FILES} ]; do : >/dev/shm/$i; i=$((i+2)); done"


@pytest.fixture(name="pid")
def run_container(oci, tmp_path):
    """The pid of pmvm of a running container."""
    oci.create("c", make_bundle(tmp_path / "bundle", FOREVER))
    oci("start", "c")
    return oci.members("c")["pmvm"]


def ram_kib(pid):
    """What the host has of the guest's RAM."""
    kib = 0
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(path).startswith("/memfd:"):
            kib = max(kib, os.stat(path).st_blocks // 2)
    return kib


def of_the_guest(oci, name):
    """A line of /proc/meminfo, in KiB."""
    return int(re.search(rf"^{name}: +(\d+) kB", oci("exec", "c", "cat", "/proc/meminfo"), re.MULTILINE)[1])


def modules_kib():
    """Of the modules in the initramfs."""
    with open(CHECKOUT / "build/oci/initrd.img", "rb") as file:
        listed = subprocess.run(
            ["cpio", "--quiet", "-itv", "*modules/*.ko"], stdin=file, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    return sum(int(line.split()[4]) for line in listed.splitlines()) // 1024


def test_free_memory_between_what_is_used_goes_back(oci, pid):
    oci("exec", "c", "sh", "-c", FILL)
    full = ram_kib(pid)
    oci("exec", "c", "sh", "-c", HOLES)
    # Half of it was freed, in pieces of 64 KiB; each has a free block of 32 KiB at least.
    eventually(lambda: full - ram_kib(pid) > FILES * FILE_KIB // 4)
    assert full - ram_kib(pid) < FILES * FILE_KIB


def test_the_guest_has_no_files_that_nobody_reads(oci, pid):
    assert ram_kib(pid) > 0
    # The initramfs is in shared memory, and its modules are not there any more.
    initramfs_kib = (CHECKOUT / "build/oci/initrd.img").stat().st_size // 1024
    assert modules_kib() > 1024
    assert of_the_guest(oci, "Shmem") < initramfs_kib - modules_kib() // 2
    # tracefs would have some ten thousand.
    assert int(oci("exec", "c", "cat", "/proc/sys/fs/inode-nr").split()[0]) < 5000
