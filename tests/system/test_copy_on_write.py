"""Every page of the image has a block, yet a store needs another one: reflinks, btrfs, huge pages. No store is lost.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import errno
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import time

import machine
import pytest
from machine import MIB, Guest, pmem
from monitor import Qmp, Refused

SIZE = 64 * MIB
WRITTEN = 20 * MIB
PAUSE_MAX = 10
PAGE = 4096
HUGE_PAGE = 2 * MIB
NR_HUGE_PAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")


def run(*command, **kwargs):
    return subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, timeout=300, **kwargs
    ).stdout


def qmp_options(tmp_path):
    return ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]


@contextlib.contextmanager
def file_system(tmp_path, kind):
    """A mounted file system of 400 MiB that can share blocks."""
    if shutil.which(f"mkfs.{kind}", path="/usr/sbin:/sbin") is None:
        pytest.skip(f"mkfs.{kind} is not installed")
    where, disk = tmp_path / kind, tmp_path / f"{kind}.disk"
    where.mkdir()
    run("truncate", "-s", "400M", disk)
    run(f"mkfs.{kind}", "-q", disk)
    run("mount", "-o", "loop", disk, where)
    try:
        yield where
    finally:
        run("umount", where)


def make_images(where, size=SIZE):
    """A base image full of data, and one that shares all of its blocks."""
    base, image = where / "base.img", where / "a.img"
    with open(base, "wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    run("sync", "-f", where)
    run("cp", "--reflink=always", base, image)
    run("sync", "-f", where)
    return base, image


def fill(where):
    """Takes all room of the file system. What is reserved at first is quick; the rest is written."""
    free = shutil.disk_usage(where).free
    with contextlib.suppress(OSError), open(where / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(MIB, free - 24 * MIB))
    for size in 65536, PAGE:
        with contextlib.suppress(OSError), open(where / f"filler.{size}", "wb", buffering=0) as file:
            while file.write(bytes(size)) == size:
                pass
        run("sync", "-f", where)


def make_room(where):
    for filler in where.glob("filler*"):
        filler.unlink()
    for _ in range(2):  # btrfs frees blocks in a transaction that ends later
        run("sync", "-f", where)


def pauses(qmp, image, began, reason=errno.ENOSPC):
    """Event, run state and state of the device, in time after `began`."""
    event = qmp.wait_event("PMEM_NOSPACE", 60)["data"]
    took = time.monotonic() - began
    assert event["id"] == "nv1" and event["file"] == str(image) and event["errno"] == reason
    qmp.wait_event("STOP", 60)
    assert qmp.run("query-status") == {"status": "io-error", "running": False}
    assert qmp.run("query-pmem")[0]["state"] == "no-space"
    assert took < PAUSE_MAX


def refuses_to_go_on(qmp, text="a.img: No space left on device"):
    with pytest.raises(Refused, match=text):
        qmp.run("cont")
    assert not qmp.run("query-status")["running"]


def hash_of(path, start=0, size=SIZE):
    with open(path, "rb") as file:
        file.seek(start)
        return hashlib.md5(file.read(size)).hexdigest()


def test_a_reflinked_image_on_a_full_xfs(tmp_path):
    """The guest wrote into blocks that its image shares, was stalled, and nobody said so."""
    with file_system(tmp_path, "xfs") as where:
        base, image = make_images(where)
        before = hash_of(base)
        fill(where)
        with Guest(*pmem(image), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
            guest.run(f"dd if=/dev/urandom of=/tmp/data bs=1M count={WRITTEN // MIB} 2>/dev/null")
            wanted = guest.run("md5sum </tmp/data").split()[0]
            start, began = len(guest.output), time.monotonic()
            guest.send("dd if=/tmp/data of=/dev/pmem0 bs=1M conv=fsync 2>/dev/null; echo written $?\n")
            pauses(qmp, image, began)
            refuses_to_go_on(qmp)
            make_room(where)
            qmp.run("cont")
            guest.wait_for(r"^written 0", 120, start)
            assert qmp.run("query-pmem")[0]["state"] == "ok"
            assert guest.power_off() == 0
        # What was stored is there, what was not is as before, and the base image has not changed.
        assert hash_of(image, size=WRITTEN) == wanted
        assert hash_of(image, WRITTEN, SIZE - WRITTEN) == hash_of(base, WRITTEN, SIZE - WRITTEN)
        assert hash_of(base) == before


def start_stores(tmp_path, image, **options):
    """A program on the bare machine that stores 1 to the first byte of every page."""
    program = machine.near(machine.CHECKOUT / "build/tests/guest/stall.elf")
    return machine.Vm(["-m", "64M", "-nographic", "-kernel", program, *pmem(image, **options), *qmp_options(tmp_path)])


def all_stores_are_there(image, before):
    after = image.read_bytes()
    assert all(after[at] == 1 for at in range(0, len(after), PAGE))
    assert all(after[at + 1 : at + PAGE] == before[at + 1 : at + PAGE] for at in range(0, len(after), PAGE))


def test_any_image_on_a_full_btrfs(tmp_path):
    """It writes each change to a new block, whether the old one is shared or not."""
    with file_system(tmp_path, "btrfs") as where:
        image = where / "a.img"
        before = os.urandom(16 * MIB)
        image.write_bytes(before)
        run("sync", "-f", where)
        fill(where)
        with start_stores(tmp_path, image) as vm, Qmp(tmp_path / "qmp") as qmp:
            vm.wait_for("^stall: stores")
            pauses(qmp, image, time.monotonic())
            refuses_to_go_on(qmp)
            make_room(where)
            qmp.run("cont")
            assert vm.end() == 0
            assert "SUCCESS" in vm.text
        all_stores_are_there(image, before)


@contextlib.contextmanager
def huge_pages(tmp_path, count):
    """hugetlbfs with so many free pages."""
    where, before = tmp_path / "huge", NR_HUGE_PAGES.read_text(encoding="ascii")
    where.mkdir()
    run("mount", "-t", "hugetlbfs", "none", where)
    try:
        NR_HUGE_PAGES.write_text(str(count), encoding="ascii")
        if int(NR_HUGE_PAGES.read_text(encoding="ascii")) != count:
            pytest.skip(f"the host has no {count} huge pages")
        yield where
    finally:
        run("umount", where)
        NR_HUGE_PAGES.write_text(before, encoding="ascii")


def test_fewer_huge_pages_than_the_image_has(tmp_path):
    with huge_pages(tmp_path, 4) as where:
        image = where / "a.img"
        image.touch()
        os.truncate(image, 8 * HUGE_PAGE)
        with start_stores(tmp_path, image, reserve="off") as vm, Qmp(tmp_path / "qmp") as qmp:
            vm.wait_for("^stall: stores")
            pauses(qmp, image, time.monotonic())
            refuses_to_go_on(qmp)
            NR_HUGE_PAGES.write_text("8", encoding="ascii")
            qmp.run("cont")
            assert vm.end() == 0
            assert "SUCCESS" in vm.text
        all_stores_are_there(image, bytes(8 * HUGE_PAGE))


def test_prealloc_unshares_on_xfs(tmp_path):
    """It needs room for all that is shared, says how much; and then a full file system does no harm."""
    with file_system(tmp_path, "xfs") as where:
        base, image = make_images(where, 16 * MIB)
        before = base.read_bytes()
        fill(where)
        with start_stores(tmp_path, image, prealloc="on") as vm:
            assert vm.end() == 1
            assert re.search(r"a\.img needs 16777216 bytes \(16 MiB\).*No space left on device", vm.error_text)
        make_room(where)
        with machine.Vm(
            [
                "-S",
                "-m",
                "64M",
                "-nographic",
                "-kernel",
                machine.near(machine.CHECKOUT / "build/tests/guest/stall.elf"),
                *pmem(image, prealloc="on"),
                *qmp_options(tmp_path),
            ]
        ) as vm, Qmp(tmp_path / "qmp") as qmp:
            fill(where)
            qmp.run("cont")
            assert vm.end() == 0
            assert "SUCCESS" in vm.text
        all_stores_are_there(image, before)
        assert base.read_bytes() == before


def test_prealloc_is_refused_where_it_promises_nothing(tmp_path):
    with file_system(tmp_path, "btrfs") as where:
        (where / "a.img").write_bytes(bytes(16 * MIB))
        with start_stores(tmp_path, where / "a.img", prealloc="on") as vm:
            assert vm.end() == 1
            assert "its file system (btrfs) writes every change to a new block" in vm.error_text
            assert "chattr +C" in vm.error_text and "prealloc=off" in vm.error_text
    with huge_pages(tmp_path, 4) as where:
        (where / "a.img").touch()
        os.truncate(where / "a.img", 8 * HUGE_PAGE)
        with start_stores(tmp_path, where / "a.img", prealloc="on") as vm:
            assert vm.end() == 1
            assert "unable to map backing store" in vm.error_text and "a.img" in vm.error_text
            assert "too few free huge pages" in vm.error_text
