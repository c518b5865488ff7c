#!/usr/bin/python3
"""When tools/install-packages refreshes the package lists, and that it installs with the old ones where that fails.

SPDX-License-Identifier: Apache-2.0

Usage: install_packages_test.py SOURCE_ROOT

dpkg-query, apt-get and apt-cache are replaced by programs that log their calls. Prints TAP.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(sys.argv[1]).resolve() / "tools/install-packages"

# Fails for what $FAILS names; the second install succeeds where it names "install-once".
FAKE = """#!/bin/sh
case "$(basename "$0") $*" in
dpkg-query*) [ "$MISSING" ] && exit 1; printf installed; exit 0;;
apt-cache*) call=cache;;
*update*) call=update;;
*) call=install;;
esac
echo $call >>"$LOG"
case " $FAILS " in
*" $call "*) exit 1;;
*" $call-once "*) [ "$(grep -c $call "$LOG")" -gt 1 ];;
esac
"""


def calls(arguments, missing, fails):
    """Runs the script; returns its exit status and the calls that it made."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder, "log")
        log.touch()
        for name in "dpkg-query", "apt-get", "apt-cache":
            program = pathlib.Path(folder, name)
            program.write_text(FAKE, encoding="utf-8")
            program.chmod(0o755)
        sudo = pathlib.Path(folder, "sudo")
        sudo.write_text('#!/bin/sh\n[ "$1" != -n ] || shift\nexec "$@"\n', encoding="utf-8")
        sudo.chmod(0o755)
        done = subprocess.run(
            [SCRIPT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
            env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(log), "FAILS": fails,
                              "MISSING": "yes" if missing else ""},
        )  # fmt: skip
        return done.returncode, log.read_text(encoding="utf-8").split()


CASES = [
    # arguments, whether packages are missing, what fails; the exit status, the calls
    (["build"], False, "", 0, []),
    (["build"], True, "", 0, ["cache", "install"]),
    (["build"], True, "cache", 0, ["cache", "update", "install"]),
    (["build"], True, "cache update", 0, ["cache", "update", "install"]),
    (["build"], True, "cache update install", 1, ["cache", "update", "install"]),
    (["build"], True, "install-once", 0, ["cache", "install", "update", "install"]),
    (["build"], True, "install update", 1, ["cache", "install", "update"]),
    (["--update", "build"], True, "", 0, ["update", "install"]),
    (["--update", "build"], True, "update", 0, ["update", "install"]),
    (["--update", "build"], True, "install", 1, ["update", "install"]),
    (["--update"], False, "", 0, ["update"]),
    (["--update"], False, "update", 1, ["update"]),
    (["--update", "build"], False, "update", 1, ["update"]),
    (["nonsense"], True, "", 1, []),
]


def main():
    failed = 0
    for number, (arguments, missing, fails, *expected) in enumerate(CASES, 1):
        result = list(calls(arguments, missing, fails))
        failed += result != expected
        fact = (
            f"{' '.join(arguments)}, {'packages are missing' if missing else 'none is missing'}, fails: {fails or '-'}"
        )
        print(f"{'ok' if result == expected else 'not ok'} {number} - {fact}")
        if result != expected:
            print(f"# {result}, expected {expected}")
    print(f"1..{len(CASES)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
