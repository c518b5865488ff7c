"""More devices than one PCI bus takes: on the command line, and plugged in.

SPDX-License-Identifier: Apache-2.0
"""
import functools
import os
import re
import resource
import shutil

import pytest

from machine import MIB, Guest, pmem
from monitor import Qmp, Refused
from sync_trace import calls, traced
from test_errors import fixture_kernel, refused  # pylint: disable=unused-import
from test_hotplug import add, qmp_options, remove

DEVICES = int(os.environ.get("PMVM_MANY_DEVICES", 34))  # a bus and a part of the next; 128 is for people who can wait
PER_BUS = 31
LAST_BUS = (DEVICES - 1) // PER_BUS
PLUGGED = (0, 3, 6)  # buses, of eight, that devices are plugged into
# Some hundred exits for each device: a minute in an emulated host that has nothing else to do.
MANY_MAX = 1800
# What Linux says when it does not like where a device or a window is.
TROUBLE = "conflict|claim|no space|not assigned|failed to assign|no compatible|ignoring host bridge|fw_bug|firmware bug"


def image(tmp_path, number):
    """A file that says which one it is."""
    path = tmp_path / f"{number}.img"
    path.write_bytes(f"device {number}\n".encode())
    with path.open("r+b") as file:
        file.truncate(2 * MIB)
    return path


def there_are(guest, number):
    """Waits until the guest has so many devices."""
    guest.run(f"until set -- /dev/pmem*; [ $# = {number} ]; do usleep 100000; done", MANY_MAX)


