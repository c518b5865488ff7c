#!/usr/bin/python3
"""Tests the style of the sources and the form of the documents, or applies the style.

SPDX-License-Identifier: Apache-2.0

Usage: tests/style.py [--apply]
  --apply     clang-format changes the C sources, and black the Python programs; nothing is tested

The styles are those of .clang-format and pyproject.toml. Prints one line of TAP for each test; the exit status is 1
when one of them failed. Only files that git tracks are read.
"""
import os
import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
WIDTH = 120
CELL_MAX = 120  # characters of a cell of a table


def tracked(*patterns):
    """Returns the tracked files that exist, relative to the checkout."""
    text = subprocess.check_output(["git", "ls-files", "-z", "--", *patterns], cwd=CHECKOUT, text=True)
    return [name for name in text.split("\0") if name and (CHECKOUT / name).is_file()]


def run(*command):
    """Runs a program; returns the lines of its output if it fails, otherwise none."""
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    return output.splitlines() or [f"exit status {done.returncode}"] if done.returncode else []


def c_style():
    return run("clang-format", "--dry-run", "-Werror", *tracked("*.c", "*.h"))


def python_style():
    return run("black", "--quiet", "--check", "--diff", *tracked("*.py"))


def python_rules():
    return run("pylint", "--jobs=2", *tracked("*.py"))


def python_names():
    """A program ends in .py, and no two of them have the same name, because they may be in one sys.path."""
    bad, seen = [], {}
    for name in tracked():
        with open(CHECKOUT / name, "rb") as f:
            is_python = re.match(rb"#!.*python", f.readline())
        if is_python and not name.endswith(".py"):
            bad.append(f"{name}: a Python program whose name does not end in .py")
        if name.endswith(".py"):
            other = seen.setdefault(pathlib.Path(name).stem, name)
            if other != name:
                bad.append(f"{name}: has the name of {other}")
    return bad


def prose(name):
    """Yields (number, line) of a document without its code blocks."""
    is_code = False
    for number, line in enumerate((CHECKOUT / name).read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, line


def is_table(line):
    return line.lstrip().startswith("|")


def test_names():
    """The name of a test says the behaviour; it does not begin with a code such as q10_."""
    code = re.compile(r"(?:static void (?:checklist_)?|def test_)([dgpqs]\d{1,2}_\w+)\(")
    return [
        f"{name}: {test}"
        for name in tracked("tests/*.c", "tests/*.py")
        for test in code.findall((CHECKOUT / name).read_text(encoding="utf-8"))
    ]


def document_width():
    """Lines outside of tables and code fit into one width; a line that is one long word, such as a link, cannot."""
    return [
        f"{name}:{number}: {len(line)} characters, the width is {WIDTH}"
        for name in tracked("*.md")
        for number, line in prose(name)
        if len(line) > WIDTH and not is_table(line) and " " in line.lstrip(" -*#>").strip()
    ]


def document_tables():
    """A cell holds a phrase. `\\|` is a character of a cell."""
    return [
        f"{name}:{number}: a cell of {len(cell)} characters: {cell[:40]}..."
        for name in tracked("*.md")
        for number, line in prose(name)
        if is_table(line)
        for cell in (cell.strip() for cell in re.split(r"(?<!\\)\|", line))
        if len(cell) > CELL_MAX
    ]


def anchors(name):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = (re.match(r"#+ +(.*)", line) for _, line in prose(name))
    return {re.sub(r"[^\w\- ]", "", found[1].lower()).strip().replace(" ", "-") for found in headings if found}


def document_links():
    """A relative link or image leads to a file that a clone has, or to a folder of such files, and to a heading."""
    files = set(tracked())
    folders = {str(parent) for name in files for parent in pathlib.Path(name).parents}
    bad = []
    for name in tracked("*.md"):
        for number, line in prose(name):
            for target in re.findall(r"\]\(([^)\s]+)(?: [^)]*)?\)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                where = (CHECKOUT / name).parent / path if path else CHECKOUT / name
                found = os.path.relpath(where, CHECKOUT)
                if found not in files | folders:
                    bad.append(f"{name}:{number}: no file {target} in a clone")
                elif anchor and found.endswith(".md") and anchor not in anchors(found):
                    bad.append(f"{name}:{number}: no heading for {target}")
    return bad


def document_pictures():
    """The pictures of the documents are well-formed; document_links tests that they are tracked."""
    bad = []
    for name in tracked("docs/*.svg"):
        try:
            ElementTree.parse(CHECKOUT / name)
        except ElementTree.ParseError as e:
            bad.append(f"{name}: {e}")
    return bad


def manual_pages():
    """mandoc has nothing to say, but that this machine has no index of the pages, or not ours, that one refers to."""
    pages = tracked("docs/*.[1-8]")
    own = {f"Xr {pathlib.Path(page).stem} {page[-1]}" for page in pages}
    lines = [re.sub(r" \(\d+ times\)$", "", line) for line in run("mandoc", "-T", "lint", *pages)]
    return [
        line
        for line in lines
        if "outdated mandoc.db" not in line
        and not line.startswith("exit status")
        and not ("referenced manual not found" in line and line.rpartition(": ")[2] in own)
    ]


TESTS = [
    c_style,
    python_style,
    python_rules,
    python_names,
    test_names,
    document_width,
    document_tables,
    document_links,
    document_pictures,
    manual_pages,
]


def apply():
    subprocess.run(["clang-format", "-i", *tracked("*.c", "*.h")], cwd=CHECKOUT, check=True)
    subprocess.run(["black", "--quiet", *tracked("*.py")], cwd=CHECKOUT, check=True)


def main():
    if sys.argv[1:] not in ([], ["--apply"]):
        sys.exit(__doc__.split("\n\n")[2])
    subprocess.run([CHECKOUT / "tools/install-packages", "test"], check=True)
    if sys.argv[1:]:
        apply()
        return 0
    failed = 0
    for number, test in enumerate(TESTS, 1):
        bad = test()
        failed += bool(bad)
        for line in bad:
            print(f"# {line}")
        print(f"{'not ' if bad else ''}ok {number} - {test.__name__}", flush=True)
    print(f"1..{len(TESTS)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
