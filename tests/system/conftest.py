"""What all system tests share.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "guest"), str(CHECKOUT / "tests/power")]


@pytest.fixture(autouse=True)
def no_process_left(tmp_path):
    """Every pmvm that a test started has ended when the test has."""
    yield
    left = [
        process.name
        for process in pathlib.Path("/proc").iterdir()
        if process.name.isdigit() and str(tmp_path) in command_line(process) and "pmvm" in command_line(process)
    ]
    assert not left, f"pmvm processes left behind: {left}"


def command_line(process):
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
