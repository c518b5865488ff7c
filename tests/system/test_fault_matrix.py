"""Every way in which a sync of the host can fail, at every point in the life of a device, with one writer and several.

SPDX-License-Identifier: Apache-2.0

One Linux guest; each cell plugs a device with a file of its own, so that no error outlives its cell. What happens to a
sync is given to fault_shim.c by a file beside the image. Linux sends the flushes of several writers without waiting,
so that one sync answers several of them; which ones, to the byte, is in tests/unit/libvpmem/pmem_test.c.
"""
import collections
import contextlib
import errno
import itertools
import os
import re
import time

import pytest

from machine import CHECKOUT, MIB, Failed, Guest, near, pmem
from monitor import Qmp, Refused

SIZE = 64 * MIB
CUT_SIZE = 32 * MIB
PAGE_SIZE = 4096
RECORDS_MAX = 2000  # of one writer, a page each: all are below CUT_SIZE
WAIT_MAX = 200
EIO = "Input/output error"

# The result of each fault: the shim's line; the result of the guest's fsync, now and later; the errno of PMEM_ERROR.
Contract = collections.namedtuple("Contract", "shim guest errno")
CONTRACT = {
    "EIO": Contract(f"error {errno.EIO}", EIO, errno.EIO),
    "ENOSPC": Contract(f"error {errno.ENOSPC}", EIO, errno.ENOSPC),
    "EDQUOT": Contract(f"error {errno.EDQUOT}", EIO, errno.EDQUOT),
    "truncate": Contract(None, EIO, errno.EIO),
    "slow": Contract("slow", "0", None),
    "hang": Contract("hang", "0", None),
}
# Three seconds in one cell, one in the others: for the device there is no difference.
SLOW_MS = collections.defaultdict(lambda: 1000, {("middle", 4): 3000})
# The cells of `make check`. The others have the same paths through the device, with other numbers.
FEW = {("first", 1), ("middle", 4), ("last", 1)}
SHORT = {
    "EIO": FEW,
    "ENOSPC": {("middle", 4)},
    "EDQUOT": {("first", 1)},
    "truncate": FEW,
    "slow": {("first", 1), ("middle", 4)},
    "hang": FEW,
}

# DEVICE WRITER FIRST COUNT: writes records until one fails, and prints the result of each fsync.
# pylint: disable=consider-using-f-string  # the script has braces of its own
WRITER = (
    r"""
record=$3
while [ -b $1 ] && [ $record -lt $(($3 + $4)) ]; do
    printf "writer $2 record $record." | dd of=$1 bs=4096 seek=$(($2 * %d + record)) conv=fsync,notrunc 2>/tmp/error.$2
    status=$?
    [ $status = 0 ] || status=$(sed -n "s/.*: //p" /tmp/error.$2)
    echo "$2 $record $status"
    [ "$status" = 0 ] || exit
    record=$((record + 1))
    usleep 10000
done
"""
    % RECORDS_MAX
)
# DEVICE WRITERS FIRST COUNT
WRITERS = r"""
writer=0
while [ $writer -lt $2 ]; do
    sh /tmp/writer $1 $writer $3 $4 &
    writer=$((writer + 1))
done
wait
echo all ended
"""


class Host:
    """The machine that all cells share; no fault is injected into its device pmem0."""

    def __init__(self, guest, qmp):
        self.guest, self.qmp = guest, qmp
        self.any_failed = False

    def write_elsewhere(self):
        self.guest.run("echo elsewhere | dd of=/dev/pmem0 bs=4096 conv=fsync,notrunc 2>/dev/null")


