"""The sandbox by how it is started: which files and descriptors stay in reach, as an ordinary user, and in a container.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import ctypes
import grp
import json
import os
import pathlib
import shutil
import socket
import sys
import tempfile

import pytest

import container
import unit
from echo import read_until, wait_until
from machine import MIB, SANDBOX, Vm, pmem, pmvm
from monitor import Hmp, Qmp, Refused
from peer import connect
from test_bare_metal import PROGRAMS, machine

UID, KVM_GID = 23456, 34567
# What Docker's default profile refuses to a container without more capabilities: namespaces and mounts.
DOCKER = {"unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "fsopen": 430, "fsmount": 432}

# Runs pmvm in a place that JSON describes: descriptors, a filter that refuses calls, a user.
LAUNCHER = """
import ctypes, json, os, socket, struct, sys
place = json.loads(sys.argv[1])
if "connect" in place:
    client = socket.socket(socket.AF_UNIX)
    client.connect(place["connect"])
    os.dup2(client.fileno(), 20)
    os.dup2(os.open("/etc/passwd", os.O_RDONLY), 21)
if "uid" in place:
    os.setgroups([place["gid"]])
    os.setresgid(*[place["uid"]] * 3)
    os.setresuid(*[place["uid"]] * 3)
if "refuse" in place:
    refuse = place["refuse"]
    insns = [(0x20, 0, 0, 0)] + [(0x15, len(refuse) - i, 0, nr) for i, nr in enumerate(refuse)]
    insns += [(0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x50001)]
    data = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *insn) for insn in insns))
    program = struct.pack("<H6xQ", len(insns), ctypes.addressof(data))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def place(**what):
    return (sys.executable, "-c", LAUNCHER, json.dumps(what))


# ---- files


def add_object(qmp, path, name):
    qmp.run(
        "object-add",
        {"qom-type": "memory-backend-file", "id": name, "mem-path": str(path), "share": True, "size": 2 * MIB},
    )


def test_what_may_be_opened_later(tmp_path):
    """Below directories of the command line, and those of dir=, also by way of links."""
    for name in ("start", "outside", "more"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside/secret.img").write_bytes(bytes(2 * MIB))
    (tmp_path / "start/link.img").symlink_to(tmp_path / "outside/secret.img")
    (tmp_path / "start/way").symlink_to(tmp_path / "outside")
    options = [*pmem(tmp_path / "start/a.img", size="4M"), "-qmp", f"unix:{tmp_path}/start/qmp,server=on,wait=off"]
    with machine("echo", *options, "-sandbox", f"on,dir={tmp_path}/more") as vm:
        with Qmp(tmp_path / "start/qmp") as qmp:
            for n, path in enumerate(["outside/secret.img", "outside/new.img", "start/link.img", "start/way/new.img"]):
                with pytest.raises(Refused) as refused:
                    add_object(qmp, tmp_path / path, f"no{n}")
                assert f"start with -sandbox on,dir={(tmp_path / path).parent}" in str(refused.value)
            for n, path in enumerate(["start/new.img", "more/new.img"]):
                add_object(qmp, tmp_path / path, f"yes{n}")
        vm.send("end\n")
        assert vm.end() == 0
    assert os.listdir(tmp_path / "outside") == ["secret.img"]
    assert (tmp_path / "more/new.img").stat().st_size == 2 * MIB


def test_inherited_descriptors_are_closed_unless_they_are_named(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "peer"))
        server.listen()
        prefix = place(connect=str(tmp_path / "peer"))
        with machine("echo", "-chardev", "socket,id=c0,fd=20", "-mon", "chardev=c0", prefix=prefix) as vm:
            vm.wait_for("# ready")
            fds = pathlib.Path(f"/proc/{vm.process.pid}/fd")
            names = {int(fd.name): os.readlink(fd) for fd in fds.iterdir()}
            assert names[20].startswith("socket:")
            assert "/etc/passwd" not in names.values()
            client, _ = server.accept()
            with client:
                client.sendall(b"info sandbox\n")
                text = b""
                while b"permits:" not in text:
                    assert (data := client.recv(4096)), text
                    text += data


# ---- other starters


@pytest.fixture(name="public")
def fixture_public():
    """A directory with pmvm and a guest program that everybody can use, and /dev/kvm for a group."""
    kvm = os.stat("/dev/kvm")
    with tempfile.TemporaryDirectory(prefix="pmvm-public-") as name:
        directory = pathlib.Path(name)
        os.chmod(name, 0o777)
        for file in (pmvm(), PROGRAMS / "echo.elf"):
            shutil.copy(file, directory)
            (directory / file.name).chmod(0o755)
        os.chown("/dev/kvm", 0, KVM_GID)
        os.chmod("/dev/kvm", 0o660)
        yield directory
        os.chown("/dev/kvm", kvm.st_uid, kvm.st_gid)
        os.chmod("/dev/kvm", kvm.st_mode & 0o777)


