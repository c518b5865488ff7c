"""pmvm-oci: a process of a container that holds as many connections to the keeper of its machine as it gets.

SPDX-License-Identifier: Apache-2.0
"""
import shutil

from oci_runtime import CHECKOUT, eventually, make_bundle, wait_for


def test_a_crowd_of_silent_connections_does_not_keep_exec_out(oci, tmp_path):
    bundle = make_bundle(tmp_path / "bundle", "/bin/vsock-crowd")
    shutil.copy(CHECKOUT / "build/tests/vsock-crowd", bundle / "rootfs/bin")
    output = tmp_path / "output"
    pid = oci.create("c", bundle, output=output)
    oci("start", "c")
    assert eventually(output.read_text) == "crowded\n"
    for _ in range(3):
        assert oci("exec", "c", "/bin/cat", stdin="through") == "through"
    oci("kill", "c", "KILL")
    assert wait_for(pid) == 137
    oci("delete", "c")
