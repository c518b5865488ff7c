"""The real machine's side of two hosts: their boxes, what runs in them, and the switch that ends one.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import power_switch
from plan import CHECKOUT, Lost, Trouble

WORK = CHECKOUT / "build/failover"
BOX = CHECKOUT / "tests/box/box.py"
PEER = {"a": "b", "b": "a"}
DISK_LEN = 96 << 20
MEM = "1280M"
# The second: at its boot the kernel counts interrupts of a timer for a moment, which a busy machine may not deliver.
KERNEL = "box.mount=no no_timer_check"
# Of each packet to the other host. A report of the guest needs up to half a second to leave a busy emulated host. What
# it reports has to need longer to reach the other disk, so that a report which did not wait for that is found out.
DELAY = "2s"
STEP_MAX = 600  # seconds for anything; bounds a wait that would otherwise have no end


def log():
    """The file for all that the boxes and the programs in them print."""
    return open(WORK / "log", "ab")


class Output:
    """A command in a box that stays, and what it prints."""

    def __init__(self, command, env):
        self.text = ""
        self.changed = threading.Condition()
        self.log = log()
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log
        )
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while data := os.read(self.process.stdout.fileno(), 65536):
            self.log.write(data)
            self.log.flush()
            with self.changed:
                self.text += data.decode(errors="replace").replace("\r", "")
                self.changed.notify_all()

    def wait_for(self, test, what):
        """Waits until test(text) is true; returns its value."""
        end = time.monotonic() + STEP_MAX
        with self.changed:
            while not (value := test(self.text)):
                if found := re.search(r"^damaged .*$", self.text, re.MULTILINE):
                    raise Lost(f"the file system: {found[0]}\n{self.text[-3000:]}")
                if self.process.poll() is not None or time.monotonic() > end:
                    raise Trouble(f"did not come to {what}; see {self.log.name}\n{self.text[-3000:]}")
                self.changed.wait(0.5)
        return value

    def join(self):
        """After the end of the box: all that it had printed is in the text."""
        self.process.wait(STEP_MAX)
        self.thread.join(30)
        self.log.close()


class Refused(Trouble):
    """A host could not start, because the server of its disk has sent it away."""


class Host:
    """One of the two, by name. It has a disk that stays, and a box while it is switched on."""

    def __init__(self, name, hardware=None):
        """hardware: further arguments of its box; without it, a disk of its own and a cable to the other host."""
        self.name = name
        self.hardware = hardware or ["--disk", str(DISK_LEN), "--peer", f"../{PEER[name]}"]
        self.directory = WORK / name
        self.shared = self.directory / "shared"
        self.shared.mkdir(parents=True, exist_ok=True)
        self.env = os.environ | {"PMVM_BOX_DIR": str(self.directory)}
        self.pid = None
        self.lock = threading.Lock()  # of its power: who asks for its end waits for its start
        # An empty one: box.py keeps a disk of this length, and makes a file system on others.
        disk = self.directory / "disk.img"
        disk.unlink(missing_ok=True)
        with open(disk, "wb") as f:
            f.truncate(DISK_LEN)

    def box(self, *args, check=True, timeout=STEP_MAX):
        with log() as errors:
            try:
                done = subprocess.run(
                    [BOX, *args],
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    timeout=timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise Trouble(f"host {self.name}: {' '.join(map(str, args))}: no end in {timeout} s") from None
            errors.write(done.stdout.encode())
        if check and done.returncode:
            raise Trouble(
                f"host {self.name}: {' '.join(map(str, args))}: status {done.returncode}\n{done.stdout[-3000:]}"
            )
        return done.stdout

    def is_on(self):
        return self.pid is not None

    def switch_on(self):
        for path in self.shared.glob("switch-*"):
            path.unlink()
        with self.lock:
            try:
                self.box("start", "--mem", MEM, "--append", KERNEL, *self.hardware)
            except Trouble as trouble:
                # What QEMU prints when the server closes the connection at once.
                raise Refused(str(trouble)) if "Failed to read initial magic" in str(trouble) else trouble from None
            self.pid = json.loads((self.directory / "state.json").read_text(encoding="utf-8"))["pid"]

    def switch_off(self):
        """Without warning. Returns whether it was on."""
        with self.lock:
            if not self.pid:
                return False
            os.kill(self.pid, signal.SIGKILL)
            self.pid = None
            self.box("stop", "--now")
            return True

    def slow_network(self):
        """From now on, until it is switched off."""
        netem = ["netem", "delay", DELAY, "limit", "100000"]
        self.box("run", "--timeout", str(STEP_MAX), "--", "tc", "qdisc", "replace", "dev", "eth0", "root", *netem)

    def step(self, *args, part="by_hand"):
        """Runs a command of tests/cluster/PART.py in the box; returns what it prints."""
        return self.box("run", "--timeout", str(STEP_MAX), "--", *self._command(part, args)).strip()

    def start(self, *args, part="by_hand", env=()):
        """The same, for a command that stays."""
        settings = [f"--env={setting}" for setting in env]
        return Output([BOX, "run", *settings, "--", *self._command(part, args)], self.env)

    @staticmethod
    def _command(part, args):
        return [sys.executable, "-B", CHECKOUT / f"tests/cluster/{part}.py", *args]


class Switches(threading.Thread):
    """Does what the hosts ask for, until stopped."""

    def __init__(self, hosts):
        super().__init__(daemon=True)
        self.hosts = hosts
        self.stopped = threading.Event()
        self.ended = []  # hosts that were on, and that another one has switched off

    def act(self, what):
        action, name = what.split()
        host = self.hosts[name]
        if action == "off":
            if host.switch_off():
                self.ended.append(name)
            return "off"
        return "on" if host.is_on() else "off"

    def run(self):
        while not self.stopped.wait(0.2):
            for host in self.hosts.values():
                power_switch.serve(host.shared, self.act)
