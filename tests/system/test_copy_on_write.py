"""Every page of the image has a block, yet a store needs another one: reflinks, btrfs, huge pages. No store is lost.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import errno
import os
import pathlib
import re
import shutil
import subprocess
import time

import machine
import pytest
from machine import MIB, pmem
from monitor import Qmp, Refused

SIZE = 8 * MIB
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


@pytest.fixture(name="btrfs", scope="module")
def fixture_btrfs(tmp_path_factory):
    with file_system(tmp_path_factory.mktemp("btrfs"), "btrfs") as where:
        yield where


def make_base(where):
    """A file full of data."""
    base = where / "base.img"
    base.write_bytes(os.urandom(SIZE))
    run("sync", "-f", where)
    return base


def share(base, name):
    """A file that shares all blocks with another one."""
    image = base.with_name(name)
    run("cp", "--reflink=always", base, image)
    run("sync", "-f", image.parent)
    return image


def fill(where):
    """Takes all room of the file system. What is reserved, in smaller and smaller pieces, is quick."""
    with open(where / "filler", "wb") as file:
        size, at = 64 * MIB, 0
        while size >= 65536:
            try:
                os.posix_fallocate(file.fileno(), at, size)
                at += size
            except OSError:
                size //= 2
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


def start_stores(tmp_path, image, *words, **options):
    """A program on the bare machine that stores 1 to the first byte of every page."""
    program = machine.near(machine.CHECKOUT / "build/tests/guest/stall.elf")
    words = [*pmem(image, **options), *qmp_options(tmp_path), *words]
    return machine.Vm(["-m", "64M", "-nographic", "-kernel", program, *words])


def all_stores_are_there(image, before):
    after = image.read_bytes()
    assert all(after[at] == 1 for at in range(0, len(after), PAGE))
    assert all(after[at + 1 : at + PAGE] == before[at + 1 : at + PAGE] for at in range(0, len(after), PAGE))


def pauses_until_there_is_room(tmp_path, where, image):
    with start_stores(tmp_path, image) as vm, Qmp(tmp_path / "qmp") as qmp:
        vm.wait_for("^stall: stores")
        pauses(qmp, image, time.monotonic())
        refuses_to_go_on(qmp)
        make_room(where)
        qmp.run("cont")
        assert vm.end() == 0
        assert "SUCCESS" in vm.text


def test_a_reflinked_image_on_a_full_xfs(tmp_path):
    """The guest wrote into blocks that its image shares, was stalled, and nobody said so.

    With prealloc=on that needs room for all that is shared, says how much; and then a full file system does no harm.
    """
    with file_system(tmp_path, "xfs") as where:
        base = make_base(where)
        before, image, other = base.read_bytes(), share(base, "a.img"), share(base, "b.img")
        fill(where)
        with start_stores(tmp_path, image, prealloc="on") as vm:
            assert vm.end() == 1
            assert re.search(r"a\.img needs 8388608 bytes \(8 MiB\).*No space left on device", vm.error_text)
        pauses_until_there_is_room(tmp_path, where, image)
        all_stores_are_there(image, before)

        with start_stores(tmp_path, other, "-S", prealloc="on") as vm, Qmp(tmp_path / "qmp") as qmp:
            fill(where)
            qmp.run("cont")
            assert vm.end() == 0
            assert "SUCCESS" in vm.text
        all_stores_are_there(other, before)
        assert base.read_bytes() == before


def test_any_image_on_a_full_btrfs(tmp_path, btrfs):
    """It writes each change to a new block, whether the old one is shared or not."""
    image = btrfs / "a.img"
    before = os.urandom(SIZE)
    image.write_bytes(before)
    run("sync", "-f", btrfs)
    fill(btrfs)
    pauses_until_there_is_room(tmp_path, btrfs, image)
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


def test_prealloc_is_refused_where_it_promises_nothing(tmp_path, btrfs):
    (btrfs / "b.img").write_bytes(bytes(2 * MIB))
    with start_stores(tmp_path, btrfs / "b.img", prealloc="on") as vm:
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
