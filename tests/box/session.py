"""Commands in the running box: the side of the real machine.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import fcntl
import json
import os
import secrets
import select
import signal
import socket
import termios
import time
import tty

import protocol
from box_common import BOX, BoxError, say

ANSWER_MAX = 60  # seconds for the agent's answer to a request, under load
SILENCE_MAX = 90  # seconds without even a sign of life, after which the box counts as dead;
SILENCE_MAX_COUNTED = 1800  # and one whose clock counts instructions, however few the processor has left for it
PORT_MAX = 3600  # seconds to wait for one of the ports
CHUNK = 32768


class Lost(Exception):
    """The box has ended or does not answer."""


class Session:
    """A connection to one port of the agent."""

    def __init__(self, number, answer_max=ANSWER_MAX):
        self.answer_max = answer_max
        self.unpacker = protocol.Unpacker()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # By way of /proc, as the path of a socket must be short.
        directory = os.open(BOX, os.O_PATH | os.O_DIRECTORY)
        try:
            self.socket.connect(f"/proc/self/fd/{directory}/{protocol.port_name(number)}.sock")
        except OSError:
            self.socket.close()
            raise
        finally:
            os.close(directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, payload=b""):
        try:
            self.socket.sendall(protocol.pack(kind, payload))
        except OSError:
            raise Lost("the box has ended") from None

    def receive(self):
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            raise Lost("the box has ended")
        return data

    def request(self, argv, cwd="/", env=None, timeout=None, stdin=False, tty_size=None):
        """Sends a request until it is answered, and skips the rest of an earlier session."""
        nonce = secrets.token_hex(16)
        request = json.dumps(
            {
                "nonce": nonce,
                "argv": argv,
                "cwd": cwd,
                "env": env or {},
                "timeout": timeout,
                "stdin": stdin,
                "tty": tty_size,
            }
        ).encode()
        answer = protocol.pack(b"N", nonce.encode())
        end = time.monotonic() + self.answer_max
        seen = b""
        while answer not in seen:
            if time.monotonic() > end:
                raise Lost(f"the box did not answer within {self.answer_max} s")
            self.send(b"R", request)
            while answer not in seen and select.select([self.socket], [], [], 1)[0]:
                seen += self.receive()
        self.unpacker.data += seen.partition(answer)[2]

    def converse(self, stdin, silence_max=SILENCE_MAX):
        """Carries streams and signals until the command ends; returns the agent's last message about it."""
        with caught_signals() as signals_fd:
            data, outgoing, interrupts = b"", bytearray(), 0
            heard = kicked = time.monotonic()
            while True:
                for kind, payload in self.unpacker.feed(data):
                    if kind == b"x":
                        return json.loads(payload)
                    write_all({b"o": 1, b"e": 2}[kind], payload)
                data = b""
                # Never write without looking for output too: each side could wait for the other.
                sources = [self.socket, signals_fd] + ([0] if stdin and not outgoing else [])
                readable, writable, _ = select.select(sources, [self.socket] if outgoing else [], [], protocol.KICK)
                now = time.monotonic()
                if now > heard + silence_max:
                    raise Lost(f"the box gave no sign of life for {silence_max} s")
                if not outgoing and now >= kicked + protocol.KICK:
                    outgoing += protocol.pack(b"k")
                    kicked = now
                if signals_fd in readable:
                    for number in os.read(signals_fd, 16):
                        outgoing += protocol.pack(b"s", bytes([number]))
                        interrupts += 1
                    if interrupts > 2:  # closing the connection kills the command
                        return {"status": 130, "text": "interrupted"}
                if 0 in readable:
                    text = os.read(0, CHUNK)
                    outgoing += protocol.pack(b"i", text)
                    stdin = bool(text)
                if self.socket in readable:
                    data = self.receive()
                    heard = now
                if writable:
                    del outgoing[: self.socket.send(outgoing, socket.MSG_DONTWAIT)]


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data) :]


@contextlib.contextmanager
def caught_signals():
    """Gives a descriptor from which the numbers of caught signals are read."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writer)
    handlers = {n: signal.signal(n, lambda *_: None) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def raw_terminal(wanted):
    """The caller's terminal in raw mode; gives its size, or None where no terminal is wanted."""
    if not wanted:
        yield None
        return
    if not os.isatty(0):
        raise BoxError("--tty: standard input is not a terminal")
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        size = os.get_terminal_size(0)
        yield [size.lines, size.columns]
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def lock_free_port():
    """Returns the number of an unused port, and the open file that holds its lock; None if there is none."""
    for number in range(1, protocol.SESSIONS + 1):
        f = open(BOX / f"port-{number}.lock", "w", encoding="utf-8")
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number, f
        except BlockingIOError:
            f.close()
    return None


@contextlib.contextmanager
def free_port():
    """The number of a port for one command; waits while all are in use."""
    end = time.monotonic() + PORT_MAX
    found = lock_free_port()
    if not found:
        say(f"all {protocol.SESSIONS} sessions of the box are in use, waiting")
    while not found:
        if time.monotonic() > end:
            raise BoxError(f"waited {PORT_MAX} s for a session of the box")
        time.sleep(0.2)
        found = lock_free_port()
    with found[1]:
        yield found[0]
