"""A network card whose back end is another process: -netdev vhost-user, with a Linux guest.

SPDX-License-Identifier: Apache-2.0

Debian 12's passt has no --vhost-user, so the back end is a program of this test.
"""
from test_net_user import Peer, bring_up, card, ping, start, wait_carrier
from test_vhost_user import wait_until
from vhost_user_net import Backend

from machine import linux_options, run_pmvm
from monitor import Qmp

WAIT_MAX = 200
RAM = ["-object", "memory-backend-memfd,id=ram,size=512M", "-machine", "memory-backend=ram", "-m", "512M"]


def answer(frame):
    return Peer.answer(None, frame)


def chardev(path, **more):
    return ["-chardev", f"socket,id=c0,path={path}" + "".join(f",{key}={value}" for key, value in more.items())]


def test_packets_pass_and_the_card_outlives_its_back_end(tmp_path):
    path = tmp_path / "net.sock"
    back = Backend(path, answer, pairs=2)
    args = [*RAM, *chardev(path, reconnect=1), *card("vhost-user,id=n0,chardev=c0,queues=2", mq="on")]
    with start(tmp_path, *args, "-smp", "2") as guest, Qmp(tmp_path / "qmp") as qmp:
        bring_up(guest)
        ping(guest)
        # A question for the address, and two packets. It counts a frame when it has answered.
        wait_until(lambda: back.frames >= 3)
        # The driver uses a pair for each processor.
        guest.run("[ $(ls -d /sys/class/net/eth0/queues/rx-* | wc -l) = 2 ]")
        assert back.enabled() == [True] * 4
        shown = qmp.run("human-monitor-command", **{"command-line": "info network"}).splitlines()
        assert shown[:2] == [
            "net1: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56",
            " \\ n0: index=0,type=vhost-user,vhost-user0 to c0",
        ]
        qmp.run("stop")
        qmp.run("cont")
        ping(guest)
        back.close()
        assert qmp.wait_event("NETDEV_VHOST_USER_DISCONNECTED", WAIT_MAX)["data"] == {"netdev-id": "n0"}
        wait_carrier(guest, 0)
        back = Backend(path, answer, pairs=2)
        event = qmp.wait_event("NETDEV_VHOST_USER_CONNECTED", WAIT_MAX)
        assert event["data"] == {"netdev-id": "n0", "chardev-id": "c0"}
        wait_carrier(guest, 1)
        ping(guest)
        # Another card with the same back end, after this one was removed.
        qmp.run("device_del", id="net1")
        qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="net1")
        qmp.run("device_add", driver="virtio-net-pci", id="net2", netdev="n0")
        bring_up(guest, load=False)
        ping(guest)
        qmp.run("netdev_del", id="n0")
        wait_carrier(guest, 0)
        qmp.run("device_del", id="net2")
        qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="net2")
        qmp.run("chardev-remove", id="c0")
        back.close()


def test_errors_name_the_next_step(tmp_path):
    def refused(*args):
        status, _, errors = run_pmvm(*linux_options(), *args)
        assert status == 1
        return errors

    path = tmp_path / "net.sock"
    netdev = card("vhost-user,id=n0,chardev=c0,queues=2")
    server = chardev(tmp_path / "server", server="on", wait="off")
    errors = refused(*server, *netdev)
    assert "Failed initializing vhost-user memory map" in errors and "memory-backend-memfd" in errors
    assert "chardev 'c0': no back end is connected" in refused(*RAM, *server, *netdev)
    assert 'chardev "c0" not found' in refused(*RAM, *netdev)
    assert 'chardev "c0" is not reconnectable' in refused(*RAM, "-chardev", "null,id=c0", *netdev)
    back = Backend(path, answer)
    assert "you are asking more queues than supported: 1" in refused(*RAM, *chardev(path), *netdev)
    back.close()
