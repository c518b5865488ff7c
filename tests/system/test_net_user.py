"""Networks without the kernel's vhost: sockets between machines and programs, and passt, with a Linux guest.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request

import pytest

from machine import Guest, linux_options, run_pmvm
from monitor import Qmp, Refused

WAIT_MAX = 60
SIZE = 4_000_000
PEER, GUEST = "10.78.0.1", "10.78.0.2"
PEER_MAC = bytes.fromhex("020000000077")


def card(netdev, **properties):
    properties = {"id": "net1"} | properties
    text = "".join(f",{key}={value}" for key, value in properties.items())
    ident = netdev.partition("id=")[2].partition(",")[0]
    return ["-netdev", netdev, "-device", f"virtio-net-pci,netdev={ident}{text}"]


def start(tmp_path, *args, name="qmp", **kwargs):
    return Guest("-qmp", f"unix:{tmp_path}/{name},server=on,wait=off", *args, **kwargs)


def bring_up(guest, address=GUEST, load=True):
    if load:
        guest.run("modprobe virtio_net")
    guest.run(f"wait-for /sys/class/net/eth0 60 && ip addr add {address}/24 dev eth0 && ip link set eth0 up")


def ping(guest, address=PEER, count=3, size=56):
    output = guest.run(f"ping -c {count} -s {size} -W 10 {address}")
    assert f"{count} packets received" in output, output


def wait_carrier(guest, value):
    guest.run(
        f"n=0; until [ $(cat /sys/class/net/eth0/carrier) = {value} ]; "
        "do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done"
    )


def checksum(data):
    words = sum(struct.unpack(f"!{len(data) // 2}H", data))
    words = (words >> 16) + (words & 0xFFFF)
    return ~(words + (words >> 16)) & 0xFFFF


class Peer:
    """The other side of a stream socket: it answers ARP and ping for one address, and counts frames."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.settimeout(WAIT_MAX)
        self.frames = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _receive(self, size):
        data = b""
        while len(data) < size:
            more = self.stream.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def send(self, frame):
        self.stream.sendall(struct.pack("!I", len(frame)) + frame)

    def _run(self):
        with contextlib.suppress(EOFError, OSError):
            while True:
                (size,) = struct.unpack("!I", self._receive(4))
                assert 14 <= size <= 69632
                frame = self._receive(size)
                self.frames += 1
                answer = self.answer(frame)
                if answer:
                    self.send(answer)
        self.ended.set()

    def answer(self, frame):
        kind = frame[12:14]
        if kind == b"\x08\x06" and frame[20:22] == b"\x00\x01" and frame[38:42] == socket.inet_aton(PEER):
            return (
                frame[6:12] + PEER_MAC + kind + frame[14:20] + b"\x00\x02" + PEER_MAC + frame[38:42] + frame[22:32]
            )  # fmt: skip
        if kind == b"\x08\x00" and frame[23] == 1 and frame[34] == 8:
            header, echo = frame[14:34], b"\x00\x00\x00\x00" + frame[38:]
            echo = echo[:2] + struct.pack("!H", checksum(echo + b"\0" * (len(echo) % 2))) + echo[4:]
            return frame[6:12] + PEER_MAC + kind + header[:12] + header[16:20] + header[12:16] + echo
        return None

    def close(self):
        with contextlib.suppress(OSError):
            self.stream.shutdown(socket.SHUT_RDWR)
        self.stream.close()
        self.thread.join(WAIT_MAX)