class Device:
    """A plugged device, and the records that were acknowledged as durable: {(writer, record)}."""

    def __init__(self, host, image, name, nwriters):
        self.guest, self.qmp = host.guest, host.qmp
        self.image, self.name, self.nwriters = image, name, nwriters
        self.fault = image.with_name(image.name + ".fault")
        self.durable = set()
        self.next = 0

    def state(self):
        return next(pmem for pmem in self.qmp.run("query-pmem") if pmem["id"] == self.name)

    def in_flight_ns(self):
        return self.state()["syncs"].get("in-flight-ns", 0)

    def start_round(self, count=1):
        """All writers write at the same time, `count` records each; the shell is free."""
        # As a grandchild: this shell ends when a background job of its own does.
        self.guest.run(
            f"rm -f /tmp/round; ((sh /tmp/writers /dev/pmem1 {self.nwriters} {self.next} {count} >/tmp/round) &)"
        )
        self.next += count

    def end_round(self):
        """Waits for all writers. Returns the result of the last fsync of each; keeps the records that are durable."""
        self.guest.run(
            "until grep -q ended /tmp/round; do usleep 200000; done",
            timeout=2 * WAIT_MAX,
        )
        said = re.findall(r"^(\d+) (\d+) (.+)$", self.guest.run("cat /tmp/round"), re.MULTILINE)
        self.durable |= {(int(writer), int(record)) for writer, record, status in said if status == "0"}
        self.next = max(int(record) for _, record, _ in said) + 1
        return [{writer: status for writer, _, status in said}[str(number)] for number in range(self.nwriters)]

    def round(self):
        self.start_round()
        return self.end_round()

    def succeeds(self):
        return self.round() == ["0"] * self.nwriters

    def wait_until_running(self):
        """Waits until a record of each writer is durable; the writers continue."""
        self.guest.run(
            (f"until [ $(cut -d' ' -f1 /tmp/round | sort -u | wc -l) = {self.nwriters} ]; do usleep 300000; done"),
            timeout=2 * WAIT_MAX,
        )

    def wait_in_flight(self, more_than_ns=0):
        end = time.monotonic() + WAIT_MAX
        while (age := self.in_flight_ns()) <= more_than_ns:
            if time.monotonic() > end:
                raise Failed(f"{self.name}: no sync older than {more_than_ns} ns in {WAIT_MAX} s")
            time.sleep(0.05)
        return age

    def check_file(self):
        """Each record that was acknowledged is in the file."""
        with open(self.image, "rb") as file:
            for writer, record in self.durable:
                text = f"writer {writer} record {record}.".encode()
                file.seek((writer * RECORDS_MAX + record) * PAGE_SIZE)
                assert file.read(len(text)) == text


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    directory = tmp_path_factory.mktemp("matrix")
    shim = near(CHECKOUT / "build/tests/fault-shim.so")
    with (
        Guest(
            *pmem(directory / "elsewhere.img", size="16M"),
            "-qmp",
            f"unix:{directory}/qmp,server=on,wait=off",
            # The library opens files in the thread that syncs.
            *("-sandbox", "off"),
            prefix=["env", f"LD_PRELOAD={shim}"],
            program=near(CHECKOUT / "build/tests/pmvm-shared"),
        ) as guest,
        Qmp(directory / "qmp") as qmp,
    ):
        for name, script in ("writer", WRITER), ("writers", WRITERS):
            guest.run(f"cat >/tmp/{name} <<'END'{script}END")
        host = Host(guest, qmp)
        yield host
        # The exit status shows a device that failed, also after it was unplugged.
        assert guest.power_off() == (1 if host.any_failed else 0)


@contextlib.contextmanager
def plugged(host, image, name, nwriters):
    memdev = f"{name}-mem"
    host.qmp.run(
        "object-add",
        {"qom-type": "memory-backend-file", "id": memdev, "share": True, "mem-path": str(image), "size": SIZE},
    )
    host.qmp.run("device_add", driver="virtio-pmem-pci", id=name, memdev=memdev)
    device = Device(host, image, name, nwriters)
    host.guest.run("until [ -e /dev/pmem1 ]; do usleep 50000; done")
    try:
        yield device
    finally:
        device.fault.unlink(missing_ok=True)
        failed = device.state()["state"] == "failed"
        host.qmp.run("device_del", id=name)
        host.qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device=name)
        # The object is deleted in any case.
        with pytest.raises(Refused, match="a sync failed") if failed else contextlib.nullcontext():
            host.qmp.run("object-del", id=memdev)
        host.guest.run("while [ -e /dev/pmem1 ]; do usleep 100000; done")


