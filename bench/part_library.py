"""The library alone: flushes through the ring in one process, compared with a bare loop of the same system calls.

SPDX-License-Identifier: Apache-2.0
"""
import re
import subprocess

import machine
from bench_common import Figure, directory, say

FLUSHES = 5000
ROUNDS = 15
SECONDS_MAX = 300

RING = Figure(
    "one flush through the library", "us", f"bench/ring.c: {FLUSHES} flushes a round, file on tmpfs; no virtual machine"
)
BARE = Figure("the same system calls, bare", "us", "the same, alternating with it")
RATIO = Figure("library to bare loop", "", "of each round", value_max=1.1)
FIGURES = [RING, BARE, RATIO]


def measure(_, runs, samples):
    say("  library: ring and bare loop, alternating")
    program = machine.near(machine.CHECKOUT / "build/bench/bench-ring")
    with directory("tmpfs") as where:
        done = subprocess.run(
            [program, where / "a.img", str(FLUSHES), str(max(runs, ROUNDS if runs > 1 else 1))],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=SECONDS_MAX,
        )
    for library, bare in re.findall(r"library (\d+) bare (\d+)", done.stdout):
        samples.add(RING, "pmvm", int(library) / 1000)
        samples.add(BARE, "pmvm", int(bare) / 1000)
        samples.add(RATIO, "pmvm", int(library) / int(bare))
