"""What a packet costs, by the kernel's vhost and by passt: system calls, exits, latency, time of a stream.

SPDX-License-Identifier: Apache-2.0
"""
import socket
import statistics
import time

import backends
import counters
import peers as peers_module
from bench_common import MIB, Failed, Figure, alternate, directory, end, settle

COUNTED = 200  # round trips of a count
TIMED = 300  # round trips of a latency
STREAM_MIB = 16
COUNT_RUNS = 3  # strace takes its time
ECHO, SINK, SOURCE = 5001, 5002, 5003  # ports of the guest
CONNECT_MAX, WAIT_MAX = 60, 300
WAYS = {"vhost": "a tap with the kernel's vhost", "passt": "a stream socket to passt"}
WORK = f"{COUNTED} round trips of one byte by TCP, minus as long a time without, to the packets that the guest counts"

CALLS = {
    way: Figure(
        f"system calls for a packet, {way}", "", f"strace -f -c of the process; {about}; {WORK}", value_max=goal
    )
    for (way, about), goal in zip(WAYS.items(), (0.05, None))
}
EXITS = {
    way: Figure(
        f"exits to user space for a packet, {way}",
        "",
        f"tracepoint kvm:kvm_userspace_exit; {about}; {WORK}",
        value_max=goal,
    )
    for (way, about), goal in zip(WAYS.items(), (0.05, None))
}
LATENCY = {
    way: Figure(f"round trip of one byte by TCP, {way}", "us", f"host's clock, median of {TIMED}; {about}")
    for way, about in WAYS.items()
}
TO_GUEST = {
    way: Figure(f"{STREAM_MIB} MiB by TCP to the guest, {way}", "ms", f"host's clock, until the guest answers; {about}")
    for way, about in WAYS.items()
}
FROM_GUEST = {
    way: Figure(f"{STREAM_MIB} MiB by TCP from the guest, {way}", "ms", f"host's clock, until the last byte; {about}")
    for way, about in WAYS.items()
}
FIGURES = [figures[way] for way in WAYS for figures in (CALLS, EXITS, LATENCY, TO_GUEST, FROM_GUEST)]


def serve(guest):
    """Three servers of the guest: one returns what it gets, one takes a stream, one sends one.

    The host begins and ends each connection: Debian's passt forwards neither a guest that sends first, nor the end of a
    stream that the guest closes.
    """
    block = f"bs=64k count={STREAM_MIB * 16} 2>/dev/null"
    programs = {
        "sink": f"dd of=/dev/null iflag=fullblock {block}; echo",
        "source": f"read -r _; dd if=/dev/zero {block}; cat >/dev/null",
    }
    for name, command in programs.items():
        guest.run(f"printf '#!/bin/sh\\n{command}\\n' >/tmp/{name}; chmod +x /tmp/{name}")
    for port, program in ((ECHO, "cat"), (SINK, "/tmp/sink"), (SOURCE, "/tmp/source")):
        guest.run(f"nc -ll -p {port} -e {program} >/dev/null 2>&1 &")


def connect(network, port):
    """A connection to the guest, which may be about to listen."""
    began = time.monotonic()
    while True:
        try:
            client = socket.create_connection(network.reach(port), CONNECT_MAX)
            client.settimeout(WAIT_MAX)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return client
        except OSError as e:
            if time.monotonic() - began > CONNECT_MAX:
                raise Failed(f"the guest does not listen: {e}") from None
            time.sleep(0.2)


def receive(client, size):
    while size:
        data = client.recv(min(size, MIB))
        if not data:
            raise Failed("the guest has closed the connection")
        size -= len(data)


def round_trips(client, n):
    """Seconds of each."""
    took = []
    for _ in range(n):
        began = time.monotonic()
        client.sendall(b"x")
        receive(client, 1)
        took.append(time.monotonic() - began)
    return took


def packets(guest):
    return sum(map(int, guest.run("cat /sys/class/net/eth0/statistics/[rt]x_packets").split()))


def for_a_packet(guest, client, counter):
    """What `counter` counts for a packet, beyond a pass as long without packets: a process has other work."""
    before, began = packets(guest), time.monotonic()
    with counter(guest.process.pid) as some:
        round_trips(client, COUNTED)
    took = time.monotonic() - began
    npackets = packets(guest) - before
    with counter(guest.process.pid) as none:
        time.sleep(took)
    return max(0, some.total() - none.total()) / npackets


def milliseconds(network, port, transfer):
    with connect(network, port) as client:
        began = time.monotonic()
        transfer(client)
        return (time.monotonic() - began) * 1000


def to_guest(client):
    block = bytes(MIB)
    for _ in range(STREAM_MIB):
        client.sendall(block)
    receive(client, 1)


def from_guest(client):
    client.sendall(b"\n")
    receive(client, STREAM_MIB * MIB)


def measure_one(peer, way, network, where, is_counted, samples):
    with peer(where, network.options) as guest:
        network.bring_up(guest)
        serve(guest)
        settle(guest)
        with connect(network, ECHO) as client:
            round_trips(client, 20)
            samples.add(LATENCY[way], peer.name, statistics.median(round_trips(client, TIMED)) * 1e6)
            if is_counted:
                samples.add(EXITS[way], peer.name, for_a_packet(guest, client, counters.user_exits))
                samples.add(CALLS[way], peer.name, for_a_packet(guest, client, counters.system_calls))
        samples.add(TO_GUEST[way], peer.name, milliseconds(network, SINK, to_guest))
        samples.add(FROM_GUEST[way], peer.name, milliseconds(network, SOURCE, from_guest))
        end(guest)


def measure(peers, runs, samples):
    peers = [peer for peer in peers if peer in (peers_module.Pmvm, peers_module.Qemu)]
    for run, peer in alternate(peers, runs, "net"):
        with directory("tmpfs") as where:
            with backends.vhost() as network:
                measure_one(peer, "vhost", network, where, run < COUNT_RUNS, samples)
            with backends.passt((ECHO, SINK, SOURCE)) as network:
                measure_one(peer, "passt", network, where, run < COUNT_RUNS, samples)
