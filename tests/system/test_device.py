"""The pmem device as a Linux guest sees it: the documented command line, DAX file systems, what is durable.

SPDX-License-Identifier: Apache-2.0
"""
import re
import shlex
import subprocess

import pytest

from machine import GIB, MIB, Guest, Vm, kernel_files, pmem


def make_ext4(guest, device="/dev/pmem0"):
    guest.run(f"mkfs.ext4 -q -b 4096 {device} && mkdir -p /mnt && mount -o dax {device} /mnt")


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


@pytest.mark.parametrize("filesystem", ["ext4", "xfs"])
def test_dax_filesystem(tmp_path, filesystem):
    image = tmp_path / "a.img"
    with Guest(*pmem(image, size="512M"), memory="512M") as guest:
        if filesystem == "ext4":
            make_ext4(guest)
        else:
            guest.run("mkfs.xfs -q -m reflink=0 /dev/pmem0 && mkdir -p /mnt && mount -t xfs -o dax /dev/pmem0 /mnt")
        guest.run(f"dax-tool write /mnt/data {8 * MIB} 7")
        guest.run("dax-tool isdax /mnt/data")
        assert "EOPNOTSUPP" in guest.run("dax-tool mapsync /mnt/data")
        guest.run("dax-tool fsync /mnt/data 20")
        guest.kill()
    with Guest(*pmem(image), memory="512M") as guest:
        guest.run(f"mkdir -p /mnt && mount -t {filesystem} -o dax /dev/pmem0 /mnt")
        guest.run(f"test $(stat -c %s /mnt/data) = {8 * MIB}")
        assert guest.power_off() == 0


