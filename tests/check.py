#!/usr/bin/python3
"""Runs and counts the tests: style, unit tests with several compilers and sanitizers, fuzz targets, whole machines.

SPDX-License-Identifier: Apache-2.0

Usage: tests/check.py [--long] [style] [unit] [fuzz] [system] [powercut]      (all when none is named)
  --long      of the system tests only those that are marked long, which are not run otherwise

tests/style.py tests the style. Unit tests are cmocka programs, built and run once for each entry of BUILDS. Each fuzz
target is one test: its corpus, and FUZZ_TIME seconds of new inputs; `make fuzz TIME=...` continues from there. System
tests are pytest files in tests/system. They run where KVM is usable, otherwise in the test box. Power cuts of
tests/powercut.py always run in the test box. Each suite prints a line with its totals; the last line is "N passed,
N failed, N skipped". A skipped test prints its reason. Logs and reports are written to build/check.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from xml.etree import ElementTree

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(CHECKOUT / "tests/fuzz"))
import fuzz

REPORTS = CHECKOUT / "build/check"
UNIT_MAX = 600  # seconds for one test program; the machine may be busy
STYLE_MAX = 1500  # seconds for all tests of the sources' style; half a minute is usual
FUZZ_TIME = 3  # seconds of fuzzing for each target
FUZZ_MAX = 1800  # seconds for all targets, and for building them
GROUP = 3  # files of system tests in one pytest: its start takes some seconds in an emulated host
GROUP_MAX = 3000  # seconds for a group: four minutes are usual, where nothing else runs
BOX_LOST = 125  # tests/box/box.py: the box failed, not the command
CUTS = "bare=10,linux=1"  # power cuts with each guest; `make powercut` does more
CUTS_MAX = 1800  # seconds for them

# name, directory, compiler, Meson options. The first is what `make` has built. The second has clang's address and
# undefined-behaviour sanitizers, which find what gcc's find and more, and serves the fuzz targets as well. The third
# has no assertions. -Db_lundef=false: clang's sanitizers need undefined symbols in shared libraries.
BUILDS = [
    ("default", CHECKOUT / "build", None, None),
    (
        "clang-asan-ubsan",
        fuzz.directory_of(fuzz.SANITIZE),
        "clang",
        [*fuzz.options(fuzz.SANITIZE), "-Dwerror=true"],
    ),
    (
        "gcc-tsan-ndebug",
        REPORTS / "gcc-tsan-ndebug",
        "gcc",
        ["-Db_sanitize=thread", "-Db_ndebug=true", "-Dwerror=true"],
    ),
]
UNIT_JOBS = 3  # test programs at once: many wait for a time-out, or for the programs that they start
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=99:second_deadlock_stack=1",
}
# Tests of the sources and the build, which have the same result in each of BUILDS: they run in the first.
ONCE = {"fences", "seccomp"}
# ThreadSanitizer has nothing to find in a program with one thread.
THREADS_ONLY = {"gcc-tsan-ndebug"}
# The system tests that take longest come first, so that both lanes end at about the same time.
LONGEST = [
    *("guests", "net", "balloon", "bare_metal", "vhost_user", "device", "net_user", "real_pmem", "host_faults"),
    *("plug_cycles", "hotplug", "many_devices", "qmp", "ram", "host_disk", "serial_ports", "rng"),
]


# Runs a command with the processor time that other programs do not use. With sched_autogroup the kernel divides the
# time between sessions, so the command gets a session of its own at low priority. Elsewhere `nice` has that effect.
MODEST = ["setsid", "--wait", "sh", "-c", 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$@"', "sh"]


class Totals:
    """Counts of tests."""

    def __init__(self, failed=0):
        self.passed = self.skipped = 0
        self.left = 0  # not selected
        self.failed = failed

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.left += other.left

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def say(text):
    print(text, flush=True)


def build(name, directory, compiler, options):
    """Builds one variant, and configures it if it has options; returns its test programs, or None."""
    commands = [["ninja", "-C", directory]]
    if options is not None:
        # An older build of that name may have had other options.
        again = ["--reconfigure"] if (directory / "build.ninja").exists() else []
        commands.insert(0, ["meson", "setup", *again, directory, CHECKOUT, "-Ddefault_library=static", *options])
    with open(REPORTS / f"{name}.log", "wb") as log:
        for command in commands:
            done = subprocess.run(
                [*MODEST, *command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                check=False,
                env=os.environ | ({"CC": compiler} if compiler else {}),
            )
            if done.returncode:
                say(f"  {name}: cannot build, see {log.name}; its end:")
                say((REPORTS / f"{name}.log").read_text(errors="replace")[-3000:])
                return None
    tests = json.loads(subprocess.check_output(["meson", "introspect", "--tests", directory], text=True))
    return [
        (test["name"], absolute(test["cmd"], directory), test.get("env", {}))
        for test in tests
        if "pmvm:unit" in test["suite"]
    ]


def absolute(command, directory):
    """Meson names an argument that it builds relative to the build directory, in which it runs its tests."""
    return [str(directory / word) if (directory / word).is_file() else word for word in command]


def has_threads(program):
    """Whether a program calls pthread_create; one that is a script may."""
    done = subprocess.run(["nm", "--dynamic", "--undefined-only", program], capture_output=True, text=True, check=False)
    return done.returncode != 0 or "pthread_create" in done.stdout


def selected(build_name, tests):
    """The unit tests that are run in a build."""
    return [
        test
        for test in tests
        if (test[0] not in ONCE or build_name == BUILDS[0][0])
        and (build_name not in THREADS_ONLY or has_threads(test[1][0]))
    ]


def run_program(name, command, environment, time_max=UNIT_MAX):
    """Runs a program that prints TAP, as cmocka's do, or a plain one that only has an exit status."""
    totals = Totals()
    try:
        done = subprocess.run(
            [*MODEST, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=time_max,
            stdin=subprocess.DEVNULL,
            cwd=REPORTS,
            check=False,
            env=os.environ | SANITIZERS | environment | {"CMOCKA_MESSAGE_OUTPUT": "TAP"},
        )
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as expired:
        output, status = (expired.stdout or b"").decode(errors="replace"), f"time-out after {time_max} s"
    for line in output.splitlines():
        found = re.match(r"(not )?ok\b(.*)", line)
        if not found:
            continue
        if "# SKIP" in line:
            totals.skipped += 1
            say(f"  skipped: {name}:{found[2]}")
        elif found[1]:
            totals.failed += 1
        else:
            totals.passed += 1
    if totals.passed + totals.failed + totals.skipped == 0 and status == 0:
        totals.passed = 1
    elif status and not totals.failed:
        totals.failed = 1
    if totals.failed:
        say(f"  FAILED: {name} (exit status {status}):\n{output[-6000:]}")
    return totals


def style():
    began = time.monotonic()
    totals = run_program("style", [CHECKOUT / "tests/style.py"], {}, STYLE_MAX)
    say(f"style: {totals} ({time.monotonic() - began:.0f} s)")
    return totals


def unit():
    totals = Totals()
    for name, directory, compiler, options in BUILDS:
        began, suite = time.monotonic(), Totals()
        tests = build(name, directory, compiler, options)
        if not tests:
            suite.failed = 1
            say(f"  {name}: no test was built")
        with concurrent.futures.ThreadPoolExecutor(UNIT_JOBS) as jobs:
            for totals_of_one in [
                jobs.submit(run_program, f"{name}/{test}", command, environment)
                for test, command, environment in selected(name, tests or [])
            ]:
                suite.add(totals_of_one.result())
        say(f"unit {name}: {suite} ({time.monotonic() - began:.0f} s)")
        totals.add(suite)
    return totals


def fuzz_targets():
    began = time.monotonic()
    totals = run_program("fuzz", [CHECKOUT / "tests/fuzz/fuzz.py", f"--time={FUZZ_TIME}"], {}, FUZZ_MAX)
    say(f"fuzz: {totals} ({time.monotonic() - began:.0f} s)")
    return totals


def pytest_totals(report, output):
    """The totals of a run of pytest, and the seconds of each file."""
    totals, seconds = Totals(), collections.Counter()
    totals.left = sum(map(int, re.findall(r"collected \d+ items? / (\d+) deselected", output)))
    for suite in ElementTree.parse(report).iter("testsuite"):
        count = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        totals.failed += count["failures"] + count["errors"]
        totals.skipped += count["skipped"]
        totals.passed += count["tests"] - count["failures"] - count["errors"] - count["skipped"]
        for case in suite.iter("testcase"):
            seconds[case.get("classname").rpartition("test_")[2]] += float(case.get("time"))
    return totals, seconds


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
        """Runs files of tests; returns their totals, the seconds of each, and whether the box was lost meanwhile."""
        report = self.reports / f"{group[0].stem}.xml"
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
                timeout=GROUP_MAX,
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
            output += f"\n  {names_of(group)}: not finished after {GROUP_MAX} s"
        totals, seconds = pytest_totals(report, output) if report.exists() else (Totals(failed=1), {})
        if totals.failed or totals.skipped or is_lost:
            say(output.rstrip())
        return totals, seconds, is_lost

    def run(self, group):
        began = time.monotonic()
        suite, seconds, is_lost = self.run_once(group)
        if is_lost:
            # The emulated host itself ended or hangs, which is no result of pmvm. Try again in a new one.
            say(f"  {names_of(group)}: the box was lost; once more in a new one")
            self.box("stop", "--now")
            self.box("start", check=True)
            suite, seconds, _ = self.run_once(group)
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


def system(place, groups):
    totals = Totals()
    if groups:
        place.box("start", check=True)
        try:
            for group in taken(groups):
                totals.add(place.run(group))
        finally:
            place.box("stop")
    return totals


def powercut():
    began, totals, output = time.monotonic(), Totals(), ""
    command = [CHECKOUT / "tests/powercut.py", "--cuts", CUTS]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as process:
            try:
                output, _ = process.communicate(timeout=CUTS_MAX)
            except subprocess.TimeoutExpired:
                process.terminate()
                output, _ = process.communicate()
                output += f"not finished after {CUTS_MAX} s"
        found = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
        if found:
            totals.passed, totals.failed = int(found[1]), int(found[2])
            break
        # The emulated host ended or hangs, which is no result of pmvm. Try again.
        say(f"  powercut: came to no result (exit status {process.returncode}):\n{output[-3000:]}")
    else:
        totals.failed = 1
    if totals.failed and found:
        say(f"  FAILED: powercut:\n{output[-6000:]}")
    say(f"powercut: {totals} ({time.monotonic() - began:.0f} s)")
    return totals


# The lanes run at the same time: an emulated host keeps one processor busy, and no more. If it is delayed for long, its
# timers sometimes stop, so the suites without an emulated host run with low priority (MODEST). A lane that has finished
# its suites takes files of system tests.
LANES = [{"style": style, "unit": unit, "fuzz": fuzz_targets}, {"powercut": powercut}]
SUITES = [*LANES[0], *LANES[1], "system"]


def run_lane(lane, names, place, groups):
    totals = Totals()
    for name, suite in lane.items():
        if name in names:
            totals.add(suite())
    totals.add(system(place, groups))
    return totals


def system_groups():
    """The files of system tests, in groups that run one after the other."""
    paths = {path.stem.removeprefix("test_"): path for path in sorted((CHECKOUT / "tests/system").glob("test_*.py"))}
    order = [paths.pop(name) for name in LONGEST] + list(paths.values())
    return [order[i : i + GROUP] for i in range(0, len(order), GROUP)]


def prepare(names):
    """Prepares what two lanes would otherwise make at the same time. Returns whether system tests need a box."""
    groups = ["build", "test"] + (["guest", "sqlite", "box", "power"] if {"system", "powercut"} & names else [])
    subprocess.run([CHECKOUT / "tools/install-packages", *groups], check=True)
    REPORTS.mkdir(parents=True, exist_ok=True)
    if not {"system", "powercut"} & names:
        return False
    subprocess.run([CHECKOUT / "guest/build", "cloud", "generic", "ndctl", "sqlite"], check=True)
    subprocess.run([CHECKOUT / "oci/guest/build"], check=True)
    where = subprocess.run(
        [CHECKOUT / "tests/on-kvm", "--where"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    if where == "box" or "powercut" in names:
        subprocess.run([CHECKOUT / "tests/box/build"], check=True)
    return where == "box"


def main():
    is_long = "--long" in sys.argv[1:]
    names = set(sys.argv[1:]) - {"--long"} or ({"system"} if is_long else set(SUITES))
    if unknown := sorted(names - set(SUITES)):
        sys.exit(f"tests/check.py: no suite '{unknown[0]}'; there are: {' '.join(SUITES)}")
    is_box = prepare(names)
    groups = collections.deque(system_groups() if "system" in names else [])
    # Directly on KVM they take one lane: there they are fast, and share the machine's devices.
    groups_of = [groups, groups if is_box else collections.deque()]
    totals = Totals()
    with concurrent.futures.ThreadPoolExecutor() as lanes:
        running = [
            lanes.submit(
                run_lane, lane, names, Place(number, is_box, "long" if is_long else "not long"), groups_of[number]
            )
            for number, lane in enumerate(LANES)
        ]
        for lane in running:
            totals.add(lane.result())
    if totals.left and not is_long:
        say(f"left out: {totals.left} long system tests; `make check-long` runs them")
    say(str(totals))
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main())
