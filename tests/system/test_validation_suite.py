"""The validation suite of the OCI runtime specification, with pmvm-oci as the runtime.

SPDX-License-Identifier: Apache-2.0

tests/foreign-suites downloads and builds it. Each of its programs makes bundles, calls the runtime, and prints TAP. The
table below has what cannot hold, with its reason; a program may have other results that hold. With
PMVM_OCI_RUNTIME=crun the same programs are given to crun.
"""
import os
import pathlib
import re
import shutil
import subprocess

import oci_engine
import oci_runtime
import pytest
from podman import machines

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SUITE = CHECKOUT / "build/suites/validation"
PROGRAM_MAX = 900  # seconds; some start ten machines

WRAPPER = """#!/bin/sh
exec {runtime} "$@"
"""

# What a program reports as a failure: a part of the text, and why it cannot hold. What passes has to leave the table.
CANNOT = {
    "config_updates_without_affect": {"exit status 1": "of the host: its mounts, as a shared root asks for"},
    "delete": {"that is not `stopped`": "as crun: a container that is only created is deleted"},
    "delete_only_create_resources": {"/sys/fs/cgroup/pids": "the suite's own: control groups of version 1"},
    "delete_resources": {"find pids cgroup": "the suite's own: control groups of version 1"},
    "hooks": {"called in the listed order": "the suite's own: it expects other words than its hooks write"},
}
# These say nothing of a runtime.
NOT_RUN = {
    "pidfile": "it kills a program that may have ended",
    "poststart": "a hook and the program of the container write to one file at the same time",
}

pytestmark = pytest.mark.long


def parameters():
    names = sorted(path.name for path in (SUITE / "bin").glob("*"))
    if not names:
        return [pytest.param("", marks=pytest.mark.skip("the suite is not there: run tests/foreign-suites"))]
    groups = {name: "it knows control groups of version 1 alone" for name in names if name.startswith("linux_cgroups")}
    not_run = groups | NOT_RUN
    return [pytest.param(name, marks=[pytest.mark.skip(not_run[name])] if name in not_run else []) for name in names]


@pytest.fixture(scope="module", name="suite")
def suite_fixture(tmp_path_factory):
    """A directory with what the programs expect in theirs, and their environment."""
    folder = tmp_path_factory.mktemp("validation")
    for name in ["runtimetest", "rootfs-amd64.tar.gz"]:
        shutil.copy2(SUITE / name, folder / name)
    if oci_engine.IS_OURS and (why := oci_runtime.why_not()):
        pytest.skip(why)
    runtime = oci_engine.configured(folder, oci_runtime.COMMAND_MAX)
    (folder / "runtime").write_text(WRAPPER.format(runtime=runtime))
    (folder / "runtime").chmod(0o755)
    yield folder, os.environ | {"RUNTIME": str(folder / "runtime"), "TMPDIR": str(folder)}
    assert not machines(), "machines are left"


def results(output):
    """[(description, passed)] of a stream of TAP. Tests that its authors have not written yet are left out."""
    found = re.findall(r"^(not )?ok \d+ - (.*)$", output, re.MULTILINE)
    return [(text, not failed) for failed, text in found if not text.startswith("# TODO")]


def failures(status, output):
    """The texts of what has failed. Programs of hooks print errors instead of results."""
    found = results(output)
    failed = [text for text, passed in found if not passed]
    if not found:
        failed += re.findall(r'^ *"error": "(.*)"', output, re.MULTILINE)
    return failed + ([f"status {status}: {output[-500:]}"] if status else [])


@pytest.mark.parametrize("name", parameters())
def test_of_specification(suite, name):
    folder, environment = suite
    done = subprocess.run(
        [SUITE / "bin" / name], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=PROGRAM_MAX
    )  # fmt: skip
    print(done.stdout)
    failed = failures(done.returncode, done.stdout)
    known = CANNOT.get(name, {}) if oci_engine.IS_OURS else {}
    assert not [text for text in failed if not any(part in text for part in known)], failed
    assert not [part for part in known if not any(part in text for text in failed)], "the table has what passes"
    print(f"{len(results(done.stdout))} results")
    if known:
        pytest.xfail("; ".join(known.values()))
