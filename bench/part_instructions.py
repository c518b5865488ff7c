"""How many instructions a flush, and a start, takes: guest and host together, counted by the emulator of the box.

SPDX-License-Identifier: Apache-2.0

In a box that counts instructions, the clock advances by one nanosecond for each instruction: a time is a number of
instructions. When every processor is idle, waiting for a timer or for a file of the outer machine, the clock jumps to
the next timer. Therefore each peer starts once before it is measured, so that its files are in the box's memory.

Occasionally a guest hangs there. The emulator keeps the vector of an interrupt that VMRUN injected (EVENTINJ), and
delivers it again if it leaves its loop before anything else happens, which each of its own timers causes. A guest
that has disabled interrupts and holds a lock then waits for itself. Such a machine is ended and measured again. The
box's clock hardly advances meanwhile, because a waiting loop executes few instructions. Its real-time clock is that
of the outer machine and does advance.
"""
import contextlib
import pathlib
import threading
import time

import counters
import peers as peers_module
from bench_common import Failed, Figure, alternate, directory, format_and_mount, fsyncs, pmem, say, settle

FLUSHES = 100
RUNS = 2
TRIES = 4
MEASURE_MAX = 90  # seconds of the machine outside; 10 are usual
STILL_MAX = 180  # seconds of the machine outside without a flush, if the guest does nothing else
WATCH_EVERY = 0.5  # seconds of the box, which may be two minutes outside; the cost of the watch is counted as well
REAL_TIME = pathlib.Path("/sys/class/rtc/rtc0/since_epoch")

FLUSH = Figure(
    "instructions for a guest fsync",
    "thousand",
    (
        f"box's clock over {FLUSHES} fsyncs on ext4-DAX without a journal, where each is one flush, image on tmpfs,"
        " minus none; guest and host together"
    ),
    ratio_max=0.5,
)
LATENCY = Figure("median of one fsync", "thousand", "the same, by the guest's clock")
START = Figure(
    "instructions from start to the ready line",
    "million",
    "box's clock; where the guest waits for a timer, the clock jumps to it",
    ratio_max=0.5,
)
STILL = Figure(
    "machines that hung, measured again",
    "",
    (
        "by a fault of the emulator, see bench/part_instructions.py; ended after "
        f"{MEASURE_MAX} s at the earliest; before each measurement, and before the start that is not measured"
    ),
)
FIGURES = [FLUSH, LATENCY, START, STILL]


class StoodStill(Failed):
    """The guest was ended because it took too long."""


class PmvmPorts(peers_module.Pmvm):
    """With notifications by ports instead of memory."""

    name = "pmvm ports"

    def __init__(self, where, devices, **kwargs):
        super().__init__(where, [*devices[:-1], f"{devices[-1]},modern-pio-notify=on"], **kwargs)


def elapsed(work):
    began = time.monotonic_ns()
    work()
    return time.monotonic_ns() - began


def flush_waits(pid):
    """How often the flush workers of a process have waited."""
    names = {thread: pathlib.Path(f"/proc/{pid}/task/{thread}/comm").read_text() for thread in counters.threads(pid)}
    switches = counters.switches(pid)
    return sum(switches.get(thread, 0) for thread, name in names.items() if name.startswith("flush/"))


@contextlib.contextmanager
def ended_late(guest, seconds=MEASURE_MAX, flushes=False):
    """Ends the guest if it takes too long; its result is then StoodStill.

    flushes: its work flushes all the time, so a flush worker that does not wait any more is a sign that it hangs.
    """
    began = int(REAL_TIME.read_text())
    done, late, end = threading.Event(), threading.Event(), began + seconds

    def watch():
        waits, since = None, began
        while not done.wait(WATCH_EVERY):
            now = int(REAL_TIME.read_text())
            before = waits
            with contextlib.suppress(OSError):  # it may have ended
                waits = flush_waits(guest.process.pid) if flushes else None
            if not flushes or waits != before:
                since = now
            if now > end or now - since > STILL_MAX:
                late.set()
                with contextlib.suppress(ProcessLookupError):
                    guest.kill()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    except (Failed, OSError) as e:
        if late.is_set():
            raise StoodStill(f"{guest.name}: hung, and was ended: {str(e).splitlines()[0]}") from e
        raise
    finally:
        done.set()
        watcher.join()


def measure_one(peer):
    """{figure: value}"""
    with directory("tmpfs") as where, peer(where, pmem(where / "a.img"), wait=False) as guest:
        with ended_late(guest):
            guest.become_ready()
            format_and_mount(guest, journal=False)
            fsyncs(guest, "/mnt/f", 10)
            settle(guest)
            none = elapsed(lambda: fsyncs(guest, "/mnt/f", 0))
            some = elapsed(lambda: fsyncs(guest, "/mnt/f", FLUSHES))
            latency = int(guest.run(f"dax-tool latency /mnt/f {FLUSHES} fsync").split()[0])
        guest.kill()
    return {
        START: (guest.ready_at - guest.began) * 1000,
        FLUSH: (some - none) / FLUSHES / 1000,
        LATENCY: latency / 1000,
    }


def measure_again(peer):
    """As measure_one; also returns how many machines hung before."""
    for still in range(TRIES):
        try:
            return measure_one(peer) | {STILL: still}
        except StoodStill as e:
            say(f"  {e}")
    raise Failed(f"{peer.name}: {TRIES} machines hung")


def measure(peers, runs, samples):
    peers = [peer for peer in (peers_module.Pmvm, peers_module.Qemu) if peer in peers] + [PmvmPorts]
    for _, peer in alternate(peers, 1, "instructions, not measured"):
        samples.add(STILL, peer.name, measure_again(peer)[STILL])
    for _, peer in alternate(peers, min(runs, RUNS), "instructions"):
        for figure, value in measure_again(peer).items():
            samples.add(figure, peer.name, value)
