#!/usr/bin/python3
"""Runs and counts the tests: style, unit tests with several compilers and sanitizers, fuzz targets, whole machines.

SPDX-License-Identifier: Apache-2.0

Usage: tests/check.py [--long] [style] [unit] [fuzz] [system] [powercut] [failover]      (all when none is named)
  --long      of the system tests only those that are marked long, which are not run otherwise

tests/style.py tests the style. Unit tests are cmocka programs, built and run once for each entry of BUILDS. Each fuzz
target is one test: its corpus, and FUZZ_TIME seconds of new inputs; `make fuzz TIME=...` continues from there. System
tests are pytest files in tests/system. They run where KVM is usable, otherwise in the test box, where one that fails
runs once more (tests/system_suite.py). Power cuts of tests/powercut.py and the failover of tests/failover.py always run
in the test box. Each suite prints a line with its totals; the last line is "N passed, N failed, N skipped". A skipped
test prints its reason. Logs and reports are written to build/check.
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

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / "tests/fuzz")]
import fuzz
import system_suite
from totals import Totals, say

REPORTS = CHECKOUT / "build/check"
UNIT_MAX = 600  # seconds for one test program; the machine may be busy
STYLE_MAX = 1500  # seconds for all tests of the sources' style; half a minute is usual
FUZZ_TIME = 3  # seconds of fuzzing for each target
FUZZ_MAX = 1800  # seconds for all targets, and for building them
CUTS = "bare=2,linux=1"  # power cuts with each guest; `make powercut` does more
CUTS_MAX = 1800  # seconds for them
FAILOVER_MAX = 1200  # seconds for one failover; one minute is usual

OPTIMIZATION = 0  # of the builds with sanitizers
# name, directory, compiler, Meson options. The first is what `make` has built. The second has clang's address and
# undefined-behaviour sanitizers, which find what gcc's find and more, and serves the fuzz targets as well. The third
# has no assertions. The sanitizers' builds are not optimized: compiling took most of their time.
BUILDS = [
    ("default", CHECKOUT / "build", None, None),
    (
        "clang-asan-ubsan",
        fuzz.directory_of(fuzz.SANITIZE, OPTIMIZATION),
        "clang",
        [*fuzz.options(fuzz.SANITIZE, OPTIMIZATION), "-Dwerror=true"],
    ),
    (
        "gcc-tsan-ndebug",
        REPORTS / "gcc-tsan-ndebug",
        "gcc",
        [
            "-Db_sanitize=thread",
            "-Db_ndebug=true",
            f"-Doptimization={OPTIMIZATION}",
            fuzz.GOLD,
            "-Dwerror=true",
        ],
    ),
]
UNIT_JOBS = 3  # test programs at once: many wait for a time-out, or for the programs that they start
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=99:second_deadlock_stack=1",
}
# Tests of the sources and the build, which have the same result in each of BUILDS: they run in the first.
ONCE = {"completion", "fences", "install_packages", "seccomp", "watch_dist"}
# ThreadSanitizer has nothing to find in a program with one thread.
THREADS_ONLY = {"gcc-tsan-ndebug"}
THREADS_OF_LIBRARIES = {"watch_metrics"}  # the HTTP server's

# Runs a command with the processor time that other programs do not use. With sched_autogroup the kernel divides the
# time between sessions, so the command gets a session of its own at low priority. Elsewhere `nice` has that effect.
MODEST = ["setsid", "--wait", "sh", "-c", 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$@"', "sh"]


def build(name, directory, compiler, options):
    """Builds one variant's unit tests, and configures it if it has options; returns them, or None."""
    with open(REPORTS / f"{name}.log", "wb") as log:

        def is_done(*command):
            return not subprocess.run(
                [*MODEST, *command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                check=False,
                env=os.environ | ({"CC": compiler} if compiler else {}),
            ).returncode

        # An older build of that name may have had other options.
        again = ["--reconfigure"] if (directory / "build.ninja").exists() else []
        if options is None or is_done(
            "meson", "setup", *again, directory, CHECKOUT, "-Ddefault_library=static", *options
        ):
            tests = [test for test in introspect(directory, "tests") if is_wanted(name, directory, test)]
            files = {target["id"]: target["filename"] for target in introspect(directory, "targets")}
            needed = sorted({file for test in tests for target in test["depends"] for file in files[target]})
            if is_done("ninja", "-C", directory, *[os.path.relpath(file, directory) for file in needed]):
                return tests
    say(f"  {name}: cannot build, see {log.name}; its end:")
    say((REPORTS / f"{name}.log").read_text(errors="replace")[-3000:])
    return None


def introspect(directory, what):
    return json.loads(subprocess.check_output(["meson", "introspect", f"--{what}", directory], text=True))


def absolute(command, directory):
    """Meson names an argument that it builds relative to the build directory, in which it runs its tests."""
    return [str(directory / word) if (directory / word).is_file() else word for word in command]


def is_wanted(build_name, directory, test):
    """Whether a test runs in a build."""
    if "pmvm:unit" not in test["suite"] or (test["name"] in ONCE and build_name != BUILDS[0][0]):
        return False
    if build_name not in THREADS_ONLY or test["name"] in THREADS_OF_LIBRARIES:
        return True
    # As the first build has it, the test's program, or those that a script gets.
    words = [BUILDS[0][1] / (os.path.relpath(word, directory) if word[0] == "/" else word) for word in test["cmd"]]
    programs = [word for word in words if is_program(word)]
    return not programs or any(has_threads(program) for program in programs)


def is_program(path):
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def has_threads(program):
    """Whether a program calls pthread_create."""
    done = subprocess.run(["nm", program], capture_output=True, text=True, check=True)
    return "pthread_create" in done.stdout


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
                jobs.submit(run_program, f"{name}/{test['name']}", absolute(test["cmd"], directory), test["env"])
                for test in tests or []
            ]:
                suite.add(totals_of_one.result())
        say(f"unit {name}: {suite} ({time.monotonic() - began:.0f} s)")
        totals.add(suite)
    return totals


