#!/usr/bin/python3
"""Kills the host of a machine at random moments, and checks that the machine continues on another one.

SPDX-License-Identifier: Apache-2.0

Both hosts are test boxes. The machine's disk is replicated by DRBD, or served by NBD to one host at a time.
docs/cluster.md explains what one failover shows. The last line is "N passed, N failed". The exit status is 1 when a
record was lost or the file system damaged, 2 when the test itself did not work.
"""
import argparse
import concurrent.futures
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent / room) for room in ("cluster", "power")]
import powercut
import shared_disk
from host import PEER, WORK, Host, Switches
from plan import CHECKOUT, Lost, Trouble, numbers, say

WRITING = (1, 8)  # seconds from the first report of every writer to the end of the host
FILES = ["grown", "one", "two"]
# Each of their reports is about one flush. A journal needs two, and all is written with the first one.
IN_PLACE = FILES[1:]
STORAGES = ["device", "file", "nbd"]


def reported(text):
    return numbers(r"(\w+): record (\d+) durable\n", text)


def checked(console):
    """Waits until the machine has read its disk; returns its console's text."""
    return console.wait_for(lambda text: re.search(r"^checked$", text, re.MULTILINE) and text, "a checked file system")


class ByHand:
    """The machine is started by the test, which also decides where."""

    paces = ["slow", "fast"]  # of the writers, in turn

    def __init__(self, hosts, storage, program):
        self.hosts = hosts
        self.storage = storage
        self.program = program

    def setup(self):
        """Returns the host on which the machine starts."""
        with concurrent.futures.ThreadPoolExecutor() as jobs:
            list(jobs.map(self.switch_on, self.hosts))
        self.hosts["a"].step("format", self.storage)
        return "a"

    def switch_on(self, name, when="first"):
        self.hosts[name].switch_on()
        self.hosts[name].step("setup", name, when)

    def start_on(self, name, peer, pace):
        """Returns the console of the machine."""
        return self.hosts[name].start("machine", self.storage, peer, pace, env=[f"PMVM={self.program}"])

    def bring_back(self, name, console):
        """After the end of the host, when the other one has its disk."""
        console.wait_for(lambda text: re.search(r"^promoted$", text, re.MULTILINE), "the disk of the other host")
        self.switch_on(name, "again")

    def slow_down(self, name):
        self.hosts[name].slow_network()

    def wait_replicated(self, name):
        self.hosts[name].step("connected")

    def close(self):
        """Nothing remains but the hosts."""


class ByPacemaker:
    """The cluster of both hosts starts the machine, and notices that a host is lost. The test waits."""

    paces = ["fast"]

    def __init__(self, hosts, storage, program):
        self.hosts = hosts
        self.storage = storage
        self.program = program
        self.outputs = {}

    def join(self, name):
        """The host becomes a member of the cluster. Its output is the machine's console, once that runs there."""
        self.outputs[name] = self.hosts[name].start(
            "join", self.storage, env=[f"PMVM={self.program}"], part="pacemaker"
        )

    def setup(self):
        for name, host in self.hosts.items():
            host.switch_on()
            host.step("setup", name, "first", part="pacemaker")
        self.hosts["a"].step("format", self.storage, part="pacemaker")
        for name in self.hosts:
            self.join(name)
        return self.hosts["a"].step("configure", self.storage, part="pacemaker").split()[-1]

    def start_on(self, name, _peer, _pace):
        return self.outputs[name]

    def bring_back(self, name, console):
        checked(console)
        self.hosts[name].switch_on()
        self.hosts[name].step("setup", name, "again", part="pacemaker")
        self.join(name)

    def wait_replicated(self, name):
        self.hosts[name].step("ready", part="pacemaker")

    def close(self):
        """Nothing remains but the hosts."""


MANAGERS = {"hand": ByHand, "pacemaker": ByPacemaker}


