"""What the parts of the benchmark share: figures, samples, a place to work in, guests with file systems.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import dataclasses
import os
import pathlib
import subprocess
import tempfile
import time

import machine
from machine import MIB, Failed


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the result.

    The goal of the project is `ratio_max`, the largest ratio of pmvm to QEMU, or `value_max`, the largest value.
    """

    name: str
    unit: str
    method: str
    ratio_max: float = None
    value_max: float = None


class Samples:
    """{figure: {peer: [value, ...]}}, in the order in which they were measured."""

    def __init__(self):
        self.values = {}

    def add(self, figure, peer, value):
        self.values.setdefault(figure.name, {}).setdefault(peer, []).append(value)


def say(text):
    print(text, flush=True)


@contextlib.contextmanager
def directory(kind="tmpfs"):
    """An empty directory on that kind of file system: tmpfs, huge (tmpfs with huge pages), hugetlbfs, ext4, xfs."""
    with tempfile.TemporaryDirectory(prefix="pmvm-bench-") as name:
        where = pathlib.Path(name) / kind
        where.mkdir()
        mount(kind, where, pathlib.Path(name))
        try:
            yield where
        finally:
            subprocess.run(["umount", "--lazy", where], check=True)


HUGETLB_MIB = 192
DISK_MIB = 1024
RAM_DISK_MIB = 1536


def make_file_system(kind, disk):
    path = "/usr/sbin:/sbin:" + os.environ["PATH"]
    subprocess.run([f"mkfs.{kind}", "-q", disk], check=True, env=os.environ | {"PATH": path})


def mount(kind, where, beside):
    if kind in ("tmpfs", "huge"):
        options = "size=3g" + (",huge=always" if kind == "huge" else "")
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", where], check=True)
    elif kind == "hugetlbfs":
        pool = pathlib.Path("/proc/sys/vm/nr_hugepages")
        if int(pool.read_text()) < HUGETLB_MIB // 2:
            pool.write_text(str(HUGETLB_MIB // 2))
        if int(pool.read_text()) < HUGETLB_MIB // 2:
            raise Failed(f"the kernel has no {HUGETLB_MIB} MiB of huge pages to give")
        subprocess.run(["mount", "-t", "hugetlbfs", "none", where], check=True)
    else:
        # On the disk of the box, if there is one; otherwise in the directory `beside`.
        store = pathlib.Path("/mnt/disk") if os.path.ismount("/mnt/disk") else beside
        disk = store / f"bench-{os.getpid()}.{kind}"
        disk.unlink(missing_ok=True)
        subprocess.run(["fallocate", "-l", f"{DISK_MIB}M", disk], check=True)
        make_file_system(kind, disk)
        # Direct I/O: a sync of a file waits for the disk, and what is cached is cached once.
        loop = subprocess.run(
            ["/sbin/losetup", "--direct-io=on", "--show", "--find", disk], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
        subprocess.run(["mount", loop, where], check=True)
        # The loop device is freed when its file system is unmounted.
        subprocess.run(["/sbin/losetup", "--detach", loop], check=True)
        disk.unlink()


@contextlib.contextmanager
def ram_disk(kind, size_mib=RAM_DISK_MIB):
    """As `directory`, on a disk in the memory of this machine: no processor is ever idle for it."""
    subprocess.run(["modprobe", "brd", "rd_nr=1", f"rd_size={size_mib << 10}"], check=True)
    with tempfile.TemporaryDirectory(prefix="pmvm-bench-") as name:
        make_file_system(kind, "/dev/ram0")
        subprocess.run(["mount", "/dev/ram0", name], check=True)
        try:
            yield pathlib.Path(name)
        finally:
            subprocess.run(["umount", name], check=True)
            subprocess.run(["rmmod", "brd"], check=True)


def pmem(path, number=1, size_mib=64):
    """Returns a pair of options that pmvm and QEMU both accept. QEMU needs an existing file with readonly=on only."""
    return machine.pmem(path, number, f"{size_mib}M")


def format_and_mount(guest, number=0, where="/mnt", journal=True):
    """Makes an ext4 file system and mounts it with DAX.

    Without a journal, an fsync of the guest is one flush. With a journal it is two if the file's time has changed.
    """
    options = "" if journal else "-O ^has_journal"
    guest.run(
        f"mkfs.ext4 -q -F -b 4096 {options} /dev/pmem{number} && mkdir -p {where} && mount -o dax"
        f" /dev/pmem{number} {where}"
    )


def fsyncs(guest, path, n):
    """Does n times a store and an fsync.

    The command line has the same length for each n, because characters on the console cost system calls and exits.
    """
    guest.run(f"dax-tool fsync {path} {n:<6} >/dev/null")


def settle(guest, seconds=2):
    """Waits until the guest's own work after its start has ended."""
    guest.run("sync")
    time.sleep(seconds)


def end(guest):
    if guest.power_off() != 0:
        raise Failed(f"{guest.name} ended with {guest.process.returncode}: {guest.error_text}")


def alternate(peers, runs, title):
    """A B A B ...: (run, peer), with progress."""
    for run in range(runs):
        for peer in peers:
            say(f"  {title}: run {run + 1} of {runs}, {peer.name}")
            yield run, peer


__all__ = [
    "MIB",
    "Failed",
    "Figure",
    "Samples",
    "alternate",
    "directory",
    "end",
    "format_and_mount",
    "fsyncs",
    "pmem",
    "ram_disk",
    "say",
    "settle",
]
