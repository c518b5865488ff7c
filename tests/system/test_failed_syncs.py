"""Syncs that fail: each loss is reported, stays until an operator clears it, and shows in the exit status.

SPDX-License-Identifier: Apache-2.0

One machine serves most tests, in this order.
"""
import errno

import pytest

from machine import CHECKOUT, MIB, Guest, near, pmem
from monitor import Qmp, Refused
from test_host_faults import EIO, device_of, name_file, named, qmp_options, with_id, write


def faulty_machine(directory, *options, **kwargs):
    """A machine of which fault_shim.c takes the result of a file's next sync from another file beside it."""
    return Guest(
        *options,
        *qmp_options(directory),
        # The library opens files in the thread that syncs.
        *("-sandbox", "off"),
        prefix=["env", f"LD_PRELOAD={near(CHECKOUT / 'build/tests/fault-shim.so')}"],
        program=near(CHECKOUT / "build/tests/pmvm-shared"),
        **kwargs,
    )


class Faulty:
    """A machine with two devices: "report" and "stop" are the ids, and what the device does when a sync fails."""

    def __init__(self, directory, guest, qmp):
        self.directory, self.guest, self.qmp = directory, guest, qmp
        self.devices = named(guest)

    def next_sync_fails(self, name, number=errno.EIO):
        (self.directory / f"{name}.img.fault").write_text(f"error {number}")

    def write(self, name):
        """The status of the guest's write and fsync."""
        return self.guest.run(write(self.devices[name]), check=False)[0]

    def state(self, name):
        return device_of(self.qmp, name)["state"]

    def start_held_write(self, number=errno.EIO):
        """The machine pauses before the flush is answered. Returns where the console is."""
        start = len(self.guest.output)
        self.next_sync_fails("stop", number)
        self.guest.send(f"{write(self.devices['stop'])} 2>/dev/null; echo ended $?\n")
        assert self.qmp.wait_event("PMEM_ERROR")["data"]["errno"] == number
        self.qmp.wait_event("STOP")
        assert self.qmp.run("query-status")["status"] == "io-error"
        assert "\nended " not in self.guest.text[start:]
        return start


@pytest.fixture(name="faulty", scope="module")
def fixture_faulty(tmp_path_factory):
    directory = tmp_path_factory.mktemp("faulty")
    options = []
    for name in "report", "stop":
        options += with_id(name_file(directory / f"{name}.img", name, 16 * MIB), name)
        options[-1] += f",werror={name}"
    with faulty_machine(directory, *options) as guest, Qmp(directory / "qmp") as qmp:
        yield Faulty(directory, guest, qmp)


def test_a_failed_sync_is_reported(faulty):
    faulty.next_sync_fails("report")
    assert faulty.write("report") != 0
    event = faulty.qmp.wait_event("PMEM_ERROR")
    assert event["data"] == {
        "id": "report",
        "path": "/machine/peripheral/report",
        "file": str(faulty.directory / "report.img"),
        "errno": errno.EIO,
        "message": EIO,
    }
    # The next sync would succeed.
    assert faulty.write("report") != 0


def test_werror_stop(faulty):
    """`cont` tries the flush again if the error was cleared, or fails it."""
    for clear, wanted in (True, "0"), (False, "1"):
        start = faulty.start_held_write(errno.ENOSPC)
        if clear:
            faulty.qmp.run("pmem_clear_error", id="stop")
        faulty.qmp.run("cont")
        assert faulty.guest.wait_for(r"^ended (\d)", start=start)[1].decode() == wanted


def test_a_failed_sync_stays_until_an_operator_clears_it(faulty):
    """Also over a reset, which an answer that is held back does not hold up."""
    qmp, guest = faulty.qmp, faulty.guest
    qmp.run("pmem_clear_error", id="stop")
    faulty.start_held_write()
    start = len(guest.output)
    qmp.run("system_reset")
    qmp.run("cont")
    guest.booted(start)
    faulty.devices = named(guest)
    for name in "report", "stop":
        assert faulty.write(name) != 0 and faulty.state(name) == "failed"
    with pytest.raises(Refused, match="^Device 'nv9' not found$"):
        qmp.run("pmem_clear_error", id="nv9")
    assert qmp.run("human-monitor-command", {"command-line": "pmem_clear_error report"}) == ""
    assert faulty.state("report") == "ok"
    assert faulty.write("report") == 0


def test_a_held_answer_does_not_hold_up_the_end(faulty):
    """The last test with this machine."""
    faulty.qmp.run("pmem_clear_error", id="stop")
    faulty.start_held_write()
    faulty.qmp.run("quit")
    assert faulty.guest.end() == 1


def test_a_failed_last_sync_shows_in_the_status(tmp_path):
    with faulty_machine(tmp_path, *pmem(tmp_path / "a.img", size="16M"), wait=False) as guest:
        with Qmp(tmp_path / "qmp") as qmp:
            (tmp_path / "a.img.fault").write_text(f"error {errno.EIO}")
            qmp.run("quit")
            assert guest.end() == 1
            assert "the last sync failed" in guest.error_text
