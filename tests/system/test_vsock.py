"""vhost-vsock-pci: connections between programs of the host and of a Linux guest.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

import kvm_stats
from machine import Guest, linux_options, run_pmvm
from monitor import Qmp, Refused
from process import descriptors, traced
from tap import receive_all

CID = 42
HOST = 2
SIZE = 2_000_000
SHORT = 200_000
WAIT_MAX = 200
DEVICE = pathlib.Path("/dev/vhost-vsock")


@pytest.fixture(scope="module", autouse=True)
def module_is_loaded():
    subprocess.run(["modprobe", "vhost_vsock"], check=False, capture_output=True)
    if not DEVICE.exists():
        pytest.skip("this host has no /dev/vhost-vsock: modprobe vhost_vsock")


def vsock(**properties):
    properties = {"guest-cid": CID, "id": "vs1"} | properties
    return ["-device", "vhost-vsock-pci" + "".join(f",{key}={value}" for key, value in properties.items())]


def start(tmp_path, *args, **kwargs):
    return Guest("-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", *args, **kwargs)


def load_driver(guest):
    guest.run("modprobe vmw_vsock_virtio_transport")


def listener(port):
    server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    server.settimeout(WAIT_MAX)
    server.bind((socket.VMADDR_CID_ANY, port))
    server.listen(4)
    return server


def connect(port, cid=CID):
    """A connection to the guest, which may be about to listen."""
    end = time.monotonic() + WAIT_MAX
    while True:
        client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        client.settimeout(WAIT_MAX)
        try:
            client.connect((cid, port))
            return client
        except OSError:
            client.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def guest_sends(guest, size=SIZE, port=5000):
    """The guest sends random bytes to the host: both sums."""
    with listener(port) as server:
        guest.run(f"head -c {size} /dev/urandom >/tmp/a && md5sum /tmp/a >/tmp/sum")
        guest.send(f"vsock-tool send {HOST} {port} </tmp/a\n")
        client, (cid, _) = server.accept()
        client.settimeout(WAIT_MAX)
        with client:
            sum_here, size_here = receive_all(client)
    assert cid == CID and size_here == size
    return guest.run("cat /tmp/sum").split()[0], sum_here


def host_sends(guest, size=SIZE, port=5001):
    data = os.urandom(size)
    guest.run("rm -f /tmp/end")
    guest.send(f"(vsock-tool receive {port} >/tmp/b; touch /tmp/end) &\n")
    with connect(port) as client:
        client.sendall(data)
    guest.run("wait-for /tmp/end 60")
    return guest.run("md5sum </tmp/b").split()[-2], hashlib.md5(data).hexdigest()


def echo(client, data=b"ping"):
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        got += client.recv(len(data) - len(got)) or b"?"
    return got == data


@pytest.fixture(name="guest", scope="module")
def fixture_guest(tmp_path_factory):
    """One guest for most of the tests. The last ones reset it, and unplug its device."""
    directory = tmp_path_factory.mktemp("vsock")
    with start(directory, *vsock()) as guest:
        guest.directory = directory
        load_driver(guest)
        yield guest
        assert guest.power_off() == 0


@pytest.fixture(name="qmp")
def fixture_qmp(guest):
    with Qmp(guest.directory / "qmp") as qmp:
        yield qmp


def test_connections_both_ways_with_equal_sums(guest):
    assert guest.run("vsock-tool cid") == str(CID)
    there, here = guest_sends(guest)
    assert there == here
    there, here = host_sends(guest)
    assert there == here
    # Nobody listens there.
    with pytest.raises(ConnectionResetError), socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as client:
        client.settimeout(WAIT_MAX)
        client.connect((CID, 7777))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_packets_cost_neither_system_calls_nor_exits(guest, tmp_path):
    """strace sees all threads of the process while data passes: what it sees has nothing to do with packets."""
    log, pid = tmp_path / "strace", guest.process.pid
    guest.run("(vsock-tool echo 5002 &)")
    with connect(5002) as client:
        assert echo(client)
        with traced(guest, log):
            # As many again may come from the calls that strace interrupted.
            assert echo(client)
            before = kvm_stats.counters(pid, "mmio_exits")
            lines = len(log.read_text().splitlines())
            for _ in range(100):
                assert echo(client, b"x" * 4000)
            after = kvm_stats.counters(pid, "mmio_exits")
            seen = log.read_text().splitlines()[lines:]
    # 200 messages and as many credits: one call or exit for each would show.
    assert len(seen) < 40, seen
    if before is not None:
        assert after["mmio_exits"] - before["mmio_exits"] < 40


def test_stop_and_cont_leave_a_connection(guest, qmp):
    guest.run("(vsock-tool echo 5004 &)")
    with connect(5004) as client:
        assert echo(client)
        qmp.run("stop")
        client.sendall(b"while it is stopped")
        client.settimeout(1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        qmp.run("cont")
        client.settimeout(WAIT_MAX)
        assert client.recv(100) == b"while it is stopped"
        assert echo(client)


def is_reset(client):
    """Whether the peer's side is gone, within a bound."""
    client.settimeout(WAIT_MAX)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def unplug(qmp, name="vs1"):
    qmp.run("device_del", id=name)
    qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device=name)


