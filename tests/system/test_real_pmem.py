"""pmem=on: the file lies on persistent memory of the host, and a guest's fsync costs no system call of the program.

SPDX-License-Identifier: Apache-2.0

The persistent memory is the test box's NVDIMM, whose platform says that the CPU caches survive a power failure
(persistence_domain is cpu_cache). Where another answer of the platform is wanted, a file is mounted on that attribute.
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from machine import GUESTS, MIB, Guest, kernel_files, pmem, run_pmvm

REGION = pathlib.Path("/sys/bus/nd/devices/region0")
NAMESPACE = "namespace0.0"
SIZE = 64 * MIB

pytestmark = [
    pytest.mark.skipif(not os.environ.get("PMVM_IN_BOX"), reason="reformats persistent memory: only in the test box"),
    pytest.mark.skipif(not REGION.exists(), reason="this box was started without an NVDIMM"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]


def run(*command, **kwargs):
    return subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, timeout=120, **kwargs
    ).stdout


@pytest.fixture(scope="module")
def namespace(tmp_path_factory):
    """A function that gives the NVDIMM's one namespace a mode."""
    tools = tmp_path_factory.mktemp("ndctl")
    with open(GUESTS / "ndctl.img", "rb") as archive:
        run("cpio", "-id", "--quiet", cwd=tools, stdin=archive)
    libraries = ":".join(sorted({str(path.parent) for path in tools.rglob("*.so.*")}))
    run("modprobe", "-a", "dax_pmem", "device_dax")

    def make(mode):
        run(
            tools / "sbin/ndctl",
            "create-namespace",
            "-f",
            "-e",
            NAMESPACE,
            "-m",
            mode,
            "-M",
            "mem",
            env=os.environ | {"LD_LIBRARY_PATH": libraries},
        )

    return make


@pytest.fixture(params=["ext4", "xfs"])
def dax_directory(request, namespace, tmp_path):
    """A file system on the NVDIMM, mounted for DAX."""
    with mounted_dax(request.param, namespace, tmp_path) as directory:
        yield directory


@contextlib.contextmanager
def mounted_dax(kind, namespace, tmp_path):
    namespace("fsdax")
    device = pathlib.Path("/dev/pmem0")
    if kind == "ext4":
        run("mkfs.ext4", "-qF", "-b", "4096", device)
    else:
        run("mkfs.xfs", "-qf", "-m", "reflink=0", device)
    with mounted(device, tmp_path / "dax", "dax") as directory:
        yield directory


@contextlib.contextmanager
def mounted(device, directory, options):
    directory.mkdir(exist_ok=True)
    run("mount", "-o", options, device, directory)
    try:
        yield directory
    finally:
        run("umount", directory)


@contextlib.contextmanager
def platform_says(tmp_path, text):
    """What the platform promises about a power failure, for as long as the context lasts."""
    (tmp_path / "domain").write_text(text)
    run("mount", "--bind", tmp_path / "domain", REGION / "persistence_domain")
    try:
        yield
    finally:
        run("umount", REGION / "persistence_domain")


def traced(log):
    return ["strace", "-f", "--seccomp-bpf", "-o", log, "-e", "trace=fdatasync,fsync,msync,sync_file_range,syncfs,sync"]


def syncs(log):
    return len(re.findall(r"(?:fdatasync|fsync|msync|sync_file_range|syncfs|sync)\(", log.read_text()))


