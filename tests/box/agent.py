#!/usr/bin/python3
"""First process inside the box: runs the commands that arrive on its virtio-serial ports.

SPDX-License-Identifier: Apache-2.0

One process per port, one command at a time on each. A command gets a control group of its own: when it ends, times
out, or the other side disconnects, everything that it started is killed.
"""
import fcntl
import json
import os
import pathlib
import pty
import select
import shlex
import signal
import struct
import subprocess
import termios
import time

import protocol

CGROUPS = pathlib.Path("/sys/fs/cgroup")
IDLE_MAX = pathlib.Path(
    "/run/box-idle-max"
)  # seconds without a command after which the box ends; set by the box command
IDLE_MAX_DEFAULT = 600
REAL_TIME = pathlib.Path("/sys/class/rtc/rtc0/since_epoch")
CHUNK = 32768  # what one buffer of the port takes
QUEUE_MAX = 1 << 18  # output stays in its pipe while this much waits for the port, and input in the port likewise
GRACE = 2  # seconds between a polite and a hard end


class PeerGone(Exception):
    """The other side closed the port."""


class Replaced(Exception):
    """A new peer has sent a request while the session of an earlier one was going on."""

    def __init__(self, request):
        super().__init__()
        self.request = request


class Port:
    """A virtio-serial port; the other side connects and disconnects."""

    def __init__(self, path):
        self.path = path
        self.fd = -1
        self.nonce = None
        self.reopen()

    def reopen(self):
        """Opens the port again, which drops what an earlier peer had sent."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.unpacker = protocol.Unpacker()
        self.queue = bytearray()

    def wait_connected(self):
        # A port without a peer reports "hung up" all the time, so only an edge shows that a peer connects.
        now = select.poll()
        now.register(self.fd, 0)
        with select.epoll() as edges:
            edges.register(self.fd, select.EPOLLIN | select.EPOLLET)
            while now.poll(0):
                edges.poll(60)

    def receive(self):
        """Yields the messages that have come."""
        try:
            data = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return
        if not data:
            raise PeerGone
        try:
            for kind, payload in self.unpacker.feed(data):
                if kind == b"R":
                    request = json.loads(payload)
                    if request["nonce"] != self.nonce:  # otherwise the peer has only become impatient
                        raise Replaced(request)
                elif kind == b"P":
                    power_off()
                else:
                    yield kind, payload
        except (ValueError, KeyError):
            raise PeerGone from None

    def wait_request(self):
        """Ends by Replaced or PeerGone."""
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        while True:
            for _, events in poller.poll():
                if not events & select.POLLIN:
                    raise PeerGone
                for _ in self.receive():
                    pass

    def send(self, kind, payload=b""):
        self.queue += protocol.pack(kind, payload)

    def flush(self):
        """Writes as much as the port accepts now."""
        try:
            while self.queue:
                del self.queue[: os.write(self.fd, self.queue[:CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            raise PeerGone from None


class Command:
    """A running command, its streams and its control group."""

    def __init__(self, request, cgroup):
        self.cgroup = cgroup
        self.cgroup.mkdir(exist_ok=True)
        self.input = bytearray()
        self.input_ends = False
        self.status = None
        tty = request["tty"]
        if tty:
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *tty, 0, 0))
            theirs = [slave] * 3
            self.stdin, self.outputs = os.dup(master), {master: b"o"}
        else:
            (stdin, self.stdin), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
            theirs = [stdin, stdout, stderr]
            self.outputs = {out: b"o", err: b"e"}
        os.set_blocking(self.stdin, False)

        def prepare():
            (cgroup / "cgroup.procs").write_text("0")
            if tty:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        try:
            self.process = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn  # there is one thread
                request["argv"],
                cwd=request["cwd"],
                env=request["env"],
                start_new_session=True,
                preexec_fn=prepare,
                stdin=theirs[0],
                stdout=theirs[1],
                stderr=theirs[2],
            )
            self.pidfd = os.pidfd_open(self.process.pid)
        except BaseException:
            self.process = None
            self.close()
            raise
        finally:
            for fd in set(theirs):
                os.close(fd)
        if not tty and not request["stdin"]:
            self.close_input()

    def signal(self, number):
        if self.status is None:
            os.killpg(self.process.pid, number)

    def kill(self):
        (self.cgroup / "cgroup.kill").write_text("1")

    def reap(self):
        status = self.process.wait()
        self.status = status if status >= 0 else 128 - status
        self.kill()

    def add_input(self, data):
        """Takes bytes for standard input; none: it ends after those that wait."""
        if self.stdin >= 0:
            self.input += data
            self.input_ends = self.input_ends or not data
            self.write_input()

    def write_input(self):
        try:
            while self.input:
                del self.input[: os.write(self.stdin, self.input)]
        except BlockingIOError:
            return
        except OSError:
            self.input_ends = True
        if self.input_ends:
            self.close_input()

    def close_input(self):
        if self.stdin >= 0:
            os.close(self.stdin)
        self.stdin = -1
        self.input.clear()

    def read_output(self, fd):
        try:
            data = os.read(fd, CHUNK)
        except OSError:  # a terminal that no process has open any more
            data = b""
        if not data:
            os.close(fd)
            del self.outputs[fd]
        return data

    def close(self):
        """Ends the command and everything that it started."""
        if self.process and self.status is None:
            self.signal(signal.SIGTERM)
            poller = select.poll()
            poller.register(self.pidfd, select.POLLIN)
            poller.poll(GRACE * 1000)
            self.kill()
            self.reap()
        if self.process:
            os.close(self.pidfd)
        self.close_input()
        for fd in self.outputs:
            os.close(fd)
        for _ in range(100):  # killed processes take a moment to disappear
            try:
                self.cgroup.rmdir()
                break
            except OSError:
                time.sleep(0.02)


def wait_ready(port, command, seconds):
    """Waits until a descriptor is ready; returns [(descriptor, events)]."""
    poller = select.poll()
    has_room = len(command.input) < QUEUE_MAX
    poller.register(port.fd, (select.POLLIN if has_room else 0) | (select.POLLOUT if port.queue else 0))
    if command.status is None:
        poller.register(command.pidfd, select.POLLIN)
    if command.input:
        poller.register(command.stdin, select.POLLOUT)
    if len(port.queue) < QUEUE_MAX:
        for fd in command.outputs:
            poller.register(fd, select.POLLIN)
    return poller.poll(None if seconds == float("inf") else seconds * 1000)


def carry(port, command, fd, events):
    """Moves the data of one ready descriptor."""
    if fd == command.pidfd:
        command.reap()
    elif fd == command.stdin:
        command.write_input()
    elif fd in command.outputs:
        kind, data = command.outputs[fd], command.read_output(fd)
        if data:
            port.send(kind, data)
    elif fd == port.fd and events & (select.POLLHUP | select.POLLERR):
        raise PeerGone
    elif fd == port.fd and events & select.POLLIN:
        for kind, payload in port.receive():
            if kind == b"i":
                command.add_input(payload)
            elif kind == b"s":
                command.signal(payload[0])
            elif kind == b"k" and not port.queue:
                port.send(b"o")


def relay(port, command, timeout):
    """Carries bytes until the command has ended and all of its output is out; returns a message about it."""
    text = ""
    deadline = time.monotonic() + timeout if timeout else float("inf")
    while command.status is None or command.outputs or port.queue:
        left = deadline - time.monotonic()
        if left <= 0:
            if text:
                command.kill()
            else:
                text = f"timed out after {timeout:g} s: {shlex.join(command.process.args)}"
                command.signal(signal.SIGTERM)
            deadline = time.monotonic() + GRACE
            continue
        for fd, events in wait_ready(port, command, left):
            carry(port, command, fd, events)
        port.flush()
    return text


def explain(error, request):
    """Returns the message for a command that did not start."""
    if not os.path.isdir(request["cwd"]):
        return f"the box has no directory {request['cwd']}"
    return f"{request['argv'][0]}: {error.strerror}"


def serve(port, request, cgroup):
    """Runs one command for the peer."""
    port.nonce = request["nonce"]
    port.queue.clear()
    port.send(b"N", port.nonce.encode())
    port.flush()
    try:
        command = Command(request, cgroup)
    except OSError as e:
        end = {"status": 127 if isinstance(e, FileNotFoundError) else 126, "text": explain(e, request)}
    else:
        try:
            text = relay(port, command, request["timeout"])
            end = {"status": 124 if text else command.status, "text": text}
        finally:
            command.close()
    port.send(b"x", json.dumps(end).encode())
    while port.queue:
        poller = select.poll()
        poller.register(port.fd, select.POLLOUT)
        if any(events & select.POLLHUP for _, events in poller.poll()):
            raise PeerGone
        port.flush()


def worker(port, cgroup):
    request = None
    while True:
        try:
            if request:
                serve(port, request, cgroup)
                request = None
            port.wait_request()
        except Replaced as e:
            request = e.request
        except PeerGone:
            request = None
            port.reopen()
            port.wait_connected()


def power_off():
    os.sync()
    subprocess.run(["umount", "/mnt/disk"], stderr=subprocess.DEVNULL, check=False)
    pathlib.Path("/proc/sysrq-trigger").write_text("o")
    time.sleep(60)


def port_paths():
    """The ports of this machine by number."""
    paths = {}
    for name in pathlib.Path("/sys/class/virtio-ports").glob("*/name"):
        number = name.read_text().strip().removeprefix("box.")
        paths[int(number)] = f"/dev/{name.parent.name}"
    return paths


def clocks():
    """Returns the box's clock and the outer machine's clock, in seconds.

    Where instructions are counted, the box's clock jumps to the next timer when all processors are idle.
    """
    return time.monotonic(), int(REAL_TIME.read_text())


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    paths = port_paths()
    workers = {}
    last_used = clocks()
    while True:
        for number in paths.keys() - workers.values():
            pid = os.fork()
            if pid == 0:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
                worker(Port(paths[number]), CGROUPS / f"run-{number}")
            workers[pid] = number
        signal.sigtimedwait([signal.SIGCHLD], 10)
        try:
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                if pid in workers:
                    print(f"box: the agent of port {workers.pop(pid)} died", flush=True)
                    time.sleep(0.1)
        except ChildProcessError:
            pass
        if any(CGROUPS.glob("run-*")):
            last_used = clocks()
            continue
        idle_max = int(IDLE_MAX.read_text()) if IDLE_MAX.exists() else IDLE_MAX_DEFAULT
        if all(now - then > idle_max for now, then in zip(clocks(), last_used)):
            print("box: idle for too long, powering off", flush=True)
            power_off()


if __name__ == "__main__":
    main()
