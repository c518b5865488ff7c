"""Faults of the host: full, failing and slow storage, truncated files. Each loss is reported, and pmvm survives.

SPDX-License-Identifier: Apache-2.0

One machine with several devices serves the tests of full file systems; each leaves it running.
"""
import contextlib
import errno
import hashlib
import os
import shutil
import subprocess

import pytest

import machine
from machine import MIB, Guest, pmem
from monitor import Qmp, Refused

WRITTEN = 8 * MIB
FIRST, SECOND = 16 * MIB, 40 * MIB
NOTICED_MAX = 200
STALLS = 2
EIO = "Input/output error"


def qmp_options(tmp_path):
    return ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]


@contextlib.contextmanager
def small_file_system(tmp_path, kind, size_mib):
    """A mounted file system of that size. It holds a sparse image that is larger."""
    where = tmp_path / kind
    where.mkdir()
    options = "loop,uquota" if kind == "xfs" else "loop"
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "none", where], check=True)
    else:
        disk = tmp_path / f"{kind}.disk"
        subprocess.run(["truncate", "-s", f"{size_mib + (300 if kind == 'xfs' else 8)}M", disk], check=True)
        subprocess.run([f"mkfs.{kind}", "-q", *(["-m", "0"] if kind == "ext4" else []), disk], check=True)
        subprocess.run(["mount", "-o", options, disk, where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


def fill(where, leave_mib):
    """Uses all free space of the file system but this much."""
    free = shutil.disk_usage(where).free - leave_mib * MIB
    with open(where / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(MIB, free))


def named(guest):
    """The devices by the names at the beginning of their files."""
    lines = guest.run("for d in /dev/pmem*; do read name rest <$d; echo $name $d; done").splitlines()
    return dict(line.split() for line in lines)


def name_file(path, name, size):
    """A file that begins with its name, the rest is a hole."""
    path.write_bytes(f"{name}\n".encode())
    os.truncate(path, size)
    return path


def with_id(path, name, **properties):
    """The options of a device with this id; the properties are the backend's."""
    pair = pmem(path, f"-{name}", **properties)
    return [*pair[:-1], f"virtio-pmem-pci,memdev=mem-{name},id={name}"]


def write(device, seek=1):
    """A command that leaves the name in the first page."""
    return f"dd if=/dev/zero of={device} bs=4096 seek={seek} count=1 conv=fsync"


def no_room(qmp):
    event = qmp.wait_event("PMEM_NOSPACE", NOTICED_MAX)
    qmp.wait_event("STOP", NOTICED_MAX)
    return event["data"]


def device_of(qmp, name):
    return next(device for device in qmp.run("query-pmem") if device["id"] == name)


# ---- sparse files on small file systems


KINDS = ["tmpfs", "ext4", "xfs"]
OWNER = 1000


def set_quota(where, size_mib):
    subprocess.run(["xfs_quota", "-x", "-c", f"limit bhard={size_mib}m {OWNER}", where], check=True)


class Full:
    """A machine with a file of each file system, and one of a user with a quota."""

    def __init__(self, guest, qmp, places, data_hash):
        self.guest, self.qmp, self.places, self.data_hash = guest, qmp, places, data_hash
        self.devices = named(guest)

    def write(self, name, place=0):
        """Starts to write /tmp/data; returns where the console is."""
        start = len(self.guest.output)
        self.guest.send(
            f"dd if=/tmp/data of={self.devices[name]} bs=1M seek={place // MIB} conv=fsync 2>/dev/null; "
            "echo written $?\n"
        )
        return start

    def goes_on(self, name, start):
        self.qmp.run("cont")
        self.guest.wait_for(r"^written 0", 120, start)
        assert device_of(self.qmp, name)["state"] == "ok"

    def check(self, image, place):
        with open(image, "rb") as file:
            file.seek(place)
            assert hashlib.md5(file.read(WRITTEN)).hexdigest() == self.data_hash


@pytest.fixture(name="full", scope="module")
def fixture_full(tmp_path_factory):
    directory = tmp_path_factory.mktemp("full")
    with contextlib.ExitStack() as stack:
        places = {kind: stack.enter_context(small_file_system(directory, kind, 48)) for kind in KINDS}
        images = {kind: name_file(where / "a.img", kind, 64 * MIB) for kind, where in places.items()}
        images["quota"] = name_file(places["xfs"] / "b.img", "quota", 64 * MIB)
        os.chown(images["quota"], OWNER, OWNER)
        set_quota(places["xfs"], 4)
        options = [word for name, image in images.items() for word in with_id(image, name)]
        with Guest(*options, *qmp_options(directory), memory="512M") as guest, Qmp(directory / "qmp") as qmp:
            guest.run(f"dd if=/dev/urandom of=/tmp/data bs=1M count={WRITTEN // MIB} 2>/dev/null")
            yield Full(guest, qmp, places, guest.run("md5sum </tmp/data").split()[0])
            assert guest.power_off() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_no_room_pauses_and_cont_goes_on(full, kind):
    """Whichever way KVM reports it: after `cont` all stores of the guest are in the file."""
    where, qmp = full.places[kind], full.qmp
    image = where / "a.img"
    # The second time between holes: pmvm has requested the file's first block.
    for place in SECOND, FIRST:
        fill(where, 4)
        start = full.write(kind, place)
        data = no_room(qmp)
        assert (data["id"], data["file"], data["errno"]) == (kind, str(image), errno.ENOSPC)
        assert qmp.run("query-status") == {"status": "io-error", "running": False}
        assert device_of(qmp, kind)["state"] == "no-space"
        # Without space `cont` is refused, with the reason.
        with pytest.raises(Refused, match="a.img: No space left on device"):
            qmp.run("cont")
        (where / "filler").unlink()
        full.goes_on(kind, start)
    for place in SECOND, FIRST:
        full.check(image, place)


def test_a_quota_pauses_and_cont_goes_on(full):
    """The quota of the file's owner is used up, and the file system has free blocks."""
    qmp, where = full.qmp, full.places["xfs"]
    start = full.write("quota", FIRST)
    data = no_room(qmp)
    assert data["id"] == "quota" and data["errno"] == errno.EDQUOT
    assert qmp.run("query-status")["status"] == "io-error" and device_of(qmp, "quota")["state"] == "no-space"
    with pytest.raises(Refused, match="b.img: Disk quota exceeded"):
        qmp.run("cont")
    set_quota(where, 32)
    full.goes_on("quota", start)
    full.check(where / "b.img", FIRST)


def test_reset_while_there_is_no_room(full):
    guest, qmp, where = full.guest, full.qmp, full.places["tmpfs"]
    fill(where, 4)
    # Into holes that pmvm has not requested a block of, to see if there is room.
    guest.send(f"dd if=/dev/zero of={full.devices['tmpfs']} bs=1M seek=48 count=16 conv=fsync\n")
    no_room(qmp)
    (where / "filler").unlink()
    start = len(guest.output)
    qmp.run("system_reset")
    qmp.run("cont")
    guest.booted(start)
    guest.run(f"dd if=/dev/zero of={named(guest)['tmpfs']} bs=1M seek=48 count=16 conv=fsync")


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


def test_prealloc_refuses_before_the_start(tmp_path):
    with small_file_system(tmp_path, "tmpfs", 32) as where:
        guest = Guest(*pmem(where / "a.img", size="64M", prealloc="on"), wait=False)
        with guest:
            assert guest.end() == 1
            assert "No space left on device" in guest.error_text and "a.img" in guest.error_text
        assert list(where.iterdir()) == []


# ---- files that change


CHANGES = ["unlink", "rename", "replace", "grow", "chmod"]


def change_file(image, change):
    other = image.with_suffix(".other")
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


def test_files_that_change(tmp_path):
    """One that is truncated is noticed within seconds, and its next flush fails. All else has no effect."""
    images = {name: name_file(tmp_path / f"{name}.img", name, 16 * MIB) for name in [*CHANGES, "readonly", "cut"]}
    # The periodic check of the files comes to that of "cut" last.
    options = [
        word
        for name, image in images.items()
        for word in with_id(image, name, **({"readonly": "on"} if name == "readonly" else {}))
    ]
    with (
        contextlib.ExitStack() as stack,
        Guest(*options, *qmp_options(tmp_path), memory="512M") as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        devices = named(guest)
        opened = {name: stack.enter_context(open(images[name], "rb")) for name in CHANGES}
        for name in CHANGES:
            change_file(images[name], name)
            guest.run(f"echo the-data | dd of={devices[name]} bs=4096 seek=1 conv=fsync,notrunc 2>/dev/null")
        stores_to_read_only_memory_are_counted(guest, qmp, devices["readonly"], images["readonly"])

        cut, image = devices["cut"], images["cut"]
        guest.run(write(cut))
        os.truncate(image, 8 * MIB)
        event = qmp.wait_event("PMEM_ERROR", NOTICED_MAX)
        assert event["data"]["id"] == "cut" and event["data"]["file"] == str(image)
        for name, file in opened.items():
            file.seek(4096)
            assert device_of(qmp, name)["state"] == "ok" and file.read(8) == b"the-data"
        assert qmp.run("query-status")["running"]

        status, output = guest.run(write(cut), check=False)
        assert status != 0 and EIO in output
        assert device_of(qmp, "cut")["state"] == "failed"
        # An access beyond the end pauses the guest and does not end pmvm.
        guest.send(f"dd if=/dev/zero of={cut} bs=4096 seek=3000 count=1 oflag=direct; echo beyond $?\n")
        qmp.wait_event("STOP", NOTICED_MAX)
        assert qmp.run("query-status")["status"] == "io-error"
        # The operator extends the file again, knowing that the lost part reads as zeros.
        os.truncate(image, 16 * MIB)
        qmp.run("pmem_clear_error", id="cut")
        qmp.run("cont")
        guest.wait_for(r"beyond 0", 120)
        guest.run(write(cut, 3000))
        assert guest.power_off() == 0


def stores_to_read_only_memory_are_counted(guest, qmp, device, image):
    """A store by Linux. For stores of bare-metal programs see test_bare_metal.py."""
    before = image.read_bytes()
    guest.run(f"dd if=/dev/zero of={device} bs=4096 count=1 oflag=direct", check=False)
    event = qmp.wait_event("PMEM_STORE_REFUSED", NOTICED_MAX)
    assert event["data"]["id"] == "readonly"
    assert device_of(qmp, "readonly")["refused-stores"] > 0
    assert image.read_bytes() == before


@pytest.mark.parametrize("werror", ["report", "stop"])
def test_a_cut_just_before_the_end_shows_in_the_status(tmp_path, werror):
    image = tmp_path / "a.img"
    options = pmem(image, size="16M")
    options[-1] += f",werror={werror}"
    with Guest(*options, *qmp_options(tmp_path), wait=False) as guest, Qmp(tmp_path / "qmp") as qmp:
        assert qmp.run("query-status")["running"]
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
