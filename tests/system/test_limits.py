"""Files beyond the limit of the process (ulimit -f): refused with a text. SIGXFSZ ends neither a start nor a machine.

SPDX-License-Identifier: Apache-2.0
"""
import os

import machine
import pytest
from machine import MIB, Vm, pmem
from monitor import Qmp, Refused


def limited(blocks):
    """Puts a limit on the size of files, in blocks of 512 bytes, around the program."""
    return ["sh", "-c", f'ulimit -f {blocks}; exec "$0" "$@"']


def program():
    return machine.near(machine.CHECKOUT / "build/tests/guest/stall.elf")


def test_a_start_beyond_the_limit_says_so_and_leaves_nothing_behind(tmp_path):
    with Vm(
        ["-m", "64M", "-nographic", "-kernel", program(), *pmem(tmp_path / "a.img", size="16M")], prefix=limited(2048)
    ) as vm:
        assert vm.end() == 1
        assert "File too large" in vm.error_text and "a.img" in vm.error_text and "ulimit -f" in vm.error_text
    assert not (tmp_path / "a.img").exists()


def test_object_add_beyond_the_limit_is_refused_and_the_machine_runs_on(tmp_path):
    (tmp_path / "a.img").touch()
    os.truncate(tmp_path / "a.img", 16 * MIB)
    with Vm(
        [
            "-S",
            "-m",
            "64M",
            "-nographic",
            "-kernel",
            program(),
            *pmem(tmp_path / "a.img"),
            "-qmp",
            f"unix:{tmp_path}/qmp,server=on,wait=off",
        ],
        prefix=limited(2048),
    ) as vm, Qmp(tmp_path / "qmp") as qmp:
        with pytest.raises(Refused, match=r"new\.img.*File too large"):
            qmp.run(
                "object-add",
                {
                    "qom-type": "memory-backend-file",
                    "id": "mem2",
                    "share": True,
                    "mem-path": str(tmp_path / "new.img"),
                    "size": 16 * MIB,
                },
            )
        assert not (tmp_path / "new.img").exists()
        # The limit is for new sizes: the guest stores to a file that is larger.
        qmp.run("cont")
        assert vm.end() == 0
        assert "SUCCESS" in vm.text


def test_a_console_file_beyond_the_limit_does_not_end_the_machine(tmp_path):
    (tmp_path / "a.img").touch()
    os.truncate(tmp_path / "a.img", 16 * MIB)
    with Vm(
        [
            "-m",
            "64M",
            "-display",
            "none",
            "-monitor",
            "none",
            "-serial",
            f"file:{tmp_path}/log",
            "-kernel",
            program(),
            *pmem(tmp_path / "a.img"),
        ],
        prefix=limited(0),
    ) as vm:
        assert vm.end() == 0
    assert (tmp_path / "log").read_bytes() == b""
    assert (tmp_path / "a.img").read_bytes()[::4096] == b"\1" * (16 * MIB // 4096)
