"""What suites of tests count and print.

SPDX-License-Identifier: Apache-2.0
"""


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
