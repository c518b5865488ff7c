"""What a flush costs when the process writes the dirty pages itself: private mapping, KVM's dirty log, direct I/O.

bench/write_back.c is a small virtual machine of its own. "pmvm" is what pmvm does: a shared mapping and fdatasync. The
others have a private mapping. Their disks are in memory, so that no processor is ever idle; "null" keeps no data, so
that its transfers cost no instructions, as those of a real disk.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import dataclasses
import pathlib
import re
import subprocess
import tempfile

import machine
from bench_common import Figure, directory, make_file_system, ram_disk, say

SMALL_MIB = 256
LARGE_MIB = 1024
APART = 15  # pages from one scattered page to the next: runs of one page
RUNS = 2
SECONDS_MAX = 900
CONFIGFS = pathlib.Path("/sys/kernel/config")
NULL = CONFIGFS / "nullb/pmvm-bench"
NULL_MIB = 1536
# {name in the table: mode and way of bench-write-back}
OWN = {"bitmap": ("bitmap", "direct"), "ring": ("ring", "direct"), "ring, redo log": ("ring", "redo")}
PEERS = {"pmvm": ("shared", "direct")} | OWN
BUFFERED = {"pmvm": ("shared", "direct"), "bitmap": ("bitmap", "buffered"), "ring": ("ring", "buffered")}
WAYS = {f"ring, {way}": ("ring", way) for way in ("direct", "dsync", "uring", "uring-dsync", "buffered", "redo")}
LOGS = {"pmvm": ("shared", "direct"), "private, no log": ("private", "direct")} | {
    name: OWN[name] for name in ("bitmap", "ring")
}
COUNTS = {"faults": "nested faults", "exits": "exits", "user-exits": "exits to user space", "calls": "system calls"}


@dataclasses.dataclass(frozen=True)
class Work:
    """What the guest does, as bench-write-back takes it; `about` names it in the tables."""

    kind: str
    npages: int
    apart: int = 1
    rounds: int = 100
    size_mib: int = SMALL_MIB
    about: str = ""

    @property
    def name(self):
        if self.about:
            return self.about
        return f"a flush of {self.npages} {self.kind}{' scattered' if self.apart > 1 else ''} pages"


HOT = [Work("hot", npages, rounds=rounds) for npages, rounds in ((1, 200), (4, 200), (16, 100), (256, 30), (4096, 4))]
SCATTERED = [Work("hot", npages, APART, rounds) for npages, rounds in ((4, 200), (16, 100), (256, 30), (4096, 4))]
COLD = [Work("cold", npages, rounds=rounds) for npages, rounds in ((1, 200), (4, 200), (16, 100), (256, 30), (4096, 4))]
LARGE = Work("hot", 1, rounds=200, size_mib=LARGE_MIB, about="a flush of 1 hot page of a window of 1 GiB")
STREAM = Work("cold", 16384, rounds=1, about="64 MiB written once and flushed")
UNFLUSHED = [
    Work("store", 16384, rounds=1, about="first stores to 64 MiB, without a flush"),
    Work("store", 4096, rounds=100, about="stores to the same 16 MiB, without a flush, 100 times"),
    Work("load", 4096, rounds=3, about="first loads from 16 MiB"),
]
WAY_WORKS = [Work("hot", npages, apart, 30) for npages, apart in ((1, 1), (16, 1), (256, 1), (16, APART), (256, APART))]
ONE_LOG = {name: peer for name, peer in PEERS.items() if "redo" not in name}  # what the redo log has room for
FEW = [HOT[0], HOT[2], HOT[3], SCATTERED[2], COLD[3], LARGE]
# (disk: a file system or a bound, works, peers, whether counts are measured as well)
PLAN = [
    ("ext4 on null", [*HOT[:-1], *SCATTERED[:-1], LARGE], PEERS, False),
    ("ext4 on null", WAY_WORKS, WAYS | {"bitmap, no faults": ("unarmed", "direct")}, False),
    ("ext4", [*HOT, *SCATTERED, *COLD, LARGE], PEERS, True),
    ("ext4", [STREAM], ONE_LOG, True),
    ("ext4", UNFLUSHED, LOGS, True),
    ("xfs", FEW, PEERS, False),
    ("xfs", [STREAM], ONE_LOG, False),
    ("tmpfs", [*FEW, STREAM, *UNFLUSHED[:2]], BUFFERED, False),
    ("huge", UNFLUSHED, LOGS, True),
    ("ext4, disk with a cache", WAY_WORKS, {"pmvm": PEERS["pmvm"]} | WAYS, False),
]
METHOD = "bench/write_back.c, a round after 3 others; guest and host together, by the box's clock"


def figure(place, work, counted=None):
    if counted:
        return Figure(
            f"{place}: {COUNTS[counted]} of {work.name}", "", "KVM's statistics and a tracepoint, for a round"
        )
    return Figure(f"{place}: instructions of {work.name}", "thousand", METHOD)


def all_figures():
    for place, works, _, is_counted in PLAN:
        for work in works:
            yield figure(place, work)
            yield from (figure(place, work, counted) for counted in COUNTS if is_counted)


FIGURES = list(dict.fromkeys(all_figures()))
# The picture has the figures that the decision needs.
DRAWN = [figure("ext4 on null", work).name for work in PLAN[0][1]]


@contextlib.contextmanager
def null_disk(**attributes):
    """ext4 on a disk that keeps no data, or with `memory_backed` on one that does: its metadata stays in the cache of
    the device, which `held` keeps."""
    subprocess.run(["modprobe", "null_blk", "nr_devices=0"], check=True)
    if not NULL.parent.exists():
        subprocess.run(["mount", "-t", "configfs", "none", CONFIGFS], check=True)
    NULL.mkdir()
    try:
        for name, value in ({"size": NULL_MIB, "blocksize": 4096, "irqmode": 0} | attributes | {"power": 1}).items():
            (NULL / name).write_text(str(value))
        with open(f"/dev/{NULL.name}", "rb") as held, tempfile.TemporaryDirectory(prefix="pmvm-bench-") as name:
            assert held
            make_file_system("ext4", f"/dev/{NULL.name}")
            subprocess.run(["mount", f"/dev/{NULL.name}", name], check=True)
            try:
                yield pathlib.Path(name)
            finally:
                subprocess.run(["umount", name], check=True)
    finally:
        NULL.rmdir()


def disk(place):
    if place == "ext4 on null":
        return null_disk()
    if place == "ext4, disk with a cache":
        return null_disk(memory_backed=1, cache_size=64)
    return directory(place) if place in ("tmpfs", "huge") else ram_disk(place)


def make_file(path, size_mib):
    """Written, and in the page cache; a large one is written at its begin only."""
    with open(path, "wb") as file:
        if size_mib == LARGE_MIB:
            subprocess.run(["fallocate", "-l", f"{size_mib}M", path], check=True)
            file.write(bytes(1 << 20))
        else:
            for _ in range(size_mib):
                file.write(bytes(1 << 20))
    subprocess.run(["sync"], check=True)


def run_once(place, path, peer, work, rounds, *options):
    """{counted: value of a round}"""
    program = machine.near(machine.CHECKOUT / "build/bench/bench-write-back")
    if place == "ext4 on null":
        options = [*options, "unread"]
    command = [program, path, work.size_mib, *peer, work.kind, work.npages, work.apart, rounds, *options]
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS_MAX
    )
    return {name: float(value) for name, value in re.findall(r"([\w-]+) ([\d.]+)", done.stdout)}


def measure_work(place, where, work, peers, is_counted, samples):
    path = where / f"{work.size_mib}.img"
    if not path.exists():
        make_file(path, work.size_mib)
    for name, peer in peers.items():
        if work.kind != "hot":
            # Direct I/O took pages out of the cache; a guest's first access would read them from the disk.
            subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
        result = run_once(place, path, peer, work, work.rounds)
        samples.add(figure(place, work), name, result["ns"] / 1000)
        if not is_counted:
            continue
        result = run_once(place, path, peer, work, work.rounds, "count")
        for counted in COUNTS:
            samples.add(figure(place, work, counted), name, result[counted])


def measure(_, runs, samples):
    for place in dict.fromkeys(place for place, *_ in PLAN):
        with disk(place) as where:
            for run in range(min(runs, RUNS)):
                for _, works, peers, is_counted in (line for line in PLAN if line[0] == place):
                    for work in works:
                        say(f"  write-back: run {run + 1} of {min(runs, RUNS)}, {place}, {work.name}")
                        measure_work(place, where, work, peers, is_counted and run == 0, samples)
