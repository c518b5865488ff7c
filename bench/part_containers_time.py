"""How long containers of pmvm-oci take, beside those of crun and those of QEMU microvm.

SPDX-License-Identifier: Apache-2.0
"""
import re
import statistics
import subprocess
import time

from bench_common import MIB, Figure, Samples, alternate
from container_runtimes import READ_MIB, STAY, Crun, Microvm, PmvmOci, drop, runtimes

SYNCS = 100
EXECS = 5
VOLUME_MIB = 64
CLOCK = "busybox adjtimex"

FIRST = Figure("create to first output", "ms", "host's clock: create, start, a line; the layers are in the page cache")
EXEC = Figure("exec of true", "ms", f"host's clock, median of {EXECS}")
READ = {
    state: Figure(f"read {READ_MIB} MiB of the image, {state}", "ms", f"the container's clock; {about}")
    for state, about in {"cold": "it is not in the host's page cache", "hot": "once more"}.items()
}
SYNC = Figure("a store and its fsync on a volume", "us", f"the container's clock, median of {SYNCS}; the host has ext4")
FIGURES = [FIRST, EXEC, *READ.values(), SYNC]


def volume(runtime, folder):
    """Changes of config.json for a new volume."""
    image, shared = folder / "volume.img", folder / "volume"
    shared.mkdir(exist_ok=True)
    with open(image, "wb") as file:
        file.truncate(VOLUME_MIB * MIB)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "-b", "4096", image], check=True)
    return runtime.volume(image, shared)


def warm(files):
    for path in files:
        with open(path, "rb") as file:
            while file.read(MIB):
                pass


def read_ms(runtime, name):
    # Debian's dd of busybox has no clock. adjtimex without options shows the time, and changes nothing.
    text = runtime.exec(name, "/bin/sh", "-c", f"{CLOCK}; busybox dd if=/read of=/dev/null bs=64k 2>/dev/null; {CLOCK}")
    began, began_us, ended, ended_us = map(int, re.findall(r"tv_u?sec: +(\d+)", text))
    return (ended - began) * 1000 + (ended_us - began_us) / 1000


def exec_ms(runtime, name):
    began = time.monotonic()
    runtime.exec(name, "true")
    return (time.monotonic() - began) * 1000


def measure_times(runtime, images, folder, samples):
    bundle = images.make(folder / "timed", 0, STAY, **volume(runtime, folder))
    warm(runtime.layer_files(images))
    try:
        samples.add(FIRST, runtime.name, runtime.start("timed", bundle) * 1000)
        samples.add(EXEC, runtime.name, statistics.median(exec_ms(runtime, "timed") for _ in range(EXECS)))
        drop(runtime.layer_files(images))
        for figure in READ.values():
            samples.add(figure, runtime.name, read_ms(runtime, "timed"))
        took = runtime.exec("timed", "/bin/dax-tool", "latency", "/data/file", str(SYNCS), "fsync")
        samples.add(SYNC, runtime.name, int(took.split()[0]) / 1000)
    finally:
        runtime.delete("timed")
        images.drop(folder / "timed")


def measure(_peers, runs, samples):
    with runtimes([PmvmOci, Crun, Microvm]) as (images, found):
        for runtime in found:
            # The first one also makes the layers and reads the programs.
            measure_times(runtime, images, runtime.folder, Samples())
        for _, runtime in alternate(found, runs, "containers"):
            measure_times(runtime, images, runtime.folder, samples)