class Series:
    """Failovers, one after the other, on the same disks."""

    def __init__(self, hosts, switches, manager, chance):
        self.hosts = hosts
        self.switches = switches
        self.manager = manager
        self.chance = chance
        self.active = None
        self.durable = {}
        self.console = None

    def check(self):
        """Compares what the machine finds on its disk with what was reported. Returns the numbers."""
        found = numbers(r"^found (\w+) (\d+)$", checked(self.console))
        for name, number in self.durable.items():
            if found.get(name, -1) < number:
                raise Lost(f"{name}: record {number} was reported durable, the last good one is {found.get(name)}")
        return found

    def start(self, pace):
        self.active = self.manager.setup()
        self.console = self.manager.start_on(self.active, "alive", pace)
        self.check()

    def moment(self, pace):
        """Waits for the moment of the loss: a random one. With slow writers the network becomes slow, and the moment is
        their next report about a flush, which must not have come before the other host had the data.
        """
        self.console.wait_for(lambda text: len(reported(text)) == len(FILES), "a record of every writer")
        if pace == "slow":
            self.manager.slow_down(self.active)
        time.sleep(self.chance.uniform(*WRITING))
        if pace == "slow":
            before = [reported(self.console.text)[name] for name in IN_PLACE]
            self.console.wait_for(lambda text: [reported(text)[name] for name in IN_PLACE] != before, "one more report")
        if self.switches.ended:
            raise Trouble(f"host {self.switches.ended[0]} was switched off by the other one before its time")

    def failover(self, pace, following):
        """Returns a text about it. `following`: the pace after it; None: the last, the lost host does not return."""
        began = time.monotonic()
        self.manager.wait_replicated(self.active)
        self.moment(pace)
        killed, self.active = self.active, PEER[self.active]
        self.hosts[killed].switch_off()
        self.console.join()
        ended = time.monotonic()
        before, self.durable = self.durable, self.durable | reported(self.console.text)
        self.console = self.manager.start_on(self.active, "lost", following or pace)
        with concurrent.futures.ThreadPoolExecutor() as jobs:
            returned = jobs.submit(self.manager.bring_back, killed, self.console) if following else None
            found = self.check()
            started = time.monotonic()
            if returned:
                returned.result()
        new = sum(self.durable.values()) - sum(before.values())
        return (
            f"{killed} -> {self.active}, {new} new records reported, all {sum(self.durable.values())} there, "
            f"{sum(found.values()) - sum(self.durable.values())} more that were not reported; file system clean; "
            f"{ended - began:.0f} + {started - ended:.0f} + {time.monotonic() - started:.0f} s"
        )


def parse():
    parser = argparse.ArgumentParser(prog="failover", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--failovers", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument(
        "--storage",
        choices=STORAGES,
        default="device",
        help="the machine's mem-path: the replicated device, a file on its ext4, or a disk that both hosts reach",
    )
    parser.add_argument("--by", choices=MANAGERS, default="hand", help="what starts the machine on the other host")
    parser.add_argument(
        "--broken", choices=["early-ack"], help="with a defective pmvm; the status is 0 when the defect is detected"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="for the moments")
    args = parser.parse_args()
    if args.storage == "nbd" and args.by != "hand":
        parser.error("--storage nbd needs --by hand")
    if args.broken and args.by != "hand":
        parser.error("--broken needs --by hand: only there the test sets the pace at which an early answer shows")
    return args


def prepare(groups):
    for command in (
        ["tools/install-packages", "box", *groups, "build"],
        ["guest/build", "cloud", "generic"],
        ["tests/box/build"],  # now, because both boxes start at the same time
    ):
        subprocess.run([CHECKOUT / command[0], *command[1:]], check=True)
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "log").unlink(missing_ok=True)
    # The guest checks its file system itself.
    subprocess.run([CHECKOUT / "guest/make-initrd", "-o", WORK / "e2fsck.img", "-p", "e2fsck"], check=True)
    parts = [CHECKOUT / "build/guest/cloud/initrd.img", WORK / "e2fsck.img"]
    (WORK / "initrd.img").write_bytes(b"".join(part.read_bytes() for part in parts))


def run_series(args, program):
    """Returns the number of failovers without a loss, and the loss, if there was one."""
    hosts = {name: Host(name, shared_disk.HARDWARE if args.storage == "nbd" else None) for name in PEER}
    for host in hosts.values():
        if host.box("status", check=False).startswith("runs"):
            raise Trouble(
                f"a box of another run is there; stop it: PMVM_BOX_DIR={host.directory} tests/box/box.py stop"
            )
    switches = Switches(hosts)
    switches.start()
    make = shared_disk.BySharedDisk if args.storage == "nbd" else MANAGERS[args.by]
    manager = make(hosts, args.storage, program)
    series = Series(hosts, switches, manager, random.Random(args.seed))
    survived = 0
    try:
        paces = [manager.paces[number % len(manager.paces)] for number in range(args.failovers)] + [None]
        series.start(paces[0])
        for number in range(1, args.failovers + 1):
            text = series.failover(paces[number - 1], paces[number])
            say(f"  {args.by}, {args.storage}: failover {number}: {text}")
            survived += 1
    except Lost as lost:
        say(f"  {args.by}, {args.storage}: failover {survived + 1}: LOST: {lost}")
        return survived, lost
    finally:
        switches.stopped.set()
        switches.join()
        for host in hosts.values():
            host.switch_off()
        manager.close()
    return survived, None


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    args = parse()
    began = time.monotonic()
    try:
        prepare(["power"] if args.storage == "nbd" else ["drbd"] + ["cluster"] * (args.by == "pacemaker"))
        say(f"failover: seed {args.seed}")
        powercut.WORK.mkdir(parents=True, exist_ok=True)
        program = powercut.build_broken(args.broken) if args.broken else CHECKOUT / "build/pmvm"
        survived, lost = run_series(args, program)
    except Trouble as trouble:
        say(f"failover: {trouble}")
        return 2
    seconds = time.monotonic() - began
    if args.broken:
        say(f"failover: {args.broken}: {'detected' if lost else 'NOT detected'}, {survived} survived, {seconds:.0f} s")
        return 0 if lost else 1
    say(f"failover: {seconds:.0f} s")
    say(f"{survived} passed, {1 if lost else 0} failed")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
