"""Many devices in one machine.

SPDX-License-Identifier: Apache-2.0
"""

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
FIGURES = [*START.values(), *PRIVATE.values(), *CALLS.values()]


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


def measure(peers, runs, samples):
    peers = [peer for peer in peers if peer in (peers_module.Pmvm, peers_module.Qemu)]
    for _, peer in alternate(peers, min(runs, RUNS), "devices"):
        for count in COUNTS:
            if peer is peers_module.Pmvm or count <= QEMU_MAX:
                measure_one(peer, count, samples)
