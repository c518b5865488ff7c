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
from peer import PEER, PEER_MAC, WAIT_MAX, Peer, connect, listen
from process import descriptors
from tap import guest_sends

SIZE = 1_000_000
SHORT = 200_000
GUEST = "10.78.0.2"


def card(netdev, **properties):
    properties = {"id": "net1"} | properties
    text = "".join(f",{key}={value}" for key, value in properties.items())
    ident = netdev.partition("id=")[2].partition(",")[0]
    return ["-netdev", netdev, "-device", f"virtio-net-pci,netdev={ident}{text}"]


def start(tmp_path, *args, name="qmp", **kwargs):
    return Guest("-qmp", f"unix:{tmp_path}/{name},server=on,wait=off", *args, **kwargs)


def bring_up(guest, address=GUEST, name="eth0", load=True):
    if load:
        guest.run("modprobe virtio_net")
    guest.run(f"wait-for /sys/class/net/{name} 200 && ip addr add {address}/24 dev {name} && ip link set {name} up")


def ping(guest, address=PEER, count=2, size=56):
    output = guest.run(f"ping -c {count} -i 0.1 -s {size} -W 10 {address}")
    assert f"{count} packets received" in output, output


def wait_carrier(guest, value):
    guest.run(
        f"n=0; until [ $(cat /sys/class/net/eth0/carrier) = {value} ]; "
        "do n=$((n+1)); [ $n -lt 600 ] || exit 1; sleep 0.1; done"
    )


def stream(path, server="off", more=""):
    return f"stream,id=n0,server={server},addr.type=unix,addr.path={path}{more}"


def tcp_both_ways(one, other, addresses, port):
    """A file each way between two guests: the sums."""
    for sender, receiver, address in ((one, other, addresses[0]), (other, one, addresses[1])):
        sender.run(f"mkdir -p /tmp/www && head -c {SHORT} /dev/urandom >/tmp/www/a && httpd -p {port} -h /tmp/www")
        receiver.run(f"wget -q -O /tmp/b http://{address}:{port}/a")
        assert receiver.run("wc -c </tmp/b").split()[-1] == str(SHORT)
        assert sender.run("md5sum </tmp/www/a").split()[0] == receiver.run("md5sum </tmp/b").split()[0]


