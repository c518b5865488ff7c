"""How many instructions a flush, and a start, takes: guest and host together, counted by the emulator of the box.

SPDX-License-Identifier: Apache-2.0

In a box that counts instructions its clock goes on by one nanosecond for each instruction: there a time is a number of
instructions. Where all wait, for a timer or for a file of the machine outside, it jumps to the next timer: so each peer starts
once before it is measured, and its files are in the box's memory.
"""
import time

import peers as peers_module
from common import Figure, alternate, directory, format_and_mount, fsyncs, pmem, settle

FLUSHES = 100
RUNS = 2

FLUSH = Figure("instructions for a guest fsync", "thousand", f"box's clock over {FLUSHES} fsyncs on ext4-DAX without a journal, where each is one flush, image on tmpfs, minus none; "
               "guest and host together", ratio_max=0.5)
LATENCY = Figure("median of one fsync", "thousand", "the same, by the guest's clock")
START = Figure("instructions from start to the ready line", "million", "box's clock; where the guest waits for a timer, the clock jumps to it", ratio_max=0.5)
FIGURES = [FLUSH, LATENCY, START]


class PmvmPorts(peers_module.Pmvm):
    """With notifications by ports instead of memory."""
    name = "pmvm ports"

    def __init__(self, where, devices):
        super().__init__(where, [*devices[:-1], f"{devices[-1]},modern-pio-notify=on"])


def elapsed(work):
    began = time.monotonic_ns()
    work()
    return time.monotonic_ns() - began


def measure(peers, runs, samples):
    peers = [peer for peer in (peers_module.Pmvm, peers_module.Qemu) if peer in peers] + [PmvmPorts]
    for _, peer in alternate(peers, 1, "instructions, not measured"):
        with directory("tmpfs") as where, peer(where, pmem(where / "a.img")) as guest:
            guest.kill()
    for _, peer in alternate(peers, min(runs, RUNS), "instructions"):
        with directory("tmpfs") as where:
            with peer(where, pmem(where / "a.img")) as guest:
                samples.add(START, peer.name, (guest.ready_at - guest.began) * 1000)
                format_and_mount(guest, journal=False)
                fsyncs(guest, "/mnt/f", 10)
                settle(guest)
                none = elapsed(lambda: fsyncs(guest, "/mnt/f", 0))
                some = elapsed(lambda: fsyncs(guest, "/mnt/f", FLUSHES))
                samples.add(FLUSH, peer.name, (some - none) / FLUSHES / 1000)
                samples.add(LATENCY, peer.name, int(guest.run(f"dax-tool latency /mnt/f {FLUSHES} fsync").split()[0]) / 1000)
                guest.kill()