def connect(path):
    end = time.monotonic() + WAIT_MAX
    while True:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(str(path))
            return stream
        except OSError:
            stream.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def listen(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(4)
    server.settimeout(WAIT_MAX)
    return server


def stream(path, server="off", more=""):
    return f"stream,id=n0,server={server},addr.type=unix,addr.path={path}{more}"


def test_frames_to_and_from_a_program(tmp_path):
    with listen(tmp_path / "net") as server:
        with start(tmp_path, *card(stream(tmp_path / "net"), host_mtu=9000)) as guest:
            peer = Peer(server.accept()[0])
            bring_up(guest)
            assert guest.run("cat /sys/class/net/eth0/mtu") == "9000"
            ping(guest)
            # Mergeable buffers: a frame that takes several of them.
            ping(guest, size=8900)
            features = guest.run("cat /sys/class/net/eth0/device/features")
            assert features[15] == "1" and features[0] == features[1] == features[7] == features[11] == "0"
            assert guest.power_off() == 0
        peer.ended.wait(WAIT_MAX)
        assert peer.frames > 6
        peer.close()


def tcp_both_ways(one, other, size=SIZE):
    """A file each way between two guests: the sums."""
    for sender, receiver, address in ((one, other, GUEST), (other, one, "10.78.0.3")):
        sender.run(f"mkdir -p /tmp/www && head -c {size} /dev/urandom >/tmp/www/a && httpd -p 5000 -h /tmp/www")
        receiver.run(f"wget -q -O /tmp/b http://{address}:5000/a")
        assert receiver.run("wc -c </tmp/b").split()[-1] == str(size)
        assert sender.run("md5sum </tmp/www/a").split()[0] == receiver.run("md5sum </tmp/b").split()[0]


def test_two_machines_on_a_stream(tmp_path):
    path = tmp_path / "net"
    with start(tmp_path, *card(stream(path, "on"))) as one:
        with start(tmp_path, *card(stream(path), mac="52:54:00:00:00:02"), name="qmp2") as other:
            bring_up(one)
            bring_up(other, "10.78.0.3")
            ping(one, "10.78.0.3")
            tcp_both_ways(one, other)
            assert other.power_off() == 0
        assert one.power_off() == 0


# ---- passt

USER_GUEST, USER_HOST = "10.0.2.15", "10.0.2.2"
DHCP_SCRIPT = """#!/bin/sh
case $1 in bound)
    ip addr add $ip/$mask dev $interface
    ip route add default via $router
    echo nameserver $dns >/etc/resolv.conf
    echo $ip $mask $router >/tmp/lease
esac
"""


@pytest.fixture(name="uplink")
def make_uplink():
    """passt takes IPv4 for usable where there is a default route."""
    if not shutil.which("passt") or not shutil.which("ip") or os.geteuid() != 0:
        pytest.skip("this needs root and the programs ip and passt: tools/install-packages test")
    added = not subprocess.run(["ip", "route", "show", "default"], capture_output=True, check=True).stdout
    if added:
        subprocess.run(["modprobe", "dummy", "numdummies=0"], check=False)
        for words in ("link add uplink type dummy", "addr add 10.99.0.9/24 dev uplink", "link set uplink up",
                      "route add default via 10.99.0.1"):  # fmt: skip
            subprocess.run(["ip", *words.split()], check=True)
    yield
    if added:
        subprocess.run(["ip", "link", "del", "uplink"], check=True)


def lease(guest, load=True):
    if load:
        guest.run("modprobe virtio_net; modprobe af_packet; true")
        guest.run(f"cat >/tmp/dhcp <<'END'\n{DHCP_SCRIPT}\nEND\nchmod +x /tmp/dhcp")
    guest.run("wait-for /sys/class/net/eth0 60 && ip link set eth0 up")
    guest.run("rm -f /tmp/lease; udhcpc -i eth0 -s /tmp/dhcp -n -q -t 10")
    return guest.run("cat /tmp/lease").split()


def passt_of(guest):
    children = pathlib.Path(f"/proc/{guest.process.pid}/task/{guest.process.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def is_gone(pid):
    end = time.monotonic() + WAIT_MAX
    while pathlib.Path(f"/proc/{pid}").exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def receive_all(client):
    digest, size = hashlib.md5(), 0
    while data := client.recv(1 << 16):
        digest.update(data)
        size += len(data)
    return digest.hexdigest(), size


def guest_sends(guest, host=USER_HOST, size=SIZE, port=5005):
    with socket.create_server(("0.0.0.0", port)) as server:
        server.settimeout(WAIT_MAX)
        guest.run(f"head -c {size} /dev/urandom >/tmp/a")
        guest.send(f"nc {host} {port} </tmp/a\n")
        client, _ = server.accept()
        with client:
            client.settimeout(WAIT_MAX)
            digest, size_here = receive_all(client)
    assert size_here == size
    assert guest.run("md5sum </tmp/a").split()[-2] == digest


def forwarded(guest, port=2299, size=SIZE):
    """A file of the guest, which the host fetches at the forwarded port."""
    guest.run(f"mkdir -p /tmp/www && head -c {size} /dev/urandom >/tmp/www/a && httpd -p 5001 -h /tmp/www")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/a", timeout=WAIT_MAX) as answer:
        data = answer.read()
    assert len(data) == size
    assert guest.run("md5sum </tmp/www/a").split()[0] == hashlib.md5(data).hexdigest()


def guest_fetches(guest, size=SIZE):
    """The host sends, in a connection of the guest."""
    data = os.urandom(size)
    with socket.create_server(("127.0.0.1", 5006)) as server:
        server.settimeout(WAIT_MAX)
        guest.send(f"rm -f /tmp/end; wget -q -O /tmp/b http://{USER_HOST}:5006/; touch /tmp/end\n")
        client, _ = server.accept()
        with client:
            client.settimeout(WAIT_MAX)
            client.recv(4096)
            client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % size + data)
            guest.run("wait-for /tmp/end 60")
    assert guest.run("md5sum </tmp/b").split()[0] == hashlib.md5(data).hexdigest()


@pytest.mark.usefixtures("uplink")
def test_a_guest_without_privilege_has_a_network(tmp_path):
    with start(tmp_path, *card("user,id=n0,hostfwd=tcp:127.0.0.1:2299-:5001")) as guest:
        assert lease(guest) == [USER_GUEST, "24", USER_HOST]
        passt = passt_of(guest)
        guest_sends(guest)
        forwarded(guest)
        guest_fetches(guest)
        at = len(guest.output)
        guest.send("reboot -f\n")
        guest.booted(at)
        assert lease(guest)[0] == USER_GUEST
        guest_sends(guest, size=100_000)
        assert passt_of(guest) == passt
        assert guest.power_off() == 0
    assert is_gone(passt)


@pytest.mark.usefixtures("uplink")
def test_passt_that_is_killed_is_reported(tmp_path):
    with start(tmp_path, *card("user,id=n0")) as guest, Qmp(tmp_path / "qmp") as qmp:
        lease(guest)
        os.kill(passt_of(guest), signal.SIGKILL)
        qmp.wait_event("NETDEV_STREAM_DISCONNECTED", WAIT_MAX)
        assert "netdev n0: passt was killed by signal 9: the guest has no link any more" in guest.error_text
        wait_carrier(guest, 0)
        qmp.run("set_link", name="net1", up=True)
        assert guest.run("cat /sys/class/net/eth0/carrier") == "0"
        # Another one takes its place.
        qmp.run("device_del", id="net1")
        qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="net1")
        qmp.run("netdev_del", id="n0")
        qmp.run("netdev_add", {"type": "user", "id": "n0", "hostfwd": [{"str": "tcp::2299-:5001"}]})
        qmp.run("device_add", driver="virtio-net-pci", netdev="n0", id="net1")
        lease(guest, load=False)
        forwarded(guest, size=100_000)
        passt = passt_of(guest)
        # Without its user, it goes at once.
        qmp.run("netdev_del", id="n0")
        assert is_gone(passt)
        wait_carrier(guest, 0)
        assert guest.power_off() == 0


