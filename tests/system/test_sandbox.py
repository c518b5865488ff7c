"""The sandbox: what a machine has given up while it runs a guest.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import subprocess

import pytest

from machine import Guest, kernel_files, linux_options, pmem, pmvm, run_pmvm
from monitor import Qmp


def status(pid):
    """Of each thread, what /proc says about its limits."""
    found = set()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        text = (task / "status").read_text()
        found.add(tuple(re.findall(r"^(CapEff|CapPrm|NoNewPrivs|Seccomp):\s*(\S+)$", text, re.MULTILINE)))
    return found


@pytest.fixture(name="shared", scope="module")
def fixture_shared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sandbox")
    image = directory / "a.img"
    options = ["-smp", "2", "-qmp", f"unix:{directory}/qmp,server=on,wait=off", "-pidfile", directory / "pid"]
    with Guest(*pmem(image, size="16M"), *options, "-sandbox", "on") as guest:
        yield guest, directory
        assert guest.power_off() == 0
    assert not (directory / "qmp").exists()
    assert not (directory / "pid").exists()


def test_every_thread_has_no_privileges(shared):
    guest, _ = shared
    for thread in status(guest.process.pid):
        assert dict(thread)["CapEff"] == dict(thread)["CapPrm"] == "0" * 16
        assert dict(thread)["NoNewPrivs"] == "1"
    assert os.listdir(f"/proc/{guest.process.pid}/root/") == []


def test_the_report(shared):
    _, directory = shared
    with Qmp(directory / "qmp") as qmp:
        report = qmp.run("query-sandbox")
        assert report["mode"] == "on"
        assert report["empty-root"]
        assert str(directory) in report["broker"]["paths"]
        assert pathlib.Path(f"/proc/{report['broker']['pid']}/comm").read_text() == "pmvm-broker\n"


def test_messages_go_on(tmp_path):
    """The log had opened standard error for a warning before descriptors that nobody named were closed."""
    kernel = tmp_path / "kernel"
    kernel.write_bytes(b"no kernel")
    share = f"memory-backend-file,id=m,share,mem-path={tmp_path}/a.img,size=2M"
    done = subprocess.run(
        [pmvm(), "-kernel", kernel, "-display", "none", "-object", share, "-sandbox", "on"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "short-form boolean option 'share' deprecated" in done.stderr
    assert str(kernel) in done.stderr


def test_a_daemon_reports_that_it_is_ready(tmp_path):
    kernel, _ = kernel_files()
    options = ["-S", "-kernel", kernel, "-display", "none", "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]
    done = subprocess.run(
        [pmvm(), *options, "-daemonize", "-sandbox", "on"], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    with Qmp(tmp_path / "qmp") as qmp:
        assert qmp.run("query-sandbox")["mode"] == "on"
        qmp.run("quit")


def test_a_start_that_fails_removes_what_it_created(tmp_path):
    """It fails in the sandbox: the broker removes these files, and leaves one that was there."""
    (tmp_path / "old").write_bytes(b"old")
    options = [*linux_options(), "-display", "none", "-sandbox", "on", "-run-with", "chroot=/no/such/directory"]
    options += ["-object", "memory-backend-file,id=m1,mem-path=new.img,size=4M,share=on", "-pidfile", "pid"]
    options += ["-chardev", "file,id=c1,path=new,logfile=log", "-chardev", "file,id=c2,path=old"]
    status, _, errors = run_pmvm(*options, "-serial", "chardev:c1", "-qmp", "unix:qmp,server=on,wait=off", cwd=tmp_path)
    assert (status, "cannot make '/no/such/directory' the root directory" in errors) == (1, True), errors
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("old", b"old")]
