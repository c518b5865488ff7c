"""pmvm-oci: containers by its command line, from create to delete, and what is left after every kind of crash.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from oci_runtime import COMMAND_MAX, FOREVER, eventually, make_bundle, wait_for


def test_run_gives_output_and_status(oci, tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "read line; echo got $line; uname -r; id -u; exit 3")
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with oci.popen("run", "--bundle", bundle, "c", options=["--debug"], text=True, **pipes) as process:
        output, errors = process.communicate("a line\n", timeout=COMMAND_MAX)
    first, kernel, uid = output.splitlines()
    assert process.returncode == 3 and first == "got a line" and uid == "0", output
    assert kernel != os.uname().release, "it did not run in a guest"
    for step in r"layers and network: \d+ ms", r"the machine: pmvm answered after \d+ ms", r"program runs after \d+ ms":
        assert re.search(step, errors), errors
    assert oci.left() == []


def test_create_does_not_run_the_program(oci, tmp_path):
    output = tmp_path / "output"
    bundle = make_bundle(tmp_path / "bundle", "echo it runs; exit 7")
    pid = oci.create("c", bundle, output=output)
    state = json.loads(oci("state", "c"))
    assert (state["status"], state["pid"], state["bundle"]) == ("created", pid, str(bundle))
    assert output.read_text() == ""
    assert set(oci.members("c")) >= {"pmvm-oci", "pmvm"} and pid in oci.members("c").values()
    oci("start", "c")
    assert wait_for(pid) == 7 and output.read_text() == "it runs\n"
    assert oci.status("c") == "stopped"
    assert "container not running" in oci("kill", "c", "KILL", status=1)
    assert "it is stopped, not created" in oci("start", "c", status=1)
    oci("delete", "c")
    assert oci.left() == []


def test_signals_and_the_status_of_each(running):
    oci, name, pid = running
    assert oci.status(name) == "running"
    oci("kill", name, "TERM")
    assert wait_for(pid) == 5


def test_a_killed_program_is_128_and_the_signal(running):
    oci, name, pid = running
    oci("kill", name, "KILL")
    assert wait_for(pid) == 128 + signal.SIGKILL
    oci("delete", name)


def test_a_program_that_is_missing_is_found_out_by_create(oci, tmp_path):
    log = tmp_path / "log"
    bundle = make_bundle(tmp_path / "bundle", "/bin/nothing", "x")
    for options in [], ["--log", log, "--log-format", "json"]:
        with oci.popen(
            "create", "--bundle", bundle, "c", options=options, stderr=subprocess.PIPE, text=True
        ) as process:
            _, errors = process.communicate(timeout=COMMAND_MAX)
        assert process.returncode == 1
        text = errors if not options else json.loads(log.read_text().splitlines()[-1])["msg"]
        # By these words podman knows that the status is 127.
        assert "executable file not found in" in text or "no such file or directory" in text.lower(), text
        assert oci.left() == []


def test_exec_has_streams_and_a_status(running):
    oci, name, _ = running
    assert oci("exec", name, "/bin/sh", "-c", "cat; echo of $A; id -u; exit 0", stdin="input") == "inputof\n0\n"
    assert oci(
        "exec", "-e", "A=b", "-u", "5:6", "--cwd", "/tmp", name, "/bin/sh", "-c", "echo $A; id -u; id -g; pwd"
    ) == ("b\n5\n6\n/tmp\n")
    assert oci("exec", name, "/bin/sh", "-c", "echo bad >&2; exit 9", status=9) == "bad\n"
    assert oci("exec", name, "/bin/sh", "-c", "kill -9 $$", status=137) == ""
    missing = oci("exec", name, "/bin/nothing", status=255)
    assert "executable file not found in" in missing or "no such file or directory" in missing.lower()


def test_the_pipe_of_a_program_ends_when_the_program_closes_it(oci, tmp_path):
    """As crun's tests want it, whose output and errors are one pipe. The program runs on."""
    bundle = make_bundle(tmp_path / "bundle", "echo said >&2; exec >&- 2>&-; while :; do sleep 1; done")
    oci.containers.add("c")
    with oci.popen(
        "run", "--detach", "--bundle", bundle, "c", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:  # fmt: skip
        assert process.communicate(timeout=COMMAND_MAX)[0] == "said\n"
    assert process.returncode == 0 and oci.status("c") == "running"


def test_exec_can_be_detached(running, tmp_path):
    oci, name, _ = running
    process = {"args": ["/bin/sh", "-c", "exit 4"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
    (tmp_path / "process").write_text(json.dumps(process))
    pid_file = tmp_path / "exec.pid"
    session = oci.popen(
        "exec", "--detach", "--pid-file", pid_file, "--process", tmp_path / "process", name,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert session.wait(COMMAND_MAX) == 0
    assert wait_for(int(pid_file.read_text())) == 4


def test_ps_and_events_show_the_guest(running):
    oci, name, _ = running
    pids = json.loads(oci("ps", "--format", "json", name))
    assert pids and all(isinstance(pid, int) for pid in pids)
    event = json.loads(oci("events", "--stats", name))
    assert event["type"] == "stats" and event["data"] and event["host"]["memory.current"] > 0


def test_pause_and_resume(running, tmp_path):
    oci, name, pid = running
    oci("pause", name)
    assert oci.status(name) == "paused"
    assert "it is paused" in oci("exec", name, "/bin/true", status=255)
    oci("resume", name)
    assert oci.status(name) == "running"
    assert oci("exec", name, "/bin/echo", "again") == "again\n"
    oci("pause", name)
    oci("kill", name, "KILL")
    assert wait_for(pid) == 137


@pytest.mark.parametrize("victim", ["pmvm-oci", "pmvm", "virtiofsd"])
def test_nothing_is_left_when_a_process_was_killed(running, victim):
    oci, name, pid = running
    with oci.popen("exec", name, "/bin/sh", "-c", "echo there; sleep 10000", stdout=subprocess.PIPE) as session:
        assert session.stdout.readline() == b"there\n"
        os.kill(oci.members(name)[victim], signal.SIGKILL)
        status = wait_for(pid)
        # What ran in it was killed.
        assert session.wait(COMMAND_MAX) == 137
    # Without its files the program may still have ended as it likes.
    assert status == {"pmvm-oci": 137, "pmvm": 137}.get(victim, status) and status != 0
    eventually(lambda: not oci.members(name))
    assert oci.status(name) == "stopped"
    oci("delete", "--force", name)
    assert oci.left() == []


def test_delete_by_force_ends_what_runs(running):
    oci, name, pid = running
    assert "that is not stopped: running" in oci("delete", name, status=1)
    oci("delete", "--force", name)
    assert wait_for(pid) == 137
    assert oci.left() == []
    oci("delete", "--force", name)


LATER = [pytest.param(delay, marks=pytest.mark.long) for delay in (0.5, 6)]


@pytest.mark.parametrize("delay", [0.05, 2, *LATER])
def test_an_engine_that_was_killed_leaves_what_delete_removes(oci, tmp_path, delay):
    """create is killed at some moment of the machine's start."""
    bundle = make_bundle(tmp_path / "bundle", FOREVER)
    with oci.popen("create", "--bundle", bundle, "c", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(delay)
        process.kill()
    oci.containers.add("c")
    oci("delete", "--force", "c")
    assert oci.left() == []
    assert oci.create("c", bundle) > 0, "the id can be used again"


def test_one_id_is_created_once(oci, tmp_path):
    bundle = make_bundle(tmp_path / "bundle", FOREVER)
    results = []

    def create():
        with oci.popen(
            "create", "--bundle", bundle, "c", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            results.append(process.wait(COMMAND_MAX))

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    oci.containers.add("c")
    assert sorted(results) == [0, 1] and oci.status("c") == "created"


def test_hooks_run_on_the_host(oci, tmp_path):
    said = tmp_path / "said"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"/bin/cat >>{said}; echo >>{said}"]}
    moments = ["prestart", "createRuntime", "poststart", "poststop"]
    bundle = make_bundle(tmp_path / "bundle", "sleep 2", hooks={moment: [hook] for moment in moments})
    pid = oci.create("c", bundle)
    oci("start", "c")
    wait_for(pid)
    oci("delete", "c")
    states = [json.loads(line) for line in said.read_text().splitlines() if line]
    assert [state["status"] for state in states] == ["created", "created", "running", "stopped"]
    assert states[0]["pid"] == pid and states[0]["bundle"] == str(bundle)


def test_a_hook_that_fails_fails_create(oci, tmp_path):
    hooks = {"createRuntime": [{"path": "/bin/false"}]}
    error = oci.create("c", make_bundle(tmp_path / "bundle", "true", hooks=hooks), status=1)
    assert "createRuntime hook /bin/false: exit status 1" in error
    assert oci.left() == []
