"""The VM generation ID in a Linux guest: its driver, its bytes, and the monitor.

SPDX-License-Identifier: Apache-2.0
"""
import uuid

import pytest

from machine import Guest, linux_options, run_pmvm
from monitor import Qmp, Refused

GUID = "324e6eaf-d1d2-4bf6-bf41-b9bb6c91fb87"
PLACE = 0xFF000
DRIVER = "/sys/bus/acpi/drivers/vmgenid"


def test_the_guest_has_a_driver_for_it_also_after_a_reboot(tmp_path):
    # Debian's cloud kernel has no driver.
    options = ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", "-device", f"vmgenid,guid={GUID.upper()},id=g0"]
    with Guest(*options, flavour="generic") as guest, Qmp(tmp_path / "qmp") as qmp:
        for _ in range(2):
            guest.run(f"ls -d {DRIVER}/PMVM0001:00")
            read = f"dd if=/dev/mem bs=16 skip={PLACE // 16} count=1 2>/dev/null | od -An -v -tx1 | tr -d ' \\n'"
            assert guest.run(read).strip() == uuid.UUID(GUID).bytes_le.hex()
            assert qmp.run("query-vm-generation-id") == {"guid": GUID}
            at = len(guest.output)
            guest.send("reboot -f\n")
            guest.booted(at)
        assert qmp.run("human-monitor-command", **{"command-line": "info vm-generation-id"}) == f"{GUID}\r\n"
        with pytest.raises(Refused, match="expects a pluggable device type"):
            qmp.run("device_add", driver="vmgenid")
        with pytest.raises(Refused, match="does not support hotplugging"):
            qmp.run("device_del", id="g0")
        assert guest.power_off() == 0


def test_there_is_one_at_most():
    status, _, errors = run_pmvm(*linux_options(), "-device", "vmgenid", "-device", "vmgenid,guid=auto")
    assert status == 1 and "at most one vmgenid device is permitted" in errors
