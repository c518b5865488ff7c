"""The program's calls, and its syncs of its files, as strace records them.

SPDX-License-Identifier: Apache-2.0
"""
import re

CALLS = ("fdatasync", "fsync", "msync", "sync_file_range", "syncfs", "sync")


def traced(log, *inject, calls=("fdatasync",)):
    """A prefix for the program that records its `calls` in `log`; `inject` are strace's own options."""
    trace = f"trace={','.join(calls)}"
    return ["strace", "-f", "--seccomp-bpf", "-y", "-o", log, "-e", trace, *inject]


def syncs(log, path=None):
    """How many syncs began; those of one file only, where its path is given.

    A file system that is mounted in the guest flushes its device by itself as well: a test that counts exactly names
    a file that the guest has not mounted.
    """
    which = rf"\d+<{re.escape(str(path))}>" if path else ""
    return len(re.findall(rf"\b(?:{'|'.join(CALLS)})\({which}", log.read_text()))


def calls(log):
    """The calls that have returned, one each: strace has two lines for one that another thread's line interrupts."""
    begun, whole = {}, []
    for line in log.read_text(errors="replace").splitlines():
        thread, _, text = line.partition(" ")
        text = text.lstrip()
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        if text.endswith(" <unfinished ...>"):
            begun[thread] = text.removesuffix(" <unfinished ...>")
        elif resumed:
            whole.append(begun.pop(thread, "") + resumed[1])
        else:
            whole.append(text)
    return whole
