"""Taps on the host, machines whose cards are on them with the kernel's vhost, and traffic.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import hashlib
import os
import socket
import subprocess
import threading
import time

from machine import Guest

SIZE = 2_000_000
SHORT = 200_000
WAIT_MAX = 200
HOST, GUEST = "10.77.0.1", "10.77.0.2"
MAC = "52:54:00:aa:bb:cc"


def run_ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def interface(name, *flags, host=HOST):
    run_ip("tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr", *flags)
    try:
        run_ip("addr", "add", f"{host}/24", "dev", name)
        run_ip("link", "set", name, "up")
        yield name
    finally:
        subprocess.run(["ip", "link", "del", name], check=False)


def network(tap=None, netdev=(), **properties):
    properties = {"netdev": "n0", "id": "net1", "mac": MAC} | properties
    netdev = (
        {"id": "n0"}
        | ({"ifname": tap, "script": "no", "downscript": "no", "vhost": "on"} if tap else {})
        | dict(netdev)
    )

    def text(parts):
        return "".join(f",{key}={value}" for key, value in parts.items())

    return ["-netdev", "tap" + text(netdev), "-device", "virtio-net-pci" + text(properties)]


def start(tmp_path, *args, **kwargs):
    return Guest("-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", *args, **kwargs)


def bring_up(guest, address=GUEST, name="eth0", load=True):
    if load:
        guest.run("modprobe virtio_net")
    guest.run(f"wait-for /sys/class/net/{name} 200 && ip addr add {address}/24 dev {name} && ip link set {name} up")


def ping(guest, address=HOST, count=2):
    output = guest.run(f"ping -c {count} -i 0.1 -W 10 {address}")
    assert f"{count} packets received" in output, output


def receive_all(client):
    digest, size = hashlib.md5(), 0
    while data := client.recv(1 << 16):
        digest.update(data)
        size += len(data)
    return digest.hexdigest(), size


def guest_sends(guest, size=SIZE, address=HOST, port=5000):
    """To the host, which has this address for the guest."""
    with socket.create_server(("0.0.0.0", port)) as server:
        server.settimeout(WAIT_MAX)
        guest.run(f"head -c {size} /dev/urandom >/tmp/a && md5sum /tmp/a >/tmp/sum")
        guest.send(f"nc {address} {port} </tmp/a\n")
        client, _ = server.accept()
        with client:
            client.settimeout(WAIT_MAX)
            sum_here, size_here = receive_all(client)
    assert size_here == size
    assert guest.run("cat /tmp/sum").split()[0] == sum_here


def connect(port, address=GUEST):
    end = time.monotonic() + WAIT_MAX
    while True:
        try:
            return socket.create_connection((address, port), WAIT_MAX)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def host_sends(guest, size=SIZE, address=GUEST, port=5001):
    data = os.urandom(size)
    guest.run("rm -f /tmp/end")
    guest.send(f"(nc -l -p {port} </dev/null >/tmp/b; touch /tmp/end) &\n")
    with connect(port, address) as client:
        client.sendall(data)
    guest.run("wait-for /tmp/end 60")
    assert guest.run("md5sum </tmp/b").split()[-2] == hashlib.md5(data).hexdigest()


def check_sums(guest, size=SIZE, host=HOST, address=GUEST):
    guest_sends(guest, size, host)
    host_sends(guest, size, address)


class Traffic:
    """Echo requests without end."""

    def __init__(self, address=GUEST):
        self.address = address
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            while not self.ends.is_set():
                with contextlib.suppress(OSError):
                    udp.sendto(b"z" * 1000, (self.address, 9))
                time.sleep(0.0005)

    def end(self):
        self.ends.set()
        self.thread.join(WAIT_MAX)


def remove(qmp):
    qmp.run("device_del", id="net1")
    qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="net1")
