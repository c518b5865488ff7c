"""A machine with the bare-metal guest of tests/guest/echo.c: a console that answers, some milliseconds after the start.

SPDX-License-Identifier: Apache-2.0
"""
import os
import select
import time

from machine import BOOT_MAX, CHECKOUT, near

READY = "# ready"


def options(append=""):
    return ["-m", "64M", "-kernel", near(CHECKOUT / "build/tests/guest/echo.elf"), "-append", append]


def read_until(source, wanted, timeout=BOOT_MAX):
    """What a descriptor or a socket gives, until that is in it."""
    fd = source if isinstance(source, int) else source.fileno()
    text, end = b"", time.monotonic() + timeout
    while wanted not in text:
        left = end - time.monotonic()
        assert left > 0, f"did not see {wanted} in {timeout} s: {text[-2000:]}"
        if select.select([fd], [], [], left)[0]:
            data = os.read(fd, 65536)
            assert data, f"hung up before {wanted}: {text[-2000:]}"
            text += data
    return text


def wait_until(condition, timeout=BOOT_MAX):
    """Waits until the function returns something true; returns that."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"{condition} did not come true in {timeout} s"
        time.sleep(0.05)
    return value


def numbers_to(n):
    """What "print N" prints."""
    return "".join(f"{i}\n" for i in range(1, n + 1)) + "the-end\n"
