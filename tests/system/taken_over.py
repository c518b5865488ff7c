"""A thread of another process as an intruder has it: stopped, and made to do any system call. And its seccomp programs.

It needs ptrace, as root. All of it is done by one thread of this process, which is what ptrace demands.

SPDX-License-Identifier: Apache-2.0
"""
# The names of the kernel: nr, k, jt, jf.
# pylint: disable=invalid-name
import contextlib
import ctypes
import os
import pathlib
import re
import signal
import struct

from machine import wait_until

POKEDATA, CONT, SINGLESTEP, GETREGS, SETREGS, DETACH = 5, 7, 9, 12, 13, 17
SEIZE, INTERRUPT, SECCOMP_GET_FILTER = 0x4206, 0x4207, 0x420C
WALL = 0x40000000
EVENT_STOP = 128
SYSCALL = b"\x0f\x05"
KVM_RUN_CALL = r"16 \w+ 0xae80 "  # ioctl, as /proc has it
NCALLS = 1024
AT_ENTRY = 9
ARCH = 0xC000003E
ALLOW = 0x7FFF0000
# Of struct sock_filter: code, jt, jf, k.
INSTRUCTION = struct.Struct("<HBBI")

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Registers(ctypes.Structure):
    """struct user_regs_struct."""

    _fields_ = [
        (name, ctypes.c_ulonglong)
        for name in (
            "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
            "ds es fs gs"
        ).split()
    ]


def ptrace(request, tid, addr=None, data=None):
    result = libc.ptrace(request, tid, addr, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}: {os.strerror(ctypes.get_errno())}")
    return result


def threads(pid):
    """The names of the threads by their numbers, without those that the kernel made itself."""
    names = {
        int(task.name): (task / "comm").read_text().strip() for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
    }
    return {tid: name for tid, name in names.items() if not name.startswith(("kvm-", "vhost-"))}


def vcpu(pid):
    return next(tid for tid, name in threads(pid).items() if name == "CPU 0/KVM")


@contextlib.contextmanager
def stopped(tid):
    ptrace(SEIZE, tid)
    ptrace(INTERRUPT, tid)
    _, status = os.waitpid(tid, WALL)
    assert os.WIFSTOPPED(status) and status >> 16 == EVENT_STOP, f"{status:#x}"
    yield
    with contextlib.suppress(ProcessLookupError):
        ptrace(DETACH, tid)


@contextlib.contextmanager
def taken_vcpu(pid):
    """The thread of the first vCPU, stopped while its guest sleeps: elsewhere it may not be in a system call."""
    tid = vcpu(pid)
    call = pathlib.Path(f"/proc/{pid}/task/{tid}/syscall")
    wait_until(lambda: re.match(KVM_RUN_CALL, call.read_text()), lambda: f"the guest sleeps; {call.read_text()}")
    with stopped(tid):
        yield Taken(pid, tid)


class Taken:
    """A stopped thread, which waits in a system call. Once it is let go it goes on as if nothing had been."""

    def __init__(self, pid, tid):
        self.pid, self.tid = pid, tid
        self.before = Registers()
        ptrace(GETREGS, tid, None, ctypes.byref(self.before))
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.before.rip - len(SYSCALL))
            assert memory.read(len(SYSCALL)) == SYSCALL

    def _place(self, data, addr):
        data += bytes(-len(data) % 8)
        for off in range(0, len(data), 8):
            ptrace(POKEDATA, self.tid, addr + off, int.from_bytes(data[off : off + 8], "little"))

    def prepare(self, nr, *args):
        """What it does next. An argument of bytes is placed below its stack, and its address passed."""
        regs = Registers.from_buffer_copy(self.before)
        addr = (self.before.rsp - 4096) & ~0xFF
        for name, arg in zip("rdi rsi rdx r10 r8 r9".split(), args):
            if isinstance(arg, bytes):
                self._place(arg, addr)
                arg, addr = addr, addr + 256
            setattr(regs, name, arg & (1 << 64) - 1)
        regs.rax, regs.orig_rax, regs.rip = nr, (1 << 64) - 1, regs.rip - len(SYSCALL)
        ptrace(SETREGS, self.tid, None, ctypes.byref(regs))

    def jump(self, addr):
        """It goes on there."""
        regs = Registers.from_buffer_copy(self.before)
        regs.orig_rax, regs.rip = (1 << 64) - 1, addr
        ptrace(SETREGS, self.tid, None, ctypes.byref(regs))

    def execute(self, code):
        """It goes on with these instructions, at the entry of the program, which nobody needs any more."""
        auxv = dict(struct.iter_unpack("QQ", pathlib.Path(f"/proc/{self.pid}/auxv").read_bytes()))
        self._place(code, auxv[AT_ENTRY])
        self.jump(auxv[AT_ENTRY])

    def call(self, nr, *args):
        """Does it, and returns the result."""
        self.prepare(nr, *args)
        ptrace(SINGLESTEP, self.tid)
        _, status = os.waitpid(self.tid, WALL)
        assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTRAP, f"call {nr}: {status:#x}"
        regs = Registers()
        ptrace(GETREGS, self.tid, None, ctypes.byref(regs))
        ptrace(SETREGS, self.tid, None, ctypes.byref(self.before))
        return ctypes.c_longlong(regs.rax).value


# ---- seccomp


def programs(tid):
    """The installed programs of a thread, each as a list of instructions."""
    found = []
    with stopped(tid):
        while True:
            try:
                n = ptrace(SECCOMP_GET_FILTER, tid, len(found))
            except FileNotFoundError:
                return found
            data = ctypes.create_string_buffer(n * INSTRUCTION.size)
            ptrace(SECCOMP_GET_FILTER, tid, len(found), data)
            found.append(list(INSTRUCTION.iter_unpack(data.raw)))


def compare(code, acc, k):
    """The ways that a comparison can go; an accumulator of None may be anything."""
    if acc is None:
        return {True, False}
    return {{0x15: acc == k, 0x25: acc > k, 0x35: acc >= k, 0x45: bool(acc & k)}[code]}


def allows(program, nr):
    """The program allows the call, with some arguments."""
    ways, seen = [(0, None)], set()
    while ways:
        at, acc = way = ways.pop()
        if way in seen:
            continue
        seen.add(way)
        code, jt, jf, k = program[at]
        if code == 0x06:
            if k == ALLOW:
                return True
        elif code == 0x20:
            ways.append((at + 1, {0: nr, 4: ARCH}.get(k)))
        elif code == 0x54:
            ways.append((at + 1, None if acc is None else acc & k))
        elif code == 0x05:
            ways.append((at + 1 + k, acc))
        else:
            ways += [(at + 1 + (jt if way else jf), acc) for way in compare(code, acc, k)]
    return False


def allowed(found):
    """The calls that all of the programs allow."""
    return {nr for nr in range(NCALLS) if all(allows(program, nr) for program in found)}
