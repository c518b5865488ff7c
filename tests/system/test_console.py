"""The console: back ends of the serial port, the terminal, escapes, and that no character is lost.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import fcntl
import hashlib
import os
import pty
import re
import signal
import socket
import subprocess
import termios
import time

import pytest

import echo
from echo import read_until, wait_until
from machine import BOOT_MAX, CHECKOUT, END_MAX, MIB, Guest, Vm, linux_options, pmem, pmvm
from monitor import Qmp
from taken_over import Taken, stopped, threads

# Each byte leaves the guest once or twice, some thousand times a second on an emulated host. The full mebibyte goes
# through the same code in the unit tests, and through a bare-metal guest's string instructions.
PRINTED = int(os.environ.get("PMVM_CONSOLE_BYTES", MIB // 128))
PASTED = PRINTED // 2
GETCWD = 79  # no thread may make this call
GETTID = 186  # main may
# hlt; ud2; xor ecx, ecx and div ecx; int3
FAULTS = {
    signal.SIGSEGV: b"\xf4",
    signal.SIGILL: b"\x0f\x0b",
    signal.SIGFPE: b"\x31\xc9\xf7\xf1",
    signal.SIGTRAP: b"\xcc",
}


# ---- Linux's driver of the serial port


@pytest.fixture(name="guest", scope="module")
def fixture_guest():
    """One guest for the first tests. The pipe of its console holds one page, so it is soon full."""
    with Guest(cpus=2) as guest:
        fcntl.fcntl(guest.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        yield guest


@contextlib.contextmanager
def nobody_reads(guest):
    """The console has no reader meanwhile; the context begins when the guest prints no more because of that."""
    with guest.changed:
        sizes = []

        def is_stalled():
            buffer = bytearray(4)
            fcntl.ioctl(guest.process.stdout, termios.FIONREAD, buffer)
            sizes.append(int.from_bytes(buffer, "little"))
            return len(sizes) > 20 and sizes[-1] and len(set(sizes[-20:])) == 1

        wait_until(is_stalled)
        yield


def test_printing_loses_nothing(guest):
    guest.run(
        f"dd if=/dev/urandom of=/tmp/data bs=3072 count={PRINTED // 4096} 2>/dev/null; base64 -w 76 /tmp/data"
        " >/tmp/text"
    )
    wanted = guest.run("md5sum </tmp/text; dmesg -n 1").split()[0]
    start = len(guest.output)
    guest.send("cat /tmp/text; echo the-end\n")
    match = guest.wait_for(r"^the-end", 900, start)
    text = bytes(guest.output[start : match.start()]).replace(b"\r\n", b"\n")
    assert len(text) > PRINTED
    odd = [line for line in text.split(b"\n")[:-2] if not re.fullmatch(rb"[A-Za-z0-9+/]{76}", line)]
    assert (odd, hashlib.md5(text).hexdigest()) == ([], wanted)


def test_pasting_loses_nothing(guest):
    line = b"0123456789abcdef" * 4 + b"\n"
    text = b"".join(b"%07d" % n + line for n in range(PASTED // (7 + len(line)) + 1))
    guest.send("cat >/tmp/pasted; md5sum </tmp/pasted; wc -c </tmp/pasted; echo the-end\n")
    start = len(guest.output)
    guest.send(text + b"\x04")
    guest.wait_for(r"^the-end", timeout=900, start=start)
    shown = guest.text[start:]
    assert str(len(text)) in shown
    assert hashlib.md5(text).hexdigest() in shown


def test_printing_to_a_slow_reader_loses_nothing(guest):
    """The reader stops for a while: the guest waits and goes on."""
    start = len(guest.output)
    guest.send("seq 1 2000; echo the-end\n")
    with nobody_reads(guest):
        assert guest.process.poll() is None
        assert b"the-end" not in guest.output[start:]
    match = guest.wait_for(r"^the-end", start=start)
    numbers = bytes(guest.output[start : match.start()]).split()
    assert [int(n) for n in numbers if n.isdigit()] == list(range(1, 2001))


def test_a_blocked_console_does_not_keep_the_program(guest):
    """Nobody reads: the guest waits at the serial port, and SIGTERM still ends the program in order, and the guest."""
    guest.send("yes & yes\n")
    with nobody_reads(guest):
        guest.signal(signal.SIGTERM)
        assert guest.process.wait(END_MAX) == 0


# ---- back ends, with a bare-metal guest


def test_serial_file(tmp_path):
    log = tmp_path / "serial.log"
    log.write_text("old content")
    with Vm(["-display", "none", "-serial", f"file:{log}", *echo.options("print=10 end=1")]) as vm:
        assert vm.end() == 0
        assert log.read_text().startswith(f"{echo.READY}\n{echo.numbers_to(10)}")
        assert log.read_text().endswith("\nSUCCESS\n") and vm.text == ""


def test_serial_null():
    with Vm(["-serial", "null", *echo.options("print=10 end=1")]) as vm:
        assert vm.end() == 0
        assert vm.text == ""


def test_serial_unix_socket(tmp_path):
    path = tmp_path / "serial.sock"
    with Vm(["-display", "none", "-serial", f"unix:{path},server=on,wait=off", *echo.options()]) as vm:
        wait_until(path.exists)
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            peer.sendall(b"first\n")
            read_until(peer, b"line 1: first")
        # The peer has hung up; the machine goes on, and serves the next one.
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            peer.sendall(b"again\n")
            read_until(peer, b"line 2: again")
            peer.sendall(b"end\n")
            assert vm.end() == 0
    assert not path.exists()


class Terminal:
    """pmvm on a pseudo-terminal, as a person has it."""

    def __init__(self, *args):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [str(pmvm()), *map(str, args)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.master)
        os.close(self.slave)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def end(self):
        return self.process.wait(END_MAX)


def started_terminal(*args):
    terminal = Terminal("-nographic", *echo.options(), *args)
    try:
        read_until(terminal.master, echo.READY.encode())
        assert terminal.is_raw()
    except BaseException:
        terminal.__exit__()
        raise
    return terminal


def test_terminal_escapes_and_power_off():
    with started_terminal() as terminal:
        os.write(terminal.master, b"\x01h")
        assert b"C-a x" in read_until(terminal.master, b"C-a C-a")
        # Ctrl-c goes to the guest, and does not end the program. Ctrl-a goes there when it is doubled.
        os.write(terminal.master, b"\x03\x01\x01still\r")
        text = read_until(terminal.master, b"line 3: still").replace(b"\r", b"")
        assert b"line 1: ^C\nline 2: ^A\n" in text
        os.write(terminal.master, b"end\r")
        assert terminal.end() == 0
        assert terminal.is_restored()


@pytest.mark.parametrize(
    "number,status",
    [
        (signal.SIGTERM, 0),
        (signal.SIGINT, 0),
        (signal.SIGHUP, 0),
        (signal.SIGSEGV, -signal.SIGSEGV),
        (signal.SIGABRT, -signal.SIGABRT),
        (signal.SIGQUIT, -signal.SIGQUIT),
    ],
)
def test_terminal_is_restored_after_a_signal(number, status):
    with started_terminal() as terminal:
        terminal.process.send_signal(number)
        assert terminal.end() == status
        assert terminal.is_restored()


def end_by_call(tmp_path, thread, *call):
    """The status when such a thread of a sandboxed machine makes the call."""
    with started_terminal(*pmem(tmp_path / "a.img", size="4M"), "-sandbox", "on") as terminal:
        pid = terminal.process.pid
        (tid,) = [tid for tid, name in threads(pid).items() if name == thread]
        with stopped(tid):
            Taken(pid, tid).prepare(*call)
        status = terminal.end()
        assert terminal.is_restored()
        return status


@pytest.mark.forbidden
@pytest.mark.parametrize("thread", ["CPU 0/KVM", "flush/nv1"])
def test_terminal_is_restored_after_a_forbidden_call(tmp_path, thread):
    """Made by a thread that has a filter of its own."""
    assert end_by_call(tmp_path, thread, GETCWD, 0, 0) == -signal.SIGSYS


@pytest.mark.parametrize("thread", ["CPU 0/KVM", "flush/nv1"])
def test_terminal_is_restored_after_abort(tmp_path, thread):
    """What abort does first that its thread may not: it asks for the number of the thread."""
    assert end_by_call(tmp_path, thread, GETTID) == -signal.SIGABRT


@pytest.mark.parametrize(
    "thread,number",
    [("CPU 0/KVM", signal.SIGSEGV), *(("flush/nv1", number) for number in FAULTS)],
)
def test_terminal_is_restored_after_a_crash_of_a_thread(tmp_path, thread, number):
    """The signal is that of the fault: a flush worker may not send one."""
    with started_terminal(*pmem(tmp_path / "a.img", size="4M")) as terminal:
        pid = terminal.process.pid
        (tid,) = [tid for tid, name in threads(pid).items() if name == thread]
        with stopped(tid):
            Taken(pid, tid).execute(FAULTS[number])
        assert terminal.end() == -number
        assert terminal.is_restored()


def test_ctrl_a_x_while_the_guest_boots():
    with Terminal("-nographic", *linux_options()) as terminal:
        wait_until(terminal.is_raw)
        os.write(terminal.master, b"typed\x01x")
        assert terminal.end() == 0
        assert terminal.is_restored()


def test_terminal_is_untouched_after_a_failed_start(tmp_path):
    with Terminal("-m", "256M", "-nographic", "-kernel", "/dev/null") as terminal:
        assert terminal.end() == 1
        assert terminal.is_restored()


def test_output_to_a_full_device_does_not_end_the_machine():
    with open("/dev/full", "wb") as full:
        with Vm(["-nographic", *echo.options("print=10 end=1")], console=full) as vm:
            assert vm.end() == 0
            assert vm.error_text.count("cannot write") == 1


# ---- standard error, and signals of the shell


def full_terminal():
    """A pseudo-terminal that nobody reads, with room for a part of a line: poll(2) calls it writable."""
    master, slave = pty.openpty()
    os.set_blocking(slave, False)
    try:
        while os.write(slave, b"."):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(slave, True)
    os.read(master, 20)
    return slave, [master, slave]


def full_pipe():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while os.write(writing, b"." * 4096):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(writing, True)
    os.read(reading, 4096)
    return writing, [reading, writing]


def full_socket():
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    try:
        while theirs.send(b"." * 100):
            pass
    except BlockingIOError:
        pass
    theirs.setblocking(True)
    return theirs.fileno(), [ours.detach(), theirs.detach()]


@pytest.mark.parametrize("full", [full_terminal, full_pipe, full_socket])
def test_a_guest_that_provokes_messages_that_nobody_reads(tmp_path, full):
    """A stopped tmux or a hung ssh does not stop the machine: the monitor and SIGTERM answer."""
    image, console = tmp_path / "a.img", tmp_path / "console"
    image.write_bytes(b"".join(0x6D6F72662066696C.to_bytes(8, "little") + bytes(4088) for _ in range(512)))
    errors, fds = full()
    options = [
        *("-m", "128M", "-display", "none", "-serial", f"file:{console}"),
        *("-kernel", CHECKOUT / "build/tests/guest/window.elf", "-append", "rom=1 endless=1"),
        *pmem(image, readonly="on"),
        *("-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"),
    ]
    process = subprocess.Popen(
        [str(pmvm()), *map(str, options)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
    )
    try:
        wait_until(lambda: console.exists() and "# storing without end" in console.read_text(errors="replace"))
        # It provokes messages all the time, and they do not fit.
        refused = [0]
        end = time.monotonic() + BOOT_MAX
        while len(refused) < 4:
            assert time.monotonic() < end, refused
            with Qmp(tmp_path / "qmp") as qmp:
                assert qmp.run("query-status")["running"]
                stores = qmp.run("query-pmem")[0]["refused-stores"]
                refused += [stores] if stores > refused[-1] else []
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_MAX) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize("words", [["nohup"], ["sh", "-c", "trap '' INT HUP; exec \"$@\"", "sh"]])
def test_signals_that_the_parent_process_ignores(tmp_path, words):
    numbers = [signal.SIGHUP] if words == ["nohup"] else [signal.SIGHUP, signal.SIGINT]
    options = [*echo.options(), "-S", "-display", "none", "-serial", "null"]
    with Vm([*options, "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"], cwd=tmp_path, prefix=words) as vm:
        with Qmp(tmp_path / "qmp") as qmp:
            for number in numbers:
                vm.signal(number)
            # A machine that ends may still answer once.
            for _ in range(10):
                assert qmp.run("query-status")["status"] == "prelaunch"
        vm.signal(signal.SIGTERM)
        assert vm.end() == 0


def test_two_starts_at_once_with_one_socket(tmp_path):
    """One has the socket, also over one that a killed machine left; the other one is refused and removes nothing."""
    options = [*echo.options(), "-S", "-display", "none", "-serial", "null"]
    options += ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]
    for _ in range(3):
        vms = [Vm(options) for _ in range(2)]
        try:
            wait_until(lambda vms=vms: any(vm.process.poll() is not None for vm in vms))
            refused, served = sorted(vms, key=lambda vm: vm.process.poll() is None)
            assert refused.end() == 1 and "Address already in use" in refused.error_text
            with Qmp(tmp_path / "qmp") as qmp:
                assert qmp.run("query-status")["status"] == "prelaunch"
            served.kill()
            assert (tmp_path / "qmp").exists()
        finally:
            for vm in vms:
                if vm.process.poll() is None:
                    vm.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["qmp"]
