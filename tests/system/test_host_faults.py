"""Faults of the host: full, failing and slow storage, truncated files. Each loss is reported, and pmvm survives.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import errno
import hashlib
import os
import shutil
import subprocess
import time

import pytest

import machine
from machine import MIB, Guest, pmem
from monitor import Qmp, Refused

WRITTEN = 20 * MIB
FIRST, SECOND = 16 * MIB, 40 * MIB
NOTICED_MAX = 60
STALLS = 5


def qmp_options(tmp_path):
    return ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]


@contextlib.contextmanager
def small_file_system(tmp_path, kind, size_mib):
    """A mounted file system of that size. It holds a sparse image that is larger."""
    where = tmp_path / kind
    where.mkdir()
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "none", where], check=True)
    else:
        disk = tmp_path / f"{kind}.disk"
        subprocess.run(["truncate", "-s", f"{size_mib + (300 if kind == 'xfs' else 8)}M", disk], check=True)
        subprocess.run([f"mkfs.{kind}", "-q", *(["-m", "0"] if kind == "ext4" else []), disk], check=True)
        subprocess.run(["mount", "-o", "loop", disk, where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


def fill(where, leave_mib):
    """Uses all free space of the file system but this much."""
    free = shutil.disk_usage(where).free - leave_mib * MIB
    with open(where / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(MIB, free))


@pytest.mark.parametrize("kind", ["tmpfs", "ext4", "xfs"])
def test_no_room_pauses_and_cont_goes_on(tmp_path, kind):
    """Whichever way KVM reports it: after `cont` all stores of the guest are in the file."""
    with small_file_system(tmp_path, kind, 96) as where:
        image = where / "a.img"
        with Guest(*pmem(image, size="64M"), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
            guest.run(f"dd if=/dev/urandom of=/tmp/data bs=1M count={WRITTEN // MIB} 2>/dev/null")
            wanted = guest.run("md5sum </tmp/data").split()[0]
            # The second time between holes: pmvm has requested the file's first block, which stays unwritten.
            for place in SECOND, FIRST:
                fill(where, 4)
                start = len(guest.output)
                guest.send(
                    f"dd if=/tmp/data of=/dev/pmem0 bs=1M seek={place // MIB} conv=fsync 2>/dev/null; echo written $?\n"
                )
                event = qmp.wait_event("PMEM_NOSPACE", NOTICED_MAX)
                assert (
                    event["data"]["id"] == "nv1"
                    and event["data"]["file"] == str(image)
                    and event["data"]["errno"] == 28
                )
                qmp.wait_event("STOP", NOTICED_MAX)
                assert qmp.run("query-status") == {"status": "io-error", "running": False}
                assert qmp.run("query-pmem")[0]["state"] == "no-space"
                # Without space `cont` is refused, with the reason.
                with pytest.raises(Refused, match="a.img: No space left on device"):
                    qmp.run("cont")
                (where / "filler").unlink()
                qmp.run("cont")
                guest.wait_for(r"^written 0", 120, start)
                assert qmp.run("query-pmem")[0]["state"] == "ok"
            assert guest.power_off() == 0
        with open(image, "rb") as file:
            for place in SECOND, FIRST:
                file.seek(place)
                assert hashlib.md5(file.read(WRITTEN)).hexdigest() == wanted


def set_quota(where, user, size_mib):
    subprocess.run(["xfs_quota", "-x", "-c", f"limit bhard={size_mib}m {user}", where], check=True)


def test_a_quota_pauses_and_cont_goes_on(tmp_path):
    """The quota of the file's owner is used up, and the file system has free blocks."""
    where, disk, owner = tmp_path / "xfs", tmp_path / "xfs.disk", 1000
    where.mkdir()
    subprocess.run(["truncate", "-s", "320M", disk], check=True)
    subprocess.run(["mkfs.xfs", "-q", disk], check=True)
    subprocess.run(["mount", "-o", "loop,uquota", disk, where], check=True)
    try:
        image = where / "a.img"
        image.touch()
        os.truncate(image, 64 * MIB)
        os.chown(image, owner, owner)
        set_quota(where, owner, 8)
        with Guest(*pmem(image), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
            guest.run(f"dd if=/dev/urandom of=/tmp/data bs=1M count={WRITTEN // MIB} 2>/dev/null")
            wanted = guest.run("md5sum </tmp/data").split()[0]
            guest.send("dd if=/tmp/data of=/dev/pmem0 bs=1M conv=fsync 2>/dev/null; echo written $?\n")
            event = qmp.wait_event("PMEM_NOSPACE", NOTICED_MAX)
            assert event["data"]["id"] == "nv1" and event["data"]["errno"] == errno.EDQUOT
            qmp.wait_event("STOP", NOTICED_MAX)
            assert qmp.run("query-status")["status"] == "io-error" and qmp.run("query-pmem")[0]["state"] == "no-space"
            with pytest.raises(Refused, match="a.img: Disk quota exceeded"):
                qmp.run("cont")
            set_quota(where, owner, 64)
            start = len(guest.output)
            qmp.run("cont")
            guest.wait_for(r"written 0", 120, max(0, start - 20))
            assert guest.power_off() == 0
        with open(image, "rb") as file:
            assert hashlib.md5(file.read(WRITTEN)).hexdigest() == wanted
    finally:
        subprocess.run(["umount", where], check=True)


def no_room(qmp):
    qmp.wait_event("PMEM_NOSPACE", NOTICED_MAX)
    qmp.wait_event("STOP", NOTICED_MAX)


@pytest.mark.parametrize("room", ["room", "no room"])
def test_resets_while_a_store_waits(tmp_path, room):
    """KVM may have halted the vCPU until the page is there. A reset ends that halt, at any moment."""

    def sparse_and_full():
        with open(image, "r+b") as file:
            file.truncate(0)
            file.truncate(16 * MIB)
        fill(where, 2)

    with small_file_system(tmp_path, "tmpfs", 12) as where:
        image = where / "a.img"
        image.touch()
        sparse_and_full()
        program = machine.near(machine.CHECKOUT / "build/tests/guest/stall.elf")
        with (
            machine.Vm(["-m", "64M", "-nographic", "-kernel", program, *pmem(image), *qmp_options(tmp_path)]) as vm,
            Qmp(tmp_path / "qmp") as qmp,
        ):
            seen = 0
            for _ in range(STALLS):
                seen = vm.wait_for("^stall: stores", start=seen).end()
                no_room(qmp)
                if room == "room":
                    (where / "filler").unlink()
                qmp.run("system_reset")
                if room == "room":
                    sparse_and_full()
                qmp.run("cont")
            vm.wait_for("^stall: stores", start=seen)
            no_room(qmp)
            (where / "filler").unlink()
            subprocess.run(["mount", "-o", "remount,size=32m", where], check=True)
            qmp.run("cont")
            assert vm.end() == 0
            assert "SUCCESS" in vm.text


def test_reset_while_there_is_no_room(tmp_path):
    with small_file_system(tmp_path, "tmpfs", 96) as where:
        with Guest(*pmem(where / "a.img", size="64M"), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
            fill(where, 4)
            guest.send("dd if=/dev/zero of=/dev/pmem0 bs=1M count=32 conv=fsync\n")
            no_room(qmp)
            (where / "filler").unlink()
            start = len(guest.output)
            qmp.run("system_reset")
            qmp.run("cont")
            guest.booted(start)
            guest.run("dd if=/dev/zero of=/dev/pmem0 bs=1M count=32 conv=fsync")
            assert guest.power_off() == 0


def test_prealloc_refuses_before_the_start(tmp_path):
    with small_file_system(tmp_path, "tmpfs", 32) as where:
        guest = Guest(*pmem(where / "a.img", size="64M", prealloc="on"), wait=False)
        with guest:
            assert guest.end() == 1
            assert "No space left on device" in guest.error_text and "a.img" in guest.error_text
        assert list(where.iterdir()) == []


def test_a_file_that_is_truncated(tmp_path):
    """It is noticed within seconds. The next flush of the guest fails. pmvm continues to run."""
    image = tmp_path / "a.img"
    with Guest(*pmem(image, size="16M"), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        guest.run("dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync")
        os.truncate(image, 8 * MIB)
        event = qmp.wait_event("PMEM_ERROR", NOTICED_MAX)
        assert event["data"]["id"] == "nv1" and event["data"]["file"] == str(image)
        status, output = guest.run("dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync", check=False)
        assert status != 0 and "Input/output error" in output
        assert qmp.run("query-pmem")[0]["state"] == "failed"
        # An access beyond the end pauses the guest and does not end pmvm.
        guest.send("dd if=/dev/zero of=/dev/pmem0 bs=4096 seek=3000 count=1 oflag=direct; echo beyond $?\n")
        qmp.wait_event("STOP", NOTICED_MAX)
        assert qmp.run("query-status")["status"] == "io-error"
        # The operator extends the file again, knowing that the lost part reads as zeros.
        os.truncate(image, 16 * MIB)
        qmp.run("pmem_clear_error", id="nv1")
        qmp.run("cont")
        guest.wait_for(r"beyond 0", 120)
        guest.run("dd if=/dev/zero of=/dev/pmem0 bs=4096 seek=3000 count=1 conv=fsync")
        assert guest.power_off() == 0


@pytest.mark.parametrize("change", ["unlink", "rename", "replace", "grow", "chmod"])
def test_a_file_that_is_touched_otherwise(tmp_path, change):
    """It has no effect: the file stays open."""
    image, other = tmp_path / "a.img", tmp_path / "b.img"
    with Guest(*pmem(image, size="16M"), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        with open(image, "rb") as opened:
            if change == "unlink":
                image.unlink()
            elif change == "rename":
                image.rename(other)
            elif change == "replace":
                other.write_bytes(b"other")
                other.rename(image)
            elif change == "grow":
                os.truncate(image, 32 * MIB)
            else:
                image.chmod(0)
            guest.run("echo the-data | dd of=/dev/pmem0 bs=4096 conv=fsync,notrunc 2>/dev/null")
            time.sleep(5)
            assert qmp.run("query-pmem")[0]["state"] == "ok" and qmp.run("query-status")["running"]
            assert opened.read(8) == b"the-data"
        assert guest.power_off() == 0


def failing(log, *inject):
    return ["strace", "-f", "--seccomp-bpf", "-o", log, "-e", "trace=fdatasync", *inject]


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
WRITE = "dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync"


@needs_strace
def test_a_failed_sync_stays_until_an_operator_clears_it(tmp_path):
    with (
        Guest(
            *pmem(tmp_path / "a.img", size="16M"),
            *qmp_options(tmp_path),
            prefix=failing(tmp_path / "log", "-e", "inject=fdatasync:error=EIO:when=1"),
        ) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        assert guest.run(WRITE, check=False)[0] != 0
        event = qmp.wait_event("PMEM_ERROR")
        assert event["data"] == {
            "id": "nv1",
            "path": "/machine/peripheral/nv1",
            "file": str(tmp_path / "a.img"),
            "errno": 5,
            "message": "Input/output error",
        }
        assert guest.run(WRITE, check=False)[0] != 0
        start = len(guest.output)
        qmp.run("system_reset")
        guest.booted(start)
        assert guest.run(WRITE, check=False)[0] != 0
        assert qmp.run("query-pmem")[0]["state"] == "failed"
        with pytest.raises(Refused, match="^Device 'nv9' not found$"):
            qmp.run("pmem_clear_error", id="nv9")
        assert qmp.run("human-monitor-command", {"command-line": "pmem_clear_error nv1"}) == ""
        assert qmp.run("query-pmem")[0]["state"] == "ok"
        guest.run(WRITE)
        # strace counts for each thread: the last sync, by the main thread, is its first, and fails too.
        assert guest.power_off() == 1
        assert "the last sync failed" in guest.error_text


@pytest.mark.parametrize("werror", ["report", "stop"])
def test_a_cut_just_before_the_end_shows_in_the_status(tmp_path, werror):
    image = tmp_path / "a.img"
    options = pmem(image, size="16M")
    options[-1] += f",werror={werror}"
    with Guest(*options, *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        os.truncate(image, 8 * MIB)
        qmp.run("quit")
        assert guest.end() == 1
        assert "was truncated" in guest.error_text


def test_a_file_that_is_truncated_before_the_guest_begins(tmp_path):
    """`cont` checks the file itself: the next periodic check may be two seconds later."""
    image = tmp_path / "a.img"
    options = pmem(image, size="16M")
    options[-1] += ",werror=stop"
    with Guest(*options, "-S", *qmp_options(tmp_path), wait=False) as guest, Qmp(tmp_path / "qmp") as qmp:
        os.truncate(image, 8 * MIB)
        with pytest.raises(Refused, match="a file was truncated while the machine was stopped"):
            qmp.run("cont")
        assert qmp.run("query-pmem")[0]["state"] == "failed" and not qmp.run("query-status")["running"]
        qmp.run("quit")
        assert guest.end() == 1


@needs_strace
def test_werror_stop(tmp_path):
    """The machine pauses before the flush is answered. `cont` tries it again if the error was cleared, or fails it."""
    image = tmp_path / "a.img"
    options = pmem(image, size="16M")
    options[-1] += ",werror=stop"
    with (
        Guest(
            *options,
            *qmp_options(tmp_path),
            prefix=failing(tmp_path / "log", "-e", "inject=fdatasync:error=ENOSPC:when=1..3+2"),
        ) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        for number, (clear, wanted) in enumerate([(True, "0"), (False, "1")]):
            start = len(guest.output)
            guest.send(f"{WRITE} 2>/dev/null; echo ended-{number} $?\n")
            assert qmp.wait_event("PMEM_ERROR")["data"]["errno"] == 28
            qmp.wait_event("STOP")
            assert qmp.run("query-status")["status"] == "io-error"
            assert f"ended-{number} " not in guest.text[start:].replace(f"echo ended-{number} ", "")
            if clear:
                qmp.run("pmem_clear_error", id="nv1")
            qmp.run("cont")
            assert guest.wait_for(rf"^ended-{number} (\d)", start=start)[1].decode() == wanted


@needs_strace
@pytest.mark.parametrize("how", ["system_reset", "quit"])
def test_a_held_answer_does_not_hold_up(tmp_path, how):
    options = pmem(tmp_path / "a.img", size="16M")
    options[-1] += ",werror=stop"
    with (
        Guest(
            *options,
            *qmp_options(tmp_path),
            prefix=failing(tmp_path / "log", "-e", "inject=fdatasync:error=EIO:when=1"),
        ) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        guest.send(f"{WRITE}\n")
        qmp.wait_event("STOP")
        start = len(guest.output)
        qmp.run(how)
        if how == "quit":
            assert guest.end() == 1
            return
        qmp.run("cont")
        guest.booted(start)
        assert guest.run(WRITE, check=False)[0] != 0


def test_stores_to_read_only_memory_are_counted(tmp_path):
    """A store by Linux. For stores of bare-metal programs see test_bare_metal.py."""
    (tmp_path / "a.img").write_bytes(bytes(16 * MIB))
    with Guest(*pmem(tmp_path / "a.img", readonly="on"), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        guest.run("dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 oflag=direct", check=False)
        event = qmp.wait_event("PMEM_STORE_REFUSED", NOTICED_MAX)
        assert event["data"]["id"] == "nv1"
        assert qmp.run("query-pmem")[0]["refused-stores"] > 0
        assert (tmp_path / "a.img").read_bytes() == bytes(16 * MIB)
