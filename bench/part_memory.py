"""Memory of a machine without its RAM, and memory of several machines with one root image.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import subprocess
import time

import counters
import peers as peers_module
from bench_common import MIB, Figure, alternate, directory, end, pmem, settle

IMAGE_MIB = 64
DENSITY = (1, 2, 4, 8)
SMALL_MIB = 128
RUNS = 1  # these figures hardly vary
TABLES_GONE_S = 2  # the tables of the last machine are freed some time after its end

PRIVATE = Figure(
    "private dirty memory, idle guest",
    "KiB",
    (
        "smaps: Private_Dirty of all mappings but guest RAM, the image and what is as the program's "
        "files have it; 256 MiB guest with one pmem (microvm: without)"
    ),
    value_max=1024,
)
TABLES = Figure("page tables of the process", "KiB", "VmPTE")
KVM_TABLES = Figure("page tables of KVM", "KiB", "SecPageTables of /proc/meminfo, with the machine minus before it")
SLOPE = Figure(
    "one more VM on a shared root image",
    "MiB",
    (
        f"sum of Pss of n VMs of {SMALL_MIB} MiB whose guest has read the {IMAGE_MIB - 16} MiB file of one read-only"
        f" image, (n = {DENSITY[-1]} minus n = 1) / {DENSITY[-1] - 1}; the goal is guest RAM and a MiB; RAM that the"
        " guest has not touched is not in it"
    ),
    value_max=SMALL_MIB + 1,
)
BESIDE = Figure(
    "one more VM on a shared root image, beside guest RAM",
    "MiB",
    "the same without the mapping of guest RAM",
    value_max=1,
)
SHARED = [Figure(f"{count} VMs on a shared root image", "MiB", "that sum") for count in DENSITY]
FREED_MIB = 96
RETURNED = Figure(
    f"memory returned of {FREED_MIB} MiB that the guest has freed",
    "MiB",
    "free page reporting: VmRSS before the guest loads the driver of its balloon, minus VmRSS when it falls no more",
)
RETURN_STILL_S, RETURN_MAX_S = 8, 120  # the guest looks every 2 s
FIGURES = [RETURNED, PRIVATE, TABLES, KVM_TABLES, SLOPE, BESIDE, *SHARED]


def read_only(where):
    """An ext4 image with one large file."""
    image, files = where / "root.img", where / "files"
    files.mkdir()
    with open("/dev/urandom", "rb") as random:
        (files / "large").write_bytes(random.read((IMAGE_MIB - 16) * MIB))
    subprocess.run(
        ["/sbin/mkfs.ext4", "-q", "-b", "4096", "-d", files, image, f"{IMAGE_MIB}M"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return image


class Dax:
    """The image as pmem: the guest reads the host's page cache."""

    def __init__(self, peer):
        self.peer, self.name = peer, peer.name

    def options(self, image):
        backend = f"memory-backend-file,id=mem1,mem-path={image},size={IMAGE_MIB}M,share=on"
        readonly = "readonly=on"
        # QEMU 7.2 lets no virtio-pmem have read-only memory; a shared map that is never written is the nearest.
        return [
            "-object",
            f"{backend},{readonly}" if self.peer is peers_module.Pmvm else backend,
            "-device",
            "virtio-pmem-pci,memdev=mem1,id=nv1",
        ]

    mount = "mkdir -p /mnt && mount -t ext4 -o ro,noload,dax /dev/pmem0 /mnt"


class Disk(Dax):
    """The image as a disk: each guest keeps a copy in its own RAM."""

    def __init__(self, peer):
        super().__init__(peer)
        self.name = f"{peer.name} virtio-blk"

    def options(self, image):
        return ["-drive", f"file={image},format=raw,if=virtio,readonly=on"]

    mount = "modprobe virtio_blk && mkdir -p /mnt && mount -t ext4 -o ro,noload /dev/vda /mnt"


def measure_density(kind, samples):
    with directory("tmpfs") as where, contextlib.ExitStack() as stack:
        image, guests, sums = read_only(where), [], {}
        for count in range(1, DENSITY[-1] + 1):
            guest = stack.enter_context(kind.peer(where, kind.options(image), memory_mib=SMALL_MIB))
            guest.run(f"{kind.mount} && md5sum /mnt/large")
            guests.append(guest)
            if count in DENSITY:
                settle(guest)
                kib = [counters.pss_kib(guest.process.pid, SMALL_MIB) for guest in guests]
                sums[count] = [sum(column) / 1024 for column in zip(*kib)]
        for figure, count in zip(SHARED, DENSITY):
            samples.add(figure, kind.name, sums[count][0])
        for figure, first, last in zip((SLOPE, BESIDE), sums[1], sums[DENSITY[-1]]):
            samples.add(figure, kind.name, (last - first) / (DENSITY[-1] - 1))


def measure_returned(peer, samples):
    with directory("tmpfs") as where:
        with peer(where, ["-device", "virtio-balloon-pci,free-page-reporting=on"]) as guest:
            guest.run(f"mkdir /big && mount -t tmpfs -o size={FREED_MIB + 8}M tmpfs /big")
            guest.run(f"dd if=/dev/zero of=/big/f bs=1M count={FREED_MIB} 2>/dev/null && rm /big/f")
            before = least = counters.rss_kib(guest.process.pid)
            guest.run("modprobe virtio_balloon")
            began = fell = time.monotonic()
            while time.monotonic() - fell < RETURN_STILL_S and time.monotonic() - began < RETURN_MAX_S:
                time.sleep(0.5)
                if (now := counters.rss_kib(guest.process.pid)) < least - 1024:
                    least, fell = now, time.monotonic()
            samples.add(RETURNED, peer.name, (before - least) / 1024)
            end(guest)


def measure(peers, runs, samples):
    for _, peer in alternate([peer for peer in peers if peer.has_pmem], min(runs, RUNS), "returned memory"):
        measure_returned(peer, samples)
    for _, peer in alternate(peers, min(runs, RUNS), "memory"):
        time.sleep(TABLES_GONE_S)
        before = counters.kvm_table_kib()
        with directory("tmpfs") as where:
            image = where / "a.img"
            with peer(where, pmem(image) if peer.has_pmem else []) as guest:
                settle(guest)
                pid = guest.process.pid
                samples.add(PRIVATE, peer.name, counters.private_kib(pid, [image], guest.memory_mib))
                samples.add(TABLES, peer.name, counters.table_kib(pid))
                samples.add(KVM_TABLES, peer.name, counters.kvm_table_kib() - before)
    kinds = [Dax(peer) for peer in peers if peer in (peers_module.Pmvm, peers_module.QemuBest)]
    kinds += [Disk(peer) for peer in peers if peer is peers_module.QemuBest]
    for _, kind in alternate(kinds, 1, "density"):
        measure_density(kind, samples)
