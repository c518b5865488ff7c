"""virtio-net-pci on a tap with the kernel's vhost: packets between the host and a Linux guest.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

import kvm_stats
from machine import Guest, linux_options, run_pmvm
from monitor import Hmp, Qmp, Refused

SIZE = 10_000_000
WAIT_MAX = 60
HOST, GUEST = "10.77.0.1", "10.77.0.2"
MAC = "52:54:00:aa:bb:cc"
VHOST = pathlib.Path("/dev/vhost-net")
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 2, 0x1000, 0x4000


def run_ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module", autouse=True)
def modules_are_loaded():
    subprocess.run(["modprobe", "-a", "tun", "vhost_net"], check=False, capture_output=True)
    if not VHOST.exists() or os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("this needs root, the program ip and /dev/vhost-net: modprobe vhost_net")


@pytest.fixture(name="tap")
def make_tap():
    """An interface with an address, which the machine finds."""
    with interface("pmvmtap0") as name:
        yield name


@contextlib.contextmanager
def interface(name, *flags):
    run_ip("tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr", *flags)
    try:
        run_ip("addr", "add", f"{HOST}/24", "dev", name)
        run_ip("link", "set", name, "up")
        yield name
    finally:
        subprocess.run(["ip", "link", "del", name], check=False)


def network(tap=None, netdev=(), **properties):
    properties = {"netdev": "n0", "id": "net1", "mac": MAC} | properties
    netdev = (
        {"id": "n0"}
        | ({"ifname": tap, "script": "no", "downscript": "no", "vhost": "on"} if tap else {})
        | dict(netdev)
    )

    def text(parts):
        return "".join(f",{key}={value}" for key, value in parts.items())

    return ["-netdev", "tap" + text(netdev), "-device", "virtio-net-pci" + text(properties)]


def start(tmp_path, *args, **kwargs):
    return Guest("-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", *args, **kwargs)


def bring_up(guest, address=GUEST, name="eth0", load=True):
    if load:
        guest.run("modprobe virtio_net")
    guest.run(f"wait-for /sys/class/net/{name} 60 && ip addr add {address}/24 dev {name} && ip link set {name} up")


def ping(guest, address=HOST, count=3):
    output = guest.run(f"ping -c {count} -W 5 {address}")
    assert f"{count} packets received" in output, output


def descriptors(vm):
    return sorted(os.readlink(entry) for entry in pathlib.Path(f"/proc/{vm.process.pid}/fd").iterdir())


def receive_all(client):
    digest, size = hashlib.md5(), 0
    while data := client.recv(1 << 16):
        digest.update(data)
        size += len(data)
    return digest.hexdigest(), size


def guest_sends(guest, size=SIZE, address=HOST, port=5000):
    with socket.create_server((address, port)) as server:
        server.settimeout(WAIT_MAX)
        guest.run(f"head -c {size} /dev/urandom >/tmp/a && md5sum /tmp/a >/tmp/sum")
        guest.send(f"nc {address} {port} </tmp/a\n")
        client, _ = server.accept()
        with client:
            client.settimeout(WAIT_MAX)
            sum_here, size_here = receive_all(client)
    assert size_here == size
    return guest.run("cat /tmp/sum").split()[0], sum_here


def connect(port, address=GUEST):
    end = time.monotonic() + WAIT_MAX
    while True:
        try:
            return socket.create_connection((address, port), WAIT_MAX)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def host_sends(guest, size=SIZE, address=GUEST, port=5001):
    data = os.urandom(size)
    guest.run("rm -f /tmp/end")
    guest.send(f"(nc -l -p {port} </dev/null >/tmp/b; touch /tmp/end) &\n")
    with connect(port, address) as client:
        client.sendall(data)
    guest.run("wait-for /tmp/end 60")
    return guest.run("md5sum </tmp/b").split()[-2], hashlib.md5(data).hexdigest()


def check_sums(guest, size=SIZE, host=HOST, address=GUEST):
    there, here = guest_sends(guest, size, host)
    assert there == here
    there, here = host_sends(guest, size, address)
    assert there == here


def test_packets_both_ways_with_equal_sums(tmp_path, tap):
    with start(tmp_path, *network(tap, host_mtu=1400)) as guest:
        bring_up(guest)
        assert guest.run("cat /sys/class/net/eth0/address") == MAC
        assert guest.run("cat /sys/class/net/eth0/mtu") == "1400"
        assert guest.run("cat /sys/class/net/eth0/carrier") == "1"
        ping(guest)
        assert MAC in run_ip("neigh", "show", "dev", tap)
        check_sums(guest)
        # Segments are larger than a frame where both sides can do that: VIRTIO_NET_F_HOST_TSO4 and GUEST_TSO4.
        features = guest.run("cat /sys/class/net/eth0/device/features")
        assert features[11] == features[7] == features[0] == features[1] == "1"
        guest.run("ip link set eth0 down && ip link set eth0 address 52:54:00:11:22:33 && ip link set eth0 up")
        ping(guest)
        assert guest.power_off() == 0


def test_the_pin_works(tmp_path, tap):
    """Without MSI-X, interrupts pass by the event loop."""
    with start(tmp_path, *network(tap), append="pci=nomsi") as guest:
        bring_up(guest)
        ping(guest)
        check_sums(guest, 1_000_000)
        assert guest.power_off() == 0


def test_features_that_are_off_are_not_used(tmp_path, tap):
    off = dict.fromkeys(("csum", "guest_csum", "mrg_rxbuf", "ctrl_vq", "event_idx", "indirect_desc"), "off")
    with start(tmp_path, *network(tap, {"vnet_hdr": "off"}, **off)) as guest:
        bring_up(guest)
        features = guest.run("cat /sys/class/net/eth0/device/features")
        assert features[0] == features[1] == features[15] == features[17] == features[29] == features[28] == "0"
        ping(guest)
        check_sums(guest, 1_000_000)
        assert guest.power_off() == 0


def wait_carrier(guest, value):
    guest.run(
        f"n=0; until [ $(cat /sys/class/net/eth0/carrier) = {value} ]; "
        "do n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done"
    )


def test_a_link_goes_down_and_up(tmp_path, tap):
    with start(tmp_path, *network(tap)) as guest, Qmp(tmp_path / "qmp") as qmp:
        bring_up(guest)
        ping(guest)
        qmp.run("set_link", name="net1", up=False)
        wait_carrier(guest, 0)
        status, output = guest.run(f"ping -c 2 -W 1 {HOST}", check=False)
        assert status != 0, output
        qmp.run("set_link", name="n0", up=True)
        wait_carrier(guest, 1)
        ping(guest)
        check_sums(guest, 1_000_000)
        with pytest.raises(Refused, match="Device 'nope' not found"):
            qmp.run("set_link", name="nope", up=True)
        # The back end goes, and the card stays without a link.
        qmp.run("netdev_del", id="n0")
        wait_carrier(guest, 0)
        qmp.run("set_link", name="net1", up=True)
        assert guest.run("cat /sys/class/net/eth0/carrier") == "0"
        assert guest.power_off() == 0


def test_several_queues(tmp_path):
    with interface("pmvmtap1", "multi_queue") as tap:
        with start(tmp_path, *network(tap, {"queues": 4}, mq="on", vectors=10), cpus=2) as guest:
            bring_up(guest)
            # Linux takes one pair for each processor, of the four that there are.
            assert guest.run("ls -d /sys/class/net/eth0/queues/rx-* | wc -l") == "2"
            ping(guest)
            check_sums(guest, 2_000_000)
            assert "-input.3" in guest.run("grep virtio /proc/interrupts")
            # A new affinity masks and unmasks the vector while packets come.
            traffic = Traffic()
            for processor in (1, 2) * 20:
                guest.run(
                    "for irq in $(grep -E 'input|output' /proc/interrupts | cut -d: -f1); do "
                    f"echo {processor} >/proc/irq/$irq/smp_affinity; done"
                )
            traffic.end()
            ping(guest)
            check_sums(guest, 1_000_000)
            assert guest.power_off() == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_packets_cost_neither_system_calls_nor_exits(tmp_path, tap):
    """strace sees all threads of the process while packets pass: what it sees has nothing to do with them."""
    log = tmp_path / "strace"
    with start(tmp_path, *network(tap)) as guest:
        bring_up(guest)
        ping(guest)
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", log, "-p", str(guest.process.pid)], start_new_session=True
        )
        try:
            time.sleep(2)
            before = kvm_stats.counters(guest.process.pid, "mmio_exits")
            lines = len(log.read_text().splitlines())
            flood()
            after = kvm_stats.counters(guest.process.pid, "mmio_exits")
            seen = log.read_text().splitlines()[lines:]
        finally:
            tracer.terminate()
            tracer.wait(WAIT_MAX)
        assert len(seen) < 60, seen
        if before is not None:
            assert after["mmio_exits"] - before["mmio_exits"] < 60
        assert guest.power_off() == 0


def flood(count=300):
    """Echo requests, as ping sends them: each answer comes before the next one goes."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(WAIT_MAX)
        for number in range(count):
            message = struct.pack("!BBHHH", 8, 0, 0, 77, number) + b"x" * 56
            words = sum(struct.unpack(f"!{len(message) // 2}H", message))
            check = ~((words >> 16) + (words & 0xFFFF) + ((words >> 16) + (words & 0xFFFF) >> 16)) & 0xFFFF
            raw.sendto(message[:2] + struct.pack("!H", check) + message[4:], (GUEST, 0))
            while True:
                answer = raw.recv(2048)[20:]
                if answer[0] == 0 and struct.unpack("!HH", answer[4:8]) == (77, number):
                    break