def devices(guest):
    """What the guest sees: for each file, as it names itself, the name of its device. Sizes are checked."""
    lines = guest.run(
        "cd /dev; for d in pmem*; do read a n rest <$d; read s </sys/block/$d/size; echo $d $a $n $s; done", 300
    )
    found = {}
    for line in lines.splitlines():
        name, _, which, sectors = line.split()
        assert sectors == str(2 * MIB // 512), line
        found[which] = name
    assert len(found) == len(lines.splitlines())
    return found


def synced(log):
    """The files of the successful fdatasync calls, in their order."""
    return re.findall(r"fdatasync\(\d+<(.*)>\) += 0", "\n".join(calls(log)))


def functions(qmp):
    """The buses with the device numbers that are in use."""
    return {bus["bus"]: [device["slot"] for device in bus["devices"]] for bus in qmp.run("query-pci")}


def trouble(guest):
    return guest.run(f"dmesg | grep -iE 'pci|acpi' | grep -iE '{TROUBLE}'", check=False)[1]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_many_devices_from_the_start_and_two_more(tmp_path):
    log = tmp_path / "strace"
    # One processor has vectors for the interrupts of a hundred devices.
    # Fewer open files than the devices need, as long as the program does not raise the limit.
    prefix = ["prlimit", "--nofile=256:4096", *traced(log)]
    pairs = [option for number in range(DEVICES) for option in pmem(image(tmp_path, number), number, size="2M")]
    with (
        Guest(
            *pairs,
            "-machine",
            f"pci-buses={LAST_BUS + 2}",
            *qmp_options(tmp_path),
            memory="512M",
            cpus=2,
            prefix=prefix,
            wait=False,
        ) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        guest.wait_for("pmvm-guest: ready", MANY_MAX)
        guest.booted()
        there_are(guest, DEVICES)
        found = devices(guest)
        assert set(found) == {str(number) for number in range(DEVICES)}
        buses = functions(qmp)
        assert sum(len(numbers) for numbers in buses.values()) == DEVICES + LAST_BUS + 2
        assert buses[0] == list(range(32)) and buses[LAST_BUS + 1] == [0]
        assert buses[LAST_BUS] == list(range(1 + DEVICES - LAST_BUS * PER_BUS))
        assert len(guest.run("ls /sys/bus/pci/devices").split()) == DEVICES + LAST_BUS + 2
        assert trouble(guest) == ""

        for number in 0, DEVICES // 2, DEVICES - 1:
            before = synced(log)
            guest.run(f"echo device {number} changed | dd of=/dev/{found[str(number)]} bs=4096 conv=sync,fsync")
            assert set(synced(log)[len(before) :]) == {str(tmp_path / f"{number}.img")}
            assert (tmp_path / f"{number}.img").read_bytes().startswith(f"device {number} changed\n".encode())

        # On a bus that was empty so far, and where there is room.
        add(qmp, image(tmp_path, "x"), "mem-x", "nv-x", size=2 * MIB, bus=f"pcie.{LAST_BUS + 1}")
        add(qmp, image(tmp_path, "y"), "mem-y", "nv-y", size=2 * MIB)
        assert functions(qmp) == buses | {LAST_BUS: [*buses[LAST_BUS], buses[LAST_BUS][-1] + 1], LAST_BUS + 1: [0, 1]}
        there_are(guest, DEVICES + 2)
        assert set(devices(guest)) - set(found) == {"x", "y"}
        remove(qmp, "mem-x", "nv-x")
        remove(qmp, "mem-y", "nv-y")
        remove(qmp, f"mem{DEVICES - 2}", f"nv{DEVICES - 2}")
        there_are(guest, DEVICES - 1)
        assert len(guest.run("ls /sys/bus/pci/devices").split()) == DEVICES - 1 + LAST_BUS + 2
        assert trouble(guest) == ""
        assert guest.power_off() == 0


@pytest.mark.parametrize("append", ["", pytest.param("pci=nomsi", marks=pytest.mark.long)])
def test_each_of_eight_buses(tmp_path, append):
    """Plugged, used, reset and unplugged on some of them; interrupts by message and by line."""
    pair = pmem(image(tmp_path, 7), size="2M")
    with (
        Guest(
            *pair[:-1],
            f"{pair[-1]},bus=pcie.7,addr=1f",
            "-machine",
            "pci-buses=8",
            *qmp_options(tmp_path),
            append=append,
        ) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        assert sorted(guest.run("ls /sys/bus/pci/devices").split()) == [f"0000:0{bus}:00.0" for bus in range(8)] + [
            "0000:07:1f.0"
        ]
        for bus in PLUGGED:
            add(qmp, image(tmp_path, bus), f"mem-{bus}", f"nv-{bus}", size=2 * MIB, bus=f"pcie.{bus}", addr="5")
        there_are(guest, len(PLUGGED) + 1)
        assert functions(qmp) == {bus: [0, 5] if bus in PLUGGED else [0] for bus in range(7)} | {7: [0, 31]}
        for name in devices(guest).values():
            guest.run(f"dd if=/dev/zero of=/dev/{name} bs=4096 seek=1 count=1 conv=fsync")
        remove(qmp, "mem-3", "nv-3")
        qmp.run(
            "object-add",
            {"qom-type": "memory-backend-file", "id": "m", "mem-path": str(tmp_path / "3.img"), "size": 2 * MIB},
        )
        with pytest.raises(
            Refused,
            match="^PCI: slot 31 function 0 not available for virtio-pmem-pci, in use by virtio-pmem-pci,id=nv1$",
        ):
            qmp.run("device_add", driver="virtio-pmem-pci", memdev="m", id="again", bus="pcie.7", addr="1f")
        start = len(guest.output)
        qmp.run("system_reset")
        guest.booted(start)
        there_are(guest, len(PLUGGED))
        assert sorted(devices(guest)) == ["0", "6", "7"]
        guest.run("echo 0 >/sys/bus/pci/slots/$((7 * 32 + 31))/power")
        qmp.wait_event("DEVICE_DELETED", 60, device="nv1")
        assert trouble(guest) == ""
        assert guest.power_off() == 0


def test_too_few_open_files(tmp_path, kernel):
    pairs = [option for number in range(20) for option in pmem(f"{number}.img", number, size="2M")]
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, (32, 32))
    errors = refused(tmp_path, "-kernel", kernel, *pairs, preexec_fn=limit)
    assert "Too many open files" in errors and "ulimit -Hn" in errors
