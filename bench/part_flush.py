"""What one flush costs: system calls, exits, context switches, latency.

SPDX-License-Identifier: Apache-2.0
"""
import time

import counters
from bench_common import Figure, alternate, directory, end, format_and_mount, fsyncs, pmem, settle

COUNTED = 150
CALLS_COUNTED = 600
CALL_RUNS = 3  # strace takes its time; what else the process does meanwhile is some ten calls more or less
TIMED = 150
WORK = (
    "N = {} times one store through a mapping and one fsync, on ext4-DAX in the guest, minus N = 0 and as long a time"
)

CALLS = Figure(
    "system calls for a host sync",
    "",
    f"strace -f -c of the whole process; image on tmpfs. {WORK.format(CALLS_COUNTED)}",
    value_max=3,
)
IN_LOOP = Figure("of these, without KVM_RUN", "", "the same without ioctl", value_max=3)
PASS = f"to the syncs of the same pass, which tracepoints of the system calls count. {WORK.format(COUNTED)}"
EXITS = Figure(
    "exits to user space for a host sync",
    "",
    f"tracepoint kvm:kvm_userspace_exit; image on tmpfs; {PASS}",
    value_max=0.05,
)
SWITCHES = Figure("voluntary context switches for a host sync", "", f"/proc/PID/task/*/status, {PASS}", ratio_max=1 / 3)
THREADS = Figure("threads that switched for it", "", "threads with at least one switch for two syncs", value_max=2)
SYNCS = Figure(
    "host syncs for a guest fsync", "", "of the pass before: more than one where the guest's ext4 commits its journal"
)
ONE_FLUSH = Figure(
    "guest fsync, image on tmpfs, no journal",
    "us",
    f"guest's clock, median of {TIMED}; ext4 without a journal, where each fsync is one flush",
    ratio_max=0.5,
)
LATENCY = {
    ("tmpfs", "fsync"): Figure("guest fsync, image on tmpfs", "us", f"guest's clock, median of {TIMED}", ratio_max=0.5),
    ("tmpfs", "msync"): Figure("guest msync, image on tmpfs", "us", f"guest's clock, median of {TIMED}", ratio_max=0.5),
    ("ext4", "fsync"): Figure("guest fsync, image on ext4", "us", f"guest's clock, median of {TIMED}", ratio_max=1),
}
FIGURES = [CALLS, IN_LOOP, EXITS, SWITCHES, THREADS, SYNCS, ONE_FLUSH, *LATENCY.values()]


def syncs(calls):
    return calls["fdatasync"] + calls["fsync"]


def work(guest, n, seconds=0):
    """Does n fsyncs, and sleeps for the rest of the seconds."""
    began = time.monotonic()
    fsyncs(guest, "/mnt/f", n)
    time.sleep(max(0, began + seconds - time.monotonic()))


def none_and_some(count, guest, n):
    """Returns what `count` gives for no fsync and for n of them.

    Both take the same time, because a process also does periodic work.
    """
    began = time.monotonic()
    some = count(guest, n, 0)
    return count(guest, 0, time.monotonic() - began), some


def count_calls(guest, n, seconds):
    with counters.system_calls(guest.process.pid) as calls:
        work(guest, n, seconds)
    return calls


def count_in_kernel(guest, n, seconds):
    """(exits, {thread: switches}, syncs)"""
    with counters.user_exits(guest.process.pid) as exits, counters.syncs(guest.process.pid) as done:
        before = counters.switches(guest.process.pid)
        work(guest, n, seconds)
        after = counters.switches(guest.process.pid)
    return sum(exits.values()), {thread: count - before.get(thread, 0) for thread, count in after.items()}, syncs(done)


def calls_for_a_sync(guest, n):
    """(all, all but ioctl)"""
    none, some = none_and_some(count_calls, guest, n)
    nsyncs = syncs(some) - syncs(none)
    calls, ioctls = some.total() - none.total(), some["ioctl"] - none["ioctl"]
    return calls / nsyncs, (calls - ioctls) / nsyncs


def measure_counts(guest, add):
    none, some = none_and_some(count_in_kernel, guest, COUNTED)
    exits, nsyncs = some[0] - none[0], some[2] - none[2]
    switches = {thread: count - none[1].get(thread, 0) for thread, count in some[1].items()}
    add(EXITS, exits / nsyncs)
    add(SWITCHES, sum(switches.values()) / nsyncs)
    add(THREADS, sum(count > nsyncs / 2 for count in switches.values()))
    add(SYNCS, nsyncs / COUNTED)


def measure(peers, runs, samples):
    for run, peer in alternate([peer for peer in peers if peer.has_pmem], runs, "flush"):

        def add(figure, value, peer=peer):
            samples.add(figure, peer.name, value)

        with (
            directory("tmpfs") as tmpfs,
            directory("ext4") as ext4,
            peer(tmpfs, [*pmem(tmpfs / "a.img"), *pmem(ext4 / "b.img", 2)]) as guest,
        ):
            format_and_mount(guest)
            work(guest, 10)
            settle(guest)
            if run < CALL_RUNS:
                for figure, value in zip((CALLS, IN_LOOP), calls_for_a_sync(guest, CALLS_COUNTED)):
                    add(figure, value)
            measure_counts(guest, add)
            format_and_mount(guest, 1, "/mnt2")

            def latency(figure, where, call, guest=guest, add=add):
                median, _, _ = map(int, guest.run(f"dax-tool latency {where}/f {TIMED} {call}").split())
                add(figure, median / 1000)

            for (host_fs, call), figure in LATENCY.items():
                latency(figure, "/mnt" if host_fs == "tmpfs" else "/mnt2", call)
            guest.run("umount /mnt")
            format_and_mount(guest, journal=False)
            latency(ONE_FLUSH, "/mnt", "fsync")
            end(guest)