@pytest.mark.usefixtures("uplink")
def test_errors_of_passt_name_the_next_step(tmp_path):
    with socket.create_server(("0.0.0.0", 2298)):
        status, _, errors = run_pmvm(*linux_options(), "-nic", "user,hostfwd=tcp:0.0.0.0:2298-:22")
    assert status == 1 and "passt did not start: " in errors and "2298" in errors, errors
    status, _, errors = run_pmvm(*linux_options(), "-nic", "user", env={"PATH": str(tmp_path)})
    assert status == 1 and "could not start passt: No such file or directory" in errors
    assert "apt-get install passt" in errors


# ---- sockets, once more


def descriptors(vm):
    return sorted(os.readlink(entry) for entry in pathlib.Path(f"/proc/{vm.process.pid}/fd").iterdir())


def test_plugged_and_unplugged_with_a_peer(tmp_path):
    with listen(tmp_path / "net") as server, start(tmp_path) as guest, Qmp(tmp_path / "qmp") as qmp:
        guest.run("modprobe virtio_net")
        before = descriptors(guest)
        for _ in range(10):
            address = {"type": "unix", "path": str(tmp_path / "net")}
            qmp.run("netdev_add", {"type": "stream", "id": "n0", "server": False, "addr": address})
            event = qmp.wait_event("NETDEV_STREAM_CONNECTED", WAIT_MAX)
            assert event["data"] == {"netdev-id": "n0", "addr": address}
            peer = Peer(server.accept()[0])
            qmp.run("device_add", driver="virtio-net-pci", netdev="n0", id="net1")
            bring_up(guest, load=False)
            ping(guest, count=1)
            qmp.run("device_del", id="net1")
            qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="net1")
            qmp.run("netdev_del", id="n0")
            assert peer.ended.wait(WAIT_MAX)
            peer.close()
            assert descriptors(guest) == before
        assert guest.power_off() == 0


