"""What a guest's fsync means on the host: the sync it waits for, and what it hears when that fails.

SPDX-License-Identifier: Apache-2.0
"""
import re
import shutil

import pytest

import kvm_stats
from machine import Guest, pmem

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def traced(log, *inject):
    """A prefix that records the program's fdatasync calls, and makes some of them fail."""
    return ["strace", "-f", "--seccomp-bpf", "-o", log, "-e", "trace=fdatasync", *inject]


def syncs(log):
    return len(re.findall(r"fdatasync\(", log.read_text()))


def test_each_fsync_is_a_host_sync(tmp_path):
    log = tmp_path / "strace"
    with Guest(*pmem(tmp_path / "a.img", size="64M"), prefix=traced(log)) as guest:
        guest.run(
            "mkfs.ext4 -q -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt && dax-tool fsync"
            " /mnt/f 1"
        )
        before = syncs(log)
        guest.run("dax-tool fsync /mnt/f 50")
        assert syncs(log) - before >= 50
        assert guest.power_off() == 0


def test_a_flush_does_not_leave_the_guest(tmp_path):
    """Neither the driver's read of the status nor its kick; with x-register-page=off the read does, once a flush."""
    pair = pmem(tmp_path / "b.img", 2, size="64M")
    with Guest(*pmem(tmp_path / "a.img", size="64M"), *pair[:-1], f"{pair[-1]},x-register-page=off") as guest:
        exits = []
        for disk in "pmem0", "pmem1":
            guest.run(f"mkfs.ext4 -q -b 4096 /dev/{disk} && mkdir -p /{disk} && mount -o dax /dev/{disk} /{disk}")
            before = kvm_stats.counters(guest.process.pid, "mmio_exits")
            if before is None:
                pytest.skip("KVM has no statistics here (Linux 5.14 has)")
            guest.run(f"dax-tool fsync /{disk}/f 100")
            after = kvm_stats.counters(guest.process.pid, "mmio_exits")
            exits.append(after["mmio_exits"] - before["mmio_exits"])
        assert exits[0] == 0, "MMIO exits for 100 fsyncs"
        assert exits[1] >= 100, "the same with x-register-page=off"
        assert guest.power_off() == 0


def test_a_failed_sync_fails_every_later_fsync(tmp_path):
    """Also after the driver was bound anew: the kernel has forgotten which pages it could not write."""
    log = tmp_path / "strace"
    write = "dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync"
    with Guest(
        *pmem(tmp_path / "a.img", size="16M"), prefix=traced(log, "-e", "inject=fdatasync:error=EIO:when=3")
    ) as guest:
        guest.run(write)
        guest.run(write)
        for _ in range(2):
            status, output = guest.run(write, check=False)
            assert status != 0 and "Input/output error" in output
            guest.run("cd /sys/bus/virtio/drivers/virtio_pmem && echo virtio0 >unbind && echo virtio0 >bind; cd /root")
            guest.run("wait-for /dev/pmem0 10")
        assert guest.error_text.count("every flush of this device fails from here on") == 1
        assert "a.img" in guest.error_text
        # One failed; after it none is made but the last one at the end of the program.
        assert syncs(log) == 3
        # The last sync succeeds, and still data was lost.
        assert guest.power_off() == 1
        assert syncs(log) == 4


def test_a_failed_last_sync_shows_in_the_exit_status(tmp_path):
    log = tmp_path / "strace"
    with Guest(
        *pmem(tmp_path / "a.img", size="16M"), prefix=traced(log, "-e", "inject=fdatasync:error=ENOSPC:when=1")
    ) as guest:
        assert guest.power_off() == 1
        assert "the last sync failed" in guest.error_text and "No space left on device" in guest.error_text


def test_read_only_and_copy_on_write_flush_without_a_sync(tmp_path):
    log = tmp_path / "strace"
    for number in 1, 2:
        (tmp_path / f"{number}.img").write_bytes(bytes(16 << 20))
    pairs = pmem(tmp_path / "1.img", 1, share="off") + pmem(tmp_path / "2.img", 2, readonly="on")
    with Guest(*pairs, prefix=traced(log)) as guest:
        guest.run("dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync")
        guest.run("dd if=/dev/pmem1 of=/dev/null bs=4096 count=1 && blockdev --flushbufs /dev/pmem1")
        assert guest.power_off() == 0
    assert syncs(log) == 0