def converse(path):
    """A line for the guest, and its answer."""
    wait_until(path.exists)
    with connect(path) as serial:
        serial.sendall(b"alive\n")
        read_until(serial, b"line 1: alive")


@contextlib.contextmanager
def started(directory, prefix):
    """A machine with a pmem device, a monitor, and what its sandbox says about itself."""
    options = ["-m", "128M", "-nographic", "-kernel", directory / "echo.elf", *pmem(directory / "a.img", size="4M")]
    for option, name in (("-qmp", "qmp"), ("-monitor", "hmp"), ("-serial", "com1")):
        options += [option, f"unix:{directory}/{name},server=on,wait=off"]
    with Vm(options, prefix=prefix, program=directory / "pmvm", cwd=directory) as vm:
        converse(directory / "com1")
        with Qmp(directory / "qmp") as qmp:
            yield vm, qmp.run("query-sandbox"), qmp
            qmp.run("quit")
        assert vm.end() == 0
    assert {*os.listdir(directory)} - {"place"} == {"a.img", "echo.elf", "new.img", "pmvm"}


def check_broker(qmp, directory):
    add_object(qmp, directory / "new.img", "later")
    with pytest.raises(Refused, match="on,dir=/usr/lib"):
        add_object(qmp, "/usr/lib/os-release", "no")


def test_an_ordinary_user_of_group_kvm(public):
    """All walls, without root: what needs privileges is done in a user namespace."""
    with started(public, place(uid=UID, gid=KVM_GID)) as (vm, report, qmp):
        assert pathlib.Path(f"/proc/{vm.process.pid}/maps").stat().st_uid == 0, "it can be dumped"
        assert f"Uid:\t{UID}\t" in pathlib.Path(f"/proc/{vm.process.pid}/status").read_text()
        assert report["mode"] == SANDBOX and report["threads"]
        assert report["namespaces"] == ["user", "mount", "net", "ipc"] and report["empty-root"]
        assert os.listdir(f"/proc/{vm.process.pid}/root/") == []
        check_broker(qmp, public)


@pytest.mark.parametrize("user", [{}, {"uid": UID, "gid": KVM_GID}], ids=["root", "ordinary"])
def test_in_a_container_that_refuses_namespaces(public, user):
    """It starts with the walls that are left, and says which are missing."""
    with started(public, place(refuse=list(DOCKER.values()), **user)) as (vm, report, qmp):
        assert report["namespaces"] == [] and not report["empty-root"]
        assert report["namespaces-error"] == "Operation not permitted"
        assert report["threads"] and report["no-new-privileges"] and report["landlock"] >= 0
        status = pathlib.Path(f"/proc/{vm.process.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status and "Seccomp:\t2" in status
        check_broker(qmp, public)
        text = Hmp(public / "hmp").run("info sandbox")
        assert "namespaces: none: Operation not permitted" in text and "root directory: the host's" in text


# ---- what others put around it

WALLS = ["user", "mount", "net", "ipc"]
# Docker's profile leaves no namespaces, podman's does.
PROFILES = {"podman": WALLS, "docker": []}
# What is in docs/security.md, and the least that pmvm starts with.
ALL = []
LEAST = [
    "RestrictNamespaces=yes",
    "SystemCallFilter=",
    "SystemCallFilter=@system-service seccomp",
    "SystemCallErrorNumber=EPERM",
]


def landlock_version():
    """Of the kernel: landlock_create_ruleset."""
    return max(ctypes.CDLL(None).syscall(444, None, 0, 1), 0)


@pytest.mark.skipif(container.missing() is not None, reason=f"the package {container.missing()} is not installed")
@pytest.mark.parametrize("profile", PROFILES)
def test_in_a_container(public, profile):
    with started(public, (container.__file__, public, profile)) as (_, report, qmp):
        assert report["threads"] and report["no-new-privileges"] and report["landlock"] == landlock_version()
        assert report["namespaces"] == PROFILES[profile] and report["empty-root"] == bool(PROFILES[profile])
        check_broker(qmp, public)


@pytest.mark.skipif(not unit.SYSTEMD.exists(), reason="the package systemd is not installed")
@pytest.mark.parametrize("settings,walls", [(ALL, WALLS), (LEAST, [])], ids=["all", "least"])
def test_as_a_service_of_systemd(public, settings, walls):
    os.chown("/dev/kvm", 0, grp.getgrnam(unit.GROUP).gr_gid)
    with started(public, (unit.__file__, public, json.dumps(settings))) as (_, report, qmp):
        assert report["threads"] and report["no-new-privileges"]
        assert report["landlock"] == (landlock_version() if walls else 0)
        assert report["namespaces"] == walls and report["empty-root"] == bool(walls)
        check_broker(qmp, public)
