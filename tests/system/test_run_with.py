"""-run-with: once everything is open, the process is another user's and sees one directory.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import signal
import time

import pytest

from machine import END_MAX, MIB, Guest, linux_options, pmem, run_pmvm
from monitor import Qmp

UID, GID = 12345, 54321
USER = f"user={UID}:{GID}"


def credentials(pid):
    """The user, group and supplementary groups of each thread."""
    found = set()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        lines = re.findall(r"^(?:Uid|Gid|Groups):\s*(.*?)\s*$", (task / "status").read_text(), re.MULTILINE)
        found.add(tuple(tuple(map(int, line.split())) for line in lines))
    return found


def add_backend(qmp, path):
    return qmp.exchange(
        {
            "execute": "object-add",
            "arguments": {
                "qom-type": "memory-backend-file",
                "id": f"m{path.name}",
                "mem-path": str(path),
                "share": True,
                "size": 2 * MIB,
            },
        }
    )


def test_the_machine_becomes_another_users_below_a_directory(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    os.chown(root, UID, GID)
    image = tmp_path / "a.img"
    with Guest(
        *pmem(image, size="16M"),
        *("-smp", "2", "-run-with", f"{USER},chroot={root}"),
        *("-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", "-pidfile", tmp_path / "pid"),
    ) as guest:
        pid = guest.process.pid
        assert credentials(pid) == {((UID,) * 4, (GID,) * 4, (GID,))}
        with Qmp(tmp_path / "qmp") as qmp:
            broker = qmp.run("query-sandbox")["broker"]["pid"]
        assert credentials(broker) == credentials(pid)
        assert os.readlink(f"/proc/{broker}/root") == str(root)
        # What was opened before goes on.
        guest.run("echo durable >/tmp/text; dd if=/tmp/text of=/dev/pmem0 conv=fsync,notrunc")
        assert image.read_bytes().startswith(b"durable\n")
        with Qmp(tmp_path / "qmp") as qmp:
            assert "No such file" in add_backend(qmp, tmp_path / "b.img")["error"]["desc"]
            assert add_backend(qmp, pathlib.Path("/c.img")) == {"return": {}}
            assert (root / "c.img").stat().st_uid == UID and not (tmp_path / "b.img").exists()
            qmp.run("quit")
        assert guest.end() == 0
        assert guest.error_text == ""
    # They are out of its reach, as docs/qemu-compatibility.md says.
    assert (tmp_path / "qmp").exists() and (tmp_path / "pid").exists()


def test_a_daemon_below_a_directory_without_dev_null(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    options = [*linux_options(), "-S", "-daemonize", "-display", "none", "-serial", "null"]
    options += ["-runas", f"{UID}:{GID}", "-chroot", root, "-pidfile", tmp_path / "pid"]
    assert run_pmvm(*options) == (0, "", "")
    pid = int((tmp_path / "pid").read_text())
    try:
        assert os.readlink(f"/proc/{pid}/fd/2") == "/dev/null"
        assert credentials(pid) == {((UID,) * 4, (GID,) * 4, (GID,))}
    finally:
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + END_MAX
    while pathlib.Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end, "SIGTERM did not end the daemon"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "words,text",
    [
        ("user=no-such-user", 'User "no-such-user" doesn\'t exist (and is not <uid>:<gid>)'),
        ("chroot=/no/such/directory", "cannot make '/no/such/directory' the root directory: No such file or directory"),
    ],
)
def test_a_start_that_fails_leaves_nothing_behind(tmp_path, words, text):
    options = [*linux_options(), "-display", "none", "-serial", "null", "-run-with", words, "-pidfile", "pid"]
    status, _, errors = run_pmvm(*options, "-qmp", "unix:qmp,server=on,wait=off", cwd=tmp_path)
    assert (status, text in errors) == (1, True), errors
    assert not list(tmp_path.iterdir())
