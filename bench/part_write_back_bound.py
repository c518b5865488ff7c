"""What write-back costs a database of a Linux guest: the most that any other write-back could win.

On tmpfs nothing is written back: a page is write-protected never, and a sync returns at once. The instructions of a
transaction there are therefore a bound: no other way of write-back can have fewer.

SPDX-License-Identifier: Apache-2.0
"""
import counters
import machine
from bench_common import Failed, Figure, directory, ram_disk, say, settle
from part_instructions import StoodStill, elapsed, ended_late

IMAGE_MIB = 96
TRANSACTIONS = 1000
KINDS = ("tmpfs", "ext4", "xfs")
TRIES = 4
RUNS = 2
START_MAX, MEASURE_MAX = 240, 900  # seconds of the machine outside; 20 and 150 are usual
MEMORY = "640M"  # fio and its libraries take 170 MiB of it
HOST = "guest and host together, by the box's clock; image on {kind}, ext4-DAX in the guest"
# {work: (what it is, command of n of them)}. Command lines have one length: characters of the console cost exits.
SQL = (
    'i=0; { echo "PRAGMA journal_mode=wal; PRAGMA synchronous=full; CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY,'
    ' v);"; while [ $i -lt $1 ]; do i=$((i+1)); echo "REPLACE INTO t VALUES($((i*7919%5000)), zeroblob(100));"; done; }'
)
WORKS = {
    "sqlite": (
        "a transaction of sqlite (WAL, synchronous=FULL)",
        "sqlite3 -batch -bail /mnt/db </tmp/sql-{n:04} >/dev/null",
    ),
    "fio": (
        "a 4 KiB write at a random place and its fsync (fio)",
        "fio --name=a --filename=/mnt/fio --size=16M --rw=randwrite --bs=4k --ioengine=psync --fsync=1"
        " --number_ios={n:<6} --randseed=1 --output=/dev/null",
    ),
}
COSTS = {
    work: Figure(f"instructions of {about}", "thousand", f"{HOST.format(kind='that file system')}; on a RAM disk")
    for work, (about, _) in WORKS.items()
}
SYNCS = {work: Figure(f"host syncs of {about}", "", "tracepoint of fdatasync") for work, (about, _) in WORKS.items()}
FAULTS = {work: Figure(f"nested faults of {about}", "", "KVM's pf_taken") for work, (about, _) in WORKS.items()}
FIGURES = [*COSTS.values(), *SYNCS.values(), *FAULTS.values()]


class BoundGuest(machine.Guest):
    """A guest whose hanging part_instructions.ended_late can report."""

    name = "pmvm"


def measure_work(guest, work):
    """{figure: value}"""
    _, command = WORKS[work]
    pid = guest.process.pid

    def run(number):
        guest.run(command.format(n=number), timeout=MEASURE_MAX)

    run(TRANSACTIONS)
    settle(guest)
    none = elapsed(lambda: run(1))
    faults = counters.kvm(pid, "pf_taken")
    some = elapsed(lambda: run(TRANSACTIONS))
    faults = counters.kvm(pid, "pf_taken") - faults
    with counters.syncs(pid) as syncs:
        run(TRANSACTIONS)
    return {
        COSTS[work]: (some - none) / (TRANSACTIONS - 1) / 1000,
        SYNCS[work]: sum(syncs.values()) / TRANSACTIONS,
        FAULTS[work]: faults / TRANSACTIONS,
    }


def measure_once(kind, work):
    with directory("tmpfs") if kind == "tmpfs" else ram_disk(kind) as where:
        image = where / "a.img"
        image.write_bytes(bytes(IMAGE_MIB << 20))
        with BoundGuest(*machine.pmem(image, 1, f"{IMAGE_MIB}M"), memory=MEMORY, archives=[work], wait=False) as guest:
            with ended_late(guest, START_MAX):
                guest.booted()
            with ended_late(guest, MEASURE_MAX):
                guest.run("mkfs.ext4 -q -F -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
                guest.run(
                    f"sql() {{ {SQL}; }}; for n in 0001 {TRANSACTIONS}; do sql $n >/tmp/sql-$n; done",
                    timeout=MEASURE_MAX,
                )
                values = measure_work(guest, work)
            guest.kill()
    return values


def measure_again(kind, work):
    """As measure_once; a machine that hung is measured again."""
    for _ in range(TRIES):
        try:
            return measure_once(kind, work)
        except StoodStill as e:
            say(f"  {e}")
    raise Failed(f"{kind}, {work}: {TRIES} machines hung")


def measure(_, runs, samples):
    for run in range(min(runs, RUNS)):
        for work in WORKS:
            for kind in KINDS:
                say(f"  write-back-bound: run {run + 1} of {min(runs, RUNS)}, {work}, image on {kind}")
                for figure, value in measure_again(kind, work).items():
                    samples.add(figure, kind, value)
