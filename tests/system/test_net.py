"""virtio-net-pci on a tap with the kernel's vhost: packets between the host and a Linux guest.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import time

import pytest

import kvm_stats
from machine import linux_options, run_pmvm
from monitor import Hmp, Qmp, Refused
from process import descriptors, traced
from tap import (
    GUEST,
    HOST,
    MAC,
    SHORT,
    WAIT_MAX,
    Traffic,
    bring_up,
    check_sums,
    interface,
    network,
    ping,
    remove,
    run_ip,
    start,
)

VHOST = pathlib.Path("/dev/vhost-net")
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 2, 0x1000, 0x4000


@pytest.fixture(scope="module", autouse=True)
def modules_are_loaded():
    subprocess.run(["modprobe", "-a", "tun", "vhost_net"], check=False, capture_output=True)
    if not VHOST.exists() or os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("this needs root, the program ip and /dev/vhost-net: modprobe vhost_net")


@pytest.fixture(name="tap", scope="module")
def make_tap():
    """An interface with an address, which the machine finds."""
    with interface("pmvmtap0") as name:
        yield name


# ---- machines of their own

# Opens a tap and a vhost device as descriptors 7 and 8, and becomes the program of its arguments.
INHERIT = f"""
import fcntl, os, struct, sys
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, {TUNSETIFF}, struct.pack("16sH22x", sys.argv[1].encode(), {IFF_TAP | IFF_NO_PI | IFF_VNET_HDR}))
os.dup2(tun, 7)
os.dup2(os.open("/dev/vhost-net", os.O_RDWR), 8)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_the_pin_and_inherited_descriptors_work(tmp_path, tap):
    """Without MSI-X, interrupts pass by the event loop."""
    prefix = ["python3", "-c", INHERIT, tap]
    with start(tmp_path, *network(netdev={"fd": 7, "vhostfd": 8}), prefix=prefix, append="pci=nomsi") as guest, Qmp(
        tmp_path / "qmp"
    ) as qmp:
        bring_up(guest)
        assert "IO-APIC" in guest.run("grep virtio /proc/interrupts")
        check_sums(guest, SHORT)
        # The descriptors are the netdev's: the next card has them as well.
        remove(qmp)
        qmp.run("device_add", driver="virtio-net-pci", netdev="n0", id="net2")
        bring_up(guest, load=False)
        ping(guest)
        assert guest.power_off() == 0


def test_several_queues(tmp_path):
    host, address = "10.79.0.1", "10.79.0.2"
    with interface("pmvmtap1", "multi_queue", host=host) as tap:
        with start(tmp_path, *network(tap, {"queues": 4}, mq="on", vectors=10), cpus=2) as guest:
            bring_up(guest, address)
            # Linux takes one pair for each processor, of the four that there are.
            assert guest.run("ls -d /sys/class/net/eth0/queues/rx-* | wc -l") == "2"
            ping(guest, host)
            check_sums(guest, SHORT, host, address)
            assert "-input.3" in guest.run("grep virtio /proc/interrupts")
            # A new affinity masks and unmasks the vector while packets come.
            traffic = Traffic(address)
            for processor in (1, 2) * 5:
                guest.run(
                    "for irq in $(grep -E 'input|output' /proc/interrupts | cut -d: -f1); do "
                    f"echo {processor} >/proc/irq/$irq/smp_affinity; done"
                )
            traffic.end()
            ping(guest, host)
            check_sums(guest, SHORT, host, address)
            assert guest.power_off() == 0


# ---- one machine for all of these


@pytest.fixture(name="guest", scope="module")
def fixture_guest(tmp_path_factory, tap):
    """One guest for most of the tests. Some leave the card or its link in another state: their order matters."""
    directory = tmp_path_factory.mktemp("net")
    hmp = ("-monitor", f"unix:{directory}/hmp,server=on,wait=off")
    with start(directory, *network(tap, host_mtu=1400), *hmp) as guest:
        guest.directory = directory
        bring_up(guest)
        yield guest
        assert guest.power_off() == 0


@pytest.fixture(name="qmp")
def fixture_qmp(guest):
    with Qmp(guest.directory / "qmp") as qmp:
        yield qmp


def test_packets_both_ways_with_equal_sums(guest, tap):
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


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_packets_cost_neither_system_calls_nor_exits(guest, tmp_path):
    """strace sees all threads of the process while packets pass: what it sees has nothing to do with them."""
    log, pid = tmp_path / "strace", guest.process.pid
    ping(guest)
    with traced(guest, log):
        # Some come from the calls that strace interrupted.
        flood(1)
        before = kvm_stats.counters(pid, "mmio_exits")
        lines = len(log.read_text().splitlines())
        flood()
        after = kvm_stats.counters(pid, "mmio_exits")
        seen = log.read_text().splitlines()[lines:]
    assert len(seen) < 60, seen
    if before is not None:
        assert after["mmio_exits"] - before["mmio_exits"] < 60


