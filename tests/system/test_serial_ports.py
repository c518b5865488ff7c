"""Console ports in a Linux guest: hvc0, named ports both ways, open and close events, flow control, hotplug, reboot.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import hashlib
import os
import pathlib
import re
import socket
import threading
import time

import pytest

from machine import MIB, Guest, kernel_files, run_pmvm
from monitor import Hmp, Qmp, Refused
from process import descriptors

WAIT_MAX = 200
CYCLES = 6
LENGTH = 128 * 1024  # bytes of one transfer
TOO_MUCH = MIB  # bytes that fit in no buffer on the way
PORT = "/dev/virtio-ports/org.pmvm.test"


def qmp_options(tmp_path):
    return ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]


def port_options(tmp_path, name="org.pmvm.test", number=0):
    return [
        *("-chardev", f"socket,id=c{number},path={tmp_path}/port{number},server=on,wait=off"),
        *("-device", f"virtserialport,chardev=c{number},name={name},id=p{number}"),
    ]


def goes(guest, path):
    guest.run(f"while [ -e {path} ]; do usleep 50000; done")


def named(guest, name="org.pmvm.test"):
    """Waits for a port of this name, and names its device file as udev would."""
    guest.run(
        "modprobe virtio_console; mkdir -p /dev/virtio-ports; "
        f"until p=$(grep -lx '{name}' /sys/class/virtio-ports/*/name 2>/dev/null); do usleep 50000; done; "
        f"p=${{p%/name}}; ln -sf /dev/${{p##*/}} /dev/virtio-ports/{name}"
    )


@contextlib.contextmanager
def client(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(WAIT_MAX)
        sock.connect(str(path))
        yield sock


def read_exactly(sock, size):
    data = bytearray()
    while len(data) < size:
        more = sock.recv(size - len(data))
        assert more, f"hung up after {len(data)} bytes"
        data += more
    return bytes(data)


def read_until(sock, wanted):
    data, end = b"", time.monotonic() + WAIT_MAX
    while wanted not in data:
        assert time.monotonic() < end, data
        more = sock.recv(4096)
        assert more, data
        data += more
    return data


def in_background(guest, script):
    """Not as a job of the interactive shell, which takes the end of a job for the end of its input now and then."""
    guest.run(f"(setsid sh -c '{script}' </dev/null >/dev/null 2>&1 &)")


def file_has(guest, path, text):
    guest.run(f"until grep -q {text} {path} 2>/dev/null; do usleep 100000; done")


def test_the_monitors_know_them(tmp_path):
    options = [
        *("-device", "virtio-serial,id=s,max_ports=4", *port_options(tmp_path), "-S"),
        *("-chardev", "null,id=n", "-monitor", f"unix:{tmp_path}/hmp,server=on,wait=off"),
    ]
    with Guest(*options, *qmp_options(tmp_path), wait=False) as _, Qmp(tmp_path / "qmp") as qmp, Hmp(
        tmp_path / "hmp"
    ) as hmp:
        path = "/machine/peripheral/p0"
        assert qmp.run("qom-get", path=path, property="type") == "virtserialport"
        assert qmp.run("qom-get", path=path, property="nr") == 1
        assert qmp.run("qom-get", path="/machine/peripheral/s/virtio-backend", property="max_ports") == 4
        listed = {entry["name"] for entry in qmp.run("device-list-properties", typename="virtserialport")}
        assert listed == {"chardev", "name", "nr"}
        assert "PCI device 1af4:1043" in hmp.run("info pci")
        refused = {
            "Property 'virtserialport.chardev' can't find value 'zz'": {"chardev": "zz"},
            "Property 'virtserialport.chardev' can't take value 'c0': Device 'c0' is in use": {"chardev": "c0"},
            "virtio-serial-bus: A port already exists at id 1": {"nr": 1},
            "virtio-serial-bus: A port already exists by name org.pmvm.test": {"name": "org.pmvm.test"},
            "virtio-serial-bus: Out-of-range port id specified, max. allowed: 3": {"nr": 4},
            "Port number 0 on virtio-serial devices reserved for virtconsole": {"nr": 0},
            "Bus 'zz' not found": {"bus": "zz"},
            "Device 'virtserialport' can't go on PCIE bus": {"bus": "pcie.0"},
        }
        for text, properties in refused.items():
            with pytest.raises(Refused, match=re.escape(text)):
                qmp.run("device_add", {"driver": "virtserialport", "chardev": "n", **properties})
        for _ in range(2):
            qmp.run("device_add", {"driver": "virtserialport"})
        with pytest.raises(Refused, match="Maximum port limit for this device reached"):
            qmp.run("device_add", {"driver": "virtserialport"})
        qmp.run("device_add", {"driver": "virtconsole", "chardev": "n"})
        qmp.run("quit")


def test_errors_of_the_command_line_are_qemus(tmp_path):
    kernel, _ = kernel_files()
    lines = {
        "-device virtconsole": "No 'virtio-serial-bus' bus found for device 'virtconsole'",
        "-device virtio-serial,max_ports=0": "Maximum number of serial ports not specified",
        "-device virtio-serial -device virtserialport,chardev=zz": "Property 'virtserialport.chardev' can't find value",
        "-device virtio-serial -device virtserialport,nr=31": "Out-of-range port id specified, max. allowed: 30",
    }
    for line, text in lines.items():
        status, _, errors = run_pmvm("-kernel", kernel, "-nographic", *line.split(), cwd=tmp_path)
        assert status == 1 and text in errors, (line, errors)
    status, output, _ = run_pmvm("-device", "virtserialport,help")
    assert status == 0 and "ID of a chardev to use as a backend" in output


# ---- one machine; the tests build on each other: the last ones unplug its devices


@pytest.fixture(name="shared", scope="module")
def fixture_shared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shared")
    options = [
        *("-chardev", f"socket,id=c,path={directory}/hvc,server=on,wait=off"),
        *("-device", "virtio-serial-pci,id=s", "-device", "virtconsole,chardev=c"),
        *port_options(directory),
        *port_options(directory, "other", 1),
    ]
    with Guest(*options, *qmp_options(directory), cpus=2) as guest:
        yield guest, directory
        assert guest.power_off() == 0


def console_works(guest, directory):
    with client(directory / "hvc") as console:
        guest.run("modprobe virtio_console; until [ -e /dev/hvc0 ]; do usleep 50000; done")
        in_background(guest, "sh -i </dev/hvc0 >/dev/hvc0 2>&1")
        console.sendall(b"echo again $((40 + 2))\n")
        read_until(console, b"again 42")


def test_a_console_in_both_directions(shared):
    guest, directory = shared
    assert "0x1043" in guest.run("cat /sys/bus/pci/devices/*/device")
    console_works(guest, directory)


def test_both_sides_see_the_other_open_and_close(shared):
    guest, directory = shared
    with Qmp(directory / "qmp") as qmp:
        named(guest)
        # Nobody is there on the host: a read ends at once, as after a hang-up.
        assert guest.run(f"timeout 10 cat {PORT} | wc -c") == "0"
        qmp.wait_event("VSERPORT_CHANGE", WAIT_MAX, id="p0", open=True)
        qmp.wait_event("VSERPORT_CHANGE", WAIT_MAX, id="p0", open=False)
        with client(directory / "port0") as sock:
            in_background(guest, f"cat {PORT} >/tmp/got; echo closed >>/tmp/got")
            qmp.wait_event("VSERPORT_CHANGE", WAIT_MAX, id="p0", open=True)
            listed = {info["label"]: info for info in qmp.run("query-chardev")}
            assert listed["c0"]["frontend-open"] is True
            sock.sendall(b"hello\n")
            file_has(guest, "/tmp/got", "hello")
        # The client has gone.
        file_has(guest, "/tmp/got", "closed")
        qmp.wait_event("VSERPORT_CHANGE", WAIT_MAX, id="p0", open=False)
        # A reset closes what the guest had open.
        with client(directory / "port0"):
            in_background(guest, f"sleep 1000 <{PORT}")
            qmp.wait_event("VSERPORT_CHANGE", WAIT_MAX, id="p0", open=True)
            start = len(guest.output)
            qmp.run("system_reset")
            qmp.wait_event("VSERPORT_CHANGE", WAIT_MAX, id="p0", open=False)
            guest.booted(start)


def test_a_console_after_the_reset(shared):
    console_works(*shared)


def test_transfers_in_both_directions(shared):
    guest, directory = shared
    data = os.urandom(LENGTH)
    wanted = hashlib.sha256(data).hexdigest()
    with client(directory / "port0") as sock:
        named(guest)
        sender = threading.Thread(target=sock.sendall, args=(data,))
        sender.start()
        assert guest.run(f"head -c {LENGTH} {PORT} | sha256sum").split()[0] == wanted
        sender.join()
        guest.run(f"head -c {LENGTH} /dev/urandom >/tmp/data")
        in_background(guest, f"cat /tmp/data >{PORT}")
        got = read_exactly(sock, LENGTH)
        assert guest.run("sha256sum /tmp/data").split()[0] == hashlib.sha256(got).hexdigest()


def test_what_nobody_reads_stays_with_the_sender(shared):
    """A client that does not read blocks the guest's writer and nobody else, and gets all later; and vice versa."""
    guest, directory = shared
    with client(directory / "port0") as sock, Qmp(directory / "qmp") as qmp:
        named(guest)
        in_background(guest, f"yes | head -c {TOO_MUCH} >{PORT}; echo done >/tmp/done")
        # There is data, and the writer is blocked.
        start = read_exactly(sock, 2)
        for _ in range(5):
            assert qmp.run("query-status")["status"] == "running"
            guest.run("true")
        assert guest.run("ls /tmp/done 2>/dev/null; true") == ""
        resident = int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{guest.process.pid}/status").read_text())[1])
        # A stop in between loses nothing.
        qmp.run("stop")
        qmp.run("cont")
        assert start + read_exactly(sock, TOO_MUCH - 2) == b"y\n" * (TOO_MUCH // 2)
        file_has(guest, "/tmp/done", "done")
        assert resident < 600 * 1024
        # The guest does not read: the host's writer is blocked.
        sock.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += sock.send(b"y" * 65536)
        assert sent < 2 * MIB
        assert guest.run(f"head -c {sent} {PORT} | tr -d y | wc -c") == "0"


def test_unplug_under_traffic(shared):
    guest, directory = shared
    with Qmp(directory / "qmp") as qmp:
        named(guest)
        named(guest, "other")
        with client(directory / "port0") as first, client(directory / "port1") as second:
            in_background(guest, f"cat /dev/zero >{PORT}")
            in_background(guest, "cat /dev/zero >/dev/virtio-ports/other")
            read_exactly(first, LENGTH)
            read_exactly(second, LENGTH)
            qmp.run("device_del", id="p0")
            qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="p0")
            read_exactly(second, LENGTH)
            qmp.run("device_del", id="s")
            qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="p1")
            qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="s")
        goes(guest, "/sys/class/virtio-ports/vport*")