class Traffic:
    """Echo requests without end."""

    def __init__(self):
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            while not self.ends.is_set():
                with contextlib.suppress(OSError):
                    udp.sendto(b"z" * 1000, (GUEST, 9))
                time.sleep(0.0005)

    def end(self):
        self.ends.set()
        self.thread.join(WAIT_MAX)


def plug(qmp, tap):
    qmp.run("netdev_add", {"type": "tap", "id": "n0", "ifname": tap, "script": "no", "vhost": True})
    qmp.run("device_add", driver="virtio-net-pci", netdev="n0", id="net1", mac=MAC)


def unplug(qmp):
    qmp.run("device_del", id="net1")
    qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="net1")
    qmp.run("netdev_del", id="n0")


def test_unplugged_under_traffic_and_plugged_again(tmp_path, tap):
    with start(tmp_path) as guest, Qmp(tmp_path / "qmp") as qmp:
        guest.run("modprobe virtio_net")
        before = descriptors(guest)
        for number in range(20):
            plug(qmp, tap)
            bring_up(guest, load=False)
            ping(guest, count=1)
            traffic = Traffic()
            time.sleep(0.3)
            unplug(qmp)
            traffic.end()
            assert descriptors(guest) == before, number
        assert guest.power_off() == 0


def test_reset_stop_and_cont_under_traffic(tmp_path, tap):
    with start(tmp_path, *network(tap)) as guest, Qmp(tmp_path / "qmp") as qmp:
        bring_up(guest)
        traffic = Traffic()
        for _ in range(3):
            qmp.run("stop")
            time.sleep(0.5)
            qmp.run("cont")
            ping(guest)
        at = len(guest.output)
        qmp.run("system_reset")
        guest.booted(at)
        bring_up(guest)
        ping(guest)
        traffic.end()
        check_sums(guest, 1_000_000)
        assert guest.power_off() == 0


