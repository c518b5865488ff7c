"""Names in a guest of -netdev user: the host's name server answers, with and without dns=.

SPDX-License-Identifier: Apache-2.0
"""
import os
import socket
import threading

import pytest

from machine import END_MAX
from test_net_user import lease, make_uplink, start

__all__ = ["make_uplink"]  # a fixture

ADDRESS = "10.1.2.3"
HEADER_LEN = 12


def answer(query):
    """One A record for whatever was asked (RFC 1035, section 4)."""
    header = query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
    return header + query[HEADER_LEN:] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(ADDRESS)


@pytest.fixture(name="name_server")
def make_name_server(tmp_path):
    """On the host's loopback address. What starts a program for which that is the host's name server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind(("127.0.0.1", 53))
        except OSError as error:
            pytest.skip(f"a name server at 127.0.0.1, port 53: {error.strerror}")

        def serve():
            while (query := server.recvfrom(512))[0]:
                server.sendto(answer(query[0]), query[1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        mount = f"mount --bind {tmp_path}/resolv.conf {os.path.realpath('/etc/resolv.conf')}"
        yield ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", 53))
        thread.join(END_MAX)


@pytest.mark.usefixtures("uplink")
def test_the_hosts_name_server_answers(tmp_path, name_server):
    first = ["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0"]
    second = ["-netdev", "user,id=n1,net=10.0.3.0/24,dns=10.0.3.3", "-device", "virtio-net-pci,netdev=n1"]
    with start(tmp_path, *first, *second, prefix=name_server) as guest:
        # The address that DHCP announced.
        lease(guest)
        assert guest.run("cat /etc/resolv.conf") == "nameserver 10.0.2.2"
        assert ADDRESS in guest.run("nslookup -type=a one.example")
        # The address of dns=.
        guest.run("ip link set eth1 up && ip addr add 10.0.3.15/24 dev eth1")
        assert ADDRESS in guest.run("nslookup -type=a two.example 10.0.3.3")
        assert guest.power_off() == 0
