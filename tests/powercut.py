#!/usr/bin/python3
"""Cuts the power of the host at random moments, and checks that everything reported durable is there.

SPDX-License-Identifier: Apache-2.0

The host is the test box; its disks are served by nbdkit, which keeps writes in its cache until they are flushed. A cut
kills all of them with SIGKILL. docs/powercut.md explains what one cut shows. The last line is "N passed, N failed". The
exit status is 1 when a record was lost or a file system damaged, 2 when the test itself did not work.
"""
import argparse
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "power"))
import plan
import power
from plan import CHECKOUT, WORK, Lost, Trouble, say

WRITING = (0.5, 3)  # seconds from the first report of every writer to the cut
GUESTS = ["bare", "linux"]

# Defective devices: (the file, its text, the text that replaces it).
BROKEN = {
    # Answers before the sync.
    "early-ack": (
        "libvpmem/pmem.c",
        "\t\tdo {\n\t\t\tfair_lock_worker_release(&dev->lock);\n",
        (
            "\t\tbatch_complete(dev, batch, 0);\n\t\tbatch->nrequests = 0;\n"
            "\t\tdo {\n\t\t\tfair_lock_worker_release(&dev->lock);\n"
        ),
    ),
    # Lets one sync answer what came while it ran.
    "coalesce": (
        "libvpmem/pmem.c",
        "\t\tbatch_complete(dev, batch, rc ? rc : vpmem_device_error(dev));\n",
        (
            "\t\tbatch_complete(dev, batch, rc ? rc : vpmem_device_error(dev));\n"
            "\t\tbatch_take(dev, batch);\n\t\tbatch_complete(dev, batch, rc);\n"
        ),
    ),
    # On persistent memory: leaves the file's metadata to a flush, which does nothing there.
    "no-map-sync": ("libvpmem/backing_map.c", " | MAP_SYNC;\n", ";\n"),
}


class Series:
    """Cuts of one host, one after the other, on the same disks."""

    def __init__(self, hosts, guest, program, chance, probe):
        self.hosts = hosts
        self.guest = guest
        self.disks = [power.make_disk(host) for host in plan.disks(hosts)]
        self.probe = power.make_probe() if probe else None
        self.environment = [f"PMVM={program}"]
        self.chance = chance
        self.durable = None

    def check(self, box):
        """Waits for the state after the start and compares it with what was reported before the cut."""
        text = box.wait_for(lambda text: re.search(r"^checked$", text, re.MULTILINE) and text, "checked file systems")
        if self.durable is None:
            return {}
        found = plan.numbers(r"^found (\S+) (\d+)$", text)
        for name, number in self.durable.items():
            if found.get(name, -1) < number:
                raise Lost(f"{name}: record {number} was reported durable, the last good one is {found.get(name)}")
        return found

    def cut(self, last=False):
        """Switches on, checks, writes, cuts. The last time only checks. Returns how many records were there that had
        not been reported, how many were reported now, and the seconds of the check and of everything."""
        began = time.monotonic()
        arguments = ["--hosts", ",".join(self.hosts), "--guest", self.guest]
        arguments += ["--first"] * (self.durable is None) + ["--check-only"] * last + ["--probe"] * bool(self.probe)
        with power.Power(self.disks + [self.probe] * bool(self.probe), arguments, self.environment) as box:
            found = self.check(box)
            checked = time.monotonic()
            if not last:
                writers = len(plan.names(self.guest, self.hosts))
                box.wait_for(lambda text: len(plan.reported(text)) == writers, "a record of every writer")
                time.sleep(self.chance.uniform(*WRITING))
            text = box.cut()
        if self.probe:
            power.check_probe(self.probe)
            self.probe = None
        before, new = self.durable or {}, plan.reported(text)
        extra = sum(found.values()) - sum(before.get(name, 0) for name in found)
        count = sum(number - found.get(name, 0) for name, number in new.items())
        self.durable = found | new
        return extra, count, checked - began, time.monotonic() - began


def run_series(series, cuts):
    """Returns how many cuts were survived, and what was lost, or None."""
    before = None
    for i in range(cuts + 1):
        try:
            extra, count, check_time, whole = series.cut(last=i == cuts)
        except Lost as lost:
            say(f"  {series.guest}: cut {i}: LOST: {lost}")
            return max(i - 1, 0), lost
        if before:
            say(
                f"  {series.guest}: cut {i}: {before[0]} records reported, all there, {extra} more that were not; "
                f"{'file systems clean; ' if series.guest == 'linux' else ''}{before[1]:.0f} + {check_time:.0f} s"
            )
        before = count, whole
    return cuts, None


