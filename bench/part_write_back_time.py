"""What write-back costs a database of a Linux guest, in time: the works of write-back-bound, without counting.

SPDX-License-Identifier: Apache-2.0
"""
import part_write_back_bound as bound
from bench_common import Figure, say, settle
from part_instructions import elapsed

RUNS = 3
HOST = "clock of the machine that runs pmvm; image on that file system, on a RAM disk; ext4-DAX in the guest"
RATES = {name: Figure(f"for a second: {work.about}", "", HOST) for name, work in bound.WORKS.items()}
FIGURES = list(RATES.values())


def rate(guest, work):
    """Of the work, for a second."""

    def run(number):
        guest.run(work.command.format(n=number), timeout=bound.MEASURE_MAX)

    run(work.nmeasured)
    settle(guest)
    none, some = elapsed(lambda: run(1)), elapsed(lambda: run(work.nmeasured))
    return (work.nmeasured - 1) / (some - none) * 1e9


def measure(_, runs, samples):
    for run in range(min(runs, RUNS)):
        for name, work in bound.WORKS.items():
            for kind in bound.KINDS:
                say(f"  write-back-time: run {run + 1} of {min(runs, RUNS)}, {name}, image on {kind}")
                with bound.ready(kind, name) as guest:
                    samples.add(RATES[name], kind, rate(guest, work))
