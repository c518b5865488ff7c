"""How far flushes that come together are made durable together: of one ring, and of devices on one file system.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import subprocess

import machine
from bench_common import Failed, Figure, directory, pmem, say

REQUESTS = 128
FILES = 8
ROUNDS = 100
SECONDS_MAX = 300

RING = Figure(
    f"host syncs for {REQUESTS} requests of one ring",
    "",
    (
        "strace of a bare-metal guest (tests/guest/syscalls.c) that makes them visible with "
        "one kick, minus a run without; QEMU serves one request for a kick"
    ),
    value_max=1,
)
# {method of bench-group: its name in the table}. pmvm has a worker for each device.
WAYS = {"together": "pmvm", "in-turn": "in turn", "syncfs": "one syncfs"}
KINDS = ("ext4", "xfs")
METHOD = (
    "bench/group.c, no VM: stores to {files} files on {kind} on a loop device, then a thread and an fdatasync for each"
    " as pmvm's workers do, fdatasync in turn, or one syncfs"
)
FLUSHES = {
    kind: Figure(
        f"flushes of the disk for {FILES} files of one {kind}",
        "",
        METHOD.format(files=FILES, kind=kind) + "; /sys/block/loopN/stat",
    )
    for kind in KINDS
}
TIMES = {
    kind: Figure(f"{FILES} files of one {kind} durable", "us", METHOD.format(files=FILES, kind=kind)) for kind in KINDS
}
FIGURES = [RING, *FLUSHES.values(), *TIMES.values()]


def ring_syncs(where, burst):
    log = where / "strace"
    program = machine.near(machine.CHECKOUT / "build/tests/guest/syscalls.elf")
    with machine.Vm(
        ["-m", "64M", "-nographic", "-kernel", program, "-append", f"burst={burst}", *pmem(where / "a.img")],
        prefix=["strace", "-f", "-qq", "-o", log, "-e", "trace=fdatasync"],
    ) as vm:
        vm.wait_for("^SUCCESS", SECONDS_MAX)
        vm.end()
    return len(re.findall(r"\bfdatasync\(", log.read_text(errors="replace")))


def disk_flushes(where):
    device = subprocess.run(
        ["findmnt", "-no", "SOURCE", where], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    return int((pathlib.Path("/sys/block") / pathlib.Path(device).name / "stat").read_text().split()[15])


def measure_group(kind, way, samples):
    program = machine.near(machine.CHECKOUT / "build/bench/bench-group")
    with (
        directory(kind) as where,
        subprocess.Popen(
            [program, where, str(FILES), str(ROUNDS), way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        if process.stdout.readline() != "ready\n":
            raise Failed(f"{program} {way} on {kind} did not start")
        before = disk_flushes(where)
        output, _ = process.communicate("\n", SECONDS_MAX)
        samples.add(FLUSHES[kind], WAYS[way], (disk_flushes(where) - before) / ROUNDS)
        samples.add(TIMES[kind], WAYS[way], int(output) / 1000)


def measure(_, runs, samples):
    say("  group: requests of one ring")
    with directory("tmpfs") as where:
        samples.add(RING, "pmvm", ring_syncs(where, REQUESTS) - ring_syncs(where, 0))
    for run in range(runs):
        say(f"  group: run {run + 1} of {runs}")
        for kind in KINDS:
            for way in WAYS:
                measure_group(kind, way, samples)
