"""What KVM counts of a machine and its vCPUs, by the monitor.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib

import pytest
from machine import Guest
from monitor import Qmp, Refused

DEBUGFS = pathlib.Path("/sys/kernel/debug/kvm")
EXITS = [{"provider": "kvm", "names": ["exits", "halt_exits"]}]


@pytest.fixture(scope="module", name="guest")
def fixture_guest(tmp_path_factory):
    path = tmp_path_factory.mktemp("stats") / "qmp"
    with Guest("-qmp", f"unix:{path},server=on,wait=off", cpus=2, memory="128M") as guest:
        guest.qmp_path = path
        yield guest


def exits(qmp):
    """[{name: value} of each vCPU]. A vCPU answers when it has left the guest, which may take it longer."""
    for _ in range(100):
        results = qmp.run("query-stats", target="vcpu", providers=EXITS)
        if len(results) == 2:
            break
    assert [result["qom-path"] for result in results] == [f"/machine/unattached/device[{i}]" for i in range(2)]
    return [{stat["name"]: stat["value"] for stat in result["stats"]} for result in results]


def test_exits_are_those_that_kvm_counts(guest):
    with Qmp(guest.qmp_path) as qmp:
        before = exits(qmp)
        guest.run("for i in $(seq 20); do sleep 0.01; done")
        after = exits(qmp)
        assert sum(vcpu["exits"] for vcpu in after) > sum(vcpu["exits"] for vcpu in before)
        assert sum(vcpu["halt_exits"] for vcpu in after) > sum(vcpu["halt_exits"] for vcpu in before)
        for of_kvm in DEBUGFS.glob(f"{guest.process.pid}-*/exits"):
            counted = int(of_kvm.read_text())
            assert sum(vcpu["exits"] for vcpu in after) <= counted <= sum(vcpu["exits"] for vcpu in exits(qmp))


def test_the_schemas_name_what_is_answered(guest):
    with Qmp(guest.qmp_path) as qmp:
        exits(qmp)
        schemas = {schema["target"]: schema["stats"] for schema in qmp.run("query-stats-schemas")}
        for target in "vm", "vcpu":
            names = {stat["name"] for stat in qmp.run("query-stats", target=target)[0]["stats"]}
            assert names == {stat["name"] for stat in schemas[target]} and names
        kinds = {stat["name"]: stat for stat in schemas["vcpu"]}
        assert kinds["exits"] == {"name": "exits", "type": "cumulative", "exponent": 0}
        assert kinds["halt_wait_ns"]["unit"] == "seconds" and kinds["halt_wait_ns"]["exponent"] == -9


def test_a_machine_that_is_stopped_answers(guest):
    with Qmp(guest.qmp_path) as qmp:
        qmp.run("stop")
        assert exits(qmp) == exits(qmp)
        qmp.run("cont")
        with pytest.raises(Refused, match="Parameter 'vcpus' is unexpected"):
            qmp.run("query-stats", target="vm", vcpus=[])
    assert guest.run("echo here") == "here"
