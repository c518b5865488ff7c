#!/usr/bin/python3
"""Shows which lines and branches of virtio/, libvpmem/, vmm/pci/ and vmm/virtio/ the unit tests reach.

SPDX-License-Identifier: Apache-2.0

Usage: tests/coverage.py [--missing]
  --missing   also the lines that were not reached, and those with a branch that was not taken

Builds with gcc's counters below build/coverage, runs the unit tests, and lets gcovr read the counters. Branches
of assert are left out: they are for our own mistakes, and no test can take them. The exit status is 1 if one of the
folders is below its bounds.
"""
import json
import os
import pathlib
import subprocess
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
BUILD = CHECKOUT / "build/coverage"
# Per cent of lines and branches, at least.
BOUNDS = {"virtio": (98, 92), "libvpmem": (98, 92), "vmm/pci": (99.5, 98), "vmm/virtio": (95, 90)}
TESTS_MAX = 1800  # seconds for all unit tests
ASSERT = r"\s*(static_)?assert\(.*"


def run(command, output):
    return subprocess.run(
        command,
        stdout=output,
        stderr=output,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=TESTS_MAX,
        env=os.environ | {"CC": "gcc"},
    ).returncode


def measure():
    """Builds, runs the tests; returns gcovr's files, each with its lines, and whether all tests passed."""
    log = CHECKOUT / "build/coverage.log"
    BUILD.mkdir(parents=True, exist_ok=True)
    commands = [["ninja", "-C", BUILD]]
    if not (BUILD / "build.ninja").exists():
        # Threads count too, so the counters are atomic; without optimisation a branch is one of the source.
        commands.insert(
            0,
            [
                "meson",
                "setup",
                BUILD,
                CHECKOUT,
                "-Ddefault_library=static",
                "-Db_coverage=true",
                "-Dbuildtype=debug",
                "-Dc_args=-fprofile-update=atomic",
            ],
        )
    for old in BUILD.rglob("*.gcda"):
        old.unlink()
    with open(log, "wb") as output:
        for command in commands:
            if run(command, output):
                sys.exit(
                    f"tests/coverage.py: cannot build, see {log}; its end:\n{log.read_text(errors='replace')[-3000:]}"
                )
        failed = run(
            [
                "meson",
                "test",
                "-C",
                BUILD,
                "--suite",
                "unit",
                "--no-rebuild",
                "--num-processes",
                "1",
                "--timeout-multiplier",
                "5",
            ],
            output,
        )
    if failed:
        print(f"tests/coverage.py: not all tests passed, see {log}")
    text = subprocess.check_output(
        [
            "gcovr",
            "--root",
            CHECKOUT,
            "--json",
            "--exclude-branches-by-pattern",
            ASSERT,
            *[option for folder in BOUNDS for option in ("--filter", f"{folder}/")],
            BUILD,
        ],
        text=True,
        cwd=CHECKOUT,
    )
    return json.loads(text)["files"], not failed


def count(file):
    """Lines reached, lines, branches taken, branches; and what is missing, as text."""
    lines = [line for line in file["lines"] if not line["gcovr/noncode"] and not line["gcovr/excluded"]]
    branches = [(line["line_number"], branch["count"]) for line in lines for branch in line["branches"]]
    missed = sorted({line["line_number"] for line in lines if not line["count"]})
    partial = sorted({number for number, taken in branches if not taken} - set(missed))
    return (
        (len(lines) - len(missed), len(lines), sum(1 for _, taken in branches if taken), len(branches)),
        (missed, partial),
    )


def percent(part, whole):
    return 100 * part / whole if whole else 100.0


def row(name, counts):
    return (
        f"{name:34} {percent(*counts[:2]):6.1f} % of {counts[1]:5} lines "
        f"{percent(*counts[2:]):6.1f} % of {counts[3]:5} branches"
    )


def main():
    subprocess.run([CHECKOUT / "tools/install-packages", "build", "coverage"], check=True)
    files, enough = measure()
    for folder, (lines_min, branches_min) in BOUNDS.items():
        total = [0, 0, 0, 0]
        for file in sorted(files, key=lambda file: file["file"]):
            if pathlib.Path(file["file"]).parent != pathlib.Path(folder):
                continue
            counts, (missed, partial) = count(file)
            total = [a + b for a, b in zip(total, counts)]
            print(row(file["file"], counts))
            if "--missing" in sys.argv[1:] and (missed or partial):
                print(f"    lines {missed}\n    branches {partial}")
        print(row(f"{folder}/", total) + "\n")
        enough = enough and percent(*total[:2]) >= lines_min and percent(*total[2:]) >= branches_min
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
