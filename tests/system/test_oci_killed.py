"""pmvm-oci whose commands are killed half-way, as an engine that ends takes them with it.

Each command is killed at more and more of its system calls, until one comes to its end. Whatever it had done by then,
the container has a state, the next command finds its way, and delete leaves nothing.

SPDX-License-Identifier: Apache-2.0
"""
import signal
import subprocess

import pytest

from oci_runtime import COMMAND_MAX, FOREVER, eventually, make_bundle, wait_for

CALLS_MAX = 4000

pytestmark = pytest.mark.long


def killed_half_way(oci, *args, step=15):
    """Yields after each command that was killed."""
    for call in range(step, CALLS_MAX, step):
        kill = f"inject=all:signal=KILL:when={call}"
        prefix = ["strace", "-qq", "-o", "/dev/null", "-e", kill]
        with oci.popen(*args, prefix=prefix, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            status = process.wait(COMMAND_MAX)
        if status != -signal.SIGKILL:
            assert call > step, "none was killed"
            return
        yield call
    raise AssertionError(f"{args} has more than {CALLS_MAX} system calls")


def test_create(oci, tmp_path):
    bundle = make_bundle(tmp_path / "bundle", FOREVER)
    oci.containers.add("c")
    for call in killed_half_way(oci, "create", "--bundle", bundle, "c"):
        oci("delete", "--force", "c")
        assert oci.left() == [], call
    assert oci.status("c") == "created"


def test_start(oci, tmp_path):
    output = tmp_path / "output"
    pid = oci.create("c", make_bundle(tmp_path / "bundle", "echo it runs; read line; exit 3"), output=output)
    for call in killed_half_way(oci, "start", "c"):
        assert oci.status("c") in ("created", "running", "stopped"), call
    assert wait_for(pid) == 3 and output.read_text() == "it runs\n"


def test_what_a_running_container_is_asked(running):
    oci, name, pid = running
    for verb in ["state"], ["ps"], ["events", "--stats"], ["update", "--memory", "1000000000"], ["kill"], ["exec"]:
        words = {"kill": ["CONT"], "exec": ["true"]}.get(verb[0], [])
        for call in killed_half_way(oci, *verb, name, *words):
            assert oci.status(name) == "running", (verb, call)
        assert oci("exec", name, "echo", "here") == "here\n", verb
    assert len(oci("ps", name).splitlines()) == 3, "what an exec has left ends"
    for verb, status in ("pause", "paused"), ("resume", "running"):
        for call in killed_half_way(oci, verb, name):
            assert oci.status(name) in ("paused", "running"), (verb, call)
        assert oci.status(name) == status
    for call in killed_half_way(oci, "kill", name, "KILL"):
        assert oci.status(name) in ("running", "stopped"), call
    assert wait_for(pid) == 137
    for call in killed_half_way(oci, "delete", name):
        assert "c" in oci("list", "-q").split() or oci.left() == [], call
    oci("delete", "--force", name)
    assert oci.left() == []


def test_delete_by_force(running):
    oci, name, _ = running
    for call in killed_half_way(oci, "delete", "--force", name):
        assert oci("list", "-q").split() in ([], [name]), call
    eventually(lambda: not oci.processes())
    assert oci.left() == []
