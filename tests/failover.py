#!/usr/bin/python3
"""Kills the host of a machine at random moments, and checks that the machine continues on another one.

SPDX-License-Identifier: Apache-2.0

Both hosts are test boxes. The machine's disk is replicated by DRBD. docs/cluster.md explains what one failover shows.
The last line is "N passed, N failed". The exit status is 1 when a record was lost or the file system damaged, 2 when
the test itself did not work.
"""
import argparse
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
from host import PEER, WORK, Host, Switches
from plan import CHECKOUT, Lost, Trouble, numbers, say

WRITING = (1, 8)  # seconds from the first report of every writer to the end of the host
FILES = ["grown", "one", "two"]
STORAGES = ["device", "file"]


def reported(text):
    return numbers(r"(\w+): record (\d+) durable\n", text)


class ByHand:
    """The machine is started by the test, which also decides where."""

    def __init__(self, hosts, storage, program):
        self.hosts = hosts
        self.storage = storage
        self.program = program

    def setup(self):
        """Returns the host on which the machine starts."""
        for name, host in self.hosts.items():
            host.switch_on()
            host.step("setup", name, "first")
        self.hosts["a"].step("format", self.storage)
        return "a"

    def start_on(self, name):
        """Returns the console of the machine."""
        return self.hosts[name].start("machine", self.storage, env=[f"PMVM={self.program}"])

    def bring_back(self, name):
        """After the end of the host."""
        self.hosts[name].switch_on()
        self.hosts[name].step("setup", name, "again")

    def wait_replicated(self, name):
        self.hosts[name].step("connected")


class ByPacemaker:
    """The cluster of both hosts starts the machine, and notices that a host is lost. The test waits."""

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

    def start_on(self, name):
        return self.outputs[name]

    def bring_back(self, name):
        self.hosts[name].switch_on()
        self.hosts[name].step("setup", name, "again", part="pacemaker")
        self.join(name)

    def wait_replicated(self, name):
        self.hosts[name].step("ready", part="pacemaker")


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
        """Waits until the machine has read its disk; compares that with what was reported. Returns the numbers."""
        text = self.console.wait_for(
            lambda text: re.search(r"^checked$", text, re.MULTILINE) and text, "a checked file system"
        )
        found = numbers(r"^found (\w+) (\d+)$", text)
        for name, number in self.durable.items():
            if found.get(name, -1) < number:
                raise Lost(f"{name}: record {number} was reported durable, the last good one is {found.get(name)}")
        return found

    def start(self):
        self.active = self.manager.setup()
        self.console = self.manager.start_on(self.active)
        self.check()

    def failover(self):
        """Returns a text about it."""
        began = time.monotonic()
        self.manager.wait_replicated(self.active)
        self.console.wait_for(lambda text: len(reported(text)) == len(FILES), "a record of every writer")
        time.sleep(self.chance.uniform(*WRITING))
        if self.switches.ended:
            raise Trouble(f"host {self.switches.ended[0]} was switched off by the other one before its time")
        killed, self.active = self.active, PEER[self.active]
        self.hosts[killed].switch_off()
        self.console.join()
        ended = time.monotonic()
        before, self.durable = self.durable, self.durable | reported(self.console.text)
        self.console = self.manager.start_on(self.active)
        found = self.check()
        checked = time.monotonic()
        self.manager.bring_back(killed)
        new = sum(self.durable.values()) - sum(before.values())
        return (
            f"{killed} -> {self.active}, {new} new records reported, all {sum(self.durable.values())} there, "
            f"{sum(found.values()) - sum(self.durable.values())} more that were not reported; file system clean; "
            f"{ended - began:.0f} + {checked - ended:.0f} + {time.monotonic() - checked:.0f} s"
        )


def parse():
    parser = argparse.ArgumentParser(prog="failover", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--failovers", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument(
        "--storage",
        choices=STORAGES,
        default="device",
        help="the machine's mem-path: the replicated device, or a file on its ext4",
    )
    parser.add_argument("--by", choices=MANAGERS, default="hand", help="what starts the machine on the other host")
    parser.add_argument(
        "--broken", choices=["early-ack"], help="with a defective pmvm; the status is 0 when the defect is detected"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="for the moments")
    return parser.parse_args()


def prepare():
    for command in (["tools/install-packages", "box", "cluster", "build"], ["guest/build", "cloud", "generic"]):
        subprocess.run([CHECKOUT / command[0], *command[1:]], check=True)
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "log").unlink(missing_ok=True)
    # The guest checks its file system itself.
    subprocess.run([CHECKOUT / "guest/make-initrd", "-o", WORK / "e2fsck.img", "-p", "e2fsck"], check=True)
    parts = [CHECKOUT / "build/guest/cloud/initrd.img", WORK / "e2fsck.img"]
    (WORK / "initrd.img").write_bytes(b"".join(part.read_bytes() for part in parts))


def run_series(args, program):
    """Returns the number of failovers without a loss, and the loss, if there was one."""
    hosts = {name: Host(name) for name in PEER}
    for host in hosts.values():
        if host.box("status", check=False).startswith("runs"):
            raise Trouble(
                f"a box of another run is there; stop it: PMVM_BOX_DIR={host.directory} tests/box/box.py stop"
            )
    switches = Switches(hosts)
    switches.start()
    series = Series(hosts, switches, MANAGERS[args.by](hosts, args.storage, program), random.Random(args.seed))
    survived = 0
    try:
        series.start()
        for number in range(1, args.failovers + 1):
            text = series.failover()
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
    return survived, None


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    args = parse()
    began = time.monotonic()
    try:
        prepare()
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
