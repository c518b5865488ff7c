"""Own write-back and what write-back costs a database, in time: works of write-back and write-back-bound, not counted.

SPDX-License-Identifier: Apache-2.0
"""
import part_write_back as flush
import part_write_back_bound as bound
from bench_common import Figure, ram_disk, say, settle
from part_instructions import elapsed

RUNS = 3
HOST = "clock of the machine that runs pmvm; image on that file system, on a RAM disk; ext4-DAX in the guest"
RATES = {name: Figure(f"for a second: {work.about}", "", HOST) for name, work in bound.WORKS.items()}
FLUSHES = {
    work: Figure(f"{work.name}, ext4", "us", "bench/write_back.c, a round after 3 others; clock of this machine")
    for work in [*flush.HOT[:-1], *flush.SCATTERED[:-1]]
}
FIGURES = [*RATES.values(), *FLUSHES.values()]


def rate(guest, work):
    """Of the work, for a second."""

    def run(number):
        guest.run(work.command.format(n=number), timeout=bound.MEASURE_MAX)

    run(work.nmeasured)
    settle(guest)
    none, some = elapsed(lambda: run(1)), elapsed(lambda: run(work.nmeasured))
    return (work.nmeasured - 1) / (some - none) * 1e9


def measure_flushes(samples):
    with ram_disk("ext4") as where:
        path = where / "a.img"
        flush.make_file(path, flush.SMALL_MIB)
        for work, figure in FLUSHES.items():
            for name, peer in flush.PEERS.items():
                samples.add(figure, name, flush.run_once("ext4", path, peer, work, work.rounds)["ns"] / 1000)


def measure(_, runs, samples):
    for run in range(min(runs, RUNS)):
        say(f"  write-back-time: run {run + 1} of {min(runs, RUNS)}, flushes")
        measure_flushes(samples)
        for name, work in bound.WORKS.items():
            for kind in bound.KINDS:
                say(f"  write-back-time: run {run + 1} of {min(runs, RUNS)}, {name}, image on {kind}")
                with bound.ready(kind, name) as guest:
                    samples.add(RATES[name], kind, rate(guest, work))
