"""The pmem device as a Linux guest sees it: the documented command line, DAX file systems, what is durable.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import shlex
import subprocess

import pytest

from machine import GIB, MIB, Guest, Vm, kernel_files, pmem


def test_documented_command(tmp_path):
    """The command of the documentation, letter by letter but for the program's name and the kernel's path."""
    kernel, initrd = kernel_files(image="vmlinux")
    line = (
        f"-m 1G -smp 2 -nographic -kernel {kernel} -initrd {initrd} "
        '-append "console=ttyS0" '
        "-object memory-backend-file,id=mem1,share,mem-path=./virtio_pmem.img,size=4G "
        "-device virtio-pmem-pci,memdev=mem1,id=nv1"
    )
    # pylint: disable=no-member  # the members are Guest's
    with Vm(shlex.split(line), cwd=tmp_path) as vm:
        vm.__class__ = Guest
        vm.booted()
        assert "warning: short-form boolean option 'share' deprecated" in vm.error_text
        assert "Please use share=on instead" in vm.error_text
        assert "1af4:105b" in vm.run("lspci -nn")
        assert vm.run("ls -l /sys/bus/virtio/drivers/virtio_pmem/ | grep -c virtio0") == "1"
        assert int(vm.run("cat /sys/block/pmem0/size")) * 512 == 4 * GIB
        assert vm.run("nproc") == "2"
        assert (tmp_path / "virtio_pmem.img").stat().st_size == 4 * GIB
        assert vm.power_off() == 0
    assert (tmp_path / "virtio_pmem.img").stat().st_size == 4 * GIB


def test_dax_filesystems_and_what_survives_sigkill(tmp_path):
    """
    Every record that the guest called durable is there after the process was killed in full flight. (The host's page
    cache outlives the process: that a sync was made is what test_flush.py shows.)
    """
    with Guest(*pmem(tmp_path / "a.img", 1, size="128M"), *pmem(tmp_path / "b.img", 2, size="512M")) as guest:
        guest.run("mkdir /ext4 /xfs && mkfs.ext4 -q -b 4096 /dev/pmem0 && mount -o dax /dev/pmem0 /ext4")
        guest.run("mkfs.xfs -q -m reflink=0 /dev/pmem1 && mount -t xfs -o dax /dev/pmem1 /xfs")
        for directory in "/ext4", "/xfs":
            guest.run(f"dax-tool write {directory}/data {2 * MIB} 7 && dax-tool isdax {directory}/data")
            assert "EOPNOTSUPP" in guest.run(f"dax-tool mapsync {directory}/data")
            guest.run(f"dax-tool fsync {directory}/data 5")
        # The data is in memory once: reading 32 MiB of a DAX file leaves the guest's page cache as it was.
        guest.run(f"dax-tool write /ext4/large {32 * MIB} 3")
        before = int(guest.run("dax-tool cache").split()[-1])
        guest.run("dax-tool read /ext4/large")
        after = int(guest.run("dax-tool cache").split()[-1])
        assert after - before < 4096, f"page cache grew from {before} to {after} kB"
        guest.send("dax-tool records /ext4/records 100000 2>&1\n")
        guest.wait_for(r"record 30 durable")
        guest.kill()
        reported = max(int(n) for n in re.findall(r"record (\d+) durable\r?\n", guest.text))
    with Guest(*pmem(tmp_path / "a.img", 1), *pmem(tmp_path / "b.img", 2)) as guest:
        guest.run("mkdir /ext4 /xfs && mount -o dax /dev/pmem0 /ext4 && mount -t xfs -o dax /dev/pmem1 /xfs")
        for directory in "/ext4", "/xfs":
            guest.run(f"test $(stat -c %s {directory}/data) = {2 * MIB}")
        assert int(guest.run("dax-tool check-records /ext4/records").split()[-1]) >= reported
        assert guest.power_off() == 0


# ---- sixteen devices of one guest, of every form. The sizes tell which is which.

ORIGINAL = b"original" * (36 * MIB // 8)
PLAIN = [(2 * n + 2) * MIB for n in range(10)]
COPIED, SCRATCH, SHORT, BLOCK, READ_ONLY, PLACED = (size * MIB for size in (36, 38, 40, 42, 44, 48))


@pytest.fixture(name="loop", scope="module")
def fixture_loop(tmp_path_factory):
    """A block device, or None where the host has none."""
    image = tmp_path_factory.mktemp("disk") / "disk.img"
    image.write_bytes(bytes(BLOCK))
    subprocess.run(["modprobe", "-q", "loop"], check=False)
    done = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True, check=False)
    if done.returncode:
        yield None, f"no loop device here: {done.stderr.strip()}"
        return
    yield done.stdout.strip(), image
    subprocess.run(["losetup", "-d", done.stdout.strip()], check=True)


@pytest.fixture(name="read_only", scope="module")
def fixture_read_only(tmp_path_factory):
    """An image that nobody may write, with a file system and a file."""
    directory = tmp_path_factory.mktemp("read-only")
    image = directory / "a.img"
    (directory / "tree").mkdir()
    (directory / "tree/file").write_text("shared\n")
    with open(image, "wb") as file:
        file.truncate(READ_ONLY)
    mkfs = ["mkfs.ext4", "-q", "-b", "4096", "-d", directory / "tree", image]
    subprocess.run(mkfs, check=True, env=os.environ | {"PATH": f"{os.environ['PATH']}:/sbin:/usr/sbin"})
    image.chmod(0o444)
    return image


@pytest.fixture(name="guest", scope="module")
def fixture_guest(tmp_path_factory, loop, read_only):
    directory = tmp_path_factory.mktemp("sixteen")
    pairs = [option for n in range(10) for option in pmem(directory / f"{n}.img", n, size=f"{2 * n + 2}M")]
    # Order is free: all devices before all backends.
    devices = [option for option in zip(pairs[::2], pairs[1::2]) if option[0] == "-device"]
    backends = [option for option in zip(pairs[::2], pairs[1::2]) if option[0] == "-object"]
    words = [word for option in devices + backends for word in option]
    (directory / "copied.img").write_bytes(ORIGINAL)
    words += pmem(directory / "copied.img", 10, share="off")
    (directory / "scratch").mkdir()
    words += pmem(directory / "scratch", 11, size="38M")
    words += ["-pmem", f"{directory}/short.img,size=40M"]
    words += pmem(loop[0], 12) if loop[0] else pmem(directory / "no-disk.img", 12, size="42M")
    words += pmem(read_only, 13, readonly="on")
    backend = '{"qom-type":"memory-backend-file","id":"m","share":true,"mem-path":"%s","size":50331648}'
    device = '{"driver":"virtio-pmem-pci","id":"nv","memdev":"m","addr":"0x7","memaddr":5368709120}'
    words += ["-object", backend % (directory / "placed.img"), "-device", device]
    with Guest(*words) as guest:
        guest.directory = directory
        yield guest
        assert guest.power_off() == 0
        assert (directory / "copied.img").read_bytes() == ORIGINAL
        assert list((directory / "scratch").iterdir()) == []


def disks(guest):
    """The name of the guest's disk of each size."""
    lines = guest.run("grep . /sys/block/pmem*/size").splitlines()
    return {int(line.partition(":")[2]) * 512: line.split("/")[3] for line in lines}