def test_two_machines_on_a_stream_and_on_datagrams(tmp_path):
    one_end, other_end = f"unix,local.path={tmp_path}/a", f"unix,local.path={tmp_path}/b"
    one_cards = [
        *card(stream(tmp_path / "net", "on")),
        *card(f"dgram,id=n1,local.type={one_end},remote.type=unix,remote.path={tmp_path}/b", id="net2"),
    ]
    other_cards = [
        *card(stream(tmp_path / "net"), mac="52:54:00:00:00:02"),
        *card(
            f"dgram,id=n1,local.type={other_end},remote.type=unix,remote.path={tmp_path}/a",
            id="net2",
            mac="52:54:00:00:00:04",
        ),
    ]
    with start(tmp_path, *one_cards) as one, start(tmp_path, *other_cards, name="qmp2") as other:
        for guest, last in (one, 2), (other, 3):
            bring_up(guest, f"10.78.0.{last}")
            bring_up(guest, f"10.79.0.{last}", "eth1")
        for port, net in (5000, "10.78.0"), (5001, "10.79.0"):
            ping(one, f"{net}.3")
            tcp_both_ways(one, other, (f"{net}.2", f"{net}.3"), port)
        assert other.power_off() == 0
        assert one.power_off() == 0
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def frame_for(path):
    """What a program at the path gets first, and from where."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program:
        program.bind(str(path))
        program.settimeout(WAIT_MAX)
        frame, sender = program.recvfrom(65536)
    path.unlink()
    return frame, sender


def test_datagrams_to_a_program_that_comes_later_and_again(tmp_path):
    ends = f"local.type=unix,local.path={tmp_path}/a,remote.type=unix,remote.path={tmp_path}/b"
    with start(tmp_path, *card(f"dgram,id=n0,{ends}"), "-sandbox", "on") as guest:
        bring_up(guest)
        guest.run("(ping 10.78.0.9 >/dev/null 2>&1 &)")
        for _ in range(2):
            frame, sender = frame_for(tmp_path / "b")
            assert frame[6:12] == bytes.fromhex("525400123456"), frame
            assert sender == f"{tmp_path}/a"
        assert guest.power_off() == 0
    assert not (tmp_path / "a").exists()


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


def lease(guest):
    guest.run("modprobe -a virtio_net af_packet; true")
    guest.run(f"[ -e /tmp/dhcp ] || cat >/tmp/dhcp <<'END'\n{DHCP_SCRIPT}\nEND\nchmod +x /tmp/dhcp")
    guest.run("wait-for /sys/class/net/eth0 200 && ip link set eth0 up")
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
            guest.run("wait-for /tmp/end 200")
    assert guest.run("md5sum </tmp/b").split()[0] == hashlib.md5(data).hexdigest()


@pytest.mark.usefixtures("uplink")
def test_a_guest_without_privilege_has_a_network_until_passt_is_killed(tmp_path):
    # Without a sandbox, a passt can also be started later.
    options = [*card("user,id=n0,hostfwd=tcp:127.0.0.1:2299-:5001"), "-sandbox", "off"]
    with start(tmp_path, *options) as guest, Qmp(tmp_path / "qmp") as qmp:
        assert lease(guest) == [USER_GUEST, "24", USER_HOST]
        passt = passt_of(guest)
        guest_sends(guest, SIZE, USER_HOST)
        forwarded(guest)
        guest_fetches(guest)
        at = len(guest.output)
        guest.send("reboot -f\n")
        guest.booted(at)
        assert lease(guest)[0] == USER_GUEST
        guest_sends(guest, SHORT, USER_HOST)
        assert passt_of(guest) == passt
        os.kill(passt, signal.SIGKILL)
        qmp.wait_event("NETDEV_STREAM_DISCONNECTED", WAIT_MAX)
        guest.wait_for_error("netdev n0: passt was killed by signal 9: the guest has no link any more")
        wait_carrier(guest, 0)
        qmp.run("set_link", name="net1", up=True)
        assert guest.run("cat /sys/class/net/eth0/carrier") == "0"
        # Another one takes its place.
        remove(qmp)
        qmp.run("netdev_add", {"type": "user", "id": "n0", "hostfwd": [{"str": "tcp::2299-:5001"}]})
        qmp.run("device_add", driver="virtio-net-pci", netdev="n0", id="net1")
        lease(guest)
        forwarded(guest, size=SHORT)
        passt = passt_of(guest)
        # Without its user, it goes at once.
        qmp.run("netdev_del", id="n0")
        assert is_gone(passt)
        wait_carrier(guest, 0)
        # A machine that ends takes its passt with it.
        qmp.run("device_del", id="net1")
        qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="net1")
        qmp.run("netdev_add", {"type": "user", "id": "n0"})
        passt = passt_of(guest)
        assert guest.power_off() == 0
    assert is_gone(passt)


@pytest.mark.usefixtures("uplink")
def test_errors_of_passt_name_the_next_step(tmp_path):
    with socket.create_server(("0.0.0.0", 2298)):
        status, _, errors = run_pmvm(*linux_options(), "-nic", "user,hostfwd=tcp:0.0.0.0:2298-:22")
    assert status == 1 and "passt did not start: " in errors and "2298" in errors, errors
    status, _, errors = run_pmvm(*linux_options(), "-nic", "user", env={"PATH": str(tmp_path)})
    assert status == 1 and "could not start passt: No such file or directory" in errors
    assert "apt-get install passt" in errors


# ---- one machine, into which the cards are plugged


@pytest.fixture(name="guest", scope="module")
def fixture_guest(tmp_path_factory):
    directory = tmp_path_factory.mktemp("user")
    # For the one with a tap: a sandboxed machine has the device only if it is there at its start.
    if os.geteuid() == 0:
        subprocess.run(["modprobe", "tun"], check=False, capture_output=True)
    with start(directory, cpus=2) as guest:
        guest.directory = directory
        guest.run("modprobe virtio_net")
        yield guest
        assert guest.power_off() == 0


@pytest.fixture(name="qmp")
def fixture_qmp(guest):
    with Qmp(guest.directory / "qmp") as qmp:
        yield qmp


def plug(qmp, path, number=0, server=False, **properties):
    """A card net1 (2, 3, ...) on a stream socket n0 (1, 2, ...)."""
    address = {"type": "unix", "path": str(path)}
    qmp.run("netdev_add", {"type": "stream", "id": f"n{number}", "server": server, "addr": address})
    names = {"netdev": f"n{number}", "id": f"net{number + 1}"}
    qmp.run("device_add", {"driver": "virtio-net-pci"} | names | properties)


def remove(qmp, number=0):
    qmp.run("device_del", id=f"net{number + 1}")
    qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device=f"net{number + 1}")
    qmp.run("netdev_del", id=f"n{number}")


def test_errors_of_sockets(qmp):
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


def test_frames_to_and_from_a_program(guest, qmp, tmp_path):
    with listen(tmp_path / "net") as server:
        plug(qmp, tmp_path / "net", host_mtu=9000)
        peer = Peer(server.accept()[0])
        bring_up(guest)
        assert guest.run("cat /sys/class/net/eth0/mtu") == "9000"
        ping(guest)
        # Mergeable buffers: a frame that takes several of them.
        ping(guest, size=8900)
        features = guest.run("cat /sys/class/net/eth0/device/features")
        assert features[15] == "1" and features[0] == features[1] == features[7] == features[11] == "0"
        remove(qmp)
        assert peer.ended.wait(WAIT_MAX)
        assert peer.frames > 4
        peer.close()


def test_plugged_and_unplugged_with_a_peer(guest, qmp, tmp_path):
    with listen(tmp_path / "net") as server:
        before = descriptors(guest)
        for _ in range(4):
            plug(qmp, tmp_path / "net")
            event = qmp.wait_event("NETDEV_STREAM_CONNECTED", WAIT_MAX)
            assert event["data"] == {"netdev-id": "n0", "addr": {"type": "unix", "path": str(tmp_path / "net")}}
            peer = Peer(server.accept()[0])
            bring_up(guest)
            ping(guest, count=1)
            remove(qmp)
            assert peer.ended.wait(WAIT_MAX)
            peer.close()
            assert descriptors(guest) == before


def test_a_tap_without_vhost(guest, qmp):
    if not shutil.which("ip") or os.geteuid() != 0:
        pytest.skip("this needs root and the program ip")
    subprocess.run(["ip", "tuntap", "add", "dev", "pmvmtap9", "mode", "tap", "vnet_hdr", "multi_queue"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", f"{PEER}/24", "dev", "pmvmtap9"], check=True)
        subprocess.run(["ip", "link", "set", "pmvmtap9", "up"], check=True)
        netdev = {"ifname": "pmvmtap9", "script": "no", "downscript": "no", "vhost": False, "queues": 2}
        qmp.run("netdev_add", {"type": "tap", "id": "n0"} | netdev)
        qmp.run("device_add", {"driver": "virtio-net-pci", "netdev": "n0", "id": "net1", "mq": True})
        bring_up(guest)
        ping(guest)
        guest_sends(guest, SHORT, PEER)
        # The interface goes, and nothing else.
        subprocess.run(["ip", "link", "del", "pmvmtap9"], check=True)
        remove(qmp)
    finally:
        subprocess.run(["ip", "link", "del", "pmvmtap9"], check=False, capture_output=True)


def test_a_flood_hurts_nobody_else(guest, qmp, tmp_path):
    """A peer that sends without end, and reads nothing: the guest's other card and the monitor go on."""
    plug(qmp, tmp_path / "net", server=True)
    guest.run("wait-for /sys/class/net/eth0 200; ip link set eth0 up; ip addr add 10.79.0.2/24 dev eth0")
    plug(qmp, tmp_path / "b", 1, server=True)
    flooding = connect(tmp_path / "net")
    flooding.settimeout(0.2)
    peer = Peer(connect(tmp_path / "b"))
    bring_up(guest, name="eth1")
    ping(guest, count=1)
    stop = threading.Event()

    def flood():
        frame = struct.pack("!I", 1014) + b"\xff" * 6 + PEER_MAC + b"\x88\xb5" + b"z" * 1000
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                flooding.send(frame * 50)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    # Not a child of the shell, which ends when one does while it waits for a command.
    guest.run("(ping -q -s 1400 -i 0.01 10.79.0.9 >/dev/null 2>&1 & echo $! >/tmp/ping)")
    ping(guest, count=5)
    qmp.run("query-status")
    stop.set()
    thread.join(WAIT_MAX)
    guest.run("kill $(cat /tmp/ping)")
    peer.close()
    flooding.close()
    remove(qmp, 1)
    remove(qmp)


def test_peers_come_and_go(guest, qmp, tmp_path):
    """A server takes the next peer after one that hung up, or sent nonsense; and a link that is down drops frames."""
    plug(qmp, tmp_path / "net", server=True)
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
    guest.wait_for_error("a frame is longer than any can be")
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
    remove(qmp)
    peer.close()
