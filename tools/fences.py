#!/usr/bin/python3
"""Refuses includes by which a room could reach past its include directories. Part of the build.

SPDX-License-Identifier: Apache-2.0

Usage: tools/fences.py ROOT [--stamp FILE] [--depfile FILE]

A room (docs/architecture.md) is compiled with the include directories of the rooms that it may know, so the plain name
of another room's header is not found. A path would be: "../kvm/kvm.h". So the sources below ROOT include plain names of
ours, and system headers; no path between quotes, no ".." anywhere, no absolute path, no name that a macro makes.
"""
import argparse
import pathlib
import re
import sys

ROOMS = ["include", "virtio", "libvpmem", "vmm", "oci", "watch"]
# "%:" and "??=" are other spellings of "#".
INCLUDE = re.compile(r"^[ \t\f\v]*(?:#|%:|\?\?=)[ \t]*(?:include|include_next|import)\b[ \t]*(.*)$", re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def fault(what):
    """What is wrong with the operand of an #include; None: nothing."""
    if match := re.match(r'"([^"]*)"', what):
        return "a path between quotes: the build names the directories" if "/" in match[1] else None
    if match := re.match(r"<([^>]*)>", what):
        if ".." in match[1].split("/") or match[1].startswith("/"):
            return "a path that leaves the include directories"
        return None
    return "a name that a macro makes"


def faults(path):
    """Each (line, operand, what is wrong) of a file."""
    if path.is_symlink():
        yield 1, path.name, "a symbolic link, which may lead to another room"
    # As the preprocessor reads: a line that goes on is one line, a comment is a space. Lines keep their numbers.
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    text = COMMENT.sub(lambda match: " " + "\n" * match[0].count("\n"), text)
    for match in INCLUDE.finditer(text):
        wrong = fault(match[1])
        if wrong:
            yield text.count("\n", 0, match.start()) + 1, match[1].strip(), wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--stamp", type=pathlib.Path)
    parser.add_argument("--depfile", type=pathlib.Path)
    args = parser.parse_args()

    folders = [
        folder for room in ROOMS for folder in [args.root / room, *(args.root / room).rglob("*")] if folder.is_dir()
    ]
    sources = sorted(file for folder in folders for kind in ["*.[ch]", "*.asl"] for file in folder.glob(kind))
    if not sources:
        sys.exit(f"fences: no sources below {args.root}")
    found = [(source, *wrong) for source in sources for wrong in faults(source)]
    for source, line, what, wrong in found:
        print(f"{source}:{line}: error: #include {what}: {wrong}", file=sys.stderr)
    if found:
        sys.exit(1)
    if args.depfile:
        # With the folders, so that a new file is noticed.
        args.depfile.write_text(f"{args.stamp}: {' '.join(map(str, [*folders, *sources]))}\n")
    if args.stamp:
        args.stamp.write_text("")


if __name__ == "__main__":
    main()
