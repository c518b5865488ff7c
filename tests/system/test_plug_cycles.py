"""Each kind of device plugged, used and unplugged again and again in one machine: all is as it was at the beginning.

The descriptors, threads, mappings and private memory of the process, the devices of the guest, and KVM's memory slots.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import types

import pytest

import process
import test_balloon
import test_hotplug
import test_net
import test_rng
import test_serial_ports
import test_vhost_user
import test_vsock
from machine import MIB, Guest
from monitor import Hmp, Qmp
from sync_trace import calls
from tap import receive_all

RAM_MIB = 256
RAM = ["-object", f"memory-backend-memfd,id=ram,size={RAM_MIB}M", "-machine", "memory-backend=ram"]
WAIT_MAX = 200
# A page or two of the allocator's may be touched anew in one run; a leak of 1 KiB a cycle would show in 100.
MEMORY_MAX_KIB = 64
LOCAL = "10.77.0.2"


@pytest.fixture(name="rig", scope="module")
def make_rig(tmp_path_factory):
    """One machine for all kinds. Its RAM is shared, as back ends in other processes need it."""
    # The sandbox permits the device files that are there when the machine starts.
    subprocess.run(["modprobe", "-a", "tun", "vhost_net", "vhost_vsock"], check=False, capture_output=True)
    directory = tmp_path_factory.mktemp("rig")
    options = [
        "-qmp",
        f"unix:{directory}/qmp,server=on,wait=off",
        "-monitor",
        f"unix:{directory}/hmp,server=on,wait=off",
    ]
    with (
        Guest(*RAM, *options, memory=f"{RAM_MIB}M") as guest,
        Qmp(directory / "qmp") as qmp,
        Hmp(directory / "hmp") as hmp,
    ):
        yield types.SimpleNamespace(directory=directory, guest=guest, qmp=qmp, hmp=hmp)
        assert guest.power_off() == 0


def delete(qmp, device):
    qmp.run("device_del", id=device)
    qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device=device)


def client_of(path):
    """The backend of chardev-add for a socket that connects."""
    address = {"type": "unix", "data": {"path": str(path)}}
    return {"type": "socket", "data": {"addr": address, "server": False}}


def needs(there, what):
    if not there:
        pytest.skip(what)


def needs_root_and_module(module, device):
    subprocess.run(["modprobe", "-a", *module.split()], check=False, capture_output=True)
    needs(os.geteuid() == 0 and pathlib.Path(device).exists(), f"this needs root and {device}: modprobe {module}")


# ---- one cycle of each kind: a context manager that makes what it needs, and gives the function


@contextlib.contextmanager
def pmem(rig):
    image = rig.directory / "b.img"

    def cycle():
        test_hotplug.add(rig.qmp, image)
        test_hotplug.appears(rig.guest, "/dev/pmem0")
        rig.guest.run("dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync")
        test_hotplug.remove(rig.qmp)
        test_hotplug.is_gone(rig.guest, "/dev/pmem0")

    yield cycle


@contextlib.contextmanager
def net_on_a_tap(rig, is_vhost):
    needs_root_and_module("tun", "/dev/net/tun")
    needs(shutil.which("ip"), "the program ip is not installed")
    if is_vhost:
        needs_root_and_module("vhost_net", "/dev/vhost-net")
    rig.guest.run("modprobe virtio_net")
    with test_net.interface("pmvmtap0") as tap:

        def cycle():
            rig.qmp.run("netdev_add", {"type": "tap", "id": "n0", "ifname": tap, "script": "no", "vhost": is_vhost})
            rig.qmp.run("device_add", driver="virtio-net-pci", netdev="n0", id="net1")
            test_net.bring_up(rig.guest, LOCAL, load=False)
            test_net.ping(rig.guest, count=1)
            delete(rig.qmp, "net1")
            rig.qmp.run("netdev_del", id="n0")

        yield cycle


def net_with_vhost(rig):
    return net_on_a_tap(rig, True)


def net_in_process(rig):
    return net_on_a_tap(rig, False)


@contextlib.contextmanager
def vsock(rig):
    needs_root_and_module("vhost_vsock", "/dev/vhost-vsock")
    test_vsock.load_driver(rig.guest)
    rig.guest.run("echo hello >/tmp/hello")

    def cycle():
        rig.qmp.run("device_add", driver="vhost-vsock-pci", id="vs1", **{"guest-cid": test_vsock.CID})
        rig.guest.run(
            f'n=0; until [ "$(vsock-tool cid)" = {test_vsock.CID} ]; '
            "do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done"
        )
        with test_vsock.listener(5000) as server:
            rig.guest.send(f"vsock-tool send {test_vsock.HOST} 5000 </tmp/hello\n")
            client, _ = server.accept()
            with client:
                client.settimeout(WAIT_MAX)
                assert receive_all(client)[1] == len("hello\n")
        test_vsock.unplug(rig.qmp)

    yield cycle


@contextlib.contextmanager
def rng(rig):
    rig.guest.run("modprobe virtio_rng")

    def cycle():
        rig.qmp.run("object-add", {"qom-type": "rng-random", "id": "r0"})
        rig.qmp.run("device_add", {"driver": "virtio-rng-pci", "id": "rng0", "rng": "r0"})
        test_rng.appears(rig.guest)
        assert len(test_rng.read(rig.guest, 1)) == 128
        delete(rig.qmp, "rng0")
        rig.qmp.run("object-del", id="r0")
        test_rng.is_gone(rig.guest)

    yield cycle


@contextlib.contextmanager
def balloon(rig):
    rig.guest.run("modprobe virtio_balloon")

    def cycle():
        test_balloon.plug(rig.guest, rig.qmp, **{"free-page-reporting": True})
        rig.qmp.run("balloon", value=(RAM_MIB - 8) * MIB)
        test_balloon.reaches(rig.qmp, RAM_MIB - 8)
        test_balloon.unplug(rig.guest, rig.qmp)

    yield cycle


@contextlib.contextmanager
def serial_with_ports(rig):
    rig.guest.run("modprobe virtio_console")
    path = rig.directory / "port"
    server = {"type": "socket", "data": {"server": True, "wait": False}}
    server["data"]["addr"] = {"type": "unix", "data": {"path": str(path)}}

    def cycle():
        rig.qmp.run("chardev-add", id="c", backend=server)
        rig.qmp.run("chardev-add", id="d", backend={"type": "null", "data": {}})
        rig.qmp.run("device_add", {"driver": "virtio-serial-pci", "id": "s"})
        rig.qmp.run("device_add", {"driver": "virtserialport", "id": "p", "bus": "s.0", "chardev": "c", "name": "n"})
        rig.qmp.run("device_add", {"driver": "virtconsole", "id": "v", "bus": "s.0", "chardev": "d"})
        test_serial_ports.named(rig.guest, "n")
        with test_serial_ports.client(path) as sock:
            rig.guest.run("echo hello >/dev/virtio-ports/n")
            assert test_serial_ports.read_exactly(sock, 6) == b"hello\n"
        delete(rig.qmp, "p")
        delete(rig.qmp, "s")
        for name in "c", "d":
            rig.qmp.run("chardev-remove", id=name)

    yield cycle


@contextlib.contextmanager
def vhost_user_blk(rig):
    needs(test_vhost_user.STORAGE, "qemu-storage-daemon is not installed")
    rig.guest.run("modprobe virtio_blk")
    with test_vhost_user.storage(rig.directory, *test_vhost_user.qcow2(rig.directory)) as back:

        def cycle():
            rig.qmp.run("chardev-add", id="c0", backend=client_of(back.path))
            rig.qmp.run("device_add", driver="vhost-user-blk-pci", id="blk0", chardev="c0")
            test_vhost_user.appears(rig.guest, "/dev/vda")
            assert test_vhost_user.disk_sum(rig.guest, 1)
            delete(rig.qmp, "blk0")
            rig.qmp.run("chardev-remove", id="c0")
            test_hotplug.is_gone(rig.guest, "/dev/vda")

        yield cycle


@contextlib.contextmanager
def vhost_user_fs(rig):
    needs(test_vhost_user.VIRTIOFSD, "virtiofsd is not installed")
    rig.guest.run("modprobe virtiofs && mkdir -p /host")

    def cycle():
        # It ends with its connection.
        back, shared = test_vhost_user.folder(rig.directory)
        (shared / "hello").write_text("hello\n")
        with back:
            rig.qmp.run("chardev-add", id="c0", backend=client_of(back.path))
            rig.qmp.run("device_add", driver="vhost-user-fs-pci", id="fs0", chardev="c0", tag="host")
            rig.guest.run("n=0; until mount -t virtiofs host /host 2>/dev/null; "
                          "do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done")  # fmt: skip
            assert rig.guest.run("cat /host/hello; umount /host") == "hello"
            delete(rig.qmp, "fs0")
            rig.qmp.run("chardev-remove", id="c0")

    yield cycle


KINDS = [
    pmem,
    net_with_vhost,
    net_in_process,
    vsock,
    rng,
    balloon,
    serial_with_ports,
    vhost_user_blk,
    vhost_user_fs,
]


def state(rig):
    return {
        "threads": process.threads(rig.guest),
        "descriptors": process.descriptors(rig.guest),
        "mappings": len(process.maps(rig.guest).splitlines()),
        "guest": rig.guest.run("ls /sys/bus/pci/devices /sys/bus/nd/devices /sys/class/net; grep -c . /proc/iomem"),
        "monitor": [rig.qmp.run(f"query-{name}") for name in ("memory-devices", "memdev", "chardev", "vhost-user")],
        "functions": [entry["qdev_id"] for bus in rig.qmp.run("query-pci") for entry in bus["devices"]],
    }


@pytest.mark.parametrize("ncycles", [2, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_all_is_where_it_began(rig, kind, ncycles):
    with kind(rig) as cycle:
        # What is made once and kept: drivers of the guest, stacks of threads.
        for _ in range(2):
            cycle()
            process.settle(rig.guest)
        before, memory = state(rig), process.private_kib(rig.guest, RAM_MIB * 1024)
        for _ in range(ncycles):
            cycle()
            # Two threads that free a device at a time would need a second stack, whose mapping is kept.
            process.settle(rig.guest)
        assert state(rig) == before
        grown = process.private_kib(rig.guest, RAM_MIB * 1024) - memory
        print(f"{kind.__name__}: {ncycles} cycles, private memory {memory} KiB, {grown:+} KiB")
        assert grown < MEMORY_MAX_KIB
    assert rig.hmp.run("info status") == "VM status: running\n"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_slots_and_eventfds_are_given_back(rig, kind):
    """What a cycle gives to KVM it takes back: each slot is empty at the end, no ioeventfd or irqfd is left."""
    log = rig.directory / f"{kind.__name__}.strace"
    with kind(rig) as cycle:
        with process.traced(rig.guest, log, "-e", "trace=ioctl", "-e", "signal=none"):
            cycle()
    text = "\n".join(calls(log))
    slots = dict(re.findall(r"KVM_SET_USER_MEMORY_REGION, \{slot=(\d+), [^}]*memory_size=(\d+)", text))
    print(f"{kind.__name__}: slots {slots}")
    assert slots and set(slots.values()) == {"0"}
    for request in "KVM_IOEVENTFD", "KVM_IRQFD":
        results = re.findall(rf"ioctl\([^,]+, {request}, .*= (.*)", text)
        assert results and len(results) % 2 == 0 and set(results) == {"0"}, results
