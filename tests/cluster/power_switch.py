"""The power switch of the two hosts: the side of the host that asks, and the side of the real machine that acts.

SPDX-License-Identifier: Apache-2.0

A host asks by a file in the directory that its box shares with the real machine. There the test looks for it, ends the
emulator of the other host, and answers by another file.
"""
import os
import pathlib
import socket
import sys
import time

ANSWER_MAX = 120  # seconds; the other side looks several times in a second


def ask(directory, what):
    """Asks for an action, such as "off b"; returns the answer."""
    name = f"switch-{os.getpid()}-{time.monotonic_ns()}"
    question, answer = directory / f"{name}.question", directory / f"{name}.answer"
    part = directory / f"{name}.part"
    part.write_text(what, encoding="ascii")
    part.rename(question)
    end = time.monotonic() + ANSWER_MAX
    while time.monotonic() < end:
        if answer.exists():
            text = answer.read_text(encoding="ascii")
            answer.unlink()
            return text
        time.sleep(0.1)
    return f"no answer in {ANSWER_MAX} s"


def serve(directory, act):
    """Answers the questions that are there: act(what) returns the answer."""
    for question in directory.glob("switch-*.question"):
        text = act(question.read_text(encoding="ascii"))
        question.unlink()
        part = question.with_suffix(".part")
        part.write_text(text, encoding="ascii")
        part.rename(question.with_suffix(".answer"))


def shared_directory():
    """The directory that a box shares with the real machine, from inside."""
    return pathlib.Path(__file__).resolve().parents[2] / "build/box/shared"


def main():
    """A fence-peer handler of DRBD, with its exit statuses: 7, the peer is switched off; 1, it is not."""
    peer = {"a": "b", "b": "a"}[socket.gethostname()]
    answer = ask(shared_directory(), f"off {peer}")
    sys.exit(7 if answer == "off" else 1)


if __name__ == "__main__":
    main()
