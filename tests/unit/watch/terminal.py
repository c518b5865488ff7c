"""A program on a terminal of a given size, and what its screen shows; pyte is the terminal.

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

import pyte

WAIT_MAX = 300  # seconds


class Program:
    """A program with a terminal of its own, until the context ends."""

    def __init__(self, *command, rows=24, columns=80, term="linux"):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # The size comes before the program asks for it.
            self._set_size(0, rows, columns)
            environment = {key: value for key, value in os.environ.items() if key not in ("LINES", "COLUMNS")}
            os.execve(command[0], [str(word) for word in command], environment | {"TERM": term})
        self.status = None

    @staticmethod
    def _set_size(fd, rows, columns):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        self._set_size(self.fd, rows, columns)

    def text(self):
        """The lines that it shows. Attributes are dropped."""
        return [line.rstrip() for line in self.screen.display]

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def _read(self):
        """Shows what the program has written; False: it has closed the terminal."""
        if not select.select([self.fd], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.stream.feed(data)
        return bool(data)

    def wait_for(self, condition, what):
        """Waits until the condition is true of the lines of the screen; returns them."""
        end = time.monotonic() + WAIT_MAX
        while not condition(self.text()):
            is_open = self._read()
            shown = "\n".join(self.text())
            assert is_open or condition(self.text()), f"{what}: the program has ended\n{shown}"
            assert time.monotonic() < end, f"{what}: not so in {WAIT_MAX} s\n{shown}"
        return self.text()

    def end(self):
        """Waits for the program to end by itself; returns its exit status."""
        end = time.monotonic() + WAIT_MAX
        while self.status is None:
            self._read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            assert time.monotonic() < end, f"the program has not ended in {WAIT_MAX} s"
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
