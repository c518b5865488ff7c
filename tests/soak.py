#!/usr/bin/python3
"""Runs one machine for hours under load, with reboots, hotplug and monitor clients; checks its data, looks for leaks.

SPDX-License-Identifier: Apache-2.0

docs/soak.md describes the load and the criteria. The last line is "nothing wrong, nothing grew", or what; the status
is 1 when data was wrong or something grew, 2 when the test itself did not work.
"""
import argparse
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "guest"))
import machine
import monitor

RAM_MIB = 768  # fio and its libraries take 170 of it
CYCLES_BETWEEN_RESETS = 8
UNPLUG_MAX = 120
STEP_MAX = 600  # seconds for a command in the guest, which is busy
GROWTH_KIB = 64  # see docs/soak.md
SAMPLES_MIN = 8  # two for each quarter

# The devices that stay plugged. The guest identifies them by size, because names may change at a boot.
FILES_MIB, MAPPED_MIB, BLOCK_MIB, PLUGGED_MIB = 64, 72, 80, 32
# Not --thread: fio 3.33 then reads its state, now and then, when the main thread has unmapped it already.
FIO = (
    "fio --nice=10 --randrepeat=0 --verify=crc32c --verify_fatal=1 --verify_state_save=0 --rw=randwrite --size=2M "
    "--name=soak "
)
LOADS = {
    "files": FIO + "--filename=/mnt/files/fio --bs=4k --ioengine=psync --fsync=16",
    "mapped": FIO + "--filename=/mnt/mapped/fio --bs=4k --ioengine=mmap --fsync=64",
    "block": FIO + f"--filename=$(dev {BLOCK_MIB}) --bs=16k --ioengine=psync --direct=1 --fsync=16",
}
PLUGGED_LEN = 4 * machine.MIB  # of the file on the device that is plugged and unplugged

# The device of that many MiB, when it is there.
DEV = """dev() { n=0; while [ $n -lt 500 ]; do for b in /sys/block/pmem*; do
[ "$(cat $b/size 2>/dev/null)" != $(($1 * 2048)) ] || { echo /dev/${b##*/}; return 0; }; done; n=$((n+1)); sleep 0.2
done; return 1; }"""


class Wrong(Exception):
    """Data was wrong, or something grew."""


def say(text):
    print(text, flush=True)


class Clients(threading.Thread):
    """Monitor clients that connect, send queries or invalid input, and disconnect."""

    def __init__(self, directory, chance):
        super().__init__(daemon=True)
        self.directory = directory
        self.chance = chance
        self.connected = threading.Lock()  # held while a client is connected
        self.ended = threading.Event()
        self.count = 0
        self.failure = None

    def ask(self):
        with monitor.Qmp(self.directory / "qmp-others") as qmp:
            qmp.run(self.chance.choice(["query-pmem", "query-status", "query-memory-devices", "query-qmp-schema"]))

    def ask_hmp(self):
        with monitor.Hmp(self.directory / "hmp") as hmp:
            hmp.run(self.chance.choice(["info pmem", "info status", "help", "no such command"]))

    def vanish(self):
        client = monitor.connect(self.directory / self.chance.choice(["qmp-others", "hmp"]))
        client.sendall(
            self.chance.choice(
                [b'{"execute": "query-', b"\x00\xff{{[[", b"info pm\t", b"", b'{"execute": "qmp_capabilities"}']
            )
        )
        client.close()

    def run(self):
        try:
            while not self.ended.wait(self.chance.uniform(0.1, 1)):
                with self.connected:
                    self.chance.choice([self.ask, self.ask_hmp, self.vanish])()
                    self.count += 1
        except (OSError, ValueError, monitor.Refused) as error:
            self.failure = error


class Sample:
    """The resources of the process, while no client is connected and no plug or unplug is pending."""

    def __init__(self, pid):
        proc = pathlib.Path(f"/proc/{pid}")
        rollup = {
            name: int(kib)
            for name, kib in re.findall(r"^(\w+): +(\d+) kB", (proc / "smaps_rollup").read_text(), re.MULTILINE)
        }
        self.resident = rollup["Rss"]
        self.private = rollup["Private_Clean"] + rollup["Private_Dirty"]
        self.own = self.anonymous(proc)
        self.descriptors = len(list((proc / "fd").iterdir()))
        self.threads = len(list((proc / "task").iterdir()))

    @staticmethod
    def anonymous(proc):
        """Of all mappings but the guest's RAM, which is as large as it; the others are smaller."""
        total = size = 0
        for name, kib in re.findall(r"^(Size|Anonymous): +(\d+) kB", (proc / "smaps").read_text(), re.MULTILINE):
            if name == "Size":
                size = int(kib)
            elif size < RAM_MIB * 1024:
                total += int(kib)
        return total

    def __str__(self):
        return (
            f"resident {self.resident} KiB, private {self.private} KiB, own {self.own} KiB, "
            f"{self.descriptors} descriptors, {self.threads} threads"
        )