def test_records_survive_sigkill(tmp_path):
    """
    Every record that the guest called durable is there after the process was killed in full flight. (The host's page
    cache outlives the process: that a sync was made is what test_flush.py shows.)
    """
    image = tmp_path / "a.img"
    with Guest(*pmem(image, size="256M")) as guest:
        make_ext4(guest)
        guest.send("dax-tool records /mnt/records 100000 2>&1\n")
        guest.wait_for(r"record 50 durable")
        guest.kill()
        reported = max(int(n) for n in re.findall(r"record (\d+) durable\r?\n", guest.text))
    with Guest(*pmem(image)) as guest:
        guest.run("mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
        assert int(guest.run("dax-tool check-records /mnt/records").split()[-1]) >= reported


def test_sixteen_devices(tmp_path):
    pairs = [option for n in range(16) for option in pmem(tmp_path / f"{n}.img", n, size=f"{2 * n + 2}M")]
    # Order is free: all devices before all backends.
    devices = [option for option in zip(pairs[::2], pairs[1::2]) if option[0] == "-device"]
    backends = [option for option in zip(pairs[::2], pairs[1::2]) if option[0] == "-object"]
    with Guest(*[word for option in devices + backends for word in option]) as guest:
        sizes = guest.run("for n in $(seq 0 15); do cat /sys/block/pmem$n/size; done").split()
        assert sorted(int(size) * 512 for size in sizes) == [(2 * n + 2) * MIB for n in range(16)]
        guest.run("for n in $(seq 0 15); do echo device $n | dd of=/dev/pmem$n bs=4096 conv=sync,fsync; done")
        assert guest.power_off() == 0
    assert {(tmp_path / f"{n}.img").read_bytes()[:7] for n in range(16)} == {b"device "}


def test_json_options_and_memaddr(tmp_path):
    backend = '{"qom-type":"memory-backend-file","id":"m","share":true,"mem-path":"%s","size":16777216}'
    device = '{"driver":"virtio-pmem-pci","id":"nv","memdev":"m","addr":"0x7","memaddr":5368709120}'
    with Guest("-object", backend % (tmp_path / "a.img"), "-device", device) as guest:
        assert guest.run("lspci | grep 105b").startswith("00:07.0")
        assert "140000000-140ffffff" in guest.run("cat /proc/iomem")
        assert guest.power_off() == 0


def test_shorthand(tmp_path):
    with Guest("-pmem", f"{tmp_path}/a.img,size=32M") as guest:
        assert int(guest.run("cat /sys/block/pmem0/size")) * 512 == 32 * MIB
        guest.run("echo hello | dd of=/dev/pmem0 bs=4096 conv=sync,fsync")
        assert guest.power_off() == 0
    assert (tmp_path / "a.img").read_bytes().startswith(b"hello\n")


def test_copy_on_write_never_changes_the_file(tmp_path):
    image = tmp_path / "a.img"
    image.write_bytes(b"original" * (2 * MIB // 8))
    before = image.stat()
    with Guest(*pmem(image, share="off")) as guest:
        guest.run("echo changed | dd of=/dev/pmem0 bs=4096 conv=sync,fsync")
        assert guest.run("head -c 7 /dev/pmem0") == "changed"
        assert guest.power_off() == 0
    assert image.read_bytes() == b"original" * (2 * MIB // 8)
    assert image.stat().st_mtime_ns == before.st_mtime_ns


def test_one_image_read_only_in_two_machines(tmp_path):
    image = tmp_path / "a.img"
    with Guest(*pmem(image, size="64M")) as guest:
        make_ext4(guest)
        guest.run("echo shared >/mnt/file && umount /mnt")
        assert guest.power_off() == 0
    image.chmod(0o444)
    before = image.read_bytes()
    with Guest(*pmem(image, readonly="on")) as one, Guest(*pmem(image, readonly="on")) as two:
        for guest in one, two:
            guest.run("mkdir -p /mnt && mount -o ro,dax,noload /dev/pmem0 /mnt")
            assert guest.run("cat /mnt/file") == "shared"
        assert one.power_off() == 0 and two.power_off() == 0
    assert image.read_bytes() == before


def test_file_in_use_is_refused(tmp_path):
    image = tmp_path / "a.img"
    with Guest(*pmem(image, size="16M")) as first:
        with Guest(*pmem(image, size="16M"), wait=False) as second:
            assert second.end() == 1
            assert str(first.process.pid) in second.error_text and "a.img" in second.error_text
        first.run("true")
        assert first.power_off() == 0


def test_scratch_directory(tmp_path):
    with Guest(*pmem(tmp_path, size="16M")) as guest:
        guest.run("echo scratch | dd of=/dev/pmem0 bs=4096 conv=sync,fsync")
        assert list(tmp_path.iterdir()) == []
        assert guest.power_off() == 0
    assert list(tmp_path.iterdir()) == []


def test_block_device(tmp_path):
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(64 * MIB))
    subprocess.run(["modprobe", "-q", "loop"], check=False)
    done = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop device here: {done.stderr.strip()}")
    loop = done.stdout.strip()
    try:
        with Guest(*pmem(loop)) as guest:
            assert int(guest.run("cat /sys/block/pmem0/size")) * 512 == 64 * MIB
            guest.run("echo block | dd of=/dev/pmem0 bs=4096 conv=sync,fsync")
            assert guest.power_off() == 0
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)
    assert image.read_bytes().startswith(b"block\n")


def test_guest_page_cache_does_not_grow(tmp_path):
    """The data is in memory once: reading 100 MB of a DAX file leaves the guest's page cache as it was."""
    with Guest(*pmem(tmp_path / "a.img", size="256M"), memory="256M") as guest:
        make_ext4(guest)
        guest.run(f"dax-tool write /mnt/data {100 * MIB} 3")
        before = int(guest.run("dax-tool cache").split()[-1])
        guest.run("dax-tool read /mnt/data")
        after = int(guest.run("dax-tool cache").split()[-1])
        assert after - before < 4096, f"page cache grew from {before} to {after} kB"


def test_driver_rebind(tmp_path):
    with Guest(*pmem(tmp_path / "a.img", size="16M")) as guest:
        guest.run("echo kept | dd of=/dev/pmem0 bs=4096 conv=sync,fsync")
        for _ in range(3):
            guest.run("cd /sys/bus/virtio/drivers/virtio_pmem && echo virtio0 >unbind && echo virtio0 >bind; cd /root")
            guest.run("wait-for /dev/pmem0 10")
        assert guest.run("head -n 1 /dev/pmem0") == "kept"
        guest.run("echo 1 >/sys/bus/pci/devices/0000:00:01.0/remove && echo 1 >/sys/bus/pci/rescan")
        guest.run("wait-for /dev/pmem0 10")
        assert guest.run("head -n 1 /dev/pmem0") == "kept"
