"""The unit tests that need a usable KVM.

SPDX-License-Identifier: Apache-2.0
"""
import os
import subprocess

import pytest

from machine import CHECKOUT, near

BUILD = CHECKOUT / "build/tests/unit"


@pytest.mark.parametrize("program", ["vmm/x86/cpu_test", "vmm/kvm/kvm_test"])
def test_unit(program):
    if not (BUILD / program).exists():
        pytest.skip("not built: `make` builds it")
    done = subprocess.run(
        [near(BUILD / program)],
        env=os.environ | {"CMOCKA_MESSAGE_OUTPUT": "TAP"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    results = [line for line in done.stdout.splitlines() if line.startswith(("ok", "not ok"))]
    assert done.returncode == 0 and results, done.stdout
    assert not [line for line in results if line.startswith("not ok") or "SKIP" in line], done.stdout