def cut(device, position):
    """The first flush after pmvm noticed the truncation is the first of the device, its last, or one of many."""
    if position == "middle":
        device.start_round(RECORDS_MAX - device.next)
        device.wait_until_running()
    os.truncate(device.image, CUT_SIZE)
    device.qmp.wait_event("PMEM_ERROR", WAIT_MAX, id=device.name, errno=errno.EIO)
    return device.end_round() if position == "middle" else device.round()


def fail(device, contract):
    device.fault.write_text(contract.shim)
    said = device.round()
    assert not device.fault.exists(), "no sync met the fault"
    event = device.qmp.wait_event("PMEM_ERROR", WAIT_MAX, id=device.name)["data"]
    assert event == {
        "id": device.name,
        "path": f"/machine/peripheral/{device.name}",
        "file": str(device.image),
        "errno": contract.errno,
        "message": os.strerror(contract.errno),
    }
    return said


def be_slow(device, milliseconds):
    device.fault.write_text(f"slow {milliseconds}")
    said = device.round()
    assert not device.fault.exists(), "no sync met the fault"
    assert device.state()["syncs"]["max-ns"] >= milliseconds * 1000000
    return said


def hang(host, device):
    """Meanwhile the console, the monitor and the other device work."""
    device.fault.write_text("hang")
    device.start_round()
    age = device.wait_in_flight()
    host.write_elsewhere()
    device.wait_in_flight(age)
    assert (
        host.guest.run("grep -c ' 0$' /tmp/round", check=False)[1] == "0"
    ), "a flush was answered before its sync returned"
    device.fault.unlink()
    return device.end_round()


def check_failed(host, device, contract, position):
    host.any_failed = True
    state = device.state()
    assert state["state"] == "failed" and state["error"]["errno"] == contract.errno
    if position == "last":
        return
    # The next sync would succeed: none is made.
    count = state["syncs"]["count"]
    assert device.round() == [EIO] * device.nwriters
    assert device.state()["syncs"]["count"] == count
    os.truncate(device.image, SIZE)
    device.qmp.run("pmem_clear_error", id=device.name)
    assert device.state()["state"] == "ok"
    assert device.succeeds()


def check_succeeded(device, position):
    assert device.state()["state"] == "ok" and device.state()["syncs"]["errors"] == 0
    assert not [event for event in device.qmp.events if event["event"] == "PMEM_ERROR"]
    assert position == "last" or device.succeeds()


def cells():
    for fault, position, nwriters in itertools.product(CONTRACT, ["first", "middle", "last"], [1, 4]):
        marks = () if (position, nwriters) in SHORT[fault] else pytest.mark.long
        yield pytest.param(fault, position, nwriters, marks=marks)


@pytest.mark.parametrize("fault,position,nwriters", cells())
def test_cell(host, tmp_path, fault, position, nwriters):
    contract = CONTRACT[fault]
    with plugged(host, tmp_path / "a.img", f"{fault}-{position}-{nwriters}", nwriters) as device:
        for _ in range(0 if position == "first" else 2):
            assert device.succeeds()
        if fault == "truncate":
            said = cut(device, position)
        elif fault == "slow":
            said = be_slow(device, SLOW_MS[position, nwriters])
        elif fault == "hang":
            said = hang(host, device)
        else:
            said = fail(device, contract)
        assert said == [contract.guest] * nwriters
        if contract.errno:
            check_failed(host, device, contract, position)
        else:
            check_succeeded(device, position)
        host.write_elsewhere()
        device.check_file()
        assert position == "first" or len(device.durable) >= 2 * nwriters
