"""Runs functions as tests, each with an empty folder of its own, and prints TAP.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import sys
import tempfile
import traceback


def main(tests):
    failed = 0
    for number, test in enumerate(tests, 1):
        # What a test left running may still write there.
        with tempfile.TemporaryDirectory(prefix="pmvm-", ignore_cleanup_errors=True) as folder:
            try:
                test(pathlib.Path(folder))
                good = True
            except Exception:  # pylint: disable=broad-exception-caught
                print("\n".join(f"# {text}" for text in traceback.format_exc().splitlines()))
                good = False
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {test.__name__}", flush=True)
    print(f"1..{len(tests)}")
    sys.exit(1 if failed else 0)