def fuzz_targets():
    began = time.monotonic()
    totals = run_program(
        "fuzz", [CHECKOUT / "tests/fuzz/fuzz.py", f"--time={FUZZ_TIME}", f"--optimization={OPTIMIZATION}"], {}, FUZZ_MAX
    )
    say(f"fuzz: {totals} ({time.monotonic() - began:.0f} s)")
    return totals


def hosts_lost(name, command, time_max):
    """Runs a program that ends emulated hosts without warning, and says at last how many times nothing was lost."""
    began, totals, output = time.monotonic(), Totals(), ""
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as process:
            try:
                output, _ = process.communicate(timeout=time_max)
            except subprocess.TimeoutExpired:
                process.terminate()
                output, _ = process.communicate()
                output += f"not finished after {time_max} s"
        found = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
        if found:
            totals.passed, totals.failed = int(found[1]), int(found[2])
            break
        # The emulated host ended or hangs, which is no result of pmvm. Try again.
        say(f"  {name}: came to no result (exit status {process.returncode}):\n{output[-3000:]}")
    else:
        totals.failed = 1
    if totals.failed and found:
        say(f"  FAILED: {name}:\n{output[-6000:]}")
    say(f"{name}: {totals} ({time.monotonic() - began:.0f} s)")
    return totals


def powercut():
    return hosts_lost("powercut", [CHECKOUT / "tests/powercut.py", "--cuts", CUTS], CUTS_MAX)


def failover():
    # A disk on a server needs one emulated host at a time; `make failover` has two at once, with a disk on both.
    return hosts_lost("failover", [CHECKOUT / "tests/failover.py", "--failovers=1", "--storage=nbd"], FAILOVER_MAX)


# The lanes run at the same time: an emulated host keeps one processor busy, and no more. If it is delayed for long, its
# timers sometimes stop, so the suites without an emulated host run with low priority (MODEST). A lane that has finished
# its suites takes files of system tests.
LANES = [{"style": style, "unit": unit, "fuzz": fuzz_targets}, {"powercut": powercut, "failover": failover}]
SUITES = [*LANES[0], *LANES[1], "system"]
IN_BOX = {"system", *LANES[1]}  # they need guests, and an emulated host (system tests only where KVM is not usable)


def run_lane(lane, names, place, groups):
    totals = Totals()
    for name, suite in lane.items():
        if name in names:
            totals.add(suite())
    totals.add(system_suite.run(place, groups))
    return totals


def prepare(names, is_long):
    """Prepares what two lanes would otherwise make at the same time. Returns whether system tests need a box."""
    groups = ["build", "test"] + (["guest", "sqlite", "box", "power"] if IN_BOX & names else [])
    groups += ["podman"] if is_long else []
    subprocess.run([CHECKOUT / "tools/install-packages", *groups], check=True)
    REPORTS.mkdir(parents=True, exist_ok=True)
    if not IN_BOX & names:
        return False
    subprocess.run([CHECKOUT / "guest/build", "cloud", "generic", "ndctl", "sqlite"], check=True)
    subprocess.run([CHECKOUT / "oci/guest/build"], check=True)
    where = subprocess.run(
        [CHECKOUT / "tests/on-kvm", "--where"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    if where == "box" or IN_BOX - {"system"} & names:
        subprocess.run([CHECKOUT / "tests/box/build"], check=True)
    return where == "box"


def main():
    is_long = "--long" in sys.argv[1:]
    names = set(sys.argv[1:]) - {"--long"} or ({"system"} if is_long else set(SUITES))
    if unknown := sorted(names - set(SUITES)):
        sys.exit(f"tests/check.py: no suite '{unknown[0]}'; there are: {' '.join(SUITES)}")
    is_box = prepare(names, is_long)
    groups = collections.deque(system_suite.groups() if "system" in names else [])
    # Directly on KVM they take one lane: there they are fast, and share the machine's devices.
    groups_of = [groups, groups if is_box else collections.deque()]
    totals = Totals()
    with concurrent.futures.ThreadPoolExecutor() as lanes:
        running = [
            lanes.submit(
                run_lane,
                lane,
                names,
                system_suite.Place(number, is_box, "long" if is_long else "not long"),
                groups_of[number],
            )
            for number, lane in enumerate(LANES)
        ]
        for lane in running:
            totals.add(lane.result())
    if totals.left and not is_long:
        say(f"left out: {totals.left} long system tests; `make check-long` runs them")
    for test in system_suite.second_runs.passed:
        say(f"passed only when it ran once more: {test}")
    say(str(totals))
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main())