def build_broken(name):
    """Builds a pmvm with one defect, from a copy of the sources."""
    file, old, new = BROKEN[name]
    target = WORK / f"pmvm-{name}"
    with tempfile.TemporaryDirectory(prefix="pmvm-broken-") as directory:
        tree = pathlib.Path(directory) / "tree"
        shutil.copytree(CHECKOUT, tree, ignore=lambda path, names: {"build", ".git"} & set(names))
        source = tree / file
        text = source.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise Trouble(f"--broken={name}: {file} has changed, this no longer fits")
        source.write_text(text.replace(old, new), encoding="utf-8")
        build = pathlib.Path(directory) / "build"
        for command in (["meson", "setup", build, tree, "-Ddefault_library=static"], ["ninja", "-C", build, "pmvm"]):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode:
                raise Trouble(f"cannot build {name}:\n{done.stdout[-3000:]}")
        shutil.copy(build / "pmvm", target)
    return target


def parse_cuts(text):
    """A number for each guest, or bare=18,linux=2."""
    return (
        dict.fromkeys(GUESTS, int(text))
        if text.isdigit()
        else {guest: int(number) for guest, number in (part.split("=") for part in text.split(","))}
    )


def parse():
    parser = argparse.ArgumentParser(prog="powercut", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument(
        "--cuts",
        type=parse_cuts,
        default="10",
        metavar="N",
        help="cuts with each guest (10), or with each its own number: bare=18,linux=2",
    )
    parser.add_argument(
        "--host-fs",
        choices=[*plan.DISKS, *plan.DAX],
        help="only this file system of the host, not ext4, xfs, and one of the others on persistent memory",
    )
    parser.add_argument(
        "--guest", choices=GUESTS, help="only this guest: Linux with its file systems, or a bare writer"
    )
    parser.add_argument(
        "--broken", choices=BROKEN, help="with a defective pmvm; the status is 0 when the defect is detected"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="for the moments of the cuts")
    return parser.parse_args()


def run_all(args, program):
    """Returns the number of cuts survived, and of series that ended with a loss."""
    survived, lost, probe = 0, 0, True
    hosts = [args.host_fs] if args.host_fs else [*plan.DISKS, random.Random(args.seed).choice(plan.DAX)]
    say(f"powercut: seed {args.seed}, file systems of the host: {', '.join(hosts)}")
    for guest, cuts in args.cuts.items():
        used = hosts if guest == "linux" else plan.disks(hosts)
        if args.guest in (None, guest) and cuts and used:
            good, loss = run_series(Series(used, guest, program, random.Random(f"{args.seed} {guest}"), probe), cuts)
            survived, lost, probe = survived + good, lost + (loss is not None), False
    if probe:
        raise Trouble("no cut was asked for; on persistent memory alone there are no bare guests")
    return survived, lost


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    args = parse()
    for command in (
        ["tools/install-packages", "box", "power", "build"],
        ["guest/build", "cloud", "generic", "ndctl", "sqlite"],
    ):
        subprocess.run([CHECKOUT / command[0], *command[1:]], check=True)
    power.BOX_DIR.mkdir(parents=True, exist_ok=True)
    (WORK / "log").unlink(missing_ok=True)
    began = time.monotonic()
    try:
        if subprocess.run([power.BOX, "status"], stdout=subprocess.DEVNULL, check=False).returncode == 0:
            raise Trouble(
                f"the box of another run is there; stop it with: PMVM_BOX_DIR={power.BOX_DIR} tests/box/box.py stop"
            )
        survived, lost = run_all(args, build_broken(args.broken) if args.broken else CHECKOUT / "build/pmvm")
    except Trouble as trouble:
        say(f"powercut: {trouble}")
        return 2
    seconds = time.monotonic() - began
    if args.broken:
        found = "detected" if lost else "NOT detected"
        say(f"powercut: {args.broken}: {found}, {survived} cuts survived, {seconds:.0f} s")
        return 0 if lost else 1
    say(f"powercut: {survived + lost} cuts in {seconds:.0f} s")
    say(f"{survived} passed, {lost} failed")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
