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
from monitor import Qmp
from sync_trace import CALLS, syncs, traced

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


# The file system of the host makes no difference to pmvm but for the names that it returns.
@pytest.fixture(params=["ext4", pytest.param("xfs", marks=pytest.mark.long)])
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


FORMAT = "mkfs.ext4 -qF -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt"


def fsyncs(guest, log, name="mnt"):
    """Host syncs while a guest made 50 fsyncs."""
    guest.run(f"dax-tool fsync /{name}/f 1")
    before = syncs(log)
    guest.run(f"dax-tool fsync /{name}/f 50")
    return syncs(log) - before


def refused(*args):
    """What pmvm says when it does not start."""
    status, _, error = run_pmvm("-kernel", kernel_files()[0], *args)
    assert status == 1
    return error


def test_a_flush_makes_no_system_call_and_what_was_reported_survives_sigkill(dax_directory, tmp_path):
    """Not by the page cache's help: the host's file system is mounted anew before the file is read again."""
    image, log = dax_directory / "a.img", tmp_path / "strace"
    with Guest(*pmem(image, size=SIZE, pmem="on"), prefix=traced(log, calls=CALLS)) as guest:
        guest.run(f"{FORMAT} && dax-tool write /mnt/a 1000000 7")
        assert fsyncs(guest, log) == 0
        guest.send("dax-tool records /mnt/records 1000000\n")
        guest.wait_for(r"record 30 durable")
        guest.kill()
        reported = max(int(number) for number in re.findall(r"record (\d+) durable", guest.text))
    # One sync at the start; of the file's new name, one at the start. The one at the end was not reached.
    assert syncs(log) == 2
    run("umount", dax_directory)
    run("mount", "-o", "dax", "/dev/pmem0", dax_directory)
    log = tmp_path / "strace-2"
    with Guest(*pmem(image, pmem="on"), prefix=traced(log, calls=CALLS)) as guest:
        maps = pathlib.Path(f"/proc/{child_of(guest)}/smaps").read_text()
        flags = re.search(rf"{re.escape(str(image))}\n(?:.*\n)*?VmFlags:(.*)", maps)[1].split()
        assert "sf" in flags and "sh" in flags  # synchronous faults, shared
        assert guest.run("mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt && dax-tool verify /mnt/a 1000000 7") == (
            "ok 1000000"
        )
        assert int(guest.run("dax-tool check-records /mnt/records")) >= reported
        assert guest.power_off() == 0
    # One at the start, one at the end.
    assert syncs(log) == 2


def child_of(guest):
    """The program below strace."""
    pid = guest.process.pid
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text())


def test_a_flush_is_a_sync_where_the_caches_may_be_lost(namespace, tmp_path):
    log = tmp_path / "strace"
    with mounted_dax("ext4", namespace, tmp_path) as directory:
        # And where they are not lost, by request: the first device.
        words = pmem(directory / "0.img", 0, size=SIZE, pmem="on", pmem_writeback="host")
        words += ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]
        with Guest(*words, prefix=traced(log, calls=CALLS)) as guest, Qmp(tmp_path / "qmp") as qmp:
            with platform_says(tmp_path, "memory_controller\n"):
                # Unless the guest sees to them itself, as Linux does: the last device.
                for number, writeback in (1, {}), (2, {"pmem-writeback": "guest"}):
                    backend = {"qom-type": "memory-backend-file", "id": f"mem{number}", "share": True, "pmem": True}
                    path = str(directory / f"{number}.img")
                    qmp.run("object-add", backend | {"mem-path": path, "size": SIZE} | writeback)
                    qmp.run("device_add", driver="virtio-pmem-pci", memdev=f"mem{number}", id=f"nv{number}")
            made = []
            for name in "pmem0", "pmem1", "pmem2":
                guest.run(f"wait-for /dev/{name} 200 && mkfs.ext4 -qF -b 4096 /dev/{name}")
                guest.run(f"mkdir /{name} && mount -o dax /dev/{name} /{name}")
                made.append(fsyncs(guest, log, name))
                # Its journal would be flushed later.
                guest.run(f"umount /{name}")
            assert guest.power_off() == 0
    assert made[0] >= 50 and made[1] >= 50 and made[2] == 0


def test_a_dax_device(namespace, tmp_path):
    namespace("devdax")
    device = pathlib.Path("/dev/dax0.0")
    end = time.monotonic() + 10
    while not device.exists() and time.monotonic() < end:
        time.sleep(0.1)
    log = tmp_path / "strace"
    with Guest(*pmem(device, size=SIZE, pmem="on"), prefix=traced(log, calls=CALLS)) as guest:
        guest.run(f"{FORMAT} && dax-tool write /mnt/a 1000000 7")
        assert fsyncs(guest, log) == 0
        assert guest.power_off() == 0
    assert syncs(log) == 0
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