def test_pmem_comes_and_goes_while_packets_pass(tmp_path, tap):
    """Each window is a region of the memory table, which changes while the kernel uses it."""
    with start(tmp_path, *network(tap)) as guest, Qmp(tmp_path / "qmp") as qmp:
        bring_up(guest)
        traffic = Traffic()
        for _ in range(5):
            path = str(tmp_path / "a.img")
            backend = {"qom-type": "memory-backend-file", "id": "m1", "share": True, "mem-path": path}
            qmp.run("object-add", backend | {"size": 32 << 20})
            qmp.run("device_add", driver="virtio-pmem-pci", id="nv1", memdev="m1")
            guest.run("wait-for /dev/pmem0 60")
            ping(guest, count=1)
            qmp.run("device_del", id="nv1")
            qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="nv1")
            qmp.run("object-del", id="m1")
        traffic.end()
        ping(guest)
        assert guest.power_off() == 0


def test_more_regions_than_the_kernel_takes(tmp_path, tap):
    limit = int(pathlib.Path("/sys/module/vhost/parameters/max_mem_regions").read_text())
    if limit > 64:
        pytest.skip(f"the module takes {limit} regions here")
    pmems = []
    for number in range(limit):
        pmems += ["-pmem", f"{tmp_path}/{number}.img,size=2M"]
    status, _, errors = run_pmvm(*linux_options(), *pmems, *network(tap))
    assert status == 1
    assert "vhost backend memory slots limit is less than current number of present memory slots\n" in errors
    status, _, errors = run_pmvm(*linux_options(), *network(tap, addr=5), *pmems)
    assert status == 1
    assert "a used vhost backend has no free memory slots left\n" in errors and "max_mem_regions" in errors