def fsyncs_of_a_guest(path, log, size=SIZE, **properties):
    """Host syncs while a guest made 50 fsyncs, with the file left as /mnt/f of its file system."""
    with Guest(*pmem(path, size=size, pmem="on", **properties), prefix=traced(log)) as guest:
        guest.run("mkfs.ext4 -qF -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
        guest.run("dax-tool write /mnt/a 1000000 7 && dax-tool fsync /mnt/f 1")
        before = syncs(log)
        guest.run("dax-tool fsync /mnt/f 50")
        made = syncs(log) - before
        assert guest.power_off() == 0
    return made


def refused(*args):
    """What pmvm says when it does not start."""
    status, _, error = run_pmvm("-kernel", kernel_files()[0], *args)
    assert status == 1
    return error


def test_a_flush_makes_no_system_call(dax_directory, tmp_path):
    image = dax_directory / "a.img"
    assert fsyncs_of_a_guest(image, tmp_path / "strace") == 0
    # One sync at the start, one at the end; of the file's new name, one at the start.
    assert syncs(tmp_path / "strace") == 3
    with Guest(*pmem(image, pmem="on")) as guest:
        maps = pathlib.Path(f"/proc/{guest.process.pid}/smaps").read_text()
        flags = re.search(rf"{re.escape(str(image))}\n(?:.*\n)*?VmFlags:(.*)", maps)[1].split()
        assert "sf" in flags and "sh" in flags  # synchronous faults, shared
        assert guest.run("mount -o dax /dev/pmem0 /mnt && dax-tool verify /mnt/a 1000000 7") == "ok 1000000"


def test_what_was_reported_is_there_after_sigkill(dax_directory, tmp_path):
    """Not by the page cache's help: the host's file system is mounted anew before the file is read again."""
    image = dax_directory / "a.img"
    log = tmp_path / "strace"
    with Guest(*pmem(image, size=SIZE, pmem="on"), prefix=traced(log)) as guest:
        guest.run("mkfs.ext4 -qF -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
        guest.send("dax-tool records /mnt/records 1000000\n")
        guest.wait_for(r"record 40 durable")
        guest.kill()
        reported = max(int(number) for number in re.findall(r"record (\d+) durable", guest.text))
    assert syncs(log) <= 3
    run("umount", dax_directory)
    run("mount", "-o", "dax", "/dev/pmem0", dax_directory)
    with Guest(*pmem(image, pmem="on")) as guest:
        guest.run("mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
        assert int(guest.run("dax-tool check-records /mnt/records")) >= reported


def test_a_flush_is_a_sync_where_the_caches_may_be_lost(namespace, tmp_path):
    with mounted_dax("ext4", namespace, tmp_path) as directory:
        with platform_says(tmp_path, "memory_controller\n"):
            assert fsyncs_of_a_guest(directory / "a.img", tmp_path / "1") >= 50
            # Unless the guest sees to them itself, as Linux does.
            assert fsyncs_of_a_guest(directory / "a.img", tmp_path / "2", pmem_writeback="guest") == 0
        assert fsyncs_of_a_guest(directory / "a.img", tmp_path / "3", pmem_writeback="host") >= 50


def test_a_dax_device(namespace, tmp_path):
    namespace("devdax")
    device = pathlib.Path("/dev/dax0.0")
    end = time.monotonic() + 10
    while not device.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert fsyncs_of_a_guest(device, tmp_path / "strace") == 0
    assert syncs(tmp_path / "strace") == 0
    with platform_says(tmp_path, "memory_controller\n"):
        error = refused(*pmem(device, pmem="on"))
        assert "cannot be synced: it is a character device" in error and "pmem-writeback=guest" in error
        with Guest(*pmem(device, size=SIZE, pmem="on", pmem_writeback="guest")) as guest:
            guest.run("mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
            assert guest.run("dax-tool verify /mnt/a 1000000 7") == "ok 1000000"
            error = refused(*pmem(device, pmem="on"))
            assert "is in use by process" in error
    for properties, text in [
        ({"pmem": "on", "offset": "4096"}, "offset 0x1000 must be multiples of page size 0x200000"),
        ({"pmem": "on", "share": "off"}, "'pmem' = 'on' is not supported with 'share' = 'off'"),
        ({"share": "off"}, "needs 'share' = 'on'"),
        ({}, "needs 'pmem' = 'on'"),
    ]:
        error = refused(*pmem(device, size=SIZE, **properties))
        assert text in error


@pytest.mark.parametrize("kind", ["tmpfs", "ext4", "ext4 without dax", "block device"])
def test_elsewhere_it_is_refused(kind, namespace, tmp_path):
    with contextlib.ExitStack() as stack:
        if kind == "tmpfs":
            directory = tmp_path
        elif kind == "ext4":
            disk = tmp_path / "disk"
            disk.write_bytes(bytes(32 * MIB))
            run("mkfs.ext4", "-qF", "-b", "4096", disk)
            directory = stack.enter_context(mounted(disk, tmp_path / "ext4", "loop"))
        else:
            stack.enter_context(mounted_dax("ext4", namespace, tmp_path))
            run("umount", tmp_path / "dax")
            run("mount", "/dev/pmem0", tmp_path / "dax")
            directory = tmp_path / "dax"
        image = directory / "a.img"
        if kind == "block device":
            # Mounted, it would be refused for that.
            run("umount", directory)
            stack.callback(run, "mount", "/dev/pmem0", directory)
            image = pathlib.Path("/dev/pmem0")
        error = refused(*pmem(image, size="16M", pmem="on"))
        assert f"pmem=on: backing store {image} is not on persistent memory" in error
        assert "leave pmem out" in error
        # A file that was made for it is gone again.
        assert kind == "block device" or not image.exists()
