"""The kernel's log: forbidden system calls that a machine with `-sandbox log` has made.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import time

# AUDIT_SECCOMP. Other programs of the tests have filters of their own.
FORBIDDEN = re.compile(r'type=1326 .* comm=(\S+) exe="[^"]*pmvm" .* syscall=(\d+)')
# The kernel's thread for such lines writes them a moment later.
QUIET_S = 0.5
WAIT_MAX = 30


def name_of(comm):
    """It is between quotes, or in hexadecimal where it has a space."""
    return comm[1:-1] if comm.startswith('"') else bytes.fromhex(comm).decode(errors="replace")


class KernelLog:
    """What is written from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self.fd, 0, os.SEEK_END)

    def close(self):
        os.close(self.fd)

    def _lines(self):
        while True:
            try:
                yield os.read(self.fd, 8192).decode(errors="replace")
            except BrokenPipeError:  # lines were overwritten before they were read
                yield "lost"
            except BlockingIOError:
                return

    def forbidden(self):
        """The threads and numbers of forbidden calls in new lines."""
        lines = list(self._lines())
        matches = [match for line in lines if (match := FORBIDDEN.search(line))]
        found = [f"thread {name_of(match[1])}: system call {match[2]}" for match in matches]
        return found + ["lines of the kernel's log were lost"] * ("lost" in lines)

    def wait_for_forbidden(self):
        """Waits for some, and returns all."""
        found, end = [], time.monotonic() + WAIT_MAX
        while time.monotonic() < end:
            more = self.forbidden()
            if found and not more:
                break
            found += more
            time.sleep(QUIET_S)
        return found
