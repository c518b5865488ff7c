"""Character devices by id: -chardev, -mon and chardev:ID in a whole machine.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import socket
import sys
import time

from machine import BOOT_MAX, END_MAX, Vm, kernel_files
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


def linux_options():
    kernel, initrd = kernel_files()
    return ["-m", "256M", "-display", "none", "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet"]


def read_until(peer, wanted, timeout=BOOT_MAX):
    text, end = b"", time.monotonic() + timeout
    while wanted not in text:
        assert (left := end - time.monotonic()) > 0, f"did not see {wanted} in {timeout} s: {text[-2000:]}"
        peer.settimeout(left)
        try:
            data = peer.recv(65536)
        except TimeoutError:
            continue
        assert data, f"hung up before {wanted}: {text[-2000:]}"
        text += data
    return text


def test_a_console_and_its_monitor_share_a_chardev(tmp_path):
    """The words of virtme-ng."""
    log = tmp_path / "log"
    words = [
        *("-chardev", f"file,path={log},id=dmesg"),
        *("-chardev", "stdio,id=console,signal=off,mux=on", "-serial", "chardev:console", "-mon", "chardev=console"),
    ]
    with Vm([*words, *linux_options()]) as vm:
        vm.wait_for("pmvm-guest: ready", BOOT_MAX)
        vm.send("\x01c")
        vm.wait_for(r"\(pmvm\) ")
        vm.send("info status\r")
        vm.wait_for("VM status: running")
        vm.send("\x01cecho again $((40 + 2))\n")
        vm.wait_for("again 42")
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
    with socket.socket(socket.AF_UNIX) as listener, Vm([*words, *linux_options()], prefix=prefix) as vm:
        end = time.monotonic() + END_MAX
        while not monitor.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        with Qmp(monitor) as qmp:
            assert qmp.run("query-status")["status"] == "running"
        listener.bind(str(console))
        listener.listen(1)
        listener.settimeout(END_MAX)
        with listener.accept()[0] as peer:
            read_until(peer, b"pmvm-guest: ready")
            peer.sendall(b"echo first $((40 + 1))\n")
            read_until(peer, b"first 41")
            # It hangs up while the guest prints.
            peer.sendall(b"seq 1 5000\n")
            read_until(peer, b"\n10\r\n")
        with listener.accept()[0] as peer, Qmp(monitor) as qmp, Qmp(monitor) as second:
            peer.sendall(b"echo second $((40 + 2))\n")
            read_until(peer, b"second 42")
            assert second.run("query-status")["status"] == "running"
            qmp.run("quit")
            assert vm.end() == 0
    # It is not pmvm's to remove.
    assert monitor.exists()


def test_a_pty_is_a_console(tmp_path):
    with Vm(["-serial", "pty", *linux_options()]) as vm:
        end = time.monotonic() + END_MAX
        while not (match := re.search(r"char device redirected to (\S+) \(label serial0\)", vm.error_text)):
            assert time.monotonic() < end
            time.sleep(0.05)
        terminal = os.open(match[1], os.O_RDWR | os.O_NOCTTY)
        text, end = b"", time.monotonic() + BOOT_MAX
        while b"again 42" not in text:
            assert time.monotonic() < end
            os.write(terminal, b"echo again $((40 + 2))\n")
            time.sleep(0.5)
            text += os.read(terminal, 65536)
        os.write(terminal, b"poweroff -f\n")
        assert vm.end() == 0
        os.close(terminal)


def test_a_console_in_memory_and_a_monitor_on_tcp(tmp_path):
    path = tmp_path / "qmp.sock"
    words = [
        *("-chardev", "ringbuf,id=r,size=64K", "-serial", "chardev:r"),
        *("-chardev", "socket,id=t,port=0,server=on,wait=off", "-mon", "t,mode=control"),
        *("-qmp", f"unix:{path},server=on,wait=off"),
    ]
    with Vm([*words, *linux_options()]) as vm:
        vm_end = time.monotonic() + END_MAX
        while not path.exists():
            assert time.monotonic() < vm_end
            time.sleep(0.05)
        with Qmp(path) as qmp:
            listed = {info["label"]: info["filename"] for info in qmp.run("query-chardev")}
            assert (listed["r"], listed["compat_monitor0"]) == ("ringbuf", f"unix:{path},server=on")
            port = int(re.fullmatch(r"tcp:127\.0\.0\.1:(\d+),server=on", listed["t"])[1])
            with socket.create_connection(("127.0.0.1", port), END_MAX) as client:
                read_until(client, b"QMP", END_MAX)
                client.sendall(b'{"execute": "qmp_capabilities"} {"execute": "query-status"}')
                read_until(client, b'"running"', END_MAX)
            for chardev, reason in (("r", "Chardev 'r' is busy"), ("nope", "Chardev 'nope' not found")):
                reply = qmp.exchange({"execute": "chardev-remove", "arguments": {"id": chardev}})
                assert reply["error"]["desc"].startswith(reason)
            text, end = "", time.monotonic() + BOOT_MAX
            while "pmvm-guest: ready" not in text:
                assert time.monotonic() < end
                time.sleep(0.2)
                text += qmp.run("ringbuf-read", device="r", size=65536)
            # One that is added, serves a peer, and goes.
            added = {"type": "pty", "data": {}}
            terminal = qmp.run("chardev-add", id="p", backend=added)["pty"]
            assert os.path.exists(terminal)
            qmp.run("chardev-remove", id="p")
            assert not os.path.exists(terminal)
            qmp.run("quit")
        assert vm.end() == 0
