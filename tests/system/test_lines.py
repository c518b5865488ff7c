"""Command lines that tools build for QEMU, word by word: each starts a guest, or is refused for a word that stays so.

The lines are tests/system/lines/*.txt. They name files at fixed places, so each runs in a root directory of its own,
with these files in it: the kernel, which is also the initrd of those that have one, disks, and sockets of back ends.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import time

import pytest

from machine import BOOT_MAX, END_MAX, MIB, Guest, Vm, kernel_files, pmvm, wait_until
from monitor import Qmp

LINES = pathlib.Path(__file__).resolve().parent / "lines"
VIRTIOFSD = pathlib.Path("/usr/lib/qemu/virtiofsd")

REFUSED = {
    "lava": "-drive format=raw,file=/img,media=disk: not supported",
    "nomad": "-drive file=local/root.img,if=ide,id=image0: not supported",
    "podman-machine": "-fw_cfg: not supported",
}
# The kernel's messages are on standard output.
PRINTS = ("kunit-qboot", "kunit-x86", "nomad-min")
# The line names no console for the kernel: that its processors run shows that it has started.
SILENT = ("nomad-agent", "rcutorture", "vng-interactive", "wireguard")
DAEMONS = ("ganeti",)

# Runs a program in a root directory, which sees a few devices and the processes of the host.
IN_ROOT = """
cd "$0" && mount --rbind /proc proc || exit 9
for name in kvm null urandom; do touch dev/$name && mount --bind /dev/$name dev/$name || exit 9; done
exec chroot . "$@"
"""


def words(name):
    text = (LINES / f"{name}.txt").read_text()
    return shlex.split("".join(line for line in text.splitlines(True) if not line.startswith("#")))


@pytest.fixture(name="root")
def make_root(tmp_path):
    """What the lines name, but for sockets."""
    root = tmp_path / "root"
    for directory in ("dev", "proc", "run", "tmp", "local", "alloc/task", "var/log"):
        (root / directory).mkdir(parents=True)
    shutil.copy(pmvm(), root / "pmvm")
    shutil.copy(kernel_files()[0], root / "nonexistent")
    for disk in ("local/root.img", "img", "x.ign", "dev/drbd0"):
        (root / disk).write_bytes(bytes(4 * MIB))
    return root


def start(root, name):
    return Vm(words(name), prefix=["unshare", "-m", "sh", "-c", IN_ROOT, root], program="/pmvm")


def runs(pid):
    """Waits until the first processor has done something."""

    def has_run():
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
                if (task / "comm").read_text() == "CPU 0/KVM\n" and int(fields[11]) + int(fields[12]) > 20:
                    return True
        return False

    wait_until(has_run, "a processor of the guest runs", BOOT_MAX, 0.2)


def test_every_line_has_its_place():
    assert {path.stem for path in LINES.glob("*.txt")} == {*REFUSED, *PRINTS, *SILENT, *DAEMONS}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_for_a_word_that_stays_so(root, name):
    with start(root, name) as vm:
        assert vm.end() == 1
        assert f"pmvm: {REFUSED[name]}\n" in vm.error_text


@pytest.mark.parametrize("name", PRINTS)
def test_starts_a_guest_that_prints(root, name):
    with start(root, name) as vm:
        vm.wait_for("Linux version", BOOT_MAX)
        assert vm.error_text == ""


@pytest.fixture(name="back_ends")
def start_back_ends(root):
    """virtiofsd for virtme-ng's root."""
    if not VIRTIOFSD.exists():
        yield
        return
    path = root / "tmp/virtmeX"
    command = [VIRTIOFSD, f"--socket-path={path}", "-o", f"source={root}/local", "-o", "sandbox=chroot"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        end = time.monotonic() + END_MAX
        while not path.exists() and server.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.05)
        yield
        server.kill()


@pytest.mark.parametrize("name", SILENT)
def test_starts_a_guest_without_a_console(root, name, back_ends):
    if name == "vng-interactive" and not VIRTIOFSD.exists():
        pytest.skip(f"no {VIRTIOFSD}: the package qemu-system-common has it")
    assert back_ends is None
    with start(root, name) as vm:
        runs(vm.process.pid)
        warning = "pmvm: warning: -cpu kvm64: the guest gets the host's processor\n"
        assert vm.error_text == (warning if name == "rcutorture" else "")
        if name == "nomad-agent":
            with socket.socket(socket.AF_UNIX) as agent:
                agent.connect(str(root / "qa.sock"))
        if name == "wireguard":
            assert (root / "result").exists()


@pytest.mark.parametrize("name", DAEMONS)
def test_starts_a_daemon(root, name):
    with start(root, name) as vm:
        assert vm.end() == 0
    pid = int((root / "run/p").read_text())
    try:
        with Qmp(root / "run/i.qmp") as qmp, socket.socket(socket.AF_UNIX) as console:
            assert qmp.run("query-status")["status"] == "prelaunch"
            assert {entry["name"] for entry in qmp.run("query-commands")} >= {"query-pci", "query-cpus-fast"}
            console.settimeout(BOOT_MAX)
            console.connect(str(root / "run/i.serial"))
            qmp.run("cont")
            text = b""
            while b"Linux version" not in text:
                more = console.recv(4096)
                assert more, text
                text += more
            qmp.run("quit")
        end = time.monotonic() + END_MAX
        while (root / "run/p").exists():
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_nomad_shuts_a_guest_down(tmp_path):
    """Nomad connects to the monitor for people, writes one line, and closes at once."""
    path = tmp_path / "qm.sock"
    with Guest("-monitor", f"unix:{path},server=on,wait=off") as guest:
        guest.heed_power_button("poweroff -f")
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(path))
            monitor.sendall(b"system_powerdown\n")
        assert guest.end() == 0
