"""What a guest's fsync means on the host: the sync it waits for, and what it hears when that fails.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import shutil

import pytest

import kvm_stats
from machine import CHECKOUT, Guest, Vm, pmem
from sync_trace import syncs, traced

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


SIZES = {"pmem0": "64M", "pmem1": "64M", "pmem2": "16M", "pmem3": "16M"}


@pytest.fixture(name="guest", scope="module")
def fixture_guest(tmp_path_factory):
    """One guest for the first tests, with a device of each kind, in the order of SIZES."""
    directory = tmp_path_factory.mktemp("flush")
    for name in "pmem2", "pmem3":
        (directory / name).write_bytes(bytes(16 << 20))
    kinds = {"pmem2": {"share": "off"}, "pmem3": {"readonly": "on"}}
    words = [
        word
        for number, (name, size) in enumerate(SIZES.items())
        for word in pmem(directory / name, number, size=size, **kinds.get(name, {}))
    ]
    words[7] += ",x-register-page=off"
    with Guest(*words, prefix=traced(directory / "strace")) as guest:
        guest.log = directory / "strace"
        yield guest
        assert guest.power_off() == 0


def make_and_mount(guest, disk):
    guest.run(
        f"grep -q /{disk} /proc/mounts || {{ mkfs.ext4 -q -b 4096 /dev/{disk} && mkdir -p /{disk} && "
        f"mount -o dax /dev/{disk} /{disk} && dax-tool fsync /{disk}/f 1; }}"
    )


def test_read_only_and_copy_on_write_flush_without_a_sync(guest):
    guest.run("dd if=/dev/zero of=/dev/pmem2 bs=4096 count=1 conv=fsync")
    guest.run("dd if=/dev/pmem3 of=/dev/null bs=4096 count=1 && blockdev --flushbufs /dev/pmem3")
    assert [syncs(guest.log, guest.log.with_name(name)) for name in ("pmem2", "pmem3")] == [0, 0]


def test_each_fsync_is_a_host_sync(guest):
    make_and_mount(guest, "pmem0")
    image = guest.log.with_name("pmem0")
    before = syncs(guest.log, image)
    guest.run("dax-tool fsync /pmem0/f 50")
    assert syncs(guest.log, image) - before >= 50


def test_a_flush_does_not_leave_the_guest(guest):
    """Neither the driver's read of the status nor its kick; with x-register-page=off the read does, once a flush."""
    strace = guest.process.pid
    pid = int(pathlib.Path(f"/proc/{strace}/task/{strace}/children").read_text())
    exits = []
    for disk in "pmem0", "pmem1":
        make_and_mount(guest, disk)
        before = kvm_stats.counters(pid, "mmio_exits")
        if before is None:
            pytest.skip("KVM has no statistics here (Linux 5.14 has)")
        guest.run(f"dax-tool fsync /{disk}/f 50")
        after = kvm_stats.counters(pid, "mmio_exits")
        exits.append(after["mmio_exits"] - before["mmio_exits"])
    assert exits[0] == 0, "MMIO exits for 50 fsyncs"
    assert exits[1] >= 50, "the same with x-register-page=off"


def test_a_failed_sync_fails_every_later_fsync(tmp_path):
    """Also after the driver was bound anew: the kernel has forgotten which pages it could not write."""
    log = tmp_path / "strace"
    write = "dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync"
    with Guest(
        *pmem(tmp_path / "a.img", size="16M"),
        *("-sandbox", "off"),  # strace has its own way to make a call fail: one that does not exist
        prefix=traced(log, "-e", "inject=fdatasync:error=EIO:when=3"),
    ) as guest:
        guest.run(write)
        guest.run(write)
        for _ in range(2):
            status, output = guest.run(write, check=False)
            assert status != 0 and "Input/output error" in output
            guest.run("cd /sys/bus/virtio/drivers/virtio_pmem && echo virtio0 >unbind && echo virtio0 >bind; cd /root")
            guest.run("wait-for /dev/pmem0 200")
        guest.wait_for_error("a.img")
        assert guest.error_text.count("every flush of this device fails from here on") == 1
        assert "a.img" in guest.error_text
        # One failed; after it none is made but the last one at the end of the program.
        assert syncs(log) == 3
        # The last sync succeeds, and still data was lost.
        assert guest.power_off() == 1
        assert syncs(log) == 4


def test_a_failed_last_sync_shows_in_the_exit_status(tmp_path):
    inject = ("-e", "inject=fdatasync:error=ENOSPC:when=1")
    program = ["-nographic", "-kernel", CHECKOUT / "build/tests/guest/syscalls.elf", "-append", "single=0"]
    program += ["-sandbox", "off"]  # strace has its own way to make a call fail: one that does not exist
    with Vm([*program, *pmem(tmp_path / "a.img", size="16M")], prefix=traced(tmp_path / "strace", *inject)) as vm:
        assert vm.end() == 1
        assert "SUCCESS" in vm.text
        assert "the last sync failed" in vm.error_text and "No space left on device" in vm.error_text
