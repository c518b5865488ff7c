"""HMP: the text monitor on sockets, on standard input, and behind Ctrl-a c on the console's terminal.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pty
import re
import socket
import subprocess
import termios
import threading
import time

import pytest

import echo
from machine import END_MAX, Vm, linux_options, pmem, pmvm, run_pmvm
from monitor import ANSWER_MAX, Hmp, connect, plain


@pytest.fixture(scope="module")
def vm(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hmp")
    with Vm(
        [
            *linux_options(),
            "-S",
            "-smp",
            "2",
            "-display",
            "none",
            "-name",
            "test-vm",
            *pmem(directory / "a.img", size="16M"),
            "-monitor",
            f"unix:{directory}/monitor,server=on,wait=off",
        ]
    ) as machine:
        machine.path = directory / "monitor"
        yield machine


@pytest.fixture
def hmp(vm):
    with Hmp(vm.path) as session:
        yield session


def test_banner_and_help(hmp):
    assert re.match(r"pmvm \S+ monitor - type 'help' for more information\n", hmp.banner)
    text = hmp.run("help")
    for name in (
        "object_add",
        "object_del",
        "device_add",
        "device_del",
        "stop",
        "cont",
        "quit",
        "system_reset",
        "system_powerdown",
        "info",
    ):
        assert re.search(rf"^{name}(\|\S+)? .*-- ", text, re.MULTILINE), name
    assert (
        hmp.run("help device_add")
        == "device_add driver[,prop=value][,...] -- add device, like -device on the command line\n"
    )
    assert "memory_size_summary" in hmp.run("info")


@pytest.mark.parametrize(
    "line,wanted",
    [
        ("info status", "VM status: paused (prelaunch)\n"),
        ("info name", "test-vm\n"),
        ("info kvm", "kvm support: enabled\n"),
        ("info memory_size_summary", "base memory: 268435456\nplugged memory: 16777216\n"),
        (
            "info memory-devices",
            'Memory device [virtio-pmem]: "nv1"\n  memaddr: 0x100000000\n  size: 16777216\n  memdev: /objects/mem1\n',
        ),
        ("nonsense", "unknown command: 'nonsense'\n"),
        ("device_del", 'device_del: string expected\nTry "help device_del" for more information\n'),
        ("stop now", 'stop: extraneous characters at the end of line\nTry "help stop" for more information\n'),
        ("device_del nv9", "Error: Device 'nv9' not found\n"),
        ("object_del m9", "Error: object 'm9' not found\n"),
        (
            "object_add memory-backend-file,id=mem9,mem-path=x,size=abc",
            "Error: Parameter 'size' expects a size value\n",
        ),
        ("device_add virtio-pmem-pci", "Error: 'memdev' property must be set\n"),
        ("", ""),
    ],
)
def test_commands(hmp, line, wanted):
    shown = hmp.run(line)
    # An error may have a next step behind it.
    rest = shown.removeprefix(wanted)
    assert shown.startswith(wanted) and (
        not rest or re.fullmatch(r'(hint: .*|Try "help.*)\n', rest) and wanted.count("\n") == 1
    ), shown


def test_info_memdev_and_cpus_and_pci(hmp):
    text = hmp.run("info memdev")
    assert "memory backend: mem1\n  size:  16777216\n  merge: true\n  dump: true\n  prealloc: false\n" in text
    assert len(re.findall(r"^\*? *CPU #\d+: thread_id=\d+$", hmp.run("info cpus"), re.MULTILINE)) == 2
    text = hmp.run("info pci")
    assert "1af4:105b" in text and 'id "nv1"' in text


def test_line_editing(vm):
    """As at any prompt: cursor keys, history, completion; on a socket as on a terminal."""
    with Hmp(vm.path) as hmp:

        def keys(data):
            hmp.socket.sendall(data)
            return hmp.until_prompt()

        assert "VM status" in keys(b"nfo status\x01i\n")  # Ctrl-a
        assert "VM status" in keys(b"info statusxx\x7f\x7f\n")  # backspace
        assert "VM status" in keys(b"\x1b[A\x1b[A\n")  # up, up
        assert "test-vm" in keys(b"info name garbage\x1b[D\x0b\x15info name\n")
        # Completion of a command, of a subcommand, of a device's id.
        assert "VM status" in keys(b"inf\tstat\t\n")
        assert "device_del nv1" in keys(b"device_del n\t\x15\n")
        # 20 lines pasted at once.
        hmp.socket.sendall(b"info name\n" * 20)
        text = ""
        end = time.monotonic() + ANSWER_MAX
        while text.count("test-vm") < 20 and time.monotonic() < end:
            text += plain(hmp.socket.recv(65536))
        assert text.count("test-vm") == 20


def test_a_script_through_a_pipe(vm):
    client = connect(vm.path)
    client.sendall(b"info status\ninfo name\n")
    client.shutdown(socket.SHUT_WR)
    text = b""
    while data := client.recv(65536):
        text += data
    client.close()
    assert "VM status: paused (prelaunch)" in plain(text) and "test-vm" in plain(text)


def test_a_sender_that_closes_at_once(vm):
    """`printf ... | nc -NU` and scripts that do not wait: every command is carried out."""
    backend = "memory-backend-file,share=on,size=2M"
    for number in range(20):
        with connect(vm.path) as client:
            client.sendall(f"object_add {backend},id=once{number},mem-path={vm.path}-{number}\n".encode())
    with Hmp(vm.path) as hmp:
        end = time.monotonic() + ANSWER_MAX
        while hmp.run("info memdev").count("memory backend: once") < 20:
            assert time.monotonic() < end, hmp.run("info memdev")
        for number in range(20):
            assert hmp.run(f"object_del once{number}") == ""


def test_garbage_and_long_lines(vm):
    with Hmp(vm.path) as hmp:
        hmp.socket.sendall(bytes(range(1, 256)).replace(b"\n", b"").replace(b"\x04", b"") + b"\n")
        hmp.socket.sendall(b"\x15" + b"x" * 100000 + b"\n")
        hmp.socket.sendall(b"\x15info name\n")
        text, end = "", time.monotonic() + ANSWER_MAX
        while "test-vm" not in text and time.monotonic() < end:
            text += plain(hmp.socket.recv(65536))
        assert "test-vm" in text
    with Hmp(vm.path) as hmp:
        assert hmp.run("info name") == "test-vm\n"


def test_help_of_properties(hmp):
    assert "memdev=<link<memory-backend>>" in hmp.run("device_add virtio-pmem-pci,help")
    assert "mem-path=<string>" in hmp.run("object_add memory-backend-file,help")


def test_stdio():
    with Vm([*linux_options(), "-S", "-display", "none", "-monitor", "stdio"]) as vm:
        vm.wait_for(r"\(pmvm\) ")
        vm.send("info status\n")
        vm.wait_for("VM status: paused")
        vm.send("quit\n")
        assert vm.end() == 0


class Terminal:
    """pmvm on a terminal, as a person has it."""

    def __init__(self, *args):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [pmvm(), *map(str, args)], stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True
        )
        self.output, self.changed = bytearray(), threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            with self.changed:
                self.output += data
                self.changed.notify_all()

    def type(self, data):
        os.write(self.master, data)

    def wait_for(self, text, timeout=120, start=0):
        end = time.monotonic() + timeout
        with self.changed:
            while text not in plain(bytes(self.output[start:])):
                assert time.monotonic() < end, f"{text!r} is not in {plain(bytes(self.output[start:]))[-2000:]!r}"
                self.changed.wait(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(END_MAX)
        os.close(self.slave)
        os.close(self.master)


def test_the_monitor_behind_the_console():
    """-nographic: Ctrl-a c goes to the monitor and back, and loses nothing of either."""
    with Terminal(*echo.options(), "-nographic") as terminal:
        terminal.wait_for(echo.READY)
        terminal.type(b"\x01h")
        terminal.wait_for("C-a c")
        start = len(terminal.output)
        terminal.type(b"\x01c")
        terminal.wait_for("(pmvm) ", start=start)
        terminal.type(b"info status\n")
        terminal.wait_for("VM status: running", start=start)
        terminal.type(b"stop\ninfo status\n")
        terminal.wait_for("VM status: paused", start=start)
        terminal.type(b"cont\n\x01c")
        start = len(terminal.output)
        terminal.type(b"to the guest\n")
        terminal.wait_for("line 1: to the guest", start=start)
        terminal.type(b"\x01cquit\n")
        assert terminal.process.wait(END_MAX) == 0
        assert termios.tcgetattr(terminal.slave) == terminal.before


def test_two_users_of_standard_input_are_refused(tmp_path):
    status, _, errors = run_pmvm(*linux_options(), "-serial", "stdio", "-monitor", "stdio", cwd=tmp_path)
    assert status == 1 and "cannot use stdio by multiple character devices" in errors


def test_several_people_at_once(vm):
    sessions = [Hmp(vm.path) for _ in range(3)]
    for session in sessions:
        session.socket.sendall(b"info na")
    for session in sessions:
        session.socket.sendall(b"me\n")
        assert "test-vm" in session.until_prompt()
        session.close()
