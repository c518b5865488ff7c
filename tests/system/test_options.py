"""Options that change what the guest's processor has, and what a core dump of pmvm holds.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re

import pytest

import echo
from machine import MIB, Guest, Vm, pmem
from monitor import Qmp


def cpu_flags(text):
    return set(re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)[1].split())


def is_nested():
    """The host's KVM gives guests virtualization of their own."""
    parameters = (pathlib.Path(f"/sys/module/{name}/parameters/nested") for name in ("kvm_amd", "kvm_intel"))
    return any(path.exists() and path.read_text().strip() in ("1", "Y") for path in parameters)


def test_cpu_features_are_hidden():
    hidden = {"vmx", "svm", "arch_perfmon", "perfctr_core"}
    with Guest("-cpu", "host,-vmx,-svm,pmu=off") as guest:
        without = cpu_flags(guest.run("grep -m 1 ^flags /proc/cpuinfo"))
        assert guest.power_off() == 0
    with Guest("-cpu", "host") as guest:
        default = cpu_flags(guest.run("grep -m 1 ^flags /proc/cpuinfo"))
        assert guest.power_off() == 0
    # KVM adds features that depend on SVM or VMX (npt, ept, ...): Linux drops them with it.
    assert not without & hidden and without <= default
    if is_nested():
        assert default & {"vmx", "svm"}


def vm_flags(vm, size, name=""):
    """The flags of the mapping of this size, and of this file."""
    maps = pathlib.Path(f"/proc/{vm.process.pid}/smaps").read_text()
    for entry in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", maps, flags=re.MULTILINE)[1:]:
        start, end = (int(number, 16) for number in entry.split()[0].split("-"))
        if end - start == size and name in entry.splitlines()[0]:
            return re.search(r"^VmFlags: (.*)$", entry, re.MULTILINE)[1].split()
    return pytest.fail(f"no mapping of {size} bytes:\n{maps}")


@pytest.mark.parametrize("option,memory,objects", [("on", False, False), ("off", True, True)])
def test_a_core_dump_without_guest_memory(tmp_path, option, memory, objects):
    pairs = [
        *pmem(tmp_path / "a.img", 1, size="16M"),
        *pmem(tmp_path / "b.img", 2, size="18M", dump="on"),
        *pmem(tmp_path / "c.img", 3, size="20M", dump="off"),
    ]
    machine = ["-machine", f"q35,dump-guest-core={option}", "-S", "-nographic", *echo.options(), *pairs]
    with Vm([*machine, "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]) as vm, Qmp(tmp_path / "qmp"):
        assert ("dd" in vm_flags(vm, 64 * MIB)) == memory
        assert ("dd" in vm_flags(vm, 16 * MIB, "a.img")) == objects
        assert "dd" not in vm_flags(vm, 18 * MIB, "b.img")
        assert "dd" in vm_flags(vm, 20 * MIB, "c.img")
