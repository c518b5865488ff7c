"""run and exec of pmvm-oci with a terminal, by the user who typed it.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pytest

from oci_runtime import COMMAND_MAX, make_bundle

SCRIPT = """
trap 'echo interrupted' INT
tty; stty size; test -t 1 && echo ready
while read word; do case $word in size) stty size;; end) exit 4;; *) echo "got $word";; esac; done
"""


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Typist:
    """A user at a terminal, in which the program runs."""

    def __init__(self, oci, *args):
        self.master, self.slave = pty.openpty()
        set_size(self.master, 24, 80)
        self.before = termios.tcgetattr(self.slave)
        self.process = oci.popen(*args, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True)
        self.seen = ""

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, end):
        if select.select([self.master], [], [], max(0, min(1, end - time.monotonic())))[0]:
            self.seen += os.read(self.master, 4096).decode(errors="replace")

    def expect(self, text):
        """Waits until the screen has it, and forgets what is before."""
        end = time.monotonic() + COMMAND_MAX
        while text not in self.seen:
            assert time.monotonic() < end, (text, self.seen)
            self.read(end)
        before, _, self.seen = self.seen.partition(text)
        return before

    def end(self):
        """The exit status; what is on the screen is read meanwhile."""
        end = time.monotonic() + COMMAND_MAX
        while self.process.poll() is None:
            assert time.monotonic() < end, self.seen
            self.read(end)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is as it was"
        return self.process.returncode


@contextlib.contextmanager
def typist(oci, *args):
    user = Typist(oci, *args)
    try:
        yield user
    finally:
        user.process.kill()
        user.process.wait(COMMAND_MAX)
        os.close(user.master)
        os.close(user.slave)


def talk(user):
    user.expect("/dev/pts/")
    assert "24 80\r\n" in user.expect("ready\r\n")
    user.type("hello\r")
    # The guest's terminal echoes it once.
    assert user.expect("got hello\r\n") == "hello\r\n"
    user.type("size\r")
    user.expect("24 80\r\n")
    set_size(user.master, 50, 100)
    user.process.send_signal(signal.SIGWINCH)
    end = time.monotonic() + COMMAND_MAX
    while "50 100" not in user.seen:
        assert time.monotonic() < end, user.seen
        user.type("size\r")
        user.read(end)
    user.type("\x03")
    user.expect("interrupted")
    user.type("end\r")
    assert user.end() == 4


@pytest.mark.long
def test_run_on_a_terminal(oci, tmp_path):
    oci.containers.add("c")
    with typist(oci, "run", "--bundle", make_bundle(tmp_path / "bundle", SCRIPT, terminal=True), "c") as user:
        talk(user)
    assert oci.left() == []


@pytest.mark.long
def test_exec_on_a_terminal(running):
    oci, name, _ = running
    with typist(oci, "exec", "-t", name, "sh", "-c", SCRIPT) as user:
        talk(user)
    with typist(oci, "exec", "-t", name, "/bin/nothing") as user:
        assert user.end() == 255
        user.expect("nothing")
    assert oci.status(name) == "running"
