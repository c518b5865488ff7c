#!/usr/bin/python3
"""Measures pmvm side by side with QEMU, and prints ratios.

SPDX-License-Identifier: Apache-2.0

Usage: bench/bench.py [--only PART[,PART]] [--runs N]      (`make bench ONLY=... RUNS=...` builds pmvm first)

All peers get the same kernel, initramfs, image and work, in the order A B A B. It runs directly on KVM where that is
usable, otherwise in the test box, and prints which. Counts have the same meaning in both; times of an emulated host are
meaningful as ratios only. Prints every sample; writes bench/results/PART.json and its picture, docs/bench/PART.svg.
docs/performance.md explains the figures. The pictures in the repository are those of the run that it publishes.
"""
import argparse
import importlib
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT / folder) for folder in ("guest", "bench", "tests/system")]
import bench_svg
import peers
import report
from bench_common import Failed, Samples, say
from monitor import Refused

RESULTS = CHECKOUT / "bench/results"
PICTURES = CHECKOUT / "docs/bench"
SHARED = CHECKOUT / "build/box/shared/bench"
BOX = CHECKOUT / "tests/box/box.py"
RUNS = 7
DISK = "3G"
BOX_MAX = 5400  # seconds for all parts of a box, for RUNS: the bench ends, and shows the parts that did
END_MAX = 120  # seconds for a box to end what runs in it and itself
# In this order. Where each is measured: on KVM, in a box that counts instructions, or on this machine itself.
PARTS = {
    "flush": "kvm",
    "start": "kvm",
    "memory": "kvm",
    "faults": "kvm",
    "plug": "kvm",
    "devices": "kvm",
    "net": "kvm",
    "containers": "kvm",
    "containers-time": "kvm",
    "library": "kvm",
    "group": "kvm",
    "flood": "kvm",
    "write-back-time": "kvm",
    "instructions": "count",
    "write-back": "count",
    "write-back-bound": "count",
    "size": "host",
}


def module_of(part):
    return importlib.import_module(f"part_{part.replace('-', '_')}")


def measure(part, runs, where, directory):
    """Measures one part here, and saves it."""
    module, samples, began, failed = module_of(part), Samples(), time.monotonic(), None
    try:
        module.measure(peers.present()[0], runs, samples)
    except (Failed, Refused, OSError, subprocess.SubprocessError, ValueError) as e:
        failed = f"{type(e).__name__}: {e}"
        say(f"  {part}: FAILED: {failed}")
    report.save(directory, part, module.FIGURES, samples, where, failed)
    say(f"  {part}: {time.monotonic() - began:.0f} s")


def in_box(parts, runs, where, *options):
    """Measures parts in a box of their own, because a running box may lack the disk.

    The time-out uses this machine's clock: the clock of a box may differ.
    """
    seconds = BOX_MAX * max(1, runs / RUNS)
    arguments = ["--only", ",".join(parts), "--runs", str(runs), "--inside", where]
    if subprocess.run([BOX, "status"], stdout=subprocess.DEVNULL, check=False).returncode == 0:
        raise SystemExit("bench/bench.py: the box runs; stop it with: tests/box/box.py stop")
    box = subprocess.Popen([BOX, "exec", "--disk", DISK, *options, "--", sys.executable, "-B", __file__, *arguments])
    try:
        box.wait(seconds)
    except subprocess.TimeoutExpired:
        say(f"bench/bench.py: waited {seconds:.0f} s for the parts in the box; the last one did not end")
    finally:
        end_box(box)


def end_box(box):
    if box.poll() is not None:
        return
    box.terminate()
    try:
        box.wait(END_MAX)
    except subprocess.TimeoutExpired:
        box.kill()
        box.wait()
        subprocess.run([BOX, "stop", "--now"], check=False)


def forget(parts):
    """Removes the results of an earlier run, which could be mistaken for those of this one."""
    for part in parts:
        for directory in (SHARED, RESULTS):
            (directory / f"{part}.json").unlink(missing_ok=True)


def collect(parts):
    RESULTS.mkdir(parents=True, exist_ok=True)
    for part in parts:
        if (SHARED / f"{part}.json").exists():
            shutil.move(SHARED / f"{part}.json", RESULTS / f"{part}.json")


def show(parts):
    """Prints and draws; returns the parts that failed."""
    failed = []
    for part in parts:
        if not (RESULTS / f"{part}.json").exists():
            failed.append(part)
            continue
        module, samples = module_of(part), Samples()
        data = report.load(RESULTS, part)
        samples.values = {figure["name"]: figure["samples"] for figure in data["figures"]}
        report.table(f"{part} ({data['where']}, processors: {data['processors']})", module.FIGURES, samples)
        if data["failed"]:
            say(f"    FAILED: {data['failed']}")
            failed.append(part)
        if samples.values:
            drawn = getattr(module, "DRAWN", [figure["name"] for figure in data["figures"]])
            figures = [figure for figure in data["figures"] if figure["name"] in drawn]
            bench_svg.draw(PICTURES / f"{part}.svg", data | {"figures": figures})
    say(f"\nraw samples: {RESULTS.relative_to(CHECKOUT)}; pictures: {PICTURES.relative_to(CHECKOUT)}")
    return failed


def parse():
    parser = argparse.ArgumentParser(usage=__doc__.split("Usage: ")[1])
    parser.add_argument("--only", default="")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.parts = [part for part in args.only.split(",") if part] or list(PARTS)
    unknown = [part for part in args.parts if part not in PARTS]
    if unknown:
        sys.exit(f"bench/bench.py: no part '{unknown[0]}'; there are: {' '.join(PARTS)}")
    return args


def main():
    args = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if args.inside:
        for part in args.parts:
            measure(part, args.runs, args.inside, SHARED)
        return 0
    subprocess.run([CHECKOUT / "tools/install-packages", "test", "demo", "oci", "bench"], check=True)
    subprocess.run([CHECKOUT / "guest/build", "cloud", "sqlite", "fio", "postgresql"], check=True)
    subprocess.run([CHECKOUT / "oci/guest/build"], check=True)
    found, missing = peers.present()
    for peer in found:
        say(f"{peer.name}: {peer.about}")
    for line in missing:
        say(line)
    here = (
        subprocess.run(
            [CHECKOUT / "tests/on-kvm", "--where"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
        == "here"
    )
    forget(args.parts)
    by_place = {place: [part for part in args.parts if PARTS[part] == place] for place in ("kvm", "count", "host")}
    for part in by_place["host"]:
        measure(part, args.runs, "this machine", RESULTS)
    if by_place["kvm"] and here:
        for part in by_place["kvm"]:
            measure(part, args.runs, "on KVM", RESULTS)
    elif by_place["kvm"]:
        in_box(by_place["kvm"], args.runs, "in the box")
    if by_place["count"]:
        in_box(by_place["count"], min(args.runs, RUNS), "in a box that counts instructions", "--count-instructions")
    collect(args.parts)
    failed = show(args.parts)
    if failed:
        say(f"bench/bench.py: failed: {' '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
