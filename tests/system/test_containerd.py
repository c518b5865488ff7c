"""containerd's shim for runc with pmvm-oci as its runtime, by `ctr`.

SPDX-License-Identifier: Apache-2.0

With PMVM_OCI_RUNTIME=crun the same is asked of crun: a test that crun fails is wrong.
"""
import json
import os
import pathlib
import shutil
import time

import containerd as containerd_module
import oci_engine
import oci_runtime
import pytest

WAIT_MAX = 200
CACHE = pathlib.Path("/var/lib/pmvm/layers")

MISSING = containerd_module.missing() + oci_engine.missing()
pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")]


@pytest.fixture(scope="module", name="containerd")
def containerd_fixture(tmp_path_factory):
    """containerd with the image localhost/base."""
    if oci_engine.IS_OURS and (why := oci_runtime.why_not()):
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("containerd")
    runtime = shutil.which(oci_engine.RUNTIME) if oci_engine.RUNTIME else oci_engine.installed(folder / "pmvm")
    containerd = containerd_module.Containerd(folder / "engine", runtime)
    try:
        containerd("images", "import", containerd_module.image_archive(folder))
        yield containerd
        assert containerd("containers", "list", "-q").split() == []
        wait_until(lambda: not containerd.shims(), "the shims have ended")
    finally:
        containerd.stop()


def wait_until(is_so, what):
    end = time.monotonic() + WAIT_MAX
    while not is_so():
        assert time.monotonic() < end, f"not in {WAIT_MAX} s: {what}"
        time.sleep(0.1)


def end_by(containerd, name, signal, exit_code):
    """Ends the container by a signal, and removes it."""
    containerd("task", "kill", "-s", signal, name)
    wait_until(lambda: status(containerd, name) == "STOPPED", f"{name} has stopped")
    assert f"exit code {exit_code}" in containerd.try_("task", "delete", name).stderr
    containerd("containers", "delete", name)


def status(containerd, name):
    """As `ctr task list` has it."""
    lines = [line.split() for line in containerd("task", "list").splitlines()[1:]]
    return {words[0]: words[2] for words in lines}.get(name)


def test_runs_a_program_to_its_end(containerd):
    assert containerd.run("a1", "cat /data/greeting; echo $PATH; id -u") == "hello from the image\n/bin\n0\n"
    if oci_engine.IS_OURS:
        assert "PREEMPT" in containerd.run("a2", "cat /proc/version")
        assert "root=" not in containerd.run("a3", "cat /proc/cmdline")
    containerd.run("a4", "exit 7", status=7)


def test_exec_kill_and_delete(containerd):
    containerd.detached("c1", "trap 'exit 3' TERM; while :; do sleep 1; done")
    assert status(containerd, "c1") == "RUNNING"
    assert containerd("task", "exec", "--exec-id", "e1", "c1", "/bin/sh", "-c", "echo hello").strip() == "hello"
    containerd("task", "exec", "--exec-id", "e2", "c1", "/bin/sh", "-c", "exit 5", status=5)
    pids = containerd("task", "ps", "c1").splitlines()[1:]
    assert len(pids) >= 1
    end_by(containerd, "c1", "TERM", 3)


def test_pause_and_resume(containerd):
    containerd.detached("d1", "while :; do sleep 1; done")
    containerd("task", "pause", "d1")
    assert status(containerd, "d1") == "PAUSED"
    containerd("task", "resume", "d1")
    assert status(containerd, "d1") == "RUNNING"
    assert containerd("task", "exec", "--exec-id", "e1", "d1", "/bin/echo", "again").strip() == "again"
    end_by(containerd, "d1", "KILL", 137)


def test_a_program_that_is_not_there(containerd):
    end = containerd.try_(
        "run", "--rm", "--runc-binary", containerd.runtime, containerd_module.IMAGE, "f1", "/no/such/program"
    )
    assert end.returncode != 0
    assert "/no/such/program" in end.stderr and "no such file or directory" in end.stderr.lower()
    assert "f1" not in containerd("containers", "list", "-q").split()


def test_a_bind_mount_and_a_readonly_root(containerd, tmp_path):
    (tmp_path / "in").write_text("from the host\n")
    mount = f"type=bind,src={tmp_path},dst=/host,options=rbind:rw"
    assert containerd.run("g1", "cat /host/in; echo back >/host/out", options=["--mount", mount]) == "from the host\n"
    assert (tmp_path / "out").read_text() == "back\n"
    output = containerd.run("g2", "touch /x 2>&1 || echo refused", options=["--read-only"])
    assert "refused" in output


def test_a_memory_limit_and_metrics(containerd):
    containerd.detached("h1", "while :; do sleep 1; done", options=["--memory-limit", str(256 << 20)])
    if oci_engine.IS_OURS:
        total = containerd("task", "exec", "--exec-id", "e1", "h1", "/bin/grep", "MemTotal", "/proc/meminfo")
        assert int(total.split()[1]) < 256 << 10
    metrics = json.loads(containerd("task", "metrics", "--format", "json", "h1"))
    assert metrics
    end_by(containerd, "h1", "KILL", 137)


@pytest.mark.skipif(not oci_engine.IS_OURS, reason="crun has no layers")
def test_two_containers_share_the_image_of_the_layer(containerd):
    names = ["i1", "i2"]
    for name in names:
        containerd.detached(name, "while :; do sleep 1; done")
    files = [shared_files(name) for name in names]
    assert files[0] and files[0] == files[1]
    for name in names:
        end_by(containerd, name, "KILL", 137)


def shared_files(name):
    """The inodes of images that the machine of a container has mapped."""
    cached = {str(path.stat().st_ino) for path in CACHE.rglob("*.erofs")}
    found = set()
    for path in pathlib.Path("/proc").iterdir():
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            group = (path / "cgroup").read_text()
            if os.path.basename(words[0]) == b"pmvm" and group.strip().endswith(f"/{name}"):
                found |= {line.split()[4] for line in (path / "maps").read_text().splitlines()} & cached
        except OSError:
            continue
    return found
