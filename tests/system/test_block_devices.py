"""A block device as mem-path, also one behind a network: durable like a file, and patient as its driver is.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import re
import shutil
import subprocess
import time

import pytest

import nbd
from machine import CHECKOUT, MIB, Guest, kernel_files, pmem, run_pmvm
from sync_trace import syncs, traced

SIZE = 32 * MIB
MOUNT = "mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt"
FORMAT = "mkfs.ext4 -qF -b 4096 /dev/pmem0"
# Small enough for its pages to be in the host's page cache: only the sync needs the device.
WRITE = "dd if=/dev/zero of=/dev/pmem1 bs=4096 count=1 conv=fsync"

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("PMVM_IN_BOX"), reason="makes block devices and networks: only in the test box"
    ),
]
needs_nbd = pytest.mark.skipif(shutil.which("nbdkit") is None, reason="nbdkit is not installed")


def run(*command, check=True):
    return subprocess.run(
        [str(word) for word in command], check=check, stdout=subprocess.PIPE, text=True, timeout=200
    ).stdout


@pytest.fixture
def disk(tmp_path):
    """The file in which the bytes of a block device end up."""
    path = tmp_path / "disk"
    path.write_bytes(bytes(SIZE))
    return path


@contextlib.contextmanager
def loop_device(path):
    device = run("losetup", "--find", "--show", path).strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextlib.contextmanager
def network():
    """A network of its own for a server; gives its prefix for commands, its address, and a function to cut it off."""
    run("ip", "netns", "add", "storage")
    try:
        run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "far", "netns", "storage")
        inside = ["ip", "netns", "exec", "storage"]
        run("ip", "addr", "add", "10.77.0.1/24", "dev", "cable")
        run(*inside, "ip", "addr", "add", "10.77.0.2/24", "dev", "far")
        run("ip", "link", "set", "cable", "up")
        run(*inside, "ip", "link", "set", "far", "up")
        yield inside, "10.77.0.2", lambda state: run("ip", "link", "set", "cable", state)
    finally:
        run("ip", "link", "delete", "cable", check=False)
        run("ip", "netns", "delete", "storage")


def last_record(guest):
    return max((int(number) for number in re.findall(r"record (\d+) durable", guest.text)), default=0)


def records_in(disk, tmp_path):
    """How many good records the file has, read with this machine's kernel."""
    directory = tmp_path / "mounted"
    directory.mkdir()
    run("mount", "-o", "loop", disk, directory)
    try:
        return int(run(CHECKOUT / "build/guest/tools/bin/dax-tool", "check-records", directory / "records"))
    finally:
        run("umount", directory)


@needs_nbd
def test_a_device_is_synced_and_one_that_stays_away_fails_for_good(disk, tmp_path):
    log = tmp_path / "strace"
    (tmp_path / "other").write_bytes(bytes(SIZE))
    with loop_device(disk) as device:
        with (
            nbd.Server(tmp_path / "other") as server,
            nbd.Device(server, patience=3) as network_disk,
            # The size is the device's.
            Guest(*pmem(device), *pmem(network_disk.path, 2), prefix=traced(log)) as guest,
        ):
            assert guest.run("blockdev --getsize64 /dev/pmem0") == str(SIZE)
            guest.run(f"{FORMAT} && {MOUNT} && dax-tool records /mnt/records 5")
            before = syncs(log, device)
            guest.run("dax-tool records /mnt/records 10")
            assert syncs(log, device) - before >= 10
            status, _, error = run_pmvm("-kernel", kernel_files()[0], *pmem(device))
            assert (
                status == 1
                and f"can't open backing store {device}" in error
                and "another program has claimed it" in error
            )
            the_other_one_fails_for_good(guest, server, network_disk, log)
            # The plug is pulled: what was reported is with the device's file system already.
            guest.kill()
        run("blockdev", "--flushbufs", device)
    assert records_in(disk, tmp_path) == 15


def the_other_one_fails_for_good(guest, server, device, log):
    guest.run(WRITE)
    server.kill()
    status, output = guest.run(WRITE, check=False)
    assert status != 0 and "Input/output error" in output
    after = syncs(log, device.path)
    assert after > 0
    # With the server back it stays so: the kernel has forgotten which pages it could not write.
    server.start()
    status, output = guest.run(WRITE, check=False)
    assert status != 0 and "Input/output error" in output
    assert syncs(log, device.path) == after
    guest.wait_for_error(str(device.path))
    assert guest.error_text.count("every flush of this device fails from here on") == 1


def wait_until_stalled(guest, seconds=3):
    """Waits until no more records come, which may take what was under way; then for so long."""
    time.sleep(2)
    before = last_record(guest)
    time.sleep(seconds)
    assert last_record(guest) == before
    return before


def goes_on(guest, after):
    guest.wait_for(rf"record {after + 10} durable")
    # All of the way between without an error, in the guest and in the host.
    assert "error" not in guest.text.lower() and guest.error_text == ""


@pytest.mark.long
@needs_nbd
def test_a_network_that_is_restored_and_a_server_that_comes_back(disk, tmp_path):
    with (
        network() as (prefix, address, cable),
        nbd.Server(disk, address, prefix) as server,  # pylint: disable=used-before-assignment
        nbd.Device(server) as device,
        Guest(*pmem(device.path)) as guest,
    ):
        guest.run(f"{FORMAT} && {MOUNT}")
        guest.send("dax-tool records /mnt/records 1000000\n")
        guest.wait_for(r"record 10 durable")
        cable("down")
        count = wait_until_stalled(guest)
        cable("up")
        goes_on(guest, count)
        server.kill()
        count = wait_until_stalled(guest)
        server.start()
        device.reconnect()
        goes_on(guest, count)
        guest.send("\x03")
        guest.run("sync")
        reported = last_record(guest)
        assert guest.power_off() == 0
    assert records_in(disk, tmp_path) >= reported
