#!/usr/bin/python3
"""Runs a command as a service of systemd, hardened by the lines that docs/security.md lists.

SPDX-License-Identifier: Apache-2.0

Usage: tests/system/unit.py DIRECTORY SETTINGS COMMAND ARG...
  DIRECTORY  the service may write there; the unit and its output are below it
  SETTINGS   more lines of the section [Service], as a list in JSON

A systemd starts for it as process 1 of a PID namespace, and ends with it, with its status.
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/security.md"
SYSTEMD = pathlib.Path("/lib/systemd/systemd")
NAME = "pmvm-test.service"
GROUP = "users"  # of /dev/kvm meanwhile; systemd wants one that has a name

UNIT = """
[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=exec
ExecStart=:{command}
WorkingDirectory={directory}
ReadWritePaths={directory}
BindPaths={directory}
SupplementaryGroups={group}
StandardOutput=append:{place}/output
StandardError=append:{place}/output
{settings}
"""


def hardening():
    """The lines of the document."""
    (lines,) = re.findall(r"^```ini\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return lines


def write_unit(directory, settings, command):
    place = directory / "place"
    place.mkdir()
    text = UNIT.format(
        command=shlex.join(command).replace("%", "%%"),
        directory=directory,
        place=place,
        group=GROUP,
        settings=hardening() + "\n".join(settings),
    )
    (place / NAME).write_text(text)
    return place


def main():
    directory, settings, *command = sys.argv[1:]
    place = write_unit(pathlib.Path(directory), json.loads(settings), command)
    # Nothing of the host's configuration.
    paths = {f"SYSTEMD_{name}_PATH": str(place) for name in ("UNIT", "GENERATOR", "ENVIRONMENT_GENERATOR")}
    env = os.environ | paths | {"container": "pmvm-test"}
    start = f"mount -t tmpfs tmpfs /run && exec {SYSTEMD} --system --unit={NAME} --log-target=console"
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run([*unshare, "sh", "-c", start], env=env, check=False)
    if (place / "output").exists():
        sys.stderr.write((place / "output").read_text(errors="replace"))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
