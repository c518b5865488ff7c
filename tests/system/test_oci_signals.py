"""Signals for all processes of a container, and other limits while it runs.

SPDX-License-Identifier: Apache-2.0
"""
import pytest

from oci_runtime import CGROUPS, eventually, make_bundle, wait_for

MIB = 1 << 20
FAMILY = """
sh -c "trap 'echo child; exit' TERM; echo born; while :; do sleep 1; done" &
trap 'echo parent' TERM
while :; do wait; sleep 1; done
"""


@pytest.mark.long
def test_kill_all_reaches_each_process(oci, tmp_path):
    output = tmp_path / "output"
    pid = oci.create("c", make_bundle(tmp_path / "bundle", FAMILY), output=output)
    oci("start", "c")
    eventually(lambda: "born" in output.read_text())
    oci("kill", "c", "TERM")
    eventually(lambda: "parent" in output.read_text())
    assert "child" not in output.read_text()
    oci("kill", "--all", "c", "TERM")
    eventually(lambda: "child" in output.read_text())
    assert oci.status("c") == "running"
    oci("kill", "--all", "c", "KILL")
    assert wait_for(pid) == 137


@pytest.mark.long
def test_update_changes_limits_of_host_and_guest(running):
    oci, name, _ = running
    group = CGROUPS / f"pmvm-oci-{name}"
    many = "for i in 1 2 3 4 5 6 7 8; do sleep 100 & done; echo started; kill $(jobs -p) 2>/dev/null; exit 0"
    assert oci("exec", name, "sh", "-c", many) == "started\n"
    oci("update", "--memory", "200M", "--cpu-quota", "50000", "--cpu-period", "100000", "--pids-limit", "6", name)
    # The machine keeps its RAM, so the limit of its group is not lowered.
    assert (group / "memory.max").read_text() == "max\n"
    assert (group / "cpu.max").read_text() == "50000 100000\n"
    assert oci("exec", name, "cat", "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/memory.max") == f"6\n{200 * MIB}\n"
    with oci.popen("exec", name, "sh", "-c", many) as process:
        assert process.wait(400) != 0
    oci("update", "--pids-limit", "-1", "--cpu-quota", "-1", name)
    assert (group / "cpu.max").read_text() == "max 100000\n"
    assert oci("exec", name, "sh", "-c", many) == "started\n"


@pytest.mark.long
def test_a_machine_without_memory_on_the_host_has_the_status_of_a_kill(running):
    """The kernel ends pmvm, the largest process of the group; the guest has much more RAM than the group may use."""
    oci, name, pid = running
    (CGROUPS / f"pmvm-oci-{name}/memory.max").write_text(str(16 * MIB))
    assert wait_for(pid) == 137
    eventually(lambda: not oci.members(name))
