#!/usr/bin/python3
"""Does what docs/root-on-pmem.md says: runs its blocks of commands in order, and compares what they print.

SPDX-License-Identifier: Apache-2.0

Usage: tests/root_on_pmem.py      (`make root-on-pmem` builds pmvm first)

The image is built on this machine, by root: the blocks before the first start. It is kept in build/root-on-pmem until
these blocks change. The machines run where KVM is usable, otherwise in the test box, with a copy of the image.
The blocks of the page:
    ```sh          commands for a shell of the host
    ```text        what the block before it prints, all of it
    ```sh console  a machine in a terminal of its own
A block that powers machines off is followed by their end, with status 0.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "guest"))
import machine

PAGE = CHECKOUT / "docs/root-on-pmem.md"
BUILT = CHECKOUT / "build/root-on-pmem"
RESULTS = ["root.img", "vmlinuz", "initrd.img", "key", "key.pub"]  # what the machines need of the build
BEGAN = time.monotonic()
BUILD_MAX, COMMANDS_MAX = 1800, 600  # seconds; an emulated host boots Debian in minutes


def say(text):
    print(text, flush=True)


def show(commands):
    text = commands.rstrip().replace("\n", "\n    ")
    say(f"[{time.monotonic() - BEGAN:5.0f} s]\n$   {text}")


def blocks():
    """[(kind, text)]: "sh" with the text that it prints, or "console"."""
    found = []
    for kind, text in re.findall(r"^```(sh console|sh|text)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        if kind == "text":
            found[-1][2] = text
        else:
            found.append([kind, text, ""])
    return found


def split(found):
    """The blocks of the build, and those after them."""
    first = [kind for kind, _, _ in found].index("sh console")
    return found[:first], found[first:]


def shell(commands, directory, seconds):
    """Runs a block; returns what it printed."""
    show(commands)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise machine.Failed(f"status {done.returncode}\n{done.stdout}")
    return done.stdout


def run_block(commands, wanted, directory, seconds):
    printed = shell(commands, directory, seconds)
    if wanted and printed != wanted:
        raise machine.Failed(f"it should print\n{wanted}and prints\n{printed}")
    if wanted:
        say("    ok: it prints what the page says")


def build(found):
    key = hashlib.sha256(repr(found).encode()).hexdigest()
    if (BUILT / "key-of-blocks").exists() and (BUILT / "key-of-blocks").read_text() == key:
        say(f"root-on-pmem: the image is there, {BUILT.relative_to(CHECKOUT)}")
        return
    if os.geteuid() != 0:
        raise machine.Failed("root is needed to build the image")
    shutil.rmtree(BUILT, ignore_errors=True)
    BUILT.mkdir(parents=True)
    for _, commands, wanted in found:
        run_block(commands, wanted, BUILT, BUILD_MAX)
    shutil.rmtree(BUILT / "root")
    (BUILT / "key-of-blocks").write_text(key)


class Terminal(machine.Vm):
    """A shell that runs the block, with the console of the machine."""

    def __init__(self, commands, directory):
        show(commands)
        super().__init__(["-c", f"exec {commands}"], cwd=directory, program="bash")


@contextlib.contextmanager
def default_route():
    """passt needs one, and an emulated host has none."""
    if os.environ.get("PMVM_IN_BOX"):
        subprocess.run(["modprobe", "dummy", "numdummies=0"], check=False)
        for words in ("link add uplink type dummy", "addr add 10.99.0.9/24 dev uplink", "link set uplink up",
                      "route add default via 10.99.0.1"):  # fmt: skip
            subprocess.run(["ip", *words.split()], check=True)
    try:
        yield
    finally:
        if os.environ.get("PMVM_IN_BOX"):
            subprocess.run(["ip", "link", "del", "uplink"], check=True)


def run_machines(found):
    with tempfile.TemporaryDirectory(prefix="pmvm-root-") as name, contextlib.ExitStack() as stack:
        directory, machines = pathlib.Path(name), []
        os.environ["PATH"] = f"{machine.pmvm().parent}:{os.environ['PATH']}"
        for file in RESULTS:
            subprocess.run(["cp", "--sparse=always", "--preserve=mode", BUILT / file, directory], check=True)
        stack.enter_context(default_route())
        for kind, commands, wanted in found:
            if kind == "sh console":
                machines.append(stack.enter_context(Terminal(commands, directory)))
                continue
            run_block(commands, wanted, directory, COMMANDS_MAX)
            if "poweroff" in commands:
                for guest in machines:
                    if guest.end(COMMANDS_MAX) != 0:
                        raise machine.Failed(f"pmvm ended with {guest.process.returncode}\n{guest.error_text}")
                say(f"    ok: {len(machines)} machines ended")
                machines.clear()


def main():
    building, running = split(blocks())
    try:
        if sys.argv[1:] == ["--here"]:
            run_machines(running)
            return 0
        build(building)
    except (machine.Failed, subprocess.TimeoutExpired) as failed:
        sys.exit(f"root-on-pmem: failed: {failed}")
    done = subprocess.run(
        [CHECKOUT / "tests/on-kvm", sys.executable, "-B", __file__, "--here"], cwd=CHECKOUT, check=False
    )
    say(f"root-on-pmem: {'failed' if done.returncode else 'the page is right'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
