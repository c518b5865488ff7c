"""A network block device: nbdkit as its server, and the kernel's client, configured by netlink.

SPDX-License-Identifier: Apache-2.0

Not nbd-client: Debian 12's cannot set how long the kernel waits for a broken connection, nor give it a new one.
"""
import os
import pathlib
import socket
import struct
import subprocess
import time

PORT = 10809
# From <linux/netlink.h> and <linux/genetlink.h>.
NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 1, 4, 2
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 16, 3, 1, 2
# From <linux/nbd-netlink.h>.
CONNECT, DISCONNECT, RECONFIGURE = 1, 2, 3
INDEX, SIZE_BYTES, BLOCK_SIZE, TIMEOUT, SERVER_FLAGS, SOCKETS, DEAD_CONN_TIMEOUT = 1, 2, 3, 4, 5, 7, 8
SOCK_ITEM, SOCK_FD = 1, 1
NESTED = 1 << 15


def attribute(kind, value):
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data + bytes(-len(data) % 4)


def u32(kind, number):
    return attribute(kind, struct.pack("=I", number))


def u64(kind, number):
    return attribute(kind, struct.pack("=Q", number))


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the server hung up")
        data += part
    return data


class Netlink:
    """Generic netlink, one request at a time."""

    def __init__(self, family):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        self.socket.bind((0, 0))
        self.socket.settimeout(30)
        name = attribute(CTRL_ATTR_FAMILY_NAME, family.encode() + b"\0")
        reply = self.request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, name)
        attributes = reply[4:]
        while attributes:
            length, kind = struct.unpack_from("=HH", attributes)
            if kind == CTRL_ATTR_FAMILY_ID:
                self.family = struct.unpack_from("=H", attributes, 4)[0]
            attributes = attributes[(length + 3) & ~3 :]

    def request(self, kind, command, attributes):
        """Sends a request; returns what came back before its acknowledgement."""
        data = struct.pack("=BBH", command, 1, 0) + attributes
        self.socket.send(struct.pack("=IHHII", 16 + len(data), kind, NLM_F_REQUEST | NLM_F_ACK, 0, 0) + data)
        answer = b""
        while True:
            data = self.socket.recv(65536)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind == NLMSG_ERROR:
                    error = -struct.unpack_from("=i", data, 16)[0]
                    if error:
                        raise OSError(error, os.strerror(error))
                    return answer
                answer = data[16:length]
                data = data[(length + 3) & ~3 :]

    def close(self):
        self.socket.close()


class Server:
    """nbdkit with one file, in its own network if it gets a prefix for that; it can be killed and started again."""

    def __init__(self, file, address="127.0.0.1", prefix=()):
        self.file, self.address, self.prefix = file, address, list(prefix)
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [
                *self.prefix,
                "nbdkit",
                "--foreground",
                "--ipaddr",
                self.address,
                "--port",
                str(PORT),
                "file",
                str(self.file),
            ],
            stdin=subprocess.DEVNULL,
        )

    def connect(self):
        """A connection that is ready for requests: (socket, size, flags)."""
        end = time.monotonic() + 30
        while True:
            try:
                connection = socket.create_connection((self.address, PORT), timeout=10)
                break
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.1)
        assert receive(connection, 18)[:16] == b"NBDMAGICIHAVEOPT"
        # Flags: newstyle, no padding. Option 1: the export with an empty name.
        connection.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 0))
        size, flags = struct.unpack(">QH", receive(connection, 10))
        connection.settimeout(None)
        return connection, size, flags

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.kill()


class Device:
    """/dev/nbdN. timeout: how long one request may take; patience: how long a broken connection may stay broken."""

    def __init__(self, server, index=0, timeout=120, patience=120):
        subprocess.run(["modprobe", "nbd", "nbds_max=4"], check=True, timeout=30)
        self.server, self.index = server, index
        self.path = pathlib.Path(f"/dev/nbd{index}")
        self.netlink = Netlink("nbd")
        connection, size, flags = server.connect()
        with connection:
            self.ask(
                CONNECT,
                u64(SIZE_BYTES, size),
                u64(BLOCK_SIZE, 512),
                u64(TIMEOUT, timeout),
                u64(DEAD_CONN_TIMEOUT, patience),
                u64(SERVER_FLAGS, flags),
                self.sockets(connection),
            )

    @staticmethod
    def sockets(connection):
        item = attribute(SOCK_ITEM | NESTED, u32(SOCK_FD, connection.fileno()))
        return attribute(SOCKETS | NESTED, item)

    def ask(self, command, *attributes):
        return self.netlink.request(self.netlink.family, command, u32(INDEX, self.index) + b"".join(attributes))

    def reconnect(self):
        """Gives the kernel a new connection to the server, in place of the one that broke."""
        connection, _, _ = self.server.connect()
        with connection:
            self.ask(RECONFIGURE, self.sockets(connection))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            self.ask(DISCONNECT)
        except OSError:
            pass  # it has given up already
        self.netlink.close()
