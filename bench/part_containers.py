"""The memory of the host that containers of pmvm-oci take, beside those of crun and those of QEMU microvm.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import pathlib
import re
import statistics
import subprocess
import time

import counters
from bench_common import MIB, Failed, Figure, alternate, say
from container_runtimes import IMAGES, RAM_MIB, READ_ALL, Crun, Microvm, PmvmOci, drop, runtimes

SPARE_MIB = 768  # of the host's memory, which no container gets
STILL_S, STILL_MAX_S = 6, 60  # a guest returns free memory every 2 s
KINDS = {"a": "one image", "b": "four images that share three of four layers"}

COUNTED = (
    f"containers that have read all layers of their image; machines of {RAM_MIB} MiB. Pss of all processes in their"
    " control groups without the layers, and the pages of the layers that are in the page cache, each once"
)
MEMORY = {
    (kind, n): Figure(f"{n} containers of {about}", "MiB", COUNTED)
    for kind, about in KINDS.items()
    for n in PmvmOci.counts[kind]
}


def per_container(what, method, **goal):
    return {
        kind: Figure(f"one more container of {about}{what}", "MiB", method, **goal) for kind, about in KINDS.items()
    }


SLOPE = per_container(", layers apart", "least squares over these numbers of containers, of Pss without the layers")
HOST = per_container(
    ", layers apart, by the host's meminfo",
    "least squares of MemTotal - MemFree - Buffers - Cached + Shmem - SReclaimable: the kernel's tables are in it",
)
BESIDE_RAM = per_container(", beside guest RAM", "the first without the mappings of guest RAM")
IN_USE = per_container(", RAM in use in the guest", "MemTotal - MemAvailable, by exec, median of the containers asked")
TAKEN = per_container(", RAM that the guest cannot give", f"{RAM_MIB} MiB - MemAvailable: with the kernel's own")
BEYOND = per_container(", layers and RAM in use apart", "slope minus the RAM that the guest cannot give", value_max=1)
LAYERS = {kind: Figure(f"layers of {about}", "MiB", "fincore, with all containers") for kind, about in KINDS.items()}

FIGURES = [
    *(figures[kind] for kind in KINDS for figures in (SLOPE, BESIDE_RAM, HOST, IN_USE, TAKEN, BEYOND, LAYERS)),
    *MEMORY.values(),
]


def meminfo(text):
    """{name: KiB}"""
    return {name: int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE)}


def host():
    return meminfo(pathlib.Path("/proc/meminfo").read_text())


def held_mib():
    """What the host cannot give, without page cache of files."""
    now = host()
    free = now["MemFree"] + now["Buffers"] + now["Cached"] - now["Shmem"] + now["SReclaimable"]
    return (now["MemTotal"] - free) / 1024


def resident_mib(files):
    """Pages of files that are in the page cache."""
    done = subprocess.run(["fincore", "-b", "-n", "-o", "RES", *files], stdout=subprocess.PIPE, text=True, check=True)
    return sum(map(int, done.stdout.split())) / MIB


def pss_mib(pids, files):
    """(all, all but guest RAM) of processes without these files; of what several share, each has its part."""
    inodes = {str(path.stat().st_ino) for path in files}
    every = beside = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for head, fields in counters.mappings(pid):
                if head.split()[4] not in inodes:
                    every += fields["Pss"]
                    beside += fields["Pss"] if "/memfd:" not in head else 0
    return every / 1024, beside / 1024


def wait_until_still():
    """Guests return what they have freed, and the host frees what has ended."""
    began = fell = time.monotonic()
    least = held_mib()
    while time.monotonic() - fell < STILL_S and time.monotonic() - began < STILL_MAX_S:
        time.sleep(1)
        if (now := held_mib()) < least - 1:
            least, fell = now, time.monotonic()


def slope(points):
    """By least squares."""
    return statistics.linear_regression(*zip(*points)).slope if len(points) > 1 else points[0][1]


class Crowd:
    """Containers of one runtime that run at the same time."""

    def __init__(self, runtime, images, folder, kind):
        self.runtime, self.images, self.folder, self.kind = runtime, images, folder, kind
        self.names = []

    def prepare(self):
        """The layers are made and on the disk, but not in memory."""
        self.grow(1)
        self.end()
        drop(self.runtime.layer_files(self.images))

    def fits(self, count):
        return not self.runtime.is_machine or (
            host()["MemAvailable"] / 1024 > SPARE_MIB + (count - len(self.names)) * RAM_MIB
        )

    def grow(self, count):
        while len(self.names) < count:
            name = f"{self.runtime.name.replace(' ', '-')}-{len(self.names)}"
            idx = len(self.names) % IMAGES if self.kind == "b" else 0
            bundle = self.images.make(self.folder / name, idx, READ_ALL)
            self.names.append(name)
            self.runtime.start(name, bundle)

    def end(self):
        for name in self.names:
            with contextlib.suppress(Failed):
                self.runtime.delete(name)
            self.images.drop(self.folder / name)
        self.names = []

    def memory(self):
        """MiB: Pss without the layers, of this beside guest RAM, the host's figure, the layers."""
        wait_until_still()
        files = self.runtime.layer_files(self.images)
        pids = [pid for name in self.names for pid in self.runtime.members(name)]
        return *pss_mib(pids, files), held_mib(), resident_mib(files)

    def guests(self):
        """/proc/meminfo of some of the guests."""
        return [meminfo(self.runtime.exec(name, "cat", "/proc/meminfo")) for name in self.names[:: IMAGES - 1]]


def measure_memory(runtime, images, folder, kind, samples):
    crowd, points = Crowd(runtime, images, folder, kind), {}
    crowd.prepare()
    try:
        for count in runtime.counts[kind]:
            if not crowd.fits(count):
                say(f"  {count} containers of {RAM_MIB} MiB may not fit into the memory of this host: left out")
                break
            crowd.grow(count)
            points[count] = crowd.memory()
            say(f"    {count}: MiB of Pss, of this beside RAM, of the host, of layers: {points[count]}")
            samples.add(MEMORY[kind, count], runtime.name, points[count][0] + points[count][3])
        guests = crowd.guests() if runtime.is_machine else []
    finally:
        crowd.end()
    for idx, figures in enumerate((SLOPE, BESIDE_RAM, HOST)):
        samples.add(figures[kind], runtime.name, slope([(n, point[idx]) for n, point in points.items()]))
    samples.add(LAYERS[kind], runtime.name, points[max(points)][3])
    if not guests:
        return
    available = statistics.median(guest["MemAvailable"] for guest in guests) / 1024
    samples.add(IN_USE[kind], runtime.name, statistics.median(guest["MemTotal"] for guest in guests) / 1024 - available)
    samples.add(TAKEN[kind], runtime.name, RAM_MIB - available)
    samples.add(BEYOND[kind], runtime.name, samples.values[SLOPE[kind].name][runtime.name][-1] - RAM_MIB + available)


def measure(_peers, _runs, samples):
    with runtimes([PmvmOci, Crun, Microvm]) as (images, found):
        for kind, about in KINDS.items():
            for _, runtime in alternate(found, 1, f"memory, {about}"):
                measure_memory(runtime, images, runtime.folder, kind, samples)
