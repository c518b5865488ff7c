"""The suite of system tests: pytest files of tests/system, on this machine or in test boxes.

SPDX-License-Identifier: Apache-2.0
"""
import collections
import os
import pathlib
import re
import subprocess
import threading
import time
from xml.etree import ElementTree

from totals import Totals, say

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]

GROUP = 5  # files of system tests in one pytest: its start takes some seconds in an emulated host
# Seconds for a group: four minutes are usual, where nothing else runs. Suites of other projects take hours.
GROUP_MAX = {"not long": 3000, "long": 5 * 3600}
BOX_LOST = 125  # tests/box/box.py: the box failed, not the command
# An emulated host is stalled for seconds when this machine has other work, and then time-outs of guests and peers pass.
# So a test that failed there runs once more. This is not for a fault that shows itself often: beyond so many tests in a
# whole run, a failure counts at once, and each is named in the last lines.
AGAIN_MAX = 3
# The system tests that take longest come first, so that both lanes end at about the same time.
LONGEST = [
    *("guests", "net", "balloon", "bare_metal", "vhost_user", "device", "net_user", "real_pmem", "host_faults"),
    *("oci", "plug_cycles", "hotplug", "many_devices", "qmp", "ram", "host_disk", "serial_ports", "rng", "oci_agent"),
]


def pytest_totals(report, output):
    """The totals of a run of pytest, the seconds of each file, and which tests failed."""
    totals, seconds, failed = Totals(), collections.Counter(), []
    totals.left = sum(map(int, re.findall(r"collected \d+ items? / (\d+) deselected", output)))
    for suite in ElementTree.parse(report).iter("testsuite"):
        count = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        totals.failed += count["failures"] + count["errors"]
        totals.skipped += count["skipped"]
        totals.passed += count["tests"] - count["failures"] - count["errors"] - count["skipped"]
        for case in suite.iter("testcase"):
            seconds[case.get("classname").rpartition("test_")[2]] += float(case.get("time"))
            if case.find("failure") is not None or case.find("error") is not None:
                failed.append(f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}")
    return totals, seconds, sorted(set(failed))


class SecondRuns:
    """How many tests may still run once more, and which passed only then; two lanes share it."""

    def __init__(self, nmax):
        self.lock = threading.Lock()
        self.nleft = nmax
        self.passed = []

    def take(self, ntests):
        with self.lock:
            if ntests > self.nleft:
                return False
            self.nleft -= ntests
            return True


second_runs = SecondRuns(AGAIN_MAX)


class Place:
    """Where system tests run: on this machine, or in a test box of its own, which starts with the first file."""

    def __init__(self, number, is_box, marked):
        self.is_box = is_box
        self.marked = marked
        # In every box, `shared` of this directory is mounted on build/box/shared, the writable part of the checkout.
        self.directory = CHECKOUT / "build/box" / (f"lane{number}" if is_box else "")
        self.reports = self.directory / "shared"
        self.reports.mkdir(parents=True, exist_ok=True)
        self.environment = os.environ | ({"PMVM_BOX_DIR": str(self.directory)} if is_box else {})

    def box(self, *arguments, check=False):
        if self.is_box:
            subprocess.run([CHECKOUT / "tests/box/box.py", *arguments], check=check, env=self.environment)

    def run_once(self, group):
        """Runs files of tests, or tests by name; returns what pytest_totals does, and whether the box was lost."""
        report = self.reports / "system.xml"
        report.unlink(missing_ok=True)
        # -B, -p no:cacheprovider: in the box the checkout is read-only.
        command = [
            CHECKOUT / "tests/on-kvm",
            "/usr/bin/python3",
            "-B",
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-rsfE",
            "-v",
            "--tb=short",
            "-m",
            self.marked,
            f"--junitxml=build/box/shared/{report.name}",
            *group,
        ]
        try:
            done = subprocess.run(
                command,
                timeout=GROUP_MAX[self.marked],
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                check=False,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            output, is_lost = done.stdout, self.is_box and done.returncode == BOX_LOST
        except subprocess.TimeoutExpired as expired:
            output, is_lost = (expired.stdout or b"").decode(errors="replace"), False
            output += f"\n  {' '.join(map(str, group))}: not finished after {GROUP_MAX[self.marked]} s"
        totals, seconds, failed = pytest_totals(report, output) if report.exists() else (Totals(failed=1), {}, [])
        if totals.failed or totals.skipped or is_lost:
            say(output.rstrip())
        return totals, seconds, failed, is_lost

    def run_again(self, suite, failed):
        """Runs the tests that failed once more, and corrects the totals."""
        say(f"  failed, once more: {' '.join(failed)}")
        second, _, still, is_lost = self.run_once(failed)
        if not is_lost and not still and second.passed == len(failed):
            suite.failed = 0
            suite.passed += second.passed
            second_runs.passed += failed
        else:
            say(f"  failed twice: {' '.join(still or failed)}")

    def run(self, group):
        began = time.monotonic()
        suite, seconds, failed, is_lost = self.run_once(group)
        if is_lost:
            # The emulated host itself ended or hangs, which is no result of pmvm. Try again in a new one.
            say(f"  {names_of(group)}: the box was lost; once more in a new one")
            self.box("stop", "--now")
            self.box("start", check=True)
            suite, seconds, failed, _ = self.run_once(group)
        if self.is_box and failed and second_runs.take(len(failed)):
            self.run_again(suite, failed)
        parts = ", ".join(f"{name} {seconds[name]:.0f} s" for name in seconds)
        say(f"system {parts or names_of(group)}: {suite} ({time.monotonic() - began:.0f} s)")
        return suite


def names_of(group):
    return ", ".join(path.stem.removeprefix("test_") for path in group)


def taken(groups):
    """Yields groups of files until there are no more; two lanes may share them."""
    while True:
        try:
            yield groups.popleft()
        except IndexError:
            return


def run(place, groups):
    totals = Totals()
    if groups:
        place.box("start", check=True)
        try:
            for group in taken(groups):
                totals.add(place.run(group))
        finally:
            place.box("stop")
    return totals


def groups():
    """The files of system tests, in groups that run one after the other."""
    paths = {path.stem.removeprefix("test_"): path for path in sorted((CHECKOUT / "tests/system").glob("test_*.py"))}
    order = [paths.pop(name) for name in LONGEST] + list(paths.values())
    return [order[i : i + GROUP] for i in range(0, len(order), GROUP)]