def write(guest, size, text):
    guest.run(f"echo {text} | dd of=/dev/{disks(guest)[size]} bs=4096 conv=sync,fsync")


def test_sixteen_devices(guest):
    assert sorted(disks(guest)) == [*PLAIN, COPIED, SCRATCH, SHORT, BLOCK, READ_ONLY, PLACED]
    for size in PLAIN:
        write(guest, size, f"device {size}")
    for number, size in enumerate(PLAIN):
        assert (guest.directory / f"{number}.img").read_bytes().startswith(f"device {size}\n".encode())


def test_json_options_and_memaddr(guest):
    assert "/0000:00:07.0/" in guest.run(f"readlink -f /sys/block/{disks(guest)[PLACED]}")
    assert guest.run("cat /sys/bus/pci/devices/0000:00:07.0/device") == "0x105b"
    assert "140000000-142ffffff" in guest.run("cat /proc/iomem")


def test_shorthand(guest):
    write(guest, SHORT, "hello")
    assert (guest.directory / "short.img").read_bytes().startswith(b"hello\n")


def test_copy_on_write_never_changes_the_file(guest):
    image = guest.directory / "copied.img"
    before = image.stat()
    write(guest, COPIED, "changed")
    assert guest.run(f"head -c 7 /dev/{disks(guest)[COPIED]}") == "changed"
    assert image.read_bytes() == ORIGINAL
    assert image.stat().st_mtime_ns == before.st_mtime_ns


def test_one_image_read_only_in_two_machines(guest, read_only):
    before = read_only.read_bytes()
    with Guest(*pmem(read_only, readonly="on")) as other:
        for machine, disk in (guest, disks(guest)[READ_ONLY]), (other, "pmem0"):
            machine.run(f"mkdir -p /mnt && mount -o ro,dax,noload /dev/{disk} /mnt")
            assert machine.run("cat /mnt/file") == "shared"
        assert other.power_off() == 0
    guest.run("umount /mnt")
    assert read_only.read_bytes() == before


def test_file_in_use_is_refused(guest):
    with Guest(*pmem(guest.directory / "0.img", size="2M"), wait=False) as second:
        assert second.end() == 1
        assert str(guest.process.pid) in second.error_text and "0.img" in second.error_text
    guest.run("true")


def test_scratch_directory(guest):
    write(guest, SCRATCH, "scratch")
    assert guest.run(f"head -n 1 /dev/{disks(guest)[SCRATCH]}") == "scratch"
    assert list((guest.directory / "scratch").iterdir()) == []


def test_block_device(guest, loop):
    if not loop[0]:
        pytest.skip(loop[1])
    write(guest, BLOCK, "block")
    assert loop[1].read_bytes().startswith(b"block\n")


def test_driver_rebind(guest):
    size = PLAIN[-1]

    def address():
        guest.run(f"n=0; until grep -qx {size // 512} /sys/block/pmem*/size; do n=$((n+1)); "
                  "[ $n -lt 600 ] || exit 1; sleep 0.1; done")  # fmt: skip
        path = guest.run(f"readlink -f /sys/block/{disks(guest)[size]}")
        return re.search(r"/([^/]+)/(virtio\d+)/", path).groups()

    write(guest, size, "kept")
    for _ in range(2):
        _, name = address()
        guest.run(f"cd /sys/bus/virtio/drivers/virtio_pmem && echo {name} >unbind && echo {name} >bind; cd /root")
    pci, _ = address()
    assert guest.run(f"head -n 1 /dev/{disks(guest)[size]}") == "kept"
    guest.run(f"echo 1 >/sys/bus/pci/devices/{pci}/remove && echo 1 >/sys/bus/pci/rescan")
    assert address()[0] == pci
    assert guest.run(f"head -n 1 /dev/{disks(guest)[size]}") == "kept"
