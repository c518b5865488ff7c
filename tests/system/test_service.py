"""A machine as a service: what a service manager gets, and pmvm@.service with a real systemd.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import grp
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

import systemd_unit
from echo import options, read_until, wait_until
from machine import CHECKOUT, END_MAX, Vm, kernel_files, near
from monitor import Qmp, connect

GROUP = "users"  # of /dev/kvm meanwhile; systemd wants one that has a name
ENDING = "STOPPING=1\nSTATUS=ending, last sync of the files"

# ---- a manager that is a socket of the test's


@pytest.fixture(name="manager", params=["path", "abstract"])
def fixture_manager(request, tmp_path):
    """The socket, and its name."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@pmvm-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(name.replace("@", "\0"))
        server.settimeout(END_MAX)
        yield server, name


def test_reports_to_a_service_manager(manager, tmp_path):
    """From a sandboxed machine, whose network namespace is its own."""
    server, name = manager
    prefix = ("env", f"NOTIFY_SOCKET={name}", "WATCHDOG_USEC=200000")
    qmp_option = ("-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off")

    def gets(wanted):
        while (text := server.recv(4096).decode()) == "WATCHDOG=1":
            pass
        assert text == wanted

    with Vm([*options(), "-nographic", *qmp_option], prefix=prefix) as vm:
        gets("READY=1\nSTATUS=running")
        with Qmp(tmp_path / "qmp") as qmp:
            qmp.run("stop")
            gets("STATUS=paused")
            qmp.run("cont")
            gets("STATUS=running")
            assert server.recv(4096) == b"WATCHDOG=1"
            qmp.run("quit")
        gets(ENDING)
        assert vm.end() == 0


def test_is_ready_once_a_client_of_wait_on_has_connected(manager, tmp_path):
    server, name = manager
    serial = ("-serial", f"unix:{tmp_path}/serial,server=on,wait=on")
    with Vm([*options(), *serial], prefix=("env", f"NOTIFY_SOCKET={name}")) as vm:
        assert server.recv(4096) == b"STATUS=prelaunch"
        with connect(tmp_path / "serial"):
            assert server.recv(4096) == b"READY=1\nSTATUS=running"
            vm.process.send_signal(signal.SIGTERM)
            assert server.recv(4096).decode() == ENDING
        assert vm.end() == 0


# ---- the unit

needs_systemd = pytest.mark.skipif(
    systemd_unit.missing() is not None, reason=f"{systemd_unit.missing()} is not installed"
)


@pytest.fixture(name="public")
def fixture_public():
    """A directory that everybody can use, and /dev/kvm for a group."""
    kvm = os.stat("/dev/kvm")
    with tempfile.TemporaryDirectory(prefix="pmvm-service-") as name:
        os.chmod(name, 0o777)
        os.chown("/dev/kvm", 0, grp.getgrnam(GROUP).gr_gid)
        os.chmod("/dev/kvm", 0o660)
        yield pathlib.Path(name)
        os.chown("/dev/kvm", kvm.st_uid, kvm.st_gid)
        os.chmod("/dev/kvm", kvm.st_mode & 0o777)


def guest_file(public, file):
    shutil.copy(near(file), public)
    (public / file.name).chmod(0o644)
    return public / file.name


@contextlib.contextmanager
def echo_service(public, config="", args="", **more):
    kernel = guest_file(public, CHECKOUT / "build/tests/guest/echo.elf")
    with systemd_unit.Service(public, GROUP, f"-m 64M -kernel {kernel} {args}", config, **more) as unit:
        yield unit


def scraped(unit):
    """What Prometheus would get from the unit of the metrics. Its socket is there some time after its start."""
    wait_until(unit.path(systemd_unit.METRICS_SOCKET).exists)
    with connect(unit.path(systemd_unit.METRICS_SOCKET)) as client, client.makefile("rb") as answer:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        return answer.read().decode()


PMEM = """
[object "mem1"]
  qom-type = "memory-backend-file"
  mem-path = "data.img"
  size = "4M"
  share = "on"

[device "nv1"]
  driver = "virtio-pmem-pci"
  memdev = "mem1"
"""


@needs_systemd
def test_the_unit_follows_the_run_state(public):
    """Its image is in /var/lib/pmvm/NAME. A guest that does not react to its power button is ended by quit."""
    with echo_service(public, PMEM, environment="PMVM_STOP_SECONDS=1") as unit:
        unit.systemctl("start", systemd_unit.UNIT)
        assert unit.state() == ["active", "running"]
        with connect(unit.path("/run/pmvm/test/serial")) as serial:
            serial.sendall(b"alive\n")
            read_until(serial, b"line 1: alive")
        with Qmp(unit.path("/run/pmvm/test/qmp")) as qmp:
            walls = qmp.run("query-sandbox")
            assert walls["namespaces"] == ["user", "mount", "net", "ipc"] and walls["empty-root"]
            qmp.run("stop")
            wait_until(lambda: unit.state() == ["active", "paused"])
            qmp.run("cont")
            wait_until(lambda: unit.state() == ["active", "running"])
        assert unit.path("/var/lib/pmvm/test/data.img").stat().st_size == 4 << 20
        if systemd_unit.METRICS.exists():
            unit.systemctl("start", systemd_unit.METRICS_UNIT)
            assert 'pmvm_pmem_size_bytes{machine="test",device="nv1"} 4194304' in scraped(unit)
        unit.systemctl("stop", systemd_unit.UNIT)
        assert unit.show("ActiveState", "Result", "ExecMainStatus") == ["inactive", "success", "0"]
        assert "the guest has not powered off in 1 s: quit" in unit.log()
        assert unit.path("/var/lib/pmvm/test/data.img").exists()


