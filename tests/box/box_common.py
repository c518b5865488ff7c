"""The paths of the box, and its messages to the user.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = CHECKOUT / "build/box"
# The files of one box. With PMVM_BOX_DIR a second box can run at the same time.
BOX = pathlib.Path(os.environ.get("PMVM_BOX_DIR", IMAGES)).absolute()


class BoxError(Exception):
    """A message for the user; the box command ends with status 125."""


def say(text):
    print(f"box: {text}", file=sys.stderr, flush=True)


def console_tail():
    """The last lines of the box's own console, for error messages."""
    try:
        lines = (BOX / "console.log").read_text(errors="replace").splitlines()[-15:]
    except FileNotFoundError:
        lines = []
    return "\n  ".join([f"the end of {BOX / 'console.log'}:", *lines])
