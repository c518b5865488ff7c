"""pmvm-oci where systemd manages the control groups: a real one, which is process 1 of a PID namespace of the test's.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import subprocess

import pytest

import oci_engine
import oci_runtime
import podman as podman_of
import systemd_unit
from oci_runtime import CGROUPS, eventually

MIB = 1 << 20
OVERHEAD = 128 * MIB
OPTIONS = ("--systemd-cgroup",)
PROGRAMS = {"pmvm", "pmvm-oci", "virtiofsd"}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(oci_runtime.why_not()), reason=oci_runtime.why_not()),
]
needs_systemd = pytest.mark.skipif(
    systemd_unit.missing() is not None, reason=f"{systemd_unit.missing()} is not installed"
)


class Managed(oci_runtime.Runtime):
    """The runtime as systemd and its services see it."""

    manager = None

    def popen(self, *args, options=(), **kwargs):
        prefix = self.manager.inside() if self.manager else []
        options = ["--root", self.root, "--config", self.settings, *OPTIONS, *options]
        command = [*prefix, oci_runtime.PROGRAM, *options, *map(str, args)]
        return subprocess.Popen(command, **({"env": {}, "stdin": subprocess.DEVNULL} | kwargs))


@pytest.fixture(name="runtime")
def runtime_fixture(tmp_path):
    runtime = Managed(tmp_path)
    yield runtime
    for name in runtime.containers:
        with runtime.popen("delete", "--force", name, stderr=subprocess.DEVNULL) as process:
            process.wait(oci_runtime.COMMAND_MAX)
    assert runtime.left() == []


@pytest.fixture(name="manager")
def manager_fixture(tmp_path):
    units = tmp_path / "units"
    units.mkdir()
    (units / systemd_unit.TARGET).write_text("[Unit]\nDefaultDependencies=no\n")
    group = CGROUPS / "pmvm-test"
    for controller in ("cpu", "cpuset", "memory"):
        (CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
    group.mkdir()
    with systemd_unit.Manager(tmp_path, group) as manager:
        yield manager
    (group / "cgroup.kill").write_text("1")
    eventually(lambda: "populated 0" in (group / "cgroup.events").read_text())
    for path, folders, _ in os.walk(group, topdown=False):
        for folder in folders:
            (pathlib.Path(path) / folder).rmdir()
    group.rmdir()


def bundle_of(folder, path):
    """A container with limits."""
    bundle = oci_runtime.make_bundle(folder, oci_runtime.FOREVER)
    config = json.loads((bundle / "config.json").read_text())
    config["linux"]["cgroupsPath"] = path
    config["linux"]["resources"] = {
        "memory": {"limit": 200 * MIB},
        "cpu": {"quota": 50000, "period": 100000, "shares": 512},
        "pids": {"limit": 100},
    }
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def group_of(runtime, name):
    """Where systemd has its own root is its affair."""
    return pathlib.Path(json.loads((runtime.root / name / "state.json").read_text())["cgroup"])


def number(group, name):
    return int((group / name).read_text())


def programs(group):
    """Of the processes in a group, threads of the kernel among them."""
    pids = (group / "cgroup.procs").read_text().split()
    return {pathlib.Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids}


@needs_systemd
def test_a_scope_has_the_machine_and_its_limits_until_it_is_deleted(manager, runtime, tmp_path):
    runtime.manager = manager
    unit = "pmvm-c1.scope"
    runtime.create("c1", bundle_of(tmp_path / "bundle", "machine-a-b.slice:pmvm:c1"))
    state, slice_of, delegate = manager.properties(unit, "ActiveState", "Slice", "Delegate")
    assert (state, slice_of, delegate) == ("active", "machine-a-b.slice", "yes")
    group = group_of(runtime, "c1")
    assert group.parts[-5:] == ("pmvm-test", "machine.slice", "machine-a.slice", "machine-a-b.slice", unit)
    assert programs(group) >= PROGRAMS
    assert json.loads(runtime("state", "c1"))["systemd-scope"] == unit

    def check(memory):
        names = ("MemoryMax", "CPUQuotaPerSecUSec", "CPUWeight")
        assert manager.properties(unit, *names) == [str(memory), "500ms", "20"]
        assert number(group, "memory.max") == memory
        assert (group / "cpu.max").read_text() == "50000 100000\n"
        assert number(group, "cpu.weight") == 20

    check(200 * MIB + OVERHEAD)
    manager.systemctl("daemon-reload")
    check(200 * MIB + OVERHEAD)
    runtime("update", "--memory", 250 * MIB, "c1")
    manager.systemctl("daemon-reload")
    check(250 * MIB + OVERHEAD)

    runtime("start", "c1")
    runtime("delete", "--force", "c1")
    assert not group.exists()
    assert manager.properties(unit, "LoadState", "ActiveState") == ["not-found", "inactive"]


@needs_systemd
def test_a_machine_that_was_killed_leaves_no_unit_in_the_way(manager, runtime, tmp_path):
    runtime.manager = manager
    bundle = bundle_of(tmp_path / "bundle", "machine.slice:pmvm:c1")
    runtime.create("c1", bundle)
    group = group_of(runtime, "c1")
    (group / "cgroup.kill").write_text("1")
    eventually(lambda: not group.exists())
    runtime("delete", "--force", "c1")
    runtime.create("c1", bundle)
    assert programs(group_of(runtime, "c1")) >= PROGRAMS
    runtime("delete", "--force", "c1")
    assert not group.exists()


def test_without_systemd_it_is_refused_with_the_next_step(runtime, tmp_path):
    if pathlib.Path("/run/systemd/private").exists():
        pytest.skip("this host has systemd")
    said = runtime.create("c1", bundle_of(tmp_path / "bundle", "machine.slice:pmvm:c1"), status=1)
    assert "systemd not running on this host, cannot use systemd cgroups manager" in said
    assert "--cgroup-manager=cgroupfs" in said
    assert not list(CGROUPS.rglob("pmvm-c1.scope"))


class Podman(podman_of.Podman):
    """podman(1) as systemd and its services see it, with systemd as manager of control groups."""

    def __init__(self, folder, runtime, manager):
        super().__init__(folder, runtime)
        self.manager = manager
        conf = self.conf.read_text().replace('"cgroupfs"', '"systemd"')
        # There is no journal.
        self.conf.write_text(conf.replace("[containers]", '[containers]\nlog_driver = "k8s-file"'))

    def command(self, *args):
        return [*self.manager.inside(), *super().command(*args)]


@needs_systemd
@pytest.mark.skipif(bool(podman_of.MISSING), reason=f"missing: {', '.join(podman_of.MISSING)}")
def test_podman_gives_its_containers_to_systemd(manager, tmp_path, tmp_path_factory):
    # podman wants a path that is not longer than 50 characters.
    podman = Podman(tmp_path_factory.mktemp("podman") / "engine", oci_engine.installed(tmp_path / "pmvm"), manager)
    podman_of.base_tar(tmp_path / "base.tar")
    podman("import", tmp_path / "base.tar", "localhost/base")
    command = ["localhost/base", "sh", "-c", "trap exit TERM; while :; do sleep 1; done"]
    name = podman("run", "-d", "--network=none", "--memory=200m", *command).strip()
    unit = f"libpod-{name}.scope"
    expected = ["active", "machine.slice", str(200 * MIB + OVERHEAD)]
    assert manager.properties(unit, "ActiveState", "Slice", "MemoryMax") == expected
    assert podman("exec", name, "uname", "-s") == "Linux\n"
    podman("rm", "-f", "-t", "30", name)
    assert manager.properties(unit, "LoadState", "ActiveState") == ["not-found", "inactive"]
    assert not podman_of.machines(), "machines are left"
