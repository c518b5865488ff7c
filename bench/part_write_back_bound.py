"""What write-back costs a database of a Linux guest: the most that any other write-back could win.

On tmpfs nothing is written back: a page is write-protected never, and a sync returns at once. The instructions of a
transaction there are therefore a bound: no other way of write-back can have fewer.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import dataclasses

import counters
import machine
from bench_common import Failed, Figure, directory, ram_disk, say, settle
from part_instructions import StoodStill, elapsed, ended_late

IMAGE_MIB = 160
KINDS = ("tmpfs", "ext4", "xfs")
TRIES = 4
RUNS = 2
START_MAX, MEASURE_MAX = 240, 900  # seconds of the machine outside; 20 and 150 are usual
MEMORY = "768M"  # the archive of PostgreSQL takes 240 MiB of it
HOST = "guest and host together, by the box's clock; image on {kind}, ext4-DAX in the guest"
SQL = (
    'i=0; { echo "PRAGMA journal_mode=wal; PRAGMA synchronous=full; CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY,'
    ' v);"; while [ $i -lt $1 ]; do i=$((i+1)); echo "REPLACE INTO t VALUES($((i*7919%5000)), zeroblob(100));"; done; }'
)
PGBENCH = "pgbench -n -c 1 -t {n:<6} --random-seed=1 -h /tmp -U postgres postgres >/dev/null 2>&1"
# The server refuses to run as root.
POSTGRES = (
    "echo postgres:x:65534:65534::/:/bin/sh >/etc/passwd; cp -a /srv/postgresql /mnt/ && chown -R postgres"
    " /mnt/postgresql && chmod 700 /mnt/postgresql && { start-stop-daemon -S -c postgres -x /sbin/postgres --"
    " -D /mnt/postgresql -c listen_addresses= -c unix_socket_directories=/tmp -c dynamic_shared_memory_type=sysv"
    " -c shared_buffers=16MB -c max_wal_size=16MB -c autovacuum=off -c jit=off >/tmp/log 2>&1 & } &&"
    # Its socket is there before it takes connections.
    f" n=0; until {PGBENCH.format(n=1)}; do n=$((n+1)); [ $n -lt 200 ] || {{ cat /tmp/log; break; }}; sleep 1; done;"
    " [ -S /tmp/.s.PGSQL.5432 ]"
)


@dataclasses.dataclass(frozen=True)
class Work:
    """What the guest does. `archive` has its program; `command` does {n} of it, and is measured with `nmeasured`.

    Command lines have one length for each n: characters of the console cost exits.
    """

    about: str
    nmeasured: int
    archive: str
    prepare: str
    command: str


WORKS = {
    "sqlite": Work(
        "a transaction of sqlite (WAL, synchronous=FULL)",
        1000,
        "sqlite",
        f"sql() {{ {SQL}; }}; for n in 0001 1000; do sql $n >/tmp/sql-$n; done",
        "sqlite3 -batch -bail /mnt/db </tmp/sql-{n:04} >/dev/null",
    ),
    "postgresql": Work(
        "a transaction of PostgreSQL (pgbench, one client)",
        200,
        "postgresql",
        POSTGRES,
        PGBENCH,
    ),
    "fio": Work(
        "a 4 KiB write at a random place and its fsync (fio)",
        1000,
        "fio",
        "true",
        "fio --name=a --filename=/mnt/fio --size=16M --rw=randwrite --bs=4k --ioengine=psync --fsync=1"
        " --number_ios={n:<6} --randseed=1 --output=/dev/null",
    ),
}
COSTS = {
    name: Figure(f"instructions of {work.about}", "thousand", f"{HOST.format(kind='that file system')}; on a RAM disk")
    for name, work in WORKS.items()
}
SYNCS = {name: Figure(f"host syncs of {work.about}", "", "tracepoint of fdatasync") for name, work in WORKS.items()}
FAULTS = {name: Figure(f"nested faults of {work.about}", "", "KVM's pf_taken") for name, work in WORKS.items()}
FIGURES = [*COSTS.values(), *SYNCS.values(), *FAULTS.values()]


class BoundGuest(machine.Guest):
    """A guest whose hanging part_instructions.ended_late can report."""

    name = "pmvm"


def measure_work(guest, name):
    """{figure: value}"""
    pid, n = guest.process.pid, WORKS[name].nmeasured

    def run(number):
        guest.run(WORKS[name].command.format(n=number), timeout=MEASURE_MAX)

    run(n)
    settle(guest)
    none = elapsed(lambda: run(1))
    faults = counters.kvm(pid, "pf_taken")
    some = elapsed(lambda: run(n))
    faults = counters.kvm(pid, "pf_taken") - faults
    with counters.syncs(pid) as syncs:
        run(n)
    return {
        COSTS[name]: (some - none) / (n - 1) / 1000,
        SYNCS[name]: sum(syncs.values()) / n,
        FAULTS[name]: faults / n,
    }


@contextlib.contextmanager
def ready(kind, name):
    """A guest that can do the work, on ext4-DAX, with its image on that kind of file system."""
    work = WORKS[name]
    with directory("tmpfs") if kind == "tmpfs" else ram_disk(kind) as where:
        image = where / "a.img"
        image.write_bytes(bytes(IMAGE_MIB << 20))
        options = machine.pmem(image, 1, f"{IMAGE_MIB}M")
        with BoundGuest(*options, memory=MEMORY, archives=[work.archive], wait=False) as guest:
            with ended_late(guest, START_MAX):
                guest.booted()
            with ended_late(guest, MEASURE_MAX):
                guest.run("mkfs.ext4 -q -F -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
                guest.run(work.prepare, timeout=MEASURE_MAX)
            with ended_late(guest, MEASURE_MAX, flushes=True):
                yield guest
            guest.kill()


def measure_once(kind, name):
    with ready(kind, name) as guest:
        return measure_work(guest, name)


def measure_again(kind, name):
    """As measure_once; a machine that hung is measured again."""
    for _ in range(TRIES):
        try:
            return measure_once(kind, name)
        except StoodStill as e:
            say(f"  {e}")
    raise Failed(f"{kind}, {name}: {TRIES} machines hung")


def measure(_, runs, samples):
    for run in range(min(runs, RUNS)):
        for name in WORKS:
            for kind in KINDS:
                say(f"  write-back-bound: run {run + 1} of {min(runs, RUNS)}, {name}, image on {kind}")
                for figure, value in measure_again(kind, name).items():
                    samples.add(figure, kind, value)
