"""Many containers with layers and a network, in a row and at once: nothing of them is left on the host.

SPDX-License-Identifier: Apache-2.0

PMVM_OCI_ROWS and PMVM_OCI_AT_ONCE in the environment say how many.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import subprocess

import pytest

import oci_runtime
from oci_runtime import FOREVER, eventually, wait_for

ROWS = int(os.environ.get("PMVM_OCI_ROWS", "20"))
AT_ONCE = int(os.environ.get("PMVM_OCI_AT_ONCE", "5"))


@pytest.fixture(name="patient", autouse=True)
def be_patient(monkeypatch):
    """Commands that share a processor take longer by their number; what waits for one is the fixture `oci` as well."""
    monkeypatch.setattr(oci_runtime, "COMMAND_MAX", oci_runtime.COMMAND_MAX * max(1, AT_ONCE // 5))


def output_of(*words):
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def namespace(name):
    """A network namespace with eth0, as an engine makes it."""
    output_of("ip", "netns", "add", name)
    try:
        output_of("ip", "link", "add", f"{name}-out", "type", "veth", "peer", "name", "eth0", "netns", name)
        for command in "addr add 10.77.0.2/24 dev eth0", "link set eth0 up", "link set lo up":
            output_of("ip", "-n", name, *command.split())
        yield pathlib.Path("/run/netns") / name
    finally:
        output_of("ip", "netns", "del", name)


def programs():
    """Processes by pid and name; threads of the kernel have no program, and this process's helpers are not counted."""
    found = set()
    for path in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdigit():
                found.add((int(path.name), pathlib.Path(os.readlink(path / "exe")).name))
    return found


def of_the_host(namespaces):
    """All that a container may leave behind."""
    directories = [pathlib.Path(name) for name in ("/run", "/tmp", "/run/netns", "/var/lib") if os.path.isdir(name)]
    return {
        "mounts": pathlib.Path("/proc/self/mounts").read_text(),
        "files": {str(path) for directory in directories for path in directory.iterdir()},
        "links": output_of("ip", "-o", "link"),
        "programs": programs(),
        **{f"links of {name}": output_of("ip", "-n", name, "-o", "link") for name in namespaces},
        **{f"tc of {name}": output_of("tc", "-n", name, "qdisc") for name in namespaces},
    }


def assert_as_before(before, namespaces, oci):
    eventually(lambda: of_the_host(namespaces)["programs"] <= before["programs"])
    after = of_the_host(namespaces)
    for name in before.keys() - {"programs"}:
        assert after[name] == before[name], name
    assert oci.left() == []


def live(oci, name, bundle):
    """The life of one container."""
    pid = oci.create(name, bundle)
    oci("start", name)
    assert oci("exec", name, "cat", "/sys/class/net/eth0/operstate").strip()
    oci("kill", name, "KILL")
    assert wait_for(pid) == 137
    oci("delete", name)


def changes(path):
    kinds = ("pid", "ipc", "uts", "mount", "cgroup")
    return {"linux": {"namespaces": [{"type": "network", "path": str(path)}] + [{"type": kind} for kind in kinds]}}


@pytest.mark.long
def test_one_after_the_other(store, oci, tmp_path):
    with namespace("row") as path:
        bundle = store.bundle(tmp_path / "c", [store.layer("base")], FOREVER, **changes(path))
        live(oci, "c", bundle)
        before = of_the_host(["row"])
        for _ in range(ROWS):
            live(oci, "c", bundle)
        assert_as_before(before, ["row"], oci)


@pytest.mark.long
def test_several_at_once(store, oci, tmp_path):
    names = [f"many{i}" for i in range(AT_ONCE)]
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(namespace(name)) for name in names]
        lowers = [store.layer("base")]
        bundles = [store.bundle(tmp_path / name, lowers, FOREVER, **changes(path)) for name, path in zip(names, paths)]
        before = of_the_host(names)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for end in [pool.submit(live, oci, name, bundle) for name, bundle in zip(names, bundles)]:
                end.result()
        assert_as_before(before, names, oci)
