"""crun's own tests of an OCI runtime, with pmvm-oci as the runtime.

SPDX-License-Identifier: Apache-2.0

tests/foreign-suites downloads them, and they run as they are. The table below has those that cannot hold for a machine,
and those for which something is missing, each with its reason. They run as well: one that passes has to leave the
table. With PMVM_OCI_RUNTIME=crun the same tests are given to crun.
"""
import ast
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import threading

import oci_engine
import oci_runtime
import pytest
from podman import machines

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SUITE = CHECKOUT / "build/suites/crun/tests"
TEST_MAX = 900  # seconds; some start ten machines

# A test waits some seconds for `create` before it calls `start`. An emulated host needs longer.
WRAPPER = """#!/bin/sh
if [ "$3" = start ]; then
    while {runtime} "$1" "$2" state "$4" 2>/dev/null | grep -q '"creating"'; do sleep 0.2; done
fi
exec {runtime} "$@"
"""

FILES = "capabilities checkpoint_restore cwd delete detach devices exec hooks hostname limits mounts paths pid".split()
FILES += "pid_file preserve_fds resources rlimits seccomp start tty uid_gid update".split()
# Beside these, tests of systemd and of checkpoints skip themselves, because --version has neither +SYSTEMD nor +CRIU,
# and that of update, because it knows control groups of version 1 alone.
CANNOT = {
    "devices/owner-device": "of the host: a block device",
    "devices/deny-devices": "of the host: its /dev",
    "devices/allow-device": "of the host: its /dev",
    "devices/allow-access": "of the host: its /dev",
    "devices/mknod-device": "of the host: a block device",
    "exec/exec-root-netns-with-userns": "of the host: its network, which a machine cannot join",
    "exec/exec_add_no_new_privileges": "crun's own: exec drops noNewPrivileges of the container, and here it keeps it",
    "mounts/mount-ro-cgroup": "of the host: its network, which half of its containers have",
    "pid/pid": "of the host: its network and its shared memory",
    "preserve_fds/preserve-fds-some": "of the host: descriptors, which cannot be passed into a machine",
    "seccomp/seccomp-listener": "of the host: a process that answers for system calls of the container",
    "start/start": "crun's own: after the output it reads crun's state file",
    "start/listen_pid_env": "of the host: a socket of systemd, which cannot be passed into a machine",
    "tty/test-detach-tty": "crun's own: an argument that is a number, which the specification does not allow",
    "uid_gid/keep-groups": "of the host: the groups of the caller, which a machine does not have",
}

pytestmark = pytest.mark.long


def names(path):
    """The tests of a file, from its table all_tests."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "all_tests":
            return [key.value for key in node.value.keys]
    raise AssertionError(f"{path} has no table of its tests")


def parameters():
    """(file, test) of all."""
    if not (SUITE / "init").exists():
        return [pytest.param("", "", marks=pytest.mark.skip("crun's tests are not there: run tests/foreign-suites"))]
    found = []
    for file in FILES:
        for name in names(SUITE / f"test_{file}.py"):
            key = f"{file}/{name}"
            why = oci_engine.IS_OURS and CANNOT.get(key)
            marks = [pytest.mark.xfail(reason=why, strict=True)] if why else []
            found.append(pytest.param(file, name, id=key, marks=marks))
    return found


@pytest.fixture(scope="module", name="suite")
def suite_fixture(tmp_path_factory):
    """A directory that looks like crun's source, and the environment of its tests."""
    folder = tmp_path_factory.mktemp("crun")
    shutil.copytree(SUITE, folder / "tests")
    if oci_engine.IS_OURS and (why := oci_runtime.why_not()):
        pytest.skip(why)
    runtime = oci_engine.configured(folder, oci_runtime.COMMAND_MAX)
    (folder / "runtime").write_text(WRAPPER.format(runtime=runtime))
    (folder / "runtime").chmod(0o755)
    # The tests of devices want /dev/fuse.
    subprocess.run(["modprobe", "fuse"], check=False, capture_output=True)
    if os.environ.get("PMVM_IN_BOX"):
        # A test wants a pid of five digits, which a host that was just started does not have.
        pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text("20000")
    environment = {"OCI_RUNTIME": folder / "runtime", "INIT": folder / "tests/init", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONPATH"] = pathlib.Path(__file__).parent / "foreign"
    yield folder, os.environ | {name: str(value) for name, value in environment.items()}
    assert not machines(), "machines are left"


def collect(descriptor, chunks):
    try:
        while chunk := os.read(descriptor, 4096):
            chunks.append(chunk)
    except OSError:
        pass  # nobody has the other side any more


def on_terminal(command, **more):
    """The output of a command whose standard output is a terminal, as the tests of terminals want it."""
    chunks = []
    ours, theirs = pty.openpty()
    reader = threading.Thread(target=collect, args=(ours, chunks), daemon=True)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, **more) as process:
        os.close(theirs)
        reader.start()
        try:
            process.wait(TEST_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    reader.join(10)
    return b"".join(chunks).decode(errors="replace").replace("\r\n", "\n")


@pytest.mark.parametrize("file, name", parameters())
def test_of_crun(suite, file, name):
    folder, environment = suite
    output = on_terminal([sys.executable, f"tests/test_{file}.py"], cwd=folder, env=environment | {"RUN_TESTS": name})
    print(output)
    if re.search(r"^1\.\.0$", output, re.MULTILINE) or "#SKIP" in output:
        pytest.skip("crun's test skips itself")
    # One prints a word before it without an end of line.
    assert re.search(rf"(?<!not )ok 1 - {re.escape(name)}$", output, re.MULTILINE), output[-3000:]
