"""A program on a terminal of a given size, and what its screen shows: as much of a VT100 as curses uses of it.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

WAIT_MAX = 300  # seconds

CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>78M]|[\x00-\x1f]|[^\x00-\x1f\x1b]")


class Screen:
    """Rows of characters. Attributes are dropped."""

    def __init__(self, rows, columns):
        self.pending = ""
        self.rows, self.columns, self.lines = rows, columns, []
        self.y = self.x = 0
        self.region = (0, 0)  # the first row of those that scroll, and the one after the last
        self.resize(rows, columns)

    def resize(self, rows, columns):
        """What a terminal shows then is its own affair: the program writes all again."""
        self.rows, self.columns = rows, columns
        self.lines = [[" "] * columns for _ in range(rows)]
        self.y = self.x = 0
        self.region = (0, rows)

    def text(self):
        return ["".join(line).rstrip() for line in self.lines]

    def feed(self, text):
        self.pending += text
        while match := CONTROL.match(self.pending):
            self.pending = self.pending[match.end() :]
            if match[2]:
                self.control(match[1], match[2])
            elif match[0] >= " ":
                self.put(match[0])
            else:
                self.move(match[0])

    def put(self, letter):
        # At the last column the next letter begins a new line.
        if self.x == self.columns:
            self.x, self.y = 0, min(self.y + 1, self.rows - 1)
        self.lines[self.y][self.x] = letter
        self.x += 1

    def move(self, letter):
        if letter == "\r":
            self.x = 0
        elif letter == "\b":
            self.x = max(0, self.x - 1)
        elif letter == "\n" and self.y == self.region[1] - 1:
            self.scroll(self.region[0], self.y)
        elif letter == "\n":
            self.y = min(self.rows - 1, self.y + 1)
        elif letter == "\t":
            self.x = min(self.columns - 1, self.x // 8 * 8 + 8)
        elif letter == "\x1bM" and self.y == self.region[0]:
            self.scroll(self.region[1] - 1, self.y)
        elif letter == "\x1bM":
            self.y = max(0, self.y - 1)

    def scroll(self, from_row, to_row):
        """One row goes, and an empty one comes."""
        del self.lines[from_row]
        self.lines.insert(to_row, [" "] * self.columns)

    def control(self, numbers, letter):
        values = [int(number or 0) for number in numbers.lstrip("?").split(";")]
        first = max(1, values[0])
        if letter == "H":
            self.y = min(self.rows, first) - 1
            self.x = min(self.columns, max(1, values[1] if len(values) > 1 else 1)) - 1
        elif letter in "ABCD":
            self.y = min(self.rows - 1, max(0, self.y + {"A": -first, "B": first}.get(letter, 0)))
            self.x = min(self.columns - 1, max(0, self.x + {"C": first, "D": -first}.get(letter, 0)))
        elif letter == "r":
            last = values[1] if len(values) > 1 else self.rows
            self.region = (min(first, self.rows) - 1, min(last, self.rows))
            self.y = self.x = 0
        elif letter in "JK":
            for y in range(self.y, self.rows) if letter == "J" else [self.y]:
                from_x = self.x if y == self.y and values[0] == 0 else 0
                to_x = self.x + 1 if values[0] == 1 else self.columns
                self.lines[y][from_x:to_x] = [" "] * (to_x - from_x)


class Program:
    """A program with a terminal of its own, until the context ends."""

    def __init__(self, *command, rows=24, columns=80, term="vt100"):
        self.screen = Screen(rows, columns)
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
        self.screen.feed(data.decode(errors="replace"))
        return bool(data)

    def wait_for(self, condition, what):
        """Waits until the condition is true of the lines of the screen; returns them."""
        end = time.monotonic() + WAIT_MAX
        while not condition(self.screen.text()):
            is_open = self._read()
            shown = "\n".join(self.screen.text())
            assert is_open or condition(self.screen.text()), f"{what}: the program has ended\n{shown}"
            assert time.monotonic() < end, f"{what}: not so in {WAIT_MAX} s\n{shown}"
        return self.screen.text()

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