def flood(count=150):
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


def wait_carrier(guest, value):
    guest.run(
        f"n=0; until [ $(cat /sys/class/net/eth0/carrier) = {value} ]; "
        "do n=$((n+1)); [ $n -lt 600 ] || exit 1; sleep 0.1; done"
    )


def test_errors_name_the_next_step(guest, qmp, tap):
    away = VHOST.with_name("vhost-net.away")
    VHOST.rename(away)
    try:
        status, _, errors = run_pmvm(*linux_options(), *network("pmvmtap2"))
    finally:
        away.rename(VHOST)
    assert status == 1 and "tap: open vhost char device failed: No such file or directory\n" in errors
    assert "modprobe vhost_net" in errors
    status, _, errors = run_pmvm(*linux_options(), *network(tap))
    assert status == 1
    assert f"could not configure /dev/net/tun ({tap}): Device or resource busy\n" in errors
    assert "another program has it" in errors
    with Hmp(guest.directory / "hmp") as hmp:
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


def test_pmem_comes_and_goes_while_packets_pass(guest, qmp, tmp_path):
    """Each window is a region of the memory table, which changes while the kernel uses it."""
    traffic = Traffic()
    for _ in range(3):
        path = str(tmp_path / "a.img")
        backend = {"qom-type": "memory-backend-file", "id": "m1", "share": True, "mem-path": path}
        qmp.run("object-add", backend | {"size": 32 << 20})
        qmp.run("device_add", driver="virtio-pmem-pci", id="nv1", memdev="m1")
        guest.run("wait-for /dev/pmem0 200")
        ping(guest, count=1)
        qmp.run("device_del", id="nv1")
        qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="nv1")
        qmp.run("object-del", id="m1")
    traffic.end()
    ping(guest)


def test_reset_stop_and_cont_under_traffic(guest, qmp):
    traffic = Traffic()
    for _ in range(2):
        qmp.run("stop")
        time.sleep(0.3)
        qmp.run("cont")
        ping(guest)
    at = len(guest.output)
    qmp.run("system_reset")
    guest.booted(at)
    bring_up(guest)
    ping(guest)
    traffic.end()
    check_sums(guest, SHORT)


def test_a_link_goes_down_and_up(guest, qmp):
    qmp.run("set_link", name="net1", up=False)
    wait_carrier(guest, 0)
    status, output = guest.run(f"ping -c 1 -W 1 {HOST}", check=False)
    assert status != 0, output
    qmp.run("set_link", name="n0", up=True)
    wait_carrier(guest, 1)
    ping(guest)
    check_sums(guest, SHORT)
    with pytest.raises(Refused, match="Device 'nope' not found"):
        qmp.run("set_link", name="nope", up=True)


def test_a_card_stays_without_its_back_end(guest, qmp):
    qmp.run("netdev_del", id="n0")
    wait_carrier(guest, 0)
    qmp.run("set_link", name="net1", up=True)
    assert guest.run("cat /sys/class/net/eth0/carrier") == "0"
    remove(qmp)


def plug(qmp, tap, netdev=(), **properties):
    qmp.run("netdev_add", {"type": "tap", "id": "n0", "ifname": tap, "script": "no", "vhost": True} | dict(netdev))
    qmp.run("device_add", driver="virtio-net-pci", netdev="n0", id="net1", mac=MAC, **properties)


def unplug(qmp):
    remove(qmp)
    qmp.run("netdev_del", id="n0")


@pytest.fixture(name="bare_guest")
def fixture_bare_guest(guest, qmp):
    """The same guest without a card."""
    if "net1" in [entry["name"] for entry in qmp.run("qom-list", path="/machine/peripheral")]:
        unplug(qmp)
    return guest


def test_features_that_are_off_are_not_used(bare_guest, qmp, tap):
    guest = bare_guest
    off = dict.fromkeys(("csum", "guest_csum", "mrg_rxbuf", "ctrl_vq", "event_idx", "indirect_desc"), False)
    plug(qmp, tap, {"vnet_hdr": False}, **off)
    bring_up(guest, load=False)
    features = guest.run("cat /sys/class/net/eth0/device/features")
    assert features[0] == features[1] == features[15] == features[17] == features[29] == features[28] == "0"
    ping(guest)
    check_sums(guest, SHORT)
    unplug(qmp)


def test_unplugged_under_traffic_and_plugged_again(bare_guest, qmp, tap):
    guest = bare_guest
    before = descriptors(guest)
    for number in range(5):
        plug(qmp, tap)
        bring_up(guest, load=False)
        ping(guest, count=1)
        traffic = Traffic()
        time.sleep(0.2)
        unplug(qmp)
        traffic.end()
        assert descriptors(guest) == before, number


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
