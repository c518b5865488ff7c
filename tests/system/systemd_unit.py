"""pmvm@.service under a real systemd, which is process 1 of a PID namespace of the test's.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib
import shutil
import subprocess

from echo import wait_until
from machine import CHECKOUT, near, pmvm

SYSTEMD = pathlib.Path("/lib/systemd/systemd")
SYSTEMCTL = shutil.which("systemctl")
NSENTER = shutil.which("nsenter")
JOB_MAX = 400
TARGET = "pmvm-test.target"
UNIT = "pmvm@test.service"
METRICS = CHECKOUT / "build/pmvm-metrics"
METRICS_UNIT, METRICS_SOCKET = "pmvm-metrics.service", "/run/pmvm-metrics/http"

# What is special about the test: no other units, a directory of its own, and the group that /dev/kvm has meanwhile.
OF_ALL = """
[Unit]
DefaultDependencies=no

[Service]
BindPaths={directory}
ReadWritePaths={directory}
StandardOutput=append:{directory}/output
StandardError=append:{directory}/output
"""
OF_MACHINES = """
SupplementaryGroups=
SupplementaryGroups={group}
{settings}
"""


def missing():
    """The program that there is not; None: all are there."""
    if not SYSTEMD.exists() or not SYSTEMCTL:
        return "the package systemd"
    return None if NSENTER else "nsenter"


def install(directory, conf, env):
    """The unit, its programs and the files of the machine, with a prefix of its own."""
    files = {
        directory / "bin/pmvm": pmvm(),
        directory / "libexec/pmvm/pmvm-stop": near(CHECKOUT / "build/dist/systemd/pmvm-stop"),
    }
    if METRICS.exists():
        files[directory / "bin/pmvm-metrics"] = METRICS
    for path, program in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program, path)
        path.chmod(0o755)
    etc, units = directory / "etc/pmvm", directory / "units"
    etc.mkdir(parents=True)
    (etc / "test.conf").write_text(conf)
    (etc / "test.env").write_text(env)
    units.mkdir()
    for template in (CHECKOUT / "dist/systemd").glob("*.service.in"):
        text = template.read_text()
        for name, place in (("bindir", "bin"), ("libexecdir", "libexec"), ("sysconfdir", "etc")):
            text = text.replace(f"@{name}@", str(directory / place))
        (units / template.stem).write_text(text)
    (directory / "etc/default").mkdir()
    (directory / "etc/default/pmvm-metrics").write_text(f'PMVM_METRICS_ARGS="--listen unix:{METRICS_SOCKET}"\n')
    (units / TARGET).write_text("[Unit]\nDefaultDependencies=no\n")
    return units


class Manager:
    """A systemd with the units of a directory, as a context manager. `group` is its root of all control groups."""

    def __init__(self, directory, group=None):
        self.directory = directory
        self.group = group
        self.manager = self.process = None

    def __enter__(self):
        # Nothing of the host's configuration, and no trace in its directories.
        units = self.directory / "units"
        env = os.environ | {f"SYSTEMD_{name}_PATH": str(units) for name in ("GENERATOR", "ENVIRONMENT_GENERATOR")}
        env |= {"SYSTEMD_UNIT_PATH": f"{units}:/run/systemd/transient", "container": "pmvm-test"}
        mounts = "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib"
        if self.group:
            mounts += f" && echo 0 >{self.group}/cgroup.procs"
        start = f"{mounts} && exec {SYSTEMD} --system --unit={TARGET} --log-target=console --show-status=no"
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with open(self.directory / "systemd", "wb") as log:
            self.process = subprocess.Popen(
                [*unshare, "sh", "-c", start], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.manager = wait_until(self._find)
        wait_until(self.path("/run/systemd/private").exists)
        return self

    def _find(self):
        assert self.process.poll() is None, self.log()
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return children[0] if children else None

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.log())
        self.process.kill()
        self.process.wait()

    def log(self):
        """What the services have printed, and systemd before it has a log."""
        texts = [(self.directory / name) for name in ("systemd", "output")]
        return "".join(path.read_text(errors="replace")[-8000:] for path in texts if path.exists())

    def path(self, name):
        """A file that services see under this name."""
        return pathlib.Path(f"/proc/{self.manager}/root{name}")

    def inside(self):
        """The prefix of a command that systemd and its services see."""
        return [NSENTER, "-t", self.manager, "-m", "-p"]

    def systemctl(self, *args, check=True):
        command = [*self.inside(), SYSTEMCTL, "--no-pager", *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=JOB_MAX, check=False)
        assert not check or done.returncode == 0, f"systemctl {args}: {done.stderr}\n{self.log()}"
        return done.stdout

    def properties(self, unit, *names):
        """Properties of a unit, in this order."""
        lines = self.systemctl("show", unit, *(f"--property={name}" for name in names)).splitlines()
        values = dict(line.split("=", 1) for line in lines)
        return [values[name] for name in names]


class Service(Manager):
    """A systemd with the unit, as a context manager."""

    def __init__(self, directory, group, args, config="", settings=(), environment=""):
        super().__init__(directory)
        units = install(directory, config, f'PMVM_ARGS="{args}"\n{environment}\n')
        own = OF_MACHINES.format(group=group, settings="\n".join(settings))
        for unit, text in (UNIT, OF_ALL + own), (METRICS_UNIT, OF_ALL):
            drop_in = units / f"{unit}.d/test.conf"
            drop_in.parent.mkdir()
            drop_in.write_text(text.replace("{directory}", str(directory)))

    def __exit__(self, kind, *rest):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.systemctl("stop", UNIT, METRICS_UNIT, check=False)
        super().__exit__(kind, *rest)

    def show(self, *names):
        """Properties of the unit, in this order."""
        return self.properties(UNIT, *names)

    def state(self):
        """How systemctl status shows it."""
        return self.show("ActiveState", "StatusText")
