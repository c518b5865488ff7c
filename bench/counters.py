"""What the host's kernel counts of a process and its virtual machine.

SPDX-License-Identifier: Apache-2.0
"""
import collections
import contextlib
import pathlib
import re
import signal
import subprocess
import tempfile

from machine import Failed

TRACING = pathlib.Path("/sys/kernel/debug/tracing")
DEBUG_KVM = pathlib.Path("/sys/kernel/debug/kvm")
STRACE_END_MAX = 60


@contextlib.contextmanager
def system_calls(pid):
    """Counts the calls of all threads while the context lasts: a Counter by name, complete after its end."""
    counted = collections.Counter()
    with tempfile.NamedTemporaryFile("r") as report:
        strace = subprocess.Popen(
            ["strace", "-f", "-c", "-U", "name,calls", "-o", report.name, "-p", str(pid)], stderr=subprocess.PIPE
        )
        # strace prints this when it is attached to all threads.
        while b"attached" not in strace.stderr.readline():
            if strace.poll() is not None:
                raise Failed("strace cannot attach")
        try:
            yield counted
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=STRACE_END_MAX)
        for name, calls in re.findall(r"^ *(\w+) +(\d+)$", report.read(), re.MULTILINE):
            if name != "total":
                counted[name] = int(calls)


@contextlib.contextmanager
def user_exits(pid):
    """Counts returns of KVM_RUN to user space by reason, for all threads of a process.

    The tracepoint kvm:kvm_userspace_exit counts them.
    """
    counted = collections.Counter()
    event = TRACING / "events/kvm/kvm_userspace_exit"
    event_trigger = event / "trigger"
    # A histogram counts in the kernel: nothing is lost, and no other program runs with the guest.
    event_trigger.write_text("hist:keys=common_pid,reason")
    try:
        yield counted
        own = threads(pid)
        for thread, reason, count in re.findall(
            r"common_pid: +(\d+), reason: +(\d+) *\} hitcount: +(\d+)", (event / "hist").read_text()
        ):
            if int(thread) in own:
                counted[int(reason)] += int(count)
    finally:
        event_trigger.write_text("!hist:keys=common_pid,reason")


@contextlib.contextmanager
def syncs(pid):
    """Counts fsync and fdatasync of all threads of a process, as `user_exits` does: a Counter by name."""
    counted = collections.Counter()
    events = {name: TRACING / f"events/syscalls/sys_enter_{name}" for name in ("fsync", "fdatasync")}
    with contextlib.ExitStack() as stack:
        for event in events.values():
            (event / "trigger").write_text("hist:keys=common_pid")
            stack.callback((event / "trigger").write_text, "!hist:keys=common_pid")
        yield counted
        own = threads(pid)
        for name, event in events.items():
            for thread, count in re.findall(r"common_pid: +(\d+) *\} hitcount: +(\d+)", (event / "hist").read_text()):
                if int(thread) in own:
                    counted[name] += int(count)


def threads(pid):
    """The thread ids of a process."""
    return {int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}


def switches(pid):
    """Voluntary context switches of each thread so far."""
    return {
        int(task.name): int(
            re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.MULTILINE)[1]
        )
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
    }


def mappings(pid):
    """(head line, {field: KiB}) of each mapping of a process."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    for part in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)[1:]:
        yield part.split("\n", 1)[0], {
            name: int(kib) for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", part, re.MULTILINE)
        }


def private_kib(pid, images, ram_mib):
    """Private dirty memory, without guest RAM (the mapping of at least its size) and without the images.

    Of a file, only written pages count, which are anonymous: a program on tmpfs has no clean pages.
    """
    return sum(
        fields["Anonymous" if " /" in head else "Private_Dirty"]
        for head, fields in mappings(pid)
        if fields["Size"] < ram_mib * 1024 and not any(str(image) in head for image in images)
    )


def pss_kib(pid, ram_mib):
    """Memory of a process, (all, all but guest RAM); shared pages count in proportion."""
    sizes = [(fields["Pss"], fields["Size"] < ram_mib * 1024) for _, fields in mappings(pid)]
    return sum(pss for pss, _ in sizes), sum(pss for pss, beside in sizes if beside)


def rss_kib(pid):
    """Memory of a process that is mapped in it."""
    return int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1])


def table_kib(pid):
    """Page tables of the process."""
    return int(re.search(r"^VmPTE:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1])


def kvm_table_kib():
    """Page tables that KVM keeps for its guests, all of them together."""
    found = re.search(r"^SecPageTables:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE)
    if not found:
        raise Failed("the kernel does not count SecPageTables (before Linux 6.1)")
    return int(found[1])


def kvm(pid, name):
    """A counter of KVM for all vCPUs of a process's virtual machine: pf_taken, exits, pages_2m, ..."""
    found = list(DEBUG_KVM.glob(f"{pid}-*/{name}"))
    if not found:
        raise Failed(f"KVM does not count {name}, or debugfs is not mounted on /sys/kernel/debug")
    return int(found[0].read_text())
