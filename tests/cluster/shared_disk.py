"""One disk that both hosts reach, on a server that lets only one of them have it at a time.

SPDX-License-Identifier: Apache-2.0

The server is nbdkit, on the real machine; the emulator of each host is its client. It takes one client at a time and
refuses a second one, so two hosts never write. A host has the disk from its start to its end; the other one is off
meanwhile, and only tries to start.
"""
import subprocess
import time

from host import PEER, WORK, Refused, log
from plan import Trouble, say

SOCKET = "nbd.sock"  # relative to WORK: the path of a socket must be short
HARDWARE = ["--nbd", f"../{SOCKET}"]
LEN = 64 << 20
# Of each write. nbdkit gives up a write that waits when its client is lost. So what was not written for long enough,
# and not waited for, is lost with the host.
DELAY = "1000ms"
NOTICED_MAX = 60  # seconds until the server has noticed that a client is lost


class Server:
    """The disk, with a file system, and who serves it."""

    def __init__(self):
        disk = WORK / "shared.img"
        disk.unlink(missing_ok=True)
        with open(disk, "wb") as f:
            f.truncate(LEN)
        subprocess.run(["/usr/sbin/mkfs.ext4", "-qF", "-b", "4096", disk], check=True)
        (WORK / SOCKET).unlink(missing_ok=True)
        with log() as errors:
            self.process = subprocess.Popen(
                ["nbdkit", "--foreground", "--exit-with-parent", "--unix", SOCKET]
                + ["--filter=limit", "--filter=delay", "file", disk, "limit=1", f"delay-write={DELAY}"],
                cwd=WORK,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        end = time.monotonic() + NOTICED_MAX
        while not (WORK / SOCKET).exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Trouble(f"nbdkit does not serve the disk, see {errors.name}")
            time.sleep(0.05)


class BySharedDisk:
    """The machine is started by the test, on the host that can have the disk."""

    paces = ["slow", "fast"]  # of the writers, in turn

    def __init__(self, hosts, storage, program):
        self.hosts = hosts
        self.storage = storage
        self.program = program
        self.server = Server()
        self.nrefused = 0

    def setup(self):
        """Returns the host on which the machine starts."""
        self.hosts["a"].switch_on()
        return "a"

    def start_on(self, name, peer, pace):
        """Returns the console of the machine."""
        if peer == "lost":
            self.take_over(name)
        return self.hosts[name].start("machine", self.storage, peer, pace, env=[f"PMVM={self.program}"])

    def take_over(self, name):
        end = time.monotonic() + NOTICED_MAX
        while True:
            try:
                return self.hosts[name].switch_on()
            except Refused:
                if time.monotonic() > end:
                    raise
            time.sleep(0.2)

    def bring_back(self, name, console):
        """It stays off: the disk is not there for it."""

    def slow_down(self, name):
        """The disk is slow always."""

    def wait_replicated(self, name):
        """The disk is one; the other host must not get it."""
        try:
            self.hosts[PEER[name]].switch_on()
        except Refused:
            self.nrefused += 1
            return
        raise Trouble(f"host {PEER[name]} got the disk while host {name} had it")

    def close(self):
        say(f"  nbd: the server refused the disk to the other host {self.nrefused} times")
        self.server.process.terminate()
        self.server.process.wait(NOTICED_MAX)
