"""Nested page faults: how many a guest takes for a MiB of its persistent memory.

SPDX-License-Identifier: Apache-2.0
"""
import counters
import peers as peers_module
from bench_common import Figure, alternate, directory, end, pmem, settle

TOUCHED_MIB = 32
SIZE_MIB = 64
HOST = {"tmpfs": "tmpfs", "huge": "tmpfs, huge=always", "hugetlbfs": "hugetlbfs", "ext4": "ext4", "xfs": "xfs"}
METHOD = f"KVM's pf_taken; the guest's kernel copies {TOUCHED_MIB} MiB of /dev/pmem0 by dd, minus the same of /dev/zero"

READ = {kind: Figure(f"faults per MiB, first read, {name}", "", METHOD) for kind, name in HOST.items()}
WRITE = {kind: Figure(f"faults per MiB, first write, {name}", "", METHOD) for kind, name in HOST.items()}
AGAIN = {kind: Figure(f"faults per MiB, write after a flush, {name}", "", METHOD) for kind, name in HOST.items()}
FIGURES = [*READ.values(), *WRITE.values(), *AGAIN.values()]

RUNS = 1  # counts


def faults(guest, command):
    before = counters.kvm(guest.process.pid, "pf_taken")
    guest.run(command)
    return counters.kvm(guest.process.pid, "pf_taken") - before


def per_mib(guest, command, base):
    return max(0, faults(guest, command) - base) / TOUCHED_MIB


def measure_one(guest, kind, peer, samples):
    settle(guest)
    read = f"dd if=/dev/pmem0 of=/dev/null bs=1M count={TOUCHED_MIB} iflag=direct 2>/dev/null"
    write = (
        f"dd if=/dev/zero of=/dev/pmem0 bs=1M seek={SIZE_MIB - TOUCHED_MIB} count={TOUCHED_MIB} oflag=direct conv=fsync"
        " 2>/dev/null"
    )
    nothing = f"dd if=/dev/zero of=/dev/null bs=1M count={TOUCHED_MIB} 2>/dev/null"
    faults(guest, nothing)
    base = faults(guest, nothing)
    samples.add(READ[kind], peer.name, per_mib(guest, read, base))
    samples.add(WRITE[kind], peer.name, per_mib(guest, write, base))
    samples.add(AGAIN[kind], peer.name, per_mib(guest, write, base))


def measure(peers, runs, samples):
    peers = [peer for peer in peers if peer in (peers_module.Pmvm, peers_module.Qemu)]
    for _, peer in alternate(peers, min(runs, RUNS), "faults"):
        for kind in HOST:
            with directory(kind) as where:
                image = where / "a.img"
                if kind != "hugetlbfs":
                    image.write_bytes(bytes(SIZE_MIB << 20))
                with directory("tmpfs") as other, peer(other, pmem(image, size_mib=SIZE_MIB)) as guest:
                    measure_one(guest, kind, peer, samples)
                    end(guest)
