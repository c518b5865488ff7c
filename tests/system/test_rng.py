"""The entropy device in a Linux guest: reads, files, the quota, hotplug and unplug, reboot.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib

import pytest

from machine import MIB, Guest, kernel_files, pmem, run_pmvm
from monitor import Hmp, Qmp, Refused
from process import descriptors, threads

UNPLUG_MAX = 200
CYCLES = 4
CURRENT = "/sys/class/misc/hw_random/rng_current"


def qmp_options(tmp_path):
    return ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]


def read(guest, count, size=64):
    """So many reads of the device in the guest, as hexadecimal text."""
    return guest.run(f"dd if=/dev/hwrng bs={size} count={count} 2>/dev/null | od -An -v -tx1 | tr -d ' \\n'")


def appears(guest, name="virtio_rng.*"):
    guest.run(
        f"n=0; until grep -q '{name}' {CURRENT} 2>/dev/null; do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.2; done"
    )


def is_gone(guest):
    guest.run(
        "n=0; while ls /sys/bus/virtio/drivers/virtio_rng/ | grep -q virtio; "
        "do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.2; done"
    )


@pytest.fixture(name="guest", scope="module")
def fixture_guest(tmp_path_factory):
    """One guest, into which the devices are plugged."""
    directory = tmp_path_factory.mktemp("rng")
    with Guest(*qmp_options(directory), cpus=2) as guest:
        guest.directory = directory
        guest.run("modprobe virtio_rng")
        yield guest
        assert guest.power_off() == 0


@pytest.fixture(name="qmp")
def fixture_qmp(guest):
    with Qmp(guest.directory / "qmp") as qmp:
        yield qmp


@contextlib.contextmanager
def plugged(guest, qmp, backend=None, object_goes_first=False, **properties):
    """A device with this backend, in the guest until the end of the context."""
    if backend:
        qmp.run("object-add", {"id": "r0"} | backend)
        properties["rng"] = "r0"
    qmp.run("device_add", {"driver": "virtio-rng-pci", "id": "rng0"} | properties)
    appears(guest)
    yield
    if backend and object_goes_first:
        qmp.run("object-del", id="r0")
    qmp.run("device_del", id="rng0")
    qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="rng0")
    if backend and not object_goes_first:
        qmp.run("object-del", id="r0")
    is_gone(guest)


def test_a_file_gives_the_bytes(guest, qmp, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"\xa5" * MIB)
    with plugged(guest, qmp, {"qom-type": "rng-random", "filename": str(source)}):
        assert read(guest, 4, 32) == "a5" * 128


def test_a_file_that_ends_lets_the_guest_wait(guest, qmp, tmp_path):
    """The monitor, the console and the unplug do not wait."""
    source = tmp_path / "source"
    source.write_bytes(b"\xa5" * 64)
    with plugged(guest, qmp, {"qom-type": "rng-random", "filename": str(source)}):
        guest.run("timeout -s KILL 1 dd if=/dev/hwrng of=/tmp/got bs=16 count=100 2>/dev/null; true")
        guest.wait_for_error("rng0: no random bytes: end of file: the guest waits for them")


def test_the_quota_bounds_what_a_period_gives(guest, qmp):
    """A period that is longer than the test: no more than max-bytes arrive."""
    with plugged(guest, qmp, **{"max-bytes": 512, "period": 4294967295}):
        guest.run("timeout -s KILL 2 dd if=/dev/hwrng of=/tmp/got bs=16 count=1000 2>/dev/null; true")
        assert 0 < int(guest.run("stat -c %s /tmp/got")) <= 512


def test_plug_and_unplug_return_to_where_it_began(guest, qmp):
    before = None
    for number in range(CYCLES):
        # As in QEMU, the object may go first.
        with plugged(guest, qmp, {"qom-type": "rng-random"}, object_goes_first=number % 2 == 1):
            assert len(read(guest, 1)) == 128
        state = descriptors(guest), threads(guest), guest.run("ls /sys/bus/pci/devices")
        assert before in (None, state)
        before = state


def test_the_guest_reads_random_bytes_also_after_a_reboot():
    with Guest("-device", "virtio-rng-pci,id=rng0") as guest:
        for boot in range(2):
            guest.run("modprobe virtio_rng")
            appears(guest)
            first, second = read(guest, 10), read(guest, 10)
            assert len(first) == len(second) == 2 * 640
            assert first != second and len(set(first)) == 16
            assert guest.run("cat /sys/bus/pci/devices/0000:00:01.0/device") == "0x1044"
            assert "rng/rng0" in threads(guest)
            if boot == 0:
                start = len(guest.output)
                guest.send("reboot -f\n")
                guest.booted(start)
        assert guest.power_off() == 0


def test_a_flood_stops_neither_flushes_nor_the_monitor(tmp_path):
    """While the guest reads without end, data becomes durable, the monitor answers, and the device can be unplugged."""
    options = [*pmem(tmp_path / "a.img", size="16M"), "-device", "virtio-rng-pci,id=rng0", *qmp_options(tmp_path)]
    with Guest(*options, cpus=2) as guest, Qmp(tmp_path / "qmp") as qmp:
        guest.run("modprobe virtio_rng")
        appears(guest)
        guest.run("(dd if=/dev/hwrng of=/dev/null bs=4096 2>/dev/null &)")
        guest.run("mkfs.ext4 -q -F -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
        for number in range(8):
            guest.run(f"echo {number} >/mnt/n && sync /mnt/n")
            assert qmp.run("query-status")["status"] == "running"
        guest.run("umount /mnt")
        qmp.run("device_del", id="rng0")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="rng0")
        assert qmp.run("query-pmem")[0]["flushes"]["completed"] >= 8
        assert guest.power_off() == 0


def test_the_monitors_know_it(tmp_path):
    options = ["-object", "rng-builtin,id=r0", "-device", "virtio-rng,rng=r0,id=rng0,max-bytes=1000", "-S"]
    with Guest(
        *options, *qmp_options(tmp_path), "-monitor", f"unix:{tmp_path}/hmp,server=on,wait=off", wait=False
    ), Qmp(tmp_path / "qmp") as qmp, Hmp(tmp_path / "hmp") as hmp:
        path = "/machine/peripheral/rng0"
        assert qmp.run("qom-get", path=path, property="type") == "virtio-rng-pci"
        assert qmp.run("qom-get", path=path, property="rng") == "/objects/r0"
        assert qmp.run("qom-get", path=path, property="max-bytes") == 1000
        assert qmp.run("qom-get", path=f"{path}/virtio-backend", property="type") == "virtio-rng-device"
        names = {entry["name"] for entry in qmp.run("device-list-properties", typename="virtio-rng-pci")}
        assert {"rng", "max-bytes", "period", "addr"} <= names and "memdev" not in names
        assert "PCI device 1af4:1044" in hmp.run("info pci")
        with pytest.raises(Refused, match="Device 'nope' not found"):
            qmp.run("device_add", {"driver": "virtio-rng-pci", "rng": "nope"})
        with pytest.raises(Refused, match="Could not open '/nonexistent/file': No such file or directory"):
            qmp.run("object-add", {"qom-type": "rng-random", "id": "r1", "filename": "/nonexistent/file"})
        assert "max-bytes=<uint64>" in hmp.run("device_add virtio-rng-pci,help")
        qmp.run("quit")


def test_errors_of_the_command_line_are_qemus(tmp_path):
    kernel, _ = kernel_files()
    lines = {
        "-device virtio-rng-pci,rng=nope": "Device 'nope' not found",
        "-object rng-random,id=r0,filename=/nonexistent": "Could not open '/nonexistent': No such file or directory",
        "-device virtio-rng-pci,period=0": "'period' parameter expects a positive integer",
        "-device virtio-rng-pci,max-bytes=9223372036854775808": "'max-bytes' parameter must be non-negative, and",
    }
    for line, text in lines.items():
        status, _, errors = run_pmvm("-kernel", kernel, "-nographic", *line.split(), cwd=tmp_path)
        assert status == 1 and text in errors, (line, errors)
    status, output, _ = run_pmvm("-device", "virtio-rng-pci,help")
    assert status == 0 and "rng=<link<rng-backend>>" in output and "(default: 9223372036854775807)" in output
