"""The agent in a guest of pmvm-oci: a container by its protocol, without the host's program.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from machine import MIB, END_MAX
from oci_guest import OCI, AgentError, OciGuest, busybox_tree, config, erofs, process
from test_vhost_user import RAM, VIRTIOFSD, Backend

LIMIT = 64 * MIB


@pytest.fixture(scope="module", autouse=True)
def host_can_do_it():
    subprocess.run(["modprobe", "vhost_vsock"], check=False, capture_output=True)
    if not pathlib.Path("/dev/vhost-vsock").exists():
        pytest.skip("this host has no /dev/vhost-vsock: modprobe vhost_vsock")
    if not (OCI / "initrd.img").exists():
        pytest.skip("there is no build/oci/initrd.img: oci/guest/build")
    if not shutil.which("mkfs.erofs"):
        pytest.skip("mkfs.erofs is not installed: tools/install-packages oci")


@pytest.fixture(scope="module", name="layers")
def make_layers(tmp_path_factory):
    """Two layers, the topmost first: one file on top of busybox."""
    directory = tmp_path_factory.mktemp("layers")
    top = directory / "top"
    top.mkdir()
    (top / "top").write_text("of the topmost layer\n")
    return [erofs(top, directory / "top.erofs"), erofs(busybox_tree(directory / "tree"), directory / "tree.erofs")]


@pytest.fixture(scope="module", name="guest")
def make_guest(layers):
    """A container whose init waits, for the tests of exec."""
    with OciGuest(layers) as guest:
        guest.create(config(process("/bin/sleep", "100000"), memory=LIMIT))
        guest.start()
        yield guest


def test_a_program_runs_and_its_status_comes_back(guest):
    script = "cat; cat /top; echo error >&2; id -u; exit 7"
    assert guest.run("exec-1", process(script), b"input\n") == (7, "input\nof the topmost layer\n0\n", "error\n")


def test_nothing_is_written_to_a_root_without_upper(guest):
    status, _, error = guest.run("exec-1", process("echo >/etc/file"))
    assert status == 1 and "Read-only file system" in error


def test_standard_output_can_be_opened_by_its_name(guest):
    assert guest.run("exec-1", process("echo out >/dev/stdout; echo err >/dev/stderr")) == (0, "out\n", "err\n")


def test_more_than_the_pipes_hold(guest):
    size = 3_000_000
    spec = process("/bin/dd", "bs=64k")
    guest.exec("exec-1", spec)
    data = os.urandom(size // 2).hex().encode()
    writer = threading.Thread(target=guest.streams["exec-1", "stdin"].sendall, args=(data,))
    writer.start()
    assert guest.receive("exec-1", "stdout", len(data)) == data
    writer.join()
    guest.close_stdin("exec-1")
    assert guest.wait("exec-1")["status"] == 0


def test_output_ends_with_the_process_though_others_hold_it(guest):
    assert guest.run("exec-1", process("echo first; sleep 1000 & exit 3"))[:2] == (3, "first\n")


def test_a_process_that_ends_at_once(guest):
    for number in range(5):
        assert guest.run(f"exec-{number}", process("/bin/true"))[0] == 0


@pytest.mark.parametrize("terminal", [False, True])
def test_a_program_that_is_missing(guest, terminal):
    number = guest.send("exec", process="exec-9", spec=process("/bin/missing", "x", terminal=terminal))
    guest.accept_streams("exec-9", terminal)
    with pytest.raises(AgentError, match="executable file `/bin/missing` not found"):
        guest.answer(number)
    assert guest.output("exec-9", "terminal" if terminal else "stdout") == ""


def test_a_terminal(guest):
    spec = process("tty; stty size; read x; stty size; exit 4", terminal=True, consoleSize={"height": 10, "width": 20})
    guest.exec("exec-1", spec)
    terminal = guest.streams["exec-1", "terminal"]
    seen = b""
    while b"10 20\r\n" not in seen:
        seen += terminal.recv(4096)
    assert guest.call("resize", process="exec-1", rows=30, columns=40) == {}
    terminal.sendall(b"go\r")
    seen += guest.output("exec-1", "terminal").encode()
    assert re.fullmatch(rb"/dev/(pts/\d+|console)\r\n10 20\r\ngo\r\n30 40\r\n", seen)
    assert guest.wait("exec-1")["status"] == 4


def test_a_host_that_leaves_a_terminal_hangs_it_up(guest):
    guest.exec("exec-1", process("echo ready; exec cat", terminal=True))
    guest.expect("exec-1", "terminal", b"ready\r\n")
    guest.streams["exec-1", "terminal"].close()
    assert guest.wait("exec-1")["status"] == 128 + 1


def test_signals(guest):
    guest.exec("exec-1", process("trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.1; done"))
    guest.exec("exec-2", process("/bin/sleep", "1000"))
    guest.expect("exec-1", "stdout", b"ready\n")
    assert guest.call("signal", process="exec-1", signal=10) == {}
    assert guest.output("exec-1") == "got\n"
    assert guest.wait("exec-1")["status"] == 5
    guest.call("signal", process="exec-2", signal=9)
    assert guest.wait("exec-2")["status"] == 128 + 9
    with pytest.raises(AgentError, match="'exec-2' does not run"):
        guest.call("signal", process="exec-2", signal=9)


def test_a_reader_that_leaves_is_noticed(guest):
    guest.exec("exec-1", process("/bin/yes"))
    guest.streams["exec-1", "stdout"].close()
    assert guest.wait("exec-1")["status"] == 128 + 13


def test_ps_stats_and_update(guest):
    pid = guest.exec("exec-1", process("/bin/cat"))
    assert pid in guest.call("ps")["pids"] and len(guest.call("ps")["pids"]) >= 2
    stats = guest.call("stats")
    assert stats["memory"]["current"] > 0 and stats["cpu"]["usage_usec"] > 0 and stats["pids"]["current"] >= 2
    assert guest.call("update", resources={"pids": {"limit": 100}}) == {}
    guest.close_stdin("exec-1")
    assert guest.wait("exec-1")["status"] == 0


def test_too_little_memory(guest):
    """The last test of this guest that looks at "oom"."""
    guest.exec("exec-1", process("/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=200M"))
    assert guest.wait("exec-1") == {"event": "exit", "process": "exec-1", "status": 137, "oom": True}


@pytest.mark.parametrize(
    "error, message",
    [
        ("there is no request 'x'", {"do": "x"}),
        ("created before", {"do": "create", "config": config(process("true")), "rootfs": "ok"}),
        ("'config' is missing", {"do": "create"}),
        ("'process' is not exec-N", {"do": "exec", "process": "exec-1/../x", "spec": {}}),
        ("'spec' is not of the type object", {"do": "exec", "process": "exec-1", "spec": []}),
        ("'signal' is not from 1 to 64", {"do": "signal", "process": "init", "signal": 65}),
        ("'init' has no terminal", {"do": "resize", "process": "init", "rows": 1, "columns": 1}),
        ("'resources' is missing", {"do": "update"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_requests_are_answered(guest, error, message):
    if message.get("rootfs") == "ok":
        message["rootfs"] = {"kind": "layers", "layers": guest.layers, "upper": {"kind": "none"}}
    verb = message.pop("do")
    with pytest.raises(AgentError, match=re.escape(error)):
        guest.call(verb, **message)


def test_the_life_of_init(layers):
    with OciGuest(layers) as guest:
        guest.create(config(process("cat; echo 'to stderr' >&2; exit 42")))
        guest.streams["init", "stdin"].sendall(b"before the start\n")
        guest.start()
        guest.close_stdin("init")
        assert guest.output("init") == "before the start\n"
        assert guest.output("init", "stderr") == "to stderr\n"
        assert guest.wait("init") == {"event": "exit", "process": "init", "status": 42, "oom": False}
        assert guest.shutdown() == 0


def test_init_without_a_handler_is_not_terminated(layers):
    with OciGuest(layers) as guest:
        guest.create(config(process("read x; exit 9", terminal=True)))
        guest.start()
        guest.call("signal", process="init", signal=15)
        guest.streams["init", "terminal"].sendall(b"go\r")
        assert guest.wait("init")["status"] == 9


def test_the_first_program_is_missing_and_the_host_leaves(layers):
    with OciGuest(layers) as guest:
        with pytest.raises(AgentError, match="executable file `/bin/missing` not found"):
            guest.create(config(process("/bin/missing", "x")))
        guest.control.shutdown(socket.SHUT_RDWR)
        assert guest.vm.end(END_MAX) == 0


def test_a_message_that_is_no_frame_ends_the_guest(layers):
    with OciGuest(layers) as guest:
        guest.control.sendall(struct.pack("<I", 1 << 30))
        assert guest.vm.end(END_MAX) == 0
        assert "at most 1048576" in guest.vm.text


@pytest.mark.skipif(VIRTIOFSD is None, reason="virtiofsd is not installed")
def test_what_is_written_is_in_the_hosts_directory(layers, tmp_path):
    share = tmp_path / "share"
    for name in ("root/diff", "root/work/pmvm", "0"):
        (share / name).mkdir(parents=True)
    (share / "0/volume").write_text("from the host\n")
    path = tmp_path / "fs.sock"
    options = "sandbox=chroot,xattr,modcaps=+sys_admin"
    device = ["-chardev", f"socket,id=fs,path={path}", "-device", "vhost-user-fs-pci,chardev=fs,tag=share"]
    volume = {"destination": "/mnt", "type": "bind", "source": "/run/oci/0/share/0", "options": ["rbind"]}
    upper = {"kind": "share", "upper": "root/diff", "work": "root/work/pmvm"}
    with Backend([VIRTIOFSD, f"--socket-path={path}", "-o", f"source={share},{options}"], path):
        with OciGuest(layers, args=[*RAM, *device]) as guest:
            rootfs = {"kind": "layers", "layers": guest.layers, "upper": upper}
            guest.create(
                config(process("cat /mnt/volume; echo new >/etc/new; rm /top; echo back >/mnt/back"), mounts=[volume]),
                rootfs, share="share",
            )  # fmt: skip
            guest.start()
            assert guest.output("init") == "from the host\n"
            assert guest.wait("init")["status"] == 0, guest.output("init", "stderr")
            assert guest.shutdown() == 0
    assert (share / "root/diff/etc/new").read_text() == "new\n"
    assert (share / "root/diff/top").is_char_device()
    assert (share / "0/back").read_text() == "back\n"
