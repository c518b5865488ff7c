"""A small vhost-user back end of a network card: it answers what a function answers to a frame.

SPDX-License-Identifier: Apache-2.0
"""
import array
import mmap
import os
import select
import socket
import struct
import threading

# Requests of the front end.
GET_FEATURES, SET_FEATURES, SET_MEM_TABLE, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE = 1, 2, 5, 8, 9, 10
GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, GET_PROTOCOL_FEATURES = 11, 12, 13, 15
GET_QUEUE_NUM, SET_VRING_ENABLE = 17, 18
FEATURES = 1 << 32 | 1 << 30 | 1 << 22  # VIRTIO_F_VERSION_1, the protocol features, VIRTIO_NET_F_MQ
PROTOCOL_FEATURES = 1 << 0 | 1 << 3  # MQ, REPLY_ACK
REPLY, NEED_REPLY = 4, 8
HEADER_SIZE = 12  # struct virtio_net_hdr_v1
NEXT, FDS_MAX = 1, 8


class Ring:
    """One queue; kick and call are None while it is stopped."""

    def __init__(self):
        self.size = self.next = self.desc = self.avail = self.used = 0
        self.kick = self.call = None
        self.enabled = False


class Backend:
    """It serves one front end at a time, up to close()."""

    def __init__(self, path, answer, pairs=1):
        self.answer, self.pairs, self.path = answer, pairs, path
        self.frames = 0
        self.rings = [Ring() for _ in range(2 * pairs)]
        self.regions = []
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.connection = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        for end in filter(None, (self.listener, self.connection)):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was not connected any more
            end.close()
        self.thread.join()

    def enabled(self):
        return [ring.enabled for ring in self.rings]

    def _run(self):
        try:
            self.connection, _ = self.listener.accept()
            while True:
                kicks = {ring.kick: ring for ring in self.rings if ring.kick is not None}
                for ready in select.select([self.connection, *kicks], [], [])[0]:
                    if ready is self.connection:
                        self._message()
                        break
                    os.eventfd_read(ready)
                    self._transmit(kicks[ready])
        except (OSError, EOFError, ValueError):
            pass  # the front end has gone, or close() was called

    # ---- messages

    def _message(self):
        fds = array.array("i")
        data, ancillary, _, _ = self.connection.recvmsg(12, socket.CMSG_SPACE(FDS_MAX * fds.itemsize))
        if len(data) < 12:
            raise EOFError
        for _, _, passed in ancillary:
            fds.frombytes(passed)
        request, flags, size = struct.unpack("=III", data)
        payload = self.connection.recv(size, socket.MSG_WAITALL) if size else b""
        answer = self._serve(request, payload, list(fds))
        if answer is None and flags & NEED_REPLY:
            answer = struct.pack("=Q", 0)
        if answer is not None:
            self.connection.sendall(struct.pack("=III", request, 1 | REPLY, len(answer)) + answer)

    def _serve(self, request, payload, fds):
        answers = {GET_FEATURES: FEATURES, GET_PROTOCOL_FEATURES: PROTOCOL_FEATURES, GET_QUEUE_NUM: self.pairs}
        if request in answers:
            return struct.pack("=Q", answers[request])
        if request == SET_MEM_TABLE:
            self._set_memory(payload, fds)
        elif request in (SET_VRING_KICK, SET_VRING_CALL):
            ring = self.rings[payload[0]]
            setattr(ring, "kick" if request == SET_VRING_KICK else "call", fds.pop())
        elif SET_VRING_NUM <= request <= GET_VRING_BASE or request == SET_VRING_ENABLE:
            index, number = struct.unpack_from("=II", payload)
            return self._set_ring(request, index, number, payload)
        for fd in fds if request != SET_MEM_TABLE else ():
            os.close(fd)
        return None

    def _set_ring(self, request, index, number, payload):
        ring = self.rings[index]
        if request == SET_VRING_NUM:
            ring.size = number
        elif request == SET_VRING_BASE:
            ring.next = number
        elif request == SET_VRING_ENABLE:
            ring.enabled = bool(number)
        elif request == SET_VRING_ADDR:
            ring.desc, ring.used, ring.avail = struct.unpack_from("=QQQ", payload, 8)
        else:
            for fd in filter(None, (ring.kick, ring.call)):
                os.close(fd)
            ring.kick = ring.call = None
            return struct.pack("=II", index, ring.next)
        return None

    def _set_memory(self, payload, fds):
        self.regions = []
        for number, fd in enumerate(fds):
            gpa, size, hva, offset = struct.unpack_from("=QQQQ", payload, 8 + 32 * number)
            self.regions.append((gpa, size, hva, mmap.mmap(fd, size, offset=offset)))
            os.close(fd)

    # ---- queues

    def _at(self, address, size, by_gpa):
        for gpa, length, hva, memory in self.regions:
            start = address - (gpa if by_gpa else hva)
            if 0 <= start and start + size <= length:
                return memory, start
        raise ValueError(hex(address))

    def _load(self, address, form):
        memory, start = self._at(address, struct.calcsize(form), False)
        return struct.unpack_from(form, memory, start)

    def _store(self, address, form, *values):
        memory, start = self._at(address, struct.calcsize(form), False)
        struct.pack_into(form, memory, start, *values)

    def _pop(self, ring):
        """The head of the next chain with its buffers, or None."""
        if self._load(ring.avail + 2, "<H")[0] == ring.next:
            return None
        (head,) = self._load(ring.avail + 4 + 2 * (ring.next % ring.size), "<H")
        ring.next = (ring.next + 1) & 0xFFFF
        buffers, index, flags = [], head, NEXT
        while flags & NEXT:
            address, size, flags, following = self._load(ring.desc + 16 * index, "<QIHH")
            buffers.append((address, size))
            index = following
        return head, buffers

    def _push(self, ring, head, size):
        (index,) = self._load(ring.used + 2, "<H")
        self._store(ring.used + 4 + 8 * (index % ring.size), "<II", head, size)
        self._store(ring.used + 2, "<H", (index + 1) & 0xFFFF)
        os.eventfd_write(ring.call, 1)

    def _transmit(self, ring):
        if self.rings.index(ring) % 2 == 0:
            return  # the guest has added buffers
        while chain := self._pop(ring):
            head, buffers = chain
            data = b""
            for address, size in buffers:
                memory, start = self._at(address, size, True)
                data += memory[start : start + size]
            self._push(ring, head, 0)
            self.frames += 1
            reply = self.answer(data[HEADER_SIZE:])
            if reply:
                self._receive(self.rings[self.rings.index(ring) - 1], reply)

    def _receive(self, ring, frame):
        chain = self._pop(ring)
        if not chain:
            return
        head, buffers = chain
        data = struct.pack("<10xH", 1) + frame  # in one buffer
        left = data
        for address, size in buffers:
            memory, start = self._at(address, size, True)
            part, left = left[:size], left[size:]
            memory[start : start + len(part)] = part
        self._push(ring, head, len(data))