def test_peers_come_and_go(tmp_path):
    """A server takes the next peer after one that hung up, or sent nonsense; and a link that is down drops frames."""
    with start(tmp_path, *card(stream(tmp_path / "net", "on"))) as guest, Qmp(tmp_path / "qmp") as qmp:
        peer = Peer(connect(tmp_path / "net"))
        bring_up(guest)
        ping(guest)
        peer.close()
        qmp.wait_event("NETDEV_STREAM_DISCONNECTED", WAIT_MAX)
        # In the middle of a frame.
        for nonsense in (b"\xff\xff\xff\xffabc", struct.pack("!I", 100) + b"x" * 50):
            hostile = connect(tmp_path / "net")
            qmp.wait_event("NETDEV_STREAM_CONNECTED", WAIT_MAX)
            hostile.sendall(nonsense)
            hostile.shutdown(socket.SHUT_WR)
            qmp.wait_event("NETDEV_STREAM_DISCONNECTED", WAIT_MAX)
            hostile.close()
        assert "a frame is longer than any can be" in guest.error_text
        peer = Peer(connect(tmp_path / "net"))
        ping(guest)
        qmp.run("set_link", name="net1", up=False)
        wait_carrier(guest, 0)
        # More than the socket holds: nobody waits for the guest.
        for _ in range(2000):
            peer.send(b"\xff" * 6 + PEER_MAC + b"\x88\xb5" + b"z" * 1000)
        qmp.run("set_link", name="n0", up=True)
        wait_carrier(guest, 1)
        ping(guest)
        for _ in range(3):
            qmp.run("stop")
            qmp.run("cont")
            ping(guest, count=1)
        at = len(guest.output)
        qmp.run("system_reset")
        guest.booted(at)
        bring_up(guest)
        ping(guest)
        assert guest.power_off() == 0
        peer.close()


