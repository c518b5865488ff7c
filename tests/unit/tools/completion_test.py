#!/usr/bin/python3
"""What bash offers for the words of pmvm's command line, by dist/completion/pmvm.bash and the program itself.

SPDX-License-Identifier: Apache-2.0

Usage: completion_test.py SOURCE_ROOT PMVM

Prints TAP.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(sys.argv[1]).resolve() / "dist/completion/pmvm.bash"
PMVM = pathlib.Path(sys.argv[2]).resolve()

# Bash itself has compopt in a completion only.
CALL = """
compopt() { :; }
source "$1"
complete -p pmvm >/dev/null || exit 1
COMP_LINE=$3 COMP_POINT=${#3} COMPREPLY=()
_pmvm "$2"
printf '%s\\n' "${COMPREPLY[@]}"
"""

CASES = [
    # the line, all that is offered; or, with a "..." at the end, what has to be among it
    ("pmvm -ker", ["-kernel"]),
    ("pmvm -nographic -readc", ["-readconfig"]),
    ("pmvm -", ["-device", "-object", "-qmp", "-smp", "..."]),
    ("pmvm -device virtio-p", ["virtio-pmem-pci"]),
    ("pmvm --device virtio-bal", ["virtio-balloon", "virtio-balloon-pci"]),
    ("pmvm -device virtio-pmem-pci,mem", ["virtio-pmem-pci,memaddr=", "virtio-pmem-pci,memdev="]),
    # Readline has cut the word at the "=" then.
    ("pmvm -device virtio-pmem-pci,memdev=m,werr", ["m,werror="]),
    ("pmvm -device virtio-pmem-pci,memdev=m,werror=", ["report", "stop"]),
    ("pmvm -object memory-backend-file,share=o", ["off", "on"]),
    ("pmvm -object memory-backend-file,mem-path=ima", ["image"]),
    ("pmvm -object ", ["memory-backend-file", "rng-random", "..."]),
    ("pmvm -netdev str", ["stream"]),
    ("pmvm -chardev so", ["socket"]),
    ("pmvm -chardev socket,serv", ["socket,server="]),
    ("pmvm -machine mic", ["microvm"]),
    ("pmvm -cpu ", ["host", "kvm64", "max"]),
    ("pmvm -smp cor", ["cores="]),
    ("pmvm -kernel ima", ["image"]),
    ("pmvm -sandbox o", ["off", "on"]),
    ("pmvm -device nothing,x", []),
]


def offered(line):
    """In a directory that has a file "image"."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "image").touch()
        done = subprocess.run(
            ["bash", "--norc", "-c", CALL, "bash", SCRIPT, PMVM, line],
            cwd=folder,
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    return sorted(done.stdout.split()), done.stderr


def main():
    failed = 0
    for number, (line, wanted) in enumerate(CASES, 1):
        words, errors = offered(line)
        more = wanted[-1:] == ["..."]
        good = not errors and ({*wanted[:-1]} <= {*words} if more else words == wanted)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {line!r}")
        if not good:
            print(f"# wanted {wanted}, offered {words}\n# {errors}")
    print(f"1..{len(CASES)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
