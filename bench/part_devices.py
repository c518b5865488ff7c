"""Many devices in one machine, and one of each kind.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import subprocess

import backends
import counters
import part_flush
import peers as peers_module
from bench_common import Failed, Figure, alternate, directory, end, format_and_mount, pmem, settle

COUNTS = (1, 4, 16, 31)
QEMU_MAX = 28  # q35's root bus has its own devices on it
SIZE_MIB = 16
FLUSHES = 300
RUNS = 1  # each has four machines

START = {
    n: Figure(f"start to the ready line, {n} devices", "ms", "as in `start`, every /dev/pmemN is there") for n in COUNTS
}
PRIVATE = {n: Figure(f"private dirty memory, {n} devices", "KiB", "as in `memory`") for n in COUNTS}
CALLS = {
    n: Figure(f"system calls for a host sync, {n} devices", "", f"as in `flush`, on the first device, N = {FLUSHES}")
    for n in COUNTS
}
EACH = (
    "one of each: pmem, RAM of a memfd, network by vhost and by passt, vsock, rng, balloon, console, serial port, "
    "vhost-user disk and folder"
)
START_EACH = Figure("start to the ready line, all devices", "ms", f"as in `start`; {EACH}")
PRIVATE_EACH = Figure("private dirty memory, all devices", "KiB", f"as in `memory`; {EACH}; all in use", value_max=1536)
DRIVERS = "virtio_net virtio_balloon virtio_rng virtio_blk virtiofs virtio_console vmw_vsock_virtio_transport"
FIGURES = [START_EACH, PRIVATE_EACH, *START.values(), *PRIVATE.values(), *CALLS.values()]


def measure_one(peer, count, samples):
    with directory("tmpfs") as where:
        images = [where / f"{number}.img" for number in range(count)]
        devices = [option for number, image in enumerate(images) for option in pmem(image, number, SIZE_MIB)]
        with peer(where, devices) as guest:
            samples.add(START[count], peer.name, (guest.ready_at - guest.began) * 1000)
            seen = int(guest.run("ls -d /dev/pmem* | wc -l"))
            if seen != count:
                raise Failed(f"{peer.name}: {seen} of {count} devices are there")
            format_and_mount(guest)
            settle(guest)
            samples.add(PRIVATE[count], peer.name, counters.private_kib(guest.process.pid, images, guest.memory_mib))
            samples.add(CALLS[count], peer.name, part_flush.calls_for_a_sync(guest, FLUSHES)[0])
            end(guest)


def each_device():
    """Those that need no back end."""
    devices = ["vhost-vsock-pci,guest-cid=77", "virtio-rng-pci", "virtio-balloon-pci,free-page-reporting=on"]
    devices += ["virtio-serial-pci", "virtconsole,chardev=v0", "virtserialport,chardev=v1,name=port"]
    chardevs = ["-chardev", "null,id=v0", "-chardev", "null,id=v1"]
    return chardevs + [word for device in devices for word in ("-device", device)]


def measure_each(peer, samples):
    subprocess.run(["modprobe", "vhost_vsock"], check=False, capture_output=True)
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(directory("tmpfs"))
        image = where / "a.img"
        options = [*backends.ram(), *pmem(image, 1, SIZE_MIB), *each_device()]
        options += stack.enter_context(backends.vhost()).options
        options += stack.enter_context(backends.passt(number=1)).options
        options += [*stack.enter_context(backends.folder(where)), *stack.enter_context(backends.disk(where))]
        guest = stack.enter_context(peer(where, options))
        samples.add(START_EACH, peer.name, (guest.ready_at - guest.began) * 1000)
        guest.run(f"modprobe -a {DRIVERS}; modprobe -q af_packet; wait-for /dev/vda 60; wait-for /dev/hvc0 60")
        guest.run("wait-for /sys/class/net/eth1 60 && ip link set eth0 up && ip link set eth1 up")
        guest.run("mkdir /host && mount -t virtiofs host /host && echo x >/host/x && dd if=/dev/vda of=/dev/null bs=1M")
        guest.run("wait-for /dev/hwrng 60 && head -c 4096 /dev/hwrng >/dev/null")
        format_and_mount(guest)
        settle(guest)
        samples.add(PRIVATE_EACH, peer.name, counters.private_kib(guest.process.pid, [image], guest.memory_mib))
        end(guest)


def measure(peers, runs, samples):
    peers = [peer for peer in peers if peer in (peers_module.Pmvm, peers_module.Qemu)]
    for _, peer in alternate(peers, min(runs, RUNS), "devices"):
        measure_each(peer, samples)
        for count in COUNTS:
            if peer is peers_module.Pmvm or count <= QEMU_MAX:
                measure_one(peer, count, samples)
