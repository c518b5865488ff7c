"""The real machine's side of a power cut: the box with disks that lose what was not flushed.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import plan
from plan import CHECKOUT, STEP_MAX, WORK, Lost, Trouble, say

BOX = CHECKOUT / "tests/box/box.py"
BOX_DIR = WORK / "box"  # its own: another box may run at the same time
os.environ["PMVM_BOX_DIR"] = str(BOX_DIR)
DISK_LEN = 1536 << 20
PROBE_LEN = 16 << 20
DISK_DELAY_MS = 100  # for each MiB with changes that a flush writes: a slow disk, so that cuts meet flushes


def make_disk(host):
    disk = WORK / f"{host}.img"
    disk.unlink(missing_ok=True)
    with open(disk, "wb") as f:
        f.truncate(DISK_LEN)
    mkfs = plan.MKFS[host]
    subprocess.run([shutil.which(mkfs[0], path=plan.PATH), *mkfs[1:], disk], check=True, stdout=subprocess.DEVNULL)
    return disk


def make_probe():
    disk = WORK / "probe.img"
    disk.unlink(missing_ok=True)
    with open(disk, "wb") as f:
        f.truncate(PROBE_LEN)
    return disk


def check_probe(disk):
    """Checks the premise: after a cut, flushed data is on the disk, and data that was not flushed is lost."""
    there = {}
    with open(disk, "rb") as f:
        for name in ("flushed", "unflushed"):
            block, offset = plan.probe_block(name)
            f.seek(offset)
            there[name] = f.read(len(block)) == block
    if there != {"flushed": True, "unflushed": False}:
        raise Trouble(f"the disk does not lose exactly what was not flushed; present after the cut: {there}")
    say("the disk: after a cut a flushed block is there, and one that was not flushed is lost")


class Power:
    """The box with its disks: switched on when made, until cut() or the end of the context."""

    def __init__(self, disks, arguments, environment):
        self.log = open(WORK / "log", "ab")
        self.box = self.command = None
        self.servers = []
        self.output = bytearray()
        self.changed = threading.Condition()
        self.closed = False
        try:
            self.start([self.serve(number, disk) for number, disk in enumerate(disks)], arguments, environment)
        except BaseException:
            self.cut()
            raise

    def serve(self, number, disk):
        """Starts the server of a disk; returns the name of its socket."""
        socket = BOX_DIR / f"nbd{number}.sock"
        socket.unlink(missing_ok=True)
        self.servers.append(
            subprocess.Popen(
                [
                    "nbdkit",
                    "--foreground",
                    "--exit-with-parent",
                    "--unix",
                    socket,
                    "--filter=cache",
                    "--filter=delay",
                    "file",
                    disk,
                    "cache=writeback",
                    "cache-min-block-size=1M",
                    f"delay-write={DISK_DELAY_MS}ms",
                ],
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
            )
        )
        end = time.monotonic() + 30
        while not socket.exists():
            if time.monotonic() > end or self.servers[-1].poll() is not None:
                raise Trouble(f"nbdkit does not serve the disk, see {self.log.name}")
            time.sleep(0.02)
        return socket.name

    def start(self, sockets, arguments, environment):
        done = subprocess.run(
            [BOX, "start", "--mem", "2G", *(f"--nbd={socket}" for socket in sockets)],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            check=False,
        )
        if done.returncode:
            raise Trouble(f"the box does not start, see {self.log.name}")
        self.box = json.loads((BOX_DIR / "state.json").read_text(encoding="utf-8"))["pid"]
        self.command = subprocess.Popen(
            [
                BOX,
                "run",
                *(f"--env={setting}" for setting in environment),
                "--",
                sys.executable,
                "-B",
                CHECKOUT / "tests/power/inside.py",
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while data := os.read(self.command.stdout.fileno(), 65536):
            with self.changed:
                self.output += data
                self.changed.notify_all()
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def text(self):
        """Returns all output of the box; raises an exception if it reports a loss or a failure."""
        text = self.output.decode(errors="replace")
        if found := re.search(r"^(lost|trouble) (.*)$", text, re.MULTILINE):
            raise {"lost": Lost, "trouble": Trouble}[found[1]](json.loads(found[2]))
        if found := re.search(r"(dax-tool|a database's writer): .*", text):
            raise Lost(f"a writer failed: {found[0]}\n{text[-2000:]}")
        return text

    def wait_for(self, test, what):
        """Waits until test(text) is true; returns its value."""
        end = time.monotonic() + STEP_MAX
        with self.changed:
            while not (value := test(self.text())):
                if self.closed or time.monotonic() > end:
                    raise Trouble(f"did not come to {what}; see {self.log.name}\n{self.text()[-3000:]}")
                self.changed.wait(0.5)
        return value

    def cut(self):
        """Cuts the power; returns all output of the box before that."""
        # First stop the box: it must not notice and report that its disk is missing.
        if self.box:
            os.kill(self.box, signal.SIGSTOP)
        for server in self.servers:
            server.kill()
        if self.box:
            os.kill(self.box, signal.SIGKILL)
            self.box = None
        for server in self.servers:
            server.wait()
        if self.command:
            self.command.wait()
            self.thread.join(30)
            self.command = None
        subprocess.run([BOX, "stop", "--now"], stdout=self.log, stderr=self.log, check=False)
        self.log.close()
        return self.text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.box:
            self.cut()