# Opens a tap and a vhost device as descriptors 7 and 8, and becomes the program of its arguments.
INHERIT = f"""
import fcntl, os, struct, sys
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, {TUNSETIFF}, struct.pack("16sH22x", sys.argv[1].encode(), {IFF_TAP | IFF_NO_PI | IFF_VNET_HDR}))
os.dup2(tun, 7)
os.dup2(os.open("/dev/vhost-net", os.O_RDWR), 8)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_descriptors_are_inherited(tmp_path, tap):
    prefix = ["python3", "-c", INHERIT, tap]
    with start(tmp_path, *network(netdev={"fd": 7, "vhostfd": 8}), prefix=prefix) as guest, Qmp(
        tmp_path / "qmp"
    ) as qmp:
        bring_up(guest)
        check_sums(guest, 1_000_000)
        # The descriptors are the netdev's: the next card has them as well.
        qmp.run("device_del", id="net1")
        qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="net1")
        qmp.run("device_add", driver="virtio-net-pci", netdev="n0", id="net2")
        bring_up(guest, load=False)
        ping(guest)
        assert guest.power_off() == 0


def test_errors_name_the_next_step(tmp_path, tap):
    away = VHOST.with_name("vhost-net.away")
    VHOST.rename(away)
    try:
        status, _, errors = run_pmvm(*linux_options(), *network(tap))
    finally:
        away.rename(VHOST)
    assert status == 1 and "tap: open vhost char device failed: No such file or directory\n" in errors
    assert "modprobe vhost_net" in errors
    with start(tmp_path, *network(tap), "-monitor", f"unix:{tmp_path}/hmp,server=on,wait=off") as guest:
        status, _, errors = run_pmvm(*linux_options(), *network(tap))
        assert status == 1
        assert f"could not configure /dev/net/tun ({tap}): Device or resource busy\n" in errors
        assert "another program has it" in errors
        with Qmp(tmp_path / "qmp") as qmp, Hmp(tmp_path / "hmp") as hmp:
            with pytest.raises(Refused, match="Duplicate ID 'n0'"):
                qmp.run("netdev_add", {"type": "tap", "id": "n0"})
            with pytest.raises(Refused, match="can't find value 'nope'"):
                qmp.run("device_add", driver="virtio-net-pci", netdev="nope")
            with pytest.raises(Refused, match="can't take value 'n0', it's in use"):
                qmp.run("device_add", driver="virtio-net-pci", netdev="n0")
            assert "no peer" not in guest.error_text
            assert hmp.run("set_link net1 off") == "" == hmp.run("set_link net1 on")
            assert "Expected 'on' or 'off'" in hmp.run("set_link net1 maybe")
            assert hmp.run("netdev_add tap,help").startswith("tap options:")
        assert guest.power_off() == 0
