"""Whoever has taken over a thread of a machine: which system calls are left, and what the others lead to.

SPDX-License-Identifier: Apache-2.0
"""
import errno
import os
import re
import signal
import socket
import struct

import pytest

from machine import Guest, pmem
from monitor import Qmp
from taken_over import allowed, programs, taken_vcpu, threads
from test_bare_metal import machine

PROT_EXEC = 4
CALLS = {
    "open": 2,
    "socket": 41,
    "connect": 42,
    "execve": 59,
    "kill": 62,
    "ptrace": 101,
    "mprotect": 10,
    "tgkill": 234,
    "openat": 257,
    "unshare": 272,
    "process_vm_readv": 310,
    "bpf": 321,
    "io_uring_setup": 425,
}
AT_FDCWD = -100
PTRACE_ATTACH = 16
CLONE_NEWNET = 0x40000000
# Of 127.0.0.1, for one that listens there.
ADDRESS = "!HBBBB8x"


def address(port):
    return struct.pack("<H", socket.AF_INET) + struct.pack(ADDRESS, port, 127, 0, 0, 1)


@pytest.fixture(name="victim", scope="module")
def fixture_victim(tmp_path_factory):
    """A second machine of the same user."""
    directory = tmp_path_factory.mktemp("victim")
    image = directory / "other.img"
    with machine("echo", *pmem(image, size="4M")) as vm:
        vm.wait_for("# ready")
        yield vm.process.pid, image
        vm.send("alive\n")
        vm.wait_for("line 1: alive")


def attempts(victim):
    """What an intruder tries: the name of the call, and its arguments."""
    pid, image = victim
    remote = struct.pack("<QQ", 0, 8)
    return {
        "a file": ("open", b"/etc/passwd\0", os.O_RDONLY, 0),
        "a file by openat": ("openat", AT_FDCWD, b"/etc/passwd\0", os.O_RDONLY, 0),
        "another machine's image": ("openat", AT_FDCWD, bytes(image) + b"\0", os.O_RDWR, 0),
        "a socket": ("socket", socket.AF_INET, socket.SOCK_STREAM, 0),
        "a connection": ("connect", 0, address(9), 16),
        "a program": ("execve", b"/bin/true\0", 0, 0),
        "ptrace": ("ptrace", PTRACE_ATTACH, pid, 0, 0),
        "kill": ("kill", pid, signal.SIGKILL),
        "tgkill": ("tgkill", pid, pid, signal.SIGKILL),
        "executable memory": ("mprotect", 0, 0, PROT_EXEC),
        "io_uring": ("io_uring_setup", 8, bytes(120)),
        "bpf": ("bpf", 0, bytes(72), 72),
        "namespaces": ("unshare", CLONE_NEWNET),
        "memory of another": ("process_vm_readv", pid, remote, 1, remote, 1, 0),
    }


# This one gets an error instead: a vCPU's thread has a way that needs it where there is no sandbox.
ANSWERED = {"memory of another": errno.EPERM}
KILLED = [name for name in attempts((0, b"")) if name not in ANSWERED]


@pytest.fixture(name="vm")
def fixture_vm():
    with machine("echo", "-sandbox", "on") as vm:
        vm.wait_for("# ready")
        yield vm


@pytest.mark.forbidden
@pytest.mark.parametrize("name", KILLED)
def test_a_call_that_ends_the_machine(vm, victim, name):
    call, *args = attempts(victim)[name]
    pid, (other, _) = vm.process.pid, victim
    with taken_vcpu(pid) as taken:
        taken.prepare(CALLS[call], *args)
    assert vm.end() == -signal.SIGSYS
    message = (
        rf"^pmvm: sandbox: thread CPU 0/KVM made the forbidden system call {CALLS[call]} \(0x.*: the process ends$"
    )
    assert re.search(message, vm.error_text, re.MULTILINE), vm.error_text
    assert os.readlink(f"/proc/{other}/exe")


def test_a_call_that_is_answered(vm, victim):
    call, *args = attempts(victim)["memory of another"]
    pid = vm.process.pid
    with taken_vcpu(pid) as taken:
        assert taken.call(CALLS[call], *args) == -errno.EPERM
    vm.send("alive\n")
    vm.wait_for("line 1: alive")


# With -sandbox log the other walls are left. They have nothing against a signal to a process of the same user, against
# memory that can be executed, and against io_uring, whose requests meet the same walls.
OTHER_WALLS = {
    "a file": {errno.ENOENT},
    "a file by openat": {errno.ENOENT},
    "another machine's image": {errno.ENOENT},
    "a program": {errno.ENOENT},
    "ptrace": {errno.EPERM},
    "bpf": {errno.EPERM},
    "namespaces": {errno.EPERM},
    "memory of another": {errno.EPERM},
}


@pytest.mark.forbidden
def test_what_the_other_walls_hold(victim):
    with socket.create_server(("127.0.0.1", 0)) as server, machine("echo", "-sandbox", "log") as vm:
        vm.wait_for("# ready")
        pid, tries = vm.process.pid, attempts(victim)
        with taken_vcpu(pid) as taken:
            results = {name: taken.call(CALLS[tries[name][0]], *tries[name][1:]) for name in OTHER_WALLS}
            fd = taken.call(CALLS["socket"], socket.AF_INET, socket.SOCK_STREAM, 0)
            connected = taken.call(CALLS["connect"], fd, address(server.getsockname()[1]), 16)
        assert {name: -result in OTHER_WALLS[name] for name, result in results.items()} == dict.fromkeys(
            results, True
        ), results
        assert fd >= 0 and -connected in {errno.ENETUNREACH, errno.EACCES}
        vm.send("alive\n")
        vm.wait_for("line 1: alive")


# ---- the installed programs


def kind_of(pid, tid, name):
    if tid == pid:
        return "main"
    return "vcpu" if name.startswith("CPU ") else "flush"


def test_the_installed_programs(tmp_path):
    """Read from the kernel: how many each thread has, and how many calls all of them allow together."""
    options = [*pmem(tmp_path / "a.img", size="16M"), "-smp", "2", "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]
    with Guest(*options) as guest:
        pid = guest.process.pid
        with Qmp(tmp_path / "qmp") as qmp:
            report = qmp.run("query-sandbox")
        counts = {thread["kind"]: thread["system-calls"] for thread in report["threads"]}
        kinds = {tid: kind_of(pid, tid, name) for tid, name in threads(pid).items()}
        assert sorted(kinds.values()) == ["flush", "main", "vcpu", "vcpu"], threads(pid)
        kinds[report["broker"]["pid"]] = "broker"
        for tid, kind in kinds.items():
            found = programs(tid)
            assert len(found) == (1 if kind in ("main", "broker") else 2), kind
            assert len(allowed(found)) == counts[kind], kind
        assert counts["flush"] <= 8 and counts["vcpu"] <= 15 and counts["main"] <= 45
        assert guest.power_off() == 0
