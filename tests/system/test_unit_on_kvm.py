"""The unit tests that need a usable KVM.

SPDX-License-Identifier: Apache-2.0
"""
import os
import subprocess

import pytest

from machine import CHECKOUT, near

PROGRAM = CHECKOUT / "build/check/gcc/tests/unit/x86/cpu_test"


@pytest.mark.skipif(not PROGRAM.exists(), reason="not built: `make check-unit` builds it")
def test_cpu():
    done = subprocess.run([near(PROGRAM)], env=os.environ | {"CMOCKA_MESSAGE_OUTPUT": "TAP"}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    results = [line for line in done.stdout.splitlines() if line.startswith(("ok", "not ok"))]
    assert done.returncode == 0 and results, done.stdout
    assert not [line for line in results if line.startswith("not ok") or "SKIP" in line], done.stdout
