"""The console: back ends of the serial port, the terminal, escapes, and that no character is lost.

SPDX-License-Identifier: Apache-2.0
"""
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

from machine import BOOT_MAX, CHECKOUT, END_MAX, MIB, Guest, Vm, kernel_files, pmem, pmvm
from monitor import Qmp


# Each byte leaves the guest once or twice, some thousand times a second on an emulated host. The full mebibyte goes
# through the same code in the unit tests, and through a bare-metal guest's string instructions.
PRINTED = int(os.environ.get("PMVM_CONSOLE_BYTES", MIB // 8))
PASTED = PRINTED // 2


def test_printing_loses_nothing(tmp_path):
    with Guest() as guest:
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


def test_printing_to_a_slow_reader_loses_nothing(tmp_path):
    """The reader stops for a while: the guest waits and goes on."""
    reading, writing = os.pipe()
    with Vm(["-m", "256M", "-nographic", *linux_options()], console=writing) as vm:
        os.close(writing)
        text = read_until(reading, b"pmvm-guest: ready")
        vm.send("stty -echo; PS1=; seq 1 8000; echo the-end\n")
        time.sleep(2)
        assert vm.process.poll() is None
        text = read_until(reading, b"\nthe-end")
        numbers = re.search(rb"\n1\r?\n2\r?\n.*", text, re.DOTALL)[0].replace(b"\r", b"").split(b"\n")
        assert [n for n in numbers if n.isdigit()] == [str(n).encode() for n in range(1, 8001)]
    os.close(reading)


def test_a_blocked_console_does_not_keep_the_program(tmp_path):
    """Nobody reads: the guest waits at the serial port, and SIGTERM still ends the program in order."""
    reading, writing = os.pipe()
    with Vm(["-m", "256M", "-smp", "2", "-nographic", *linux_options()], console=writing) as vm:
        os.close(writing)
        read_until(reading, b"pmvm-guest: ready")
        vm.send("yes & yes\n")
        time.sleep(5)
        vm.signal(signal.SIGTERM)
        assert vm.end() == 0
    os.close(reading)


def test_pasting_loses_nothing(tmp_path):
    with Guest() as guest:
        line = b"0123456789abcdef" * 4 + b"\n"
        text = b"".join(b"%07d" % n + line for n in range(PASTED // (7 + len(line)) + 1))
        guest.send("cat >/tmp/pasted; md5sum </tmp/pasted; wc -c </tmp/pasted; echo the-end\n")
        start = len(guest.output)
        guest.send(text + b"\x04")
        guest.wait_for(r"^the-end", timeout=900, start=start)
        shown = guest.text[start:]
        assert str(len(text)) in shown
        assert hashlib.md5(text).hexdigest() in shown


def linux_options():
    kernel, initrd = kernel_files()
    return ["-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet"]


def read_until(fd, wanted, timeout=BOOT_MAX):
    text, end = b"", time.monotonic() + timeout
    while wanted not in text:
        assert time.monotonic() < end, f"did not see {wanted} in {timeout} s: {text[-2000:]}"
        text += os.read(fd, 65536)
    return text


def test_serial_file(tmp_path):
    log = tmp_path / "serial.log"
    log.write_text("old content")
    with Vm(["-m", "256M", "-display", "none", "-serial", f"file:{log}", *linux_options()]) as vm:
        end = time.monotonic() + BOOT_MAX
        while "pmvm-guest: ready" not in log.read_text(errors="replace"):
            assert time.monotonic() < end and vm.process.poll() is None
            time.sleep(0.2)
        assert "old content" not in log.read_text(errors="replace")
        assert vm.text == ""


def test_serial_null(tmp_path):
    kernel, initrd = kernel_files()
    with Vm(
        [
            "-m",
            "256M",
            "-serial",
            "null",
            "-kernel",
            kernel,
            "-initrd",
            initrd,
            "-append",
            "console=ttyS0 quiet pmvm.run=" + "dHJ1ZQo=",
        ]
    ) as vm:
        assert vm.end(BOOT_MAX) == 0
        assert vm.text == ""


def test_serial_unix_socket(tmp_path):
    path = tmp_path / "serial.sock"
    with Vm(["-m", "256M", "-display", "none", "-serial", f"unix:{path},server=on,wait=off", *linux_options()]) as vm:
        end = time.monotonic() + END_MAX
        while not path.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            read_until(peer.fileno(), b"pmvm-guest: ready")
        # The peer hangs up half-way; the machine goes on, and serves the next one.
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            peer.sendall(b"echo again $((40 + 2))\n")
            read_until(peer.fileno(), b"again 42")
            peer.sendall(b"poweroff -f\n")
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


def started_terminal():
    terminal = Terminal("-m", "256M", "-nographic", *linux_options())
    try:
        read_until(terminal.master, b"pmvm-guest: ready")
        assert terminal.is_raw()
    except BaseException:
        terminal.__exit__()
        raise
    return terminal


def test_terminal_escapes(tmp_path):
    with started_terminal() as terminal:
        os.write(terminal.master, b"\x01h")
        assert b"C-a x" in read_until(terminal.master, b"C-a C-a")
        # Ctrl-c goes to the guest, and does not end the program.
        os.write(terminal.master, b"sleep 1000\n")
        time.sleep(1)
        os.write(terminal.master, b"\x03echo still $((40 + 2))\n")
        read_until(terminal.master, b"still 42")
        os.write(terminal.master, b"\x01x")
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
def test_terminal_is_restored_after_a_signal(tmp_path, number, status):
    with Terminal("-m", "256M", "-nographic", *linux_options()[:-1], "console=ttyS0 earlyprintk=ttyS0") as terminal:
        read_until(terminal.master, b"Linux version")
        assert terminal.is_raw()
        terminal.process.send_signal(number)
        assert terminal.end() == status
        assert terminal.is_restored()


def test_ctrl_a_x_while_the_guest_boots(tmp_path):
    with Terminal("-m", "256M", "-nographic", *linux_options()) as terminal:
        end = time.monotonic() + END_MAX
        while not terminal.is_raw():
            assert time.monotonic() < end
            time.sleep(0.05)
        os.write(terminal.master, b"typed\x01x")
        assert terminal.end() == 0
        assert terminal.is_restored()


def test_terminal_is_restored_after_power_off(tmp_path):
    with started_terminal() as terminal:
        os.write(terminal.master, b"poweroff -f\n")
        assert terminal.end() == 0
        assert terminal.is_restored()


def test_terminal_is_untouched_after_a_failed_start(tmp_path):
    with Terminal("-m", "256M", "-nographic", "-kernel", "/dev/null") as terminal:
        assert terminal.end() == 1
        assert terminal.is_restored()


def test_output_to_a_full_device_does_not_end_the_machine(tmp_path):
    with open("/dev/full", "wb") as full:
        with Vm(
            ["-m", "256M", "-nographic", *linux_options()[:-1], "console=ttyS0 quiet pmvm.run=dHJ1ZQo="], console=full
        ) as vm:
            assert vm.end(BOOT_MAX) == 0
            assert vm.error_text.count("cannot write") == 1


# ---- standard error, and signals of the shell

ANSWER_BOUND = 10  # seconds; on an emulated host an answer takes a tenth of one


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
    image.write_bytes(b"".join(0x6D6F72662066696C.to_bytes(8, "little") + bytes(4088) for _ in range(4096)))
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
        end = time.monotonic() + BOOT_MAX
        while not console.exists() or "# storing without end" not in console.read_text(errors="replace"):
            assert time.monotonic() < end and process.poll() is None, console.read_text(errors="replace")
            time.sleep(0.1)
        # Several windows of the limit in rate, each with messages that do not fit.
        for _ in range(3):
            time.sleep(2)
            with Qmp(tmp_path / "qmp") as qmp:
                qmp.socket.settimeout(ANSWER_BOUND)
                assert qmp.run("query-status")["running"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(ANSWER_BOUND) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize("words", [["nohup"], ["sh", "-c", "trap '' INT HUP; exec \"$@\"", "sh"]])
def test_signals_that_the_parent_process_ignores(tmp_path, words):
    numbers = [signal.SIGHUP] if words == ["nohup"] else [signal.SIGHUP, signal.SIGINT]
    options = [*linux_options(), "-m", "256M", "-S", "-display", "none", "-serial", "null"]
    with Vm([*options, "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"], cwd=tmp_path, prefix=words) as vm:
        with Qmp(tmp_path / "qmp") as qmp:
            for number in numbers:
                vm.signal(number)
            # A machine that ends may still answer once.
            time.sleep(2)
            assert qmp.run("query-status")["status"] == "prelaunch"
        vm.signal(signal.SIGTERM)
        assert vm.end() == 0


def test_two_starts_at_once_with_one_socket(tmp_path):
    """One has the socket, also over one that a killed machine left; the other one is refused and removes nothing."""
    options = [*linux_options(), "-m", "256M", "-S", "-display", "none", "-serial", "null"]
    options += ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]
    for _ in range(3):
        vms = [Vm(options) for _ in range(2)]
        try:
            end = time.monotonic() + BOOT_MAX
            while all(vm.process.poll() is None for vm in vms):
                assert time.monotonic() < end, "both started"
                time.sleep(0.05)
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