def test_a_flood_hurts_nobody_else(tmp_path):
    """A peer that sends without end, and reads nothing: the guest's other card and the monitor go on."""
    cards = [
        *card(stream(tmp_path / "net", "on")),
        *card(f"stream,id=n1,server=on,addr.type=unix,addr.path={tmp_path}/b", id="net2"),
    ]
    with start(tmp_path, *cards, cpus=2) as guest, Qmp(tmp_path / "qmp") as qmp:
        flooding = connect(tmp_path / "net")
        flooding.settimeout(0.2)
        peer = Peer(connect(tmp_path / "b"))
        guest.run("modprobe virtio_net; wait-for /sys/class/net/eth1 60; ip link set eth0 up; ip link set eth1 up")
        guest.run(f"ip addr add 10.79.0.2/24 dev eth0; ip addr add {GUEST}/24 dev eth1; ping -c 1 -W 10 {PEER}")
        stop = threading.Event()

        def flood():
            frame = struct.pack("!I", 1014) + b"\xff" * 6 + PEER_MAC + b"\x88\xb5" + b"z" * 1000
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    flooding.send(frame * 50)

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        guest.send("ping -q -s 1400 -i 0.01 10.79.0.9 >/dev/null 2>&1 &\n")
        ping(guest, count=5)
        qmp.run("query-status")
        stop.set()
        thread.join(WAIT_MAX)
        assert guest.power_off() == 0
        peer.close()
        flooding.close()


def test_two_machines_on_datagrams(tmp_path):
    one_end, other_end = f"unix,local.path={tmp_path}/a", f"unix,local.path={tmp_path}/b"
    one_card = card(f"dgram,id=n0,local.type={one_end},remote.type=unix,remote.path={tmp_path}/b")
    other_card = card(
        f"dgram,id=n0,local.type={other_end},remote.type=unix,remote.path={tmp_path}/a", mac="52:54:00:00:00:02"
    )
    with start(tmp_path, *one_card) as one, start(tmp_path, *other_card, name="qmp2") as other:
        bring_up(one)
        bring_up(other, "10.78.0.3")
        ping(one, "10.78.0.3")
        tcp_both_ways(one, other, 1_000_000)
        assert other.power_off() == 0
        assert one.power_off() == 0
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_a_tap_without_vhost(tmp_path):
    if not shutil.which("ip") or os.geteuid() != 0:
        pytest.skip("this needs root and the program ip")
    subprocess.run(["modprobe", "tun"], check=False)
    subprocess.run(["ip", "tuntap", "add", "dev", "pmvmtap9", "mode", "tap", "vnet_hdr", "multi_queue"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", f"{PEER}/24", "dev", "pmvmtap9"], check=True)
        subprocess.run(["ip", "link", "set", "pmvmtap9", "up"], check=True)
        options = card("tap,id=n0,ifname=pmvmtap9,script=no,downscript=no,vhost=off,queues=2", mq="on")
        with start(tmp_path, *options, cpus=2) as guest:
            bring_up(guest)
            ping(guest)
            guest_sends(guest, PEER, 1_000_000)
            # The interface goes, and nothing else.
            subprocess.run(["ip", "link", "del", "pmvmtap9"], check=True)
            assert guest.power_off() == 0
    finally:
        subprocess.run(["ip", "link", "del", "pmvmtap9"], check=False, capture_output=True)


def test_errors_of_sockets(tmp_path):
    with start(tmp_path) as guest, Qmp(tmp_path / "qmp") as qmp:
        where = {"type": "unix", "path": "/nonexistent/net"}
        with pytest.raises(Refused, match="No such file or directory"):
            qmp.run("netdev_add", {"type": "stream", "id": "n0", "server": True, "addr": where})
        qmp.run("netdev_add", {"type": "stream", "id": "n0", "server": False, "addr": where})
        with pytest.raises(Refused, match="Duplicate ID 'n0'"):
            qmp.run("netdev_add", {"type": "user", "id": "n0"})
        with pytest.raises(Refused, match="is not a socket"):
            qmp.run("netdev_add", {"type": "stream", "id": "n1", "addr": {"type": "fd", "str": "0"}})
        with pytest.raises(Refused, match="is not supported"):
            qmp.run("netdev_add", {"type": "user", "id": "n1", "restrict": True})
        qmp.run("netdev_del", id="n0")
        assert guest.power_off() == 0
