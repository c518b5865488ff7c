"""What crun's tests use of the Python module libmount, which Debian has not.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib


class Target:
    """A line of /proc/PID/mountinfo."""

    def __init__(self, line):
        words, _, more = line.partition(" - ")
        self.path, self.vfs_options = words.split()[4:6]
        self.fs_options = more.split()[2]


class Table:
    """The mounts that a file lists."""

    def __init__(self, path):
        self.targets = [Target(line) for line in pathlib.Path(path).read_text().splitlines() if " - " in line]

    def find_target(self, path):
        return [target for target in self.targets if target.path == path][-1]
