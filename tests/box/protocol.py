"""The protocol of tests/box/box.py and its agent over one virtio-serial port.

SPDX-License-Identifier: Apache-2.0

A message is a kind (one byte), a length (32 bits, big endian) and that many bytes.
From the box command to the agent:
    R  request, JSON: nonce, argv, cwd, env, timeout (seconds or null), stdin (bool), tty ([rows, columns] or null)
    i  bytes for standard input;  none: end of input
    s  one byte: a signal for the command's process group
    P  power off
    k  nothing but the interrupt that it causes, see KICK; a sign of life is the answer
From the agent:
    N  the nonce of the request: everything before it belongs to another session and is ignored
    o  standard output; none: a sign of life
    e  standard error
    x  the end, JSON: status, text (a message for the user, or empty)
"""
import struct

HEADER = struct.Struct(">cI")
MAX_LEN = 1 << 20
KICK = (
    0.25  # seconds between two messages from the box command while a command runs, at most. QEMU 7.2 sometimes loses an
)
# interrupt: at the end of a nested guest's turn it changes cpu->interrupt_request without a lock, while a timer's
# thread may be setting a bit there. The local APIC has it still, and delivers it with the next one, whenever
# that comes; without a timer's interrupt Linux sets no other timer.
SESSIONS = 8  # ports for commands; one more, number 0, for start and stop


def port_name(number):
    return f"box.{number}"


def pack(kind, payload=b""):
    return HEADER.pack(kind, len(payload)) + payload


class Unpacker:
    """Splits a stream into messages."""

    def __init__(self):
        self.data = bytearray()

    def feed(self, data):
        """Yields (kind, payload) for each message that is complete now."""
        self.data += data
        while len(self.data) >= HEADER.size:
            kind, length = HEADER.unpack_from(self.data)
            if length > MAX_LEN:
                raise ValueError("not a message")
            if len(self.data) < HEADER.size + length:
                return
            payload = bytes(self.data[HEADER.size : HEADER.size + length])
            del self.data[: HEADER.size + length]
            yield kind, payload