@needs_systemd
def test_the_unit_is_active_only_when_the_guest_runs(public):
    environment = "PMVM_SERIAL=unix:/run/pmvm/test/serial,server=on,wait=on\nPMVM_STOP_SECONDS=0"
    with echo_service(public, environment=environment) as unit:
        unit.systemctl("start", "--no-block", systemd_unit.UNIT)
        wait_until(lambda: unit.state() == ["activating", "prelaunch"])
        with connect(unit.path("/run/pmvm/test/serial")):
            wait_until(lambda: unit.state() == ["active", "running"])
            unit.systemctl("stop", systemd_unit.UNIT)


@needs_systemd
def test_the_unit_restarts_a_machine_that_hangs(public):
    """Its watchdog is fed by the main loop, which stands still with the process."""
    settings = ["WatchdogSec=8s", "ExecStopPost=sh -c 'echo result=$SERVICE_RESULT'"]
    with echo_service(public, settings=settings, environment="PMVM_STOP_SECONDS=0") as unit:
        unit.systemctl("start", systemd_unit.UNIT)
        fed = unit.show("WatchdogTimestampMonotonic")
        wait_until(lambda: unit.show("WatchdogTimestampMonotonic") != fed)
        unit.systemctl("kill", "--kill-whom=main", "--signal=SIGSTOP", systemd_unit.UNIT)
        wait_until(lambda: int(unit.show("NRestarts")[0]) >= 1)
        wait_until(lambda: unit.state() == ["active", "running"])
        assert "result=watchdog" in unit.log()


@needs_systemd
def test_the_unit_does_not_restart_after_an_error(public):
    """Status 1, as after a sync that failed: somebody has to see it."""
    with echo_service(public, args="-device virtio-pmem-pci,memdev=none") as unit:
        unit.systemctl("start", systemd_unit.UNIT, check=False)
        wait_until(lambda: unit.show("ActiveState") == ["failed"])
        assert unit.show("Result", "ExecMainStatus", "NRestarts") == ["exit-code", "1", "0"]
        assert "Device 'none' not found" in unit.log()


def calls_of(filters, sets):
    """The system calls that a list of names and sets of systemd permits."""
    names = set()
    for name in filters:
        names |= calls_of(sets[name], sets) if name.startswith("@") else {name}
    return names


@needs_systemd
def test_the_unit_permits_all_calls_that_the_sandbox_permits():
    """What systemd kills, no wall of pmvm's own can explain."""
    sets, members = {}, []
    shown = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines():
        if line.startswith("@"):
            members = sets.setdefault(line.strip(), [])
        elif line.strip() and not line.strip().startswith("#"):
            members.append(line.strip())
    unit = (CHECKOUT / "dist/systemd/pmvm@.service.in").read_text()
    filters = " ".join(re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE)).split()
    listed = (CHECKOUT / "vmm/sandbox/seccomp_list.h").read_text()
    ours = set(re.findall(r"^[A-Z_]+\([^,]+, (\w+),", listed, re.MULTILINE))
    assert len(ours) > 50 and "mincore" in ours
    assert ours - calls_of(["@default", *filters], sets) == set()


ARM = (
    "modprobe -a button evdev; mkdir -p /etc/acpi/PWRF /var/log /var/run; "
    "echo 'echo pressed >/dev/console; poweroff -f' >/etc/acpi/PWRF/00000080; chmod +x /etc/acpi/PWRF/00000080; "
    "acpid -f >/dev/console 2>&1 & until ls -l /proc/$!/fd | grep -q input/event; do usleep 100000; done; "
    "echo armed-$((1 + 1))\n"
)


@needs_systemd
def test_the_unit_stops_a_guest_by_its_power_button(public):
    kernel, initrd = (guest_file(public, file) for file in kernel_files())
    args = f"-m 256M -kernel {kernel} -initrd {initrd} -append 'console=ttyS0 quiet'"
    with systemd_unit.Service(public, GROUP, args, environment="PMVM_STOP_SECONDS=280") as unit:
        unit.systemctl("start", systemd_unit.UNIT)
        with connect(unit.path("/run/pmvm/test/serial")) as serial:
            read_until(serial, b"pmvm-guest: ready")
            serial.sendall(ARM.encode())
            read_until(serial, b"armed-2")
            unit.systemctl("stop", systemd_unit.UNIT)
            read_until(serial, b"pressed")
        assert unit.show("ActiveState", "Result", "ExecMainStatus") == ["inactive", "success", "0"]
        assert "has not powered off" not in unit.log()