def quiet_sample(vm):
    """Returns the least of some samples: pmvm may not have noticed yet that a client disconnected."""
    samples = []
    for _ in range(5):
        time.sleep(0.2)
        samples.append(Sample(vm.process.pid))
    return min(samples, key=lambda sample: (sample.descriptors, sample.threads, sample.own))


def judge(samples):
    """Compares the second quarter with the last: in the first one, everything is touched for the first time."""
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    grown = []
    for name, middle, tolerance in (
        ("own", statistics.median, GROWTH_KIB),
        ("descriptors", max, 0),
        ("threads", max, 0),
    ):
        before, after = (middle([getattr(sample, name) for sample in part]) for part in (second, last))
        say(f"soak: {name}: {before} in the second quarter, {after} in the last one")
        if after > before + tolerance:
            grown.append(f"{name} grew from {before} to {after}")
    if grown:
        raise Wrong("; ".join(grown))


def forbidden_calls():
    """What the kernel has logged of programs called pmvm: system calls that their filters do not allow."""
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line for line in log.splitlines() if "type=1326" in line and "pmvm" in line]


def processor_time(pid, seconds=3):
    """How many of the next seconds each thread runs: a guest that hangs either spins or waits."""

    def used():
        times = {}
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            times[(task / "comm").read_text().strip()] = int(fields[11]) + int(fields[12])
        return times

    before = used()
    time.sleep(seconds)
    after = used()
    ticks = os.sysconf("SC_CLK_TCK")
    return ", ".join(f"{name} {(after[name] - before.get(name, 0)) / ticks:.2f}" for name in sorted(after))