def test_errors_name_the_next_step(guest, qmp):
    status, _, errors = run_pmvm(*linux_options(), *vsock(**{"guest-cid": 2}))
    assert status == 1 and "guest-cid property must be greater than 2\npmvm: hint: " in errors
    away = DEVICE.with_name("vhost-vsock.away")
    DEVICE.rename(away)
    try:
        status, _, errors = run_pmvm(*linux_options(), *vsock())
    finally:
        away.rename(DEVICE)
    assert status == 1
    assert "vhost-vsock: failed to open vhost device: No such file or directory\n" in errors
    assert "modprobe vhost_vsock" in errors
    status, _, errors = run_pmvm(*linux_options(), *vsock())
    assert status == 1
    assert "vhost-vsock: unable to set guest cid: Address already in use\n" in errors
    assert re.search(rf"hint: .*guest-cid={CID}: ", errors)
    assert guest.process.poll() is None
    with pytest.raises(Refused, match="vhost-vsock: unable to set guest cid: Address already in use"):
        qmp.run("device_add", driver="vhost-vsock-pci", id="vs2", **{"guest-cid": CID})
    qmp.run("device_add", driver="vhost-vsock-pci", id="vs2", **{"guest-cid": CID + 1})
    unplug(qmp, "vs2")


def test_a_reset_of_the_guest_closes_its_connections(guest, qmp):
    for command in "monitor", "reboot -f\n":
        guest.run("(vsock-tool echo 5003 &)")
        with connect(5003) as client:
            assert echo(client)
            at = len(guest.output)
            if command == "monitor":
                qmp.run("system_reset")
            else:
                guest.send(command)
            # It sends nothing, and learns of it all the same.
            assert is_reset(client)
        guest.booted(at)
        load_driver(guest)
    there, here = guest_sends(guest, SHORT)
    assert there == here


class Traffic:
    """Echoes without end, until the connection breaks."""

    def __init__(self, port):
        self.client = connect(port)
        self.count = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with contextlib.suppress(OSError):
            while echo(self.client, b"y" * 10000):
                self.count += 1

    def wait(self, count):
        end = time.monotonic() + WAIT_MAX
        while self.count < count:
            assert time.monotonic() < end and self.thread.is_alive(), self.count
            time.sleep(0.05)

    def ended(self):
        self.thread.join(WAIT_MAX)
        assert not self.thread.is_alive()
        self.client.close()


def test_unplugged_under_traffic_and_plugged_again(guest, qmp):
    unplug(qmp)
    before = descriptors(guest)
    for number in range(2):
        qmp.run("device_add", driver="vhost-vsock-pci", id="vs1", **{"guest-cid": CID})
        guest.run("(vsock-tool echo 5005 &)")
        traffic = Traffic(5005)
        traffic.wait(20)
        unplug(qmp)
        traffic.ended()
        guest.run("killall vsock-tool", check=False)
        assert descriptors(guest) == before, number
    for _ in range(5):
        qmp.run("device_add", driver="vhost-vsock-pci", id="vs1", **{"guest-cid": CID})
        guest.run("n=0; until [ -e /sys/bus/virtio/drivers/vmw_vsock_virtio_transport/virtio* ]; do "
                  "n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done")  # fmt: skip
        unplug(qmp)
    assert descriptors(guest) == before


def test_the_pin_ports_and_an_inherited_descriptor_work(tmp_path):
    """Without MSI-X, interrupts pass by the event loop."""
    prefix = ["sh", "-c", f'exec 9<>{DEVICE}; exec "$@"', "sh"]
    card = vsock(vhostfd=9, **{"modern-pio-notify": "on"})
    with start(tmp_path, *card, append="pci=nomsi", prefix=prefix) as guest:
        load_driver(guest)
        assert "IO-APIC" in guest.run("grep virtio /proc/interrupts")
        there, here = guest_sends(guest, SHORT)
        assert there == here
        there, here = host_sends(guest, SHORT)
        assert there == here
        assert guest.power_off() == 0
