"""Containers with a volume on persistent memory: annotation io.pmvm.pmem.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import subprocess

import pytest

from oci_runtime import FOREVER, make_bundle, make_image, volume, wait_for


def start(oci, bundle):
    pid = oci.create("c", bundle)
    oci("start", "c")
    return pid


@pytest.mark.long
def test_a_volume_is_dax_and_durable_by_fsync(oci, tmp_path):
    image = make_image(tmp_path / "data.img")
    bundle = make_bundle(tmp_path / "bundle", FOREVER, annotations={"io.pmvm.pmem": f"{image}:/data"})
    pid = start(oci, bundle)
    mounted = oci("exec", "c", "grep", " /data ", "/proc/mounts")
    assert " ext4 " in mounted and "dax=always" in mounted, mounted
    oci("exec", "c", "sh", "-c", "echo before the crash >/data/file")
    before = volume(oci, "c", image)
    assert not before["readonly"] and before["size"] == 64 << 20, before
    oci("exec", "c", "sync", "/data/file")
    after = volume(oci, "c", image)
    assert after["flushes"] > before["flushes"] and after["failed"] == 0, (before, after)
    # Another machine does not get it meanwhile.
    error = oci.create("d", bundle, status=1)
    assert "is in use by process" in error and str(image) in error, error
    # No end of the machine wrote it: it is killed.
    os.kill(oci.members("c")["pmvm"], signal.SIGKILL)
    assert wait_for(pid) == 137
    oci("delete", "--force", "c")
    assert subprocess.run(["/sbin/e2fsck", "-fp", image], check=False, capture_output=True).returncode in (0, 1)
    shown = subprocess.run(["/sbin/debugfs", "-R", "cat /file", image], check=True, capture_output=True, text=True)
    assert shown.stdout == "before the crash\n"
    start(oci, bundle)
    assert oci("exec", "c", "cat", "/data/file") == "before the crash\n"


@pytest.mark.long
def test_a_volume_can_be_read_only(oci, tmp_path):
    image = make_image(tmp_path / "data.img")
    content = image.read_bytes()
    annotations = {"io.pmvm.pmem.one": f"{image}:/data:ro"}
    start(oci, make_bundle(tmp_path / "bundle", FOREVER, annotations=annotations))
    assert "Read-only file system" in oci("exec", "c", "touch", "/data/file", status=1)
    assert volume(oci, "c", image)["readonly"]
    oci("delete", "--force", "c")
    assert image.read_bytes() == content


@pytest.mark.long
def test_an_image_without_a_file_system_is_an_error_of_create(oci, tmp_path):
    image = tmp_path / "data.img"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    annotations = {"io.pmvm.pmem": f"{image}:/data"}
    error = oci.create("c", make_bundle(tmp_path / "bundle", "true", annotations=annotations), status=1)
    assert "data.img" in error and "mkfs.ext4" in error, error
    assert oci.left() == []
