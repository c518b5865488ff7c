"""What all system tests share.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import pathlib
import sys
import tempfile
import time

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "guest"), str(CHECKOUT / "tests/power")]


# A machine that several tests share gets files of their directories.
import oci_runtime
import machine  # pylint: disable=wrong-import-position
from kernel_log import QUIET_S, KernelLog  # pylint: disable=wrong-import-position

machine.opened_later = tempfile.gettempdir()


def pytest_configure(config):
    config.addinivalue_line("markers", "long: one more variant of what another test covers; for `make check-long`")
    config.addinivalue_line("markers", "forbidden: a machine with -sandbox log makes forbidden calls")


@pytest.fixture(autouse=True)
def no_process_left(tmp_path):
    """Every pmvm that a test started has ended when the test has, or is about to, as a daemon after `quit`."""
    yield
    end = time.monotonic() + machine.END_MAX
    while left := processes_of(tmp_path):
        assert time.monotonic() < end, f"pmvm processes left behind: {left}"
        time.sleep(0.05)


@pytest.fixture(name="oci")
def make_oci(tmp_path):
    """pmvm-oci. Nothing of its containers may be left when they are deleted."""
    if why := oci_runtime.why_not():
        pytest.skip(why)
    oci_runtime.become_subreaper()
    runtime = oci_runtime.Runtime(tmp_path)
    yield runtime
    for name in runtime.containers:
        runtime("delete", "--force", name)
    assert runtime.left() == []


@pytest.fixture(name="running")
def make_running(oci, tmp_path):
    """A container that runs until it is ended; the fixture is its runtime, name and pid."""
    bundle = oci_runtime.make_bundle(tmp_path / "bundle", oci_runtime.FOREVER)
    pid = oci.create("c", bundle, output=tmp_path / "output")
    oci("start", "c")
    oci_runtime.eventually((tmp_path / "output").read_text)
    return oci, "c", pid


@pytest.fixture(name="store")
def make_store(tmp_path):
    """Layers as an engine keeps them. To be named before `oci`, whose containers end first."""
    with contextlib.closing(oci_runtime.Store(tmp_path / "store")) as store:
        yield store


def processes_of(tmp_path):
    return [
        process.name
        for process in pathlib.Path("/proc").iterdir()
        if process.name.isdigit() and str(tmp_path) in command_line(process) and "pmvm" in command_line(process)
    ]


@pytest.fixture(name="kernel_log", scope="session")
def fixture_kernel_log():
    """With PMVM_SANDBOX=log in the environment, none of the machines may make a forbidden call."""
    if machine.SANDBOX != "log":
        yield None
        return
    log = KernelLog()
    yield log
    time.sleep(QUIET_S)
    assert not log.forbidden(), "forbidden calls after the last test"
    log.close()


@pytest.fixture(autouse=True)
def no_forbidden_call(request, kernel_log):
    """Some may be those of a machine that several tests share, or of the end of the test before."""
    yield
    if not kernel_log:
        return
    if request.node.get_closest_marker("forbidden"):
        assert kernel_log.wait_for_forbidden(), "the kernel has not logged the forbidden calls of this test"
    else:
        assert not (found := kernel_log.forbidden()), f"forbidden calls: {found}"


def command_line(process):
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
