"""Character devices by id: -chardev, -mon and chardev:ID in a whole machine.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import socket
import sys

import echo
from echo import read_until, wait_until
from machine import END_MAX, Vm
from monitor import Qmp

# Listens on a socket in the file system, and leaves it to pmvm as descriptor 9.
PASS_A_SOCKET = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(1)
os.dup2(listener.fileno(), 9)
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_console_and_its_monitor_share_a_chardev(tmp_path):
    """The words of virtme-ng."""
    log = tmp_path / "log"
    words = [
        *("-chardev", f"file,path={log},id=dmesg"),
        *("-chardev", "stdio,id=console,signal=off,mux=on", "-serial", "chardev:console", "-mon", "chardev=console"),
    ]
    with Vm([*words, "-display", "none", *echo.options()]) as vm:
        vm.wait_for(echo.READY)
        vm.send("\x01c")
        vm.wait_for(r"\(pmvm\) ")
        vm.send("info status\r")
        vm.wait_for("VM status: running")
        vm.send("\x01cagain\n")
        vm.wait_for("line 1: again")
        vm.send("\x01x")
        assert vm.end() == 0
    assert log.read_bytes() == b""


def test_a_console_connects_again_and_a_monitor_has_a_passed_socket(tmp_path):
    """The other side of the console goes and comes back; nothing of the machine waits for it."""
    console, monitor = tmp_path / "console.sock", tmp_path / "qmp.sock"
    words = [
        *("-chardev", f"socket,id=c,path={console},reconnect-ms=100", "-serial", "chardev:c"),
        *("-chardev", "socket,id=q,fd=9,server=on,wait=off", "-mon", "chardev=q,mode=control"),
    ]
    prefix = [sys.executable, "-c", PASS_A_SOCKET, str(monitor)]
    with socket.socket(socket.AF_UNIX) as listener, Vm(
        [*words, "-display", "none", *echo.options()], prefix=prefix
    ) as vm:
        wait_until(monitor.exists)
        with Qmp(monitor) as qmp:
            assert qmp.run("query-status")["status"] == "running"
        listener.bind(str(console))
        listener.listen(1)
        listener.settimeout(END_MAX)
        with listener.accept()[0] as peer:
            peer.sendall(b"first\n")
            read_until(peer, b"line 1: first\n")
            # It hangs up while the guest prints.
            peer.sendall(b"print 1000\n")
            read_until(peer, b"\n10\n")
        with listener.accept()[0] as peer, Qmp(monitor) as qmp, Qmp(monitor) as second:
            peer.sendall(b"second\n")
            read_until(peer, b"line 3: second\n")
            assert second.run("query-status")["status"] == "running"
            qmp.run("quit")
            assert vm.end() == 0
    # It is not pmvm's to remove.
    assert monitor.exists()


def test_a_pty_is_a_console(tmp_path):
    with Vm(["-serial", "pty", "-display", "none", *echo.options()]) as vm:
        match = wait_until(
            lambda: re.search(r"char device redirected to (\S+) \(label serial0\)", vm.error_text), END_MAX
        )
        terminal = os.open(match[1], os.O_RDWR | os.O_NOCTTY)
        os.write(terminal, b"again\n")
        read_until(terminal, b"line 1: again")
        os.write(terminal, b"end\n")
        assert vm.end() == 0
        os.close(terminal)


def test_a_console_in_memory_and_a_monitor_on_tcp(tmp_path):
    path = tmp_path / "qmp.sock"
    words = [
        *("-chardev", "ringbuf,id=r,size=64K", "-serial", "chardev:r"),
        *("-chardev", "socket,id=t,port=0,server=on,wait=off", "-mon", "t,mode=control"),
        *("-qmp", f"unix:{path},server=on,wait=off"),
    ]
    with Vm([*words, "-display", "none", *echo.options()]) as vm:
        wait_until(path.exists)
        with Qmp(path) as qmp:
            listed = {info["label"]: info["filename"] for info in qmp.run("query-chardev")}
            assert (listed["r"], listed["compat_monitor0"]) == ("ringbuf", f"unix:{path},server=on")
            port = int(re.fullmatch(r"tcp:127\.0\.0\.1:(\d+),server=on", listed["t"])[1])
            with socket.create_connection(("127.0.0.1", port), END_MAX) as client:
                read_until(client, b"QMP")
                client.sendall(b'{"execute": "qmp_capabilities"} {"execute": "query-status"}')
                read_until(client, b'"running"')
            for chardev, reason in (("r", "Chardev 'r' is busy"), ("nope", "Chardev 'nope' not found")):
                reply = qmp.exchange({"execute": "chardev-remove", "arguments": {"id": chardev}})
                assert reply["error"]["desc"].startswith(reason)
            text = ""

            def is_ready():
                nonlocal text
                text += qmp.run("ringbuf-read", device="r", size=65536)
                return echo.READY in text

            wait_until(is_ready)
            # One that is added, serves a peer, and goes.
            added = {"type": "pty", "data": {}}
            terminal = qmp.run("chardev-add", id="p", backend=added)["pty"]
            assert os.path.exists(terminal)
            qmp.run("chardev-remove", id="p")
            # The broker, which made it, closes its own copy after it has handed it over.
            wait_until(lambda: not os.path.exists(terminal))
            qmp.run("quit")
        assert vm.end() == 0