def test_ports_and_controllers_come_and_go(shared):
    guest, directory = shared
    with Qmp(directory / "qmp") as qmp:
        before = None
        backend = {"type": "socket", "data": {"server": True, "wait": False}}
        backend["data"]["addr"] = {"type": "unix", "data": {"path": str(directory / "port")}}
        for number in range(CYCLES):
            qmp.run("chardev-add", id="n", backend=backend)
            qmp.run("device_add", {"driver": "virtio-serial-pci", "id": "s"})
            qmp.run("device_add", {"driver": "virtserialport", "id": "p", "bus": "s.0", "chardev": "n", "name": "n"})
            named(guest, "n")
            with client(directory / "port") as sock:
                guest.run("echo hello >/dev/virtio-ports/n")
                assert read_exactly(sock, 6) == b"hello\n"
            if number % 2:
                # The port first: it goes at once, and the guest sees it go.
                qmp.run("device_del", id="p")
                qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="p")
                goes(guest, "/sys/class/virtio-ports/vport*")
            qmp.run("device_del", id="s")
            if not number % 2:
                qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="p")
            qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="s")
            qmp.run("chardev-remove", id="n")
            state = descriptors(guest), guest.run("ls /sys/bus/pci/devices; ls /sys/class/virtio-ports")
            assert before in (None, state)
            before = state