class Soak:
    """The machine under load, and what was counted and sampled of it."""

    def __init__(self, directory, seconds, chance):
        self.directory = directory
        self.began = time.monotonic()
        self.end = self.began + seconds
        self.chance = chance
        self.cycles = self.resets = 0
        self.rounds = dict.fromkeys(LOADS, 0)  # of boots before this one
        self.rounds_now = dict.fromkeys(LOADS, 0)  # of this boot, at the last sample
        self.samples = []
        self.extra = directory / "plugged.img"
        self.guest = self.qmp = self.clients = None  # while the machine runs

    def options(self):
        sizes = enumerate([FILES_MIB, MAPPED_MIB, BLOCK_MIB], 1)
        return [
            option
            for number, mib in sizes
            for option in machine.pmem(self.directory / f"{number}.img", number, f"{mib}M")
        ] + [
            "-qmp",
            f"unix:{self.directory}/qmp,server=on,wait=off",
            "-qmp",
            f"unix:{self.directory}/qmp-others,server=on,wait=off",
            "-monitor",
            f"unix:{self.directory}/hmp,server=on,wait=off",
        ]

    def run(self):
        serial = ["-display", "none", "-serial", "stdio"]
        serial += ["-sandbox", f"log,dir={self.directory}"]
        forbidden_before = forbidden_calls()
        with (
            machine.Guest(
                *self.options(), memory=f"{RAM_MIB}M", cpus=2, archives=["fio"], wait=False, serial=serial
            ) as guest,
            monitor.Qmp(self.directory / "qmp") as qmp,
        ):
            self.guest, self.qmp = guest, qmp
            self.clients = Clients(self.directory, random.Random(self.chance.random()))
            guest.booted()
            self.prepare()
            self.clients.start()
            try:
                self.loop()
            except (machine.Failed, TimeoutError):
                say(f"soak: of 3 s, each thread runs: {processor_time(guest.process.pid)}")
                raise
            finally:
                self.clients.ended.set()
                self.clients.join(monitor.ANSWER_MAX)
            self.stop_loads()
            for name in ("files", "mapped"):
                self.guest.run(f"umount /mnt/{name}", STEP_MAX)
            if guest.power_off() != 0:
                raise Wrong(f"pmvm did not end with status 0: {guest.error_text}")
        forbidden = forbidden_calls()[len(forbidden_before) :]
        if forbidden:
            raise Wrong("system calls that the sandbox forbids:\n" + "\n".join(forbidden))
        for image in (self.directory / "1.img", self.directory / "2.img", self.extra):
            done = subprocess.run(
                ["/sbin/e2fsck", "-fp", image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            if done.returncode not in (0, 1):
                raise Wrong(f"e2fsck -fp {image}: status {done.returncode}\n{done.stdout}")

    # The guest.

    def begin(self):
        """Prepares the shell after each boot.

        Kernel messages about a removed device would appear between the answers. The shell has priority over the loads,
        which share the one processor of an emulated host.
        """
        self.guest.run("dmesg -n 1; renice -n -10 -p $$")
        self.guest.run(DEV)

    def prepare(self):
        self.begin()
        for mib in (FILES_MIB, MAPPED_MIB):
            self.guest.run(f"mkfs.ext4 -q -b 4096 $(dev {mib})", STEP_MAX)
        self.start_loads()

    def start_loads(self):
        self.guest.run("mkdir -p /mnt/plugged")
        for name, mib in (("files", FILES_MIB), ("mapped", MAPPED_MIB)):
            self.guest.run(f"mkdir -p /mnt/{name} && mount -o dax $(dev {mib}) /mnt/{name}", STEP_MAX)
        self.guest.run("dd if=/dev/zero of=/mnt/files/records bs=1M count=16 conv=fsync", STEP_MAX)
        # As grandchildren: the shell ends when a background job of its own does.
        records = "renice -n 20 -p $$; exec dax-tool named-records /mnt/files/records 1000000 in-place"
        self.guest.run(f"((sh -c '{records}' >/tmp/records 2>&1 || [ -e /tmp/ended ] || echo records >>/tmp/wrong) &)")
        for name, command in LOADS.items():
            self.guest.run(
                f"echo -n >/tmp/{name}.rounds; ((while {command} >/tmp/{name} 2>&1; do echo >>/tmp/{name}.rounds; done;"
                f" [ -e /tmp/ended ] || echo {name} >>/tmp/wrong) &)"
            )

    def look_at_loads(self):
        found = self.guest.run(
            "for n in $(cat /tmp/wrong 2>/dev/null); do echo wrong $n:; tail -n 20 /tmp/$n; done; "
            "for f in /tmp/*.rounds; do echo rounds $f $(wc -l <$f); done"
        )
        if "wrong" in found:
            raise Wrong(
                f"a load failed:\n{found}\nthe end of the guest's log:\n" + self.guest.run("dmesg | tail -n 20")
            )
        if self.clients.failure:
            raise Wrong(f"a client of the monitor: {self.clients.failure!r}")
        self.rounds_now |= {
            name: int(count) for name, count in re.findall(r"^rounds /tmp/(\w+)\.rounds (\d+)$", found, re.MULTILINE)
        }

    def end_of_loads(self):
        self.look_at_loads()
        self.rounds = {name: rounds + self.rounds_now[name] for name, rounds in self.rounds.items()}
        self.rounds_now = dict.fromkeys(LOADS, 0)

    def stop_loads(self):
        self.end_of_loads()
        self.guest.run(
            (
                "touch /tmp/ended; killall fio dax-tool; n=0; while pidof fio dax-tool; do n=$((n+1)); [ $n -lt 100 ]"
                " || exit 1; sleep 1; done; true"
            ),
            STEP_MAX,
        )

    def check_records(self, reported):
        self.guest.run(f"mkdir -p /mnt/files && mount -o dax $(dev {FILES_MIB}) /mnt/files", STEP_MAX)
        there = int(self.guest.run("dax-tool check-records /mnt/files/records", STEP_MAX).split()[-1])
        if there < reported:
            raise Wrong(f"after a reset: {reported} records were reported durable, {there} are there")
        self.guest.run("umount /mnt/files", STEP_MAX)

    # Reboots, hotplug, unplug.

    def plug(self):
        self.qmp.run(
            "object-add",
            {
                "qom-type": "memory-backend-file",
                "id": "extra",
                "share": True,
                "mem-path": str(self.extra),
                "size": PLUGGED_MIB * machine.MIB,
            },
        )
        self.qmp.run("device_add", driver="virtio-pmem-pci", id="plugged", memdev="extra")
        self.guest.run(
            f"d=$(dev {PLUGGED_MIB})"
            + (" && mkfs.ext4 -q -b 4096 $d" if self.cycles == 0 else "")
            + " && mount -o dax $d /mnt/plugged",
            STEP_MAX,
        )

    def unplug(self):
        self.qmp.run("device_del", id="plugged")
        self.qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="plugged")
        self.qmp.run("object-del", id="extra")

    def use_plugged(self):
        """Checks what the last cycle wrote, and writes another pattern for the next one."""
        file, n = "/mnt/plugged/f", self.cycles
        if n and (result := self.guest.run(f"dax-tool verify {file} {PLUGGED_LEN} {n}", STEP_MAX, check=False))[0]:
            raise Wrong(f"cycle {n}: the file on the plugged device: {result[1]}")
        self.guest.run(f"dax-tool write {file} {PLUGGED_LEN} {n + 1} && sync {file}", STEP_MAX)

    def cycle(self):
        self.plug()
        self.use_plugged()
        self.guest.run("umount /mnt/plugged", STEP_MAX)
        self.unplug()
        self.cycles += 1
        self.look_at_loads()

    def cycle_with_reset(self):
        """Unplugs the device while it is mounted and written, then resets the machine from the monitor or the guest."""
        self.plug()
        self.use_plugged()
        self.guest.run(
            "((while dd if=/dev/zero of=/mnt/plugged/other bs=64k count=16 conv=fsync 2>/dev/null; do :; done) &)"
        )
        self.unplug()
        self.cycles += 1
        self.end_of_loads()
        reported = self.guest.run(r"sed -n 's/.*: record \(.*\) durable/\1/p' /tmp/records | tail -n 1")
        begin = len(self.guest.output)
        if self.resets % 2:
            self.guest.send("reboot -f\n")
        else:
            self.qmp.run("system_reset")
        self.guest.booted(begin)
        self.resets += 1
        self.begin()
        self.check_records(int(reported or 0))
        self.start_loads()

    def sample(self):
        with self.clients.connected:
            sample = quiet_sample(self.guest)
        self.samples.append(sample)
        say(f"minute {(time.monotonic() - self.began) / 60:.0f}: {sample}; {self.counts()}")

    def counts(self):
        rounds = ", ".join(f"{name} {self.rounds[name] + self.rounds_now[name]}" for name in LOADS)
        return f"{self.cycles} cycles, {self.resets} resets, {self.clients.count} clients, rounds of fio: {rounds}"

    def loop(self):
        next_sample = time.monotonic() + 60
        while time.monotonic() < self.end:
            (self.cycle if (self.cycles + 1) % CYCLES_BETWEEN_RESETS else self.cycle_with_reset)()
            if time.monotonic() >= next_sample:
                self.sample()
                next_sample += 60 * (1 + (time.monotonic() - next_sample) // 60)


def inside(args):
    machine.BOOT_MAX = STEP_MAX
    where = "/mnt/disk" if os.path.ismount("/mnt/disk") else None
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="pmvm-soak-", dir=where) as name:
        soak = Soak(pathlib.Path(name), args.hours * 3600, chance)
        soak.run()
    say(f"soak: {soak.counts()}")
    if not all(soak.rounds.values()) or not soak.resets:
        say("soak: too short: not every load, or no reset, came to its end")
        return 2
    if len(soak.samples) < SAMPLES_MIN:
        say(f"soak: too short to judge growth: {len(soak.samples)} samples; nothing wrong")
        return 2
    judge(soak.samples)
    say("soak: nothing wrong, nothing grew")
    return 0


def outside(args):
    for command in (["tools/install-packages", "build", "guest"], ["guest/build", "cloud", "fio"]):
        subprocess.run([CHECKOUT / command[0], *command[1:]], check=True)
    where = subprocess.run(
        [CHECKOUT / "tests/on-kvm", "--where"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    if where == "box":
        subprocess.run([CHECKOUT / "guest/build", "generic"], check=True)
    # The box's own disk: a sync has something to do there.
    place = [CHECKOUT / "tests/box/box.py", "exec", "--disk", "2G", "--"] if where == "box" else []
    return subprocess.run(
        [
            *place,
            sys.executable,
            "-B",
            CHECKOUT / "tests/soak.py",
            "--inside",
            "--hours",
            str(args.hours),
            "--seed",
            str(args.seed),
        ],
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument(
        "--hours", type=float, default=1, help="how long (1); less than 0.2 is too short to judge growth"
    )
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1 << 32), help="for what the clients of the monitor do"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.inside:
        say(f"soak: {args.hours} h, seed {args.seed}")
        return outside(args)
    try:
        return inside(args)
    except Wrong as wrong:
        say(f"soak: FAILED: {wrong}")
        return 1
    except (machine.Failed, monitor.Refused, TimeoutError, OSError) as failed:
        say(f"soak: {failed}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
