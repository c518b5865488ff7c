"""The other side of a stream socket that carries frames.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import socket
import struct
import threading
import time

WAIT_MAX = 200
PEER = "10.78.0.1"
PEER_MAC = bytes.fromhex("020000000077")


def checksum(data):
    words = sum(struct.unpack(f"!{len(data) // 2}H", data))
    words = (words >> 16) + (words & 0xFFFF)
    return ~(words + (words >> 16)) & 0xFFFF


class Peer:
    """The other side of a stream socket: it answers ARP and ping for one address, and counts frames."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.settimeout(WAIT_MAX)
        self.frames = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _receive(self, size):
        data = b""
        while len(data) < size:
            more = self.stream.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def send(self, frame):
        self.stream.sendall(struct.pack("!I", len(frame)) + frame)

    def _run(self):
        with contextlib.suppress(EOFError, OSError):
            while True:
                (size,) = struct.unpack("!I", self._receive(4))
                assert 14 <= size <= 69632
                frame = self._receive(size)
                self.frames += 1
                answer = self.answer(frame)
                if answer:
                    self.send(answer)
        self.ended.set()

    def answer(self, frame):
        kind = frame[12:14]
        if kind == b"\x08\x06" and frame[20:22] == b"\x00\x01" and frame[38:42] == socket.inet_aton(PEER):
            return (
                frame[6:12] + PEER_MAC + kind + frame[14:20] + b"\x00\x02" + PEER_MAC + frame[38:42] + frame[22:32]
            )  # fmt: skip
        if kind == b"\x08\x00" and frame[23] == 1 and frame[34] == 8:
            header, echo = frame[14:34], b"\x00\x00\x00\x00" + frame[38:]
            echo = echo[:2] + struct.pack("!H", checksum(echo + b"\0" * (len(echo) % 2))) + echo[4:]
            return frame[6:12] + PEER_MAC + kind + header[:12] + header[16:20] + header[12:16] + echo
        return None

    def close(self):
        with contextlib.suppress(OSError):
            self.stream.shutdown(socket.SHUT_RDWR)
        self.stream.close()
        self.thread.join(WAIT_MAX)


def connect(path):
    end = time.monotonic() + WAIT_MAX
    while True:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(str(path))
            return stream
        except OSError:
            stream.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def listen(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(4)
    server.settimeout(WAIT_MAX)
    return server
