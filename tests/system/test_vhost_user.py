"""Devices whose back end is another process: disks of qemu-storage-daemon, folders of virtiofsd.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import time

import pytest

from machine import MIB, Guest, linux_options, pmem, run_pmvm
from monitor import Qmp, Refused
from process import descriptors

STORAGE = shutil.which("qemu-storage-daemon")
VIRTIOFSD = next((path for path in ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd") if os.path.exists(path)), None)
WAIT_MAX = 200
SIZE = 1_000_000
RAM = ["-object", "memory-backend-memfd,id=ram,size=256M", "-machine", "memory-backend=ram", "-m", "256M"]

needs_storage = pytest.mark.skipif(STORAGE is None, reason="qemu-storage-daemon is not installed")
needs_virtiofsd = pytest.mark.skipif(VIRTIOFSD is None, reason="virtiofsd is not installed")


class Backend:
    """A process that listens on a socket."""

    def __init__(self, command, path):
        self.path = path
        self.log = open(f"{path}.log", "wb")
        self.process = subprocess.Popen(list(map(str, command)), stdout=self.log, stderr=self.log)
        wait_until(lambda: path.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, pathlib.Path(self.log.name).read_text()

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(WAIT_MAX)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.kill()
        self.log.close()
        self.path.unlink(missing_ok=True)


def wait_until(condition):
    end = time.monotonic() + WAIT_MAX
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def storage(tmp_path, *blockdevs, name="blk.sock", export=""):
    """A disk of the block device "disk"."""
    path = tmp_path / name
    command = [STORAGE]
    for blockdev in blockdevs:
        command += ["--blockdev", blockdev]
    export = f"vhost-user-blk,id=e0,node-name=disk,addr.type=unix,addr.path={path},writable=on{export}"
    return Backend([*command, "--export", export], path)


def qcow2(tmp_path, size_mib=64):
    """An empty image: header, refcount table, one refcount block, L1 table, each in a cluster of 64 KiB."""
    image, cluster = tmp_path / "disk.qcow2", 65536
    if not image.exists():
        header = struct.pack(
            ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, size_mib * MIB, 0, 1, 3 * cluster, cluster, 1, 0, 0
        )
        clusters = [header, struct.pack(">Q", 2 * cluster), struct.pack(">4H", 1, 1, 1, 1), bytes(8)]
        image.write_bytes(b"".join(part.ljust(cluster, b"\0") for part in clusters))
    return [f"driver=file,node-name=file,filename={image}", "driver=qcow2,node-name=disk,file=file"]


def folder(tmp_path, name="fs.sock"):
    """A folder of the host."""
    shared = tmp_path / "shared"
    shared.mkdir(exist_ok=True)
    path = tmp_path / name
    command = [VIRTIOFSD, f"--socket-path={path}", "-o", f"source={shared}", "-o", "cache=auto"]
    return Backend([*command, "-o", "sandbox=chroot"], path), shared


def chardev(path, name="c0", **more):
    return ["-chardev", f"socket,id={name},path={path}" + "".join(f",{key}={value}" for key, value in more.items())]


def blk(**more):
    properties = {"id": "blk0", "chardev": "c0"} | more
    return ["-device", "vhost-user-blk-pci" + "".join(f",{key}={value}" for key, value in properties.items())]


def fs(**more):
    properties = {"id": "fs0", "chardev": "c0", "tag": "host"} | more
    return ["-device", "vhost-user-fs-pci" + "".join(f",{key}={value}" for key, value in properties.items())]


def start(tmp_path, *args, **kwargs):
    return Guest("-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", *RAM, *args, **kwargs)


def appears(guest, path):
    guest.run(f"until [ -e {path} ]; do usleep 50000; done")


def state(qmp, name):
    return next(info for info in qmp.run("query-vhost-user") if info["id"] == name)


def reboot(guest):
    at = len(guest.output)
    guest.send("reboot -f\n")
    guest.booted(at)


def write_disk(guest, size_mib=1):
    """Writes random bytes to the disk, reads them past the page cache: both sums."""
    guest.run(f"dd if=/dev/urandom of=/tmp/a bs=1M count={size_mib} 2>/dev/null")
    guest.run("dd if=/tmp/a of=/dev/vda bs=1M conv=fsync 2>/dev/null && echo 3 >/proc/sys/vm/drop_caches")
    return guest.run("md5sum </tmp/a").split()[0], disk_sum(guest, size_mib)


def disk_sum(guest, size_mib=1):
    return guest.run(f"dd if=/dev/vda bs=1M count={size_mib} iflag=direct 2>/dev/null | md5sum").split()[0]


# ---- one machine with a disk, whose back end may come again; each test takes the state that the one before it left


class Disk:
    """The machine, its monitor, and the back end of the present."""

    def __init__(self, tmp_path, guest, qmp, back):
        self.tmp_path, self.guest, self.qmp, self.back = tmp_path, guest, qmp, back
        self.written = None


@pytest.fixture(name="disk", scope="module")
def fixture_disk(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("disk")
    with storage(tmp_path, *qcow2(tmp_path)) as back:
        with start(tmp_path, *chardev(back.path, reconnect=1), *blk()) as guest, Qmp(tmp_path / "qmp") as qmp:
            yield Disk(tmp_path, guest, qmp, back)
            assert guest.power_off() == 0


def load(guest):
    guest.run("modprobe virtio_blk")
    appears(guest, "/dev/vda")


@needs_storage
def test_a_qcow2_image_is_a_disk_also_after_a_reboot(disk):
    guest, qmp = disk.guest, disk.qmp
    load(guest)
    assert int(guest.run("cat /sys/block/vda/size")) * 512 == 64 * MIB
    disk.written, read = write_disk(guest)
    assert disk.written == read
    assert state(qmp, "blk0") == {
        "id": "blk0",
        "path": "/machine/peripheral/blk0",
        "chardev": "c0",
        "connected": True,
        "state": "running",
    }
    reboot(guest)
    assert state(qmp, "blk0")["state"] == "idle"
    load(guest)
    assert disk_sum(guest) == disk.written
    qmp.run("stop")
    assert state(qmp, "blk0")["state"] == "idle"
    qmp.run("cont")
    assert disk_sum(guest) == disk.written
    qmp.run("device_del", id="blk0")
    qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="blk0")
    assert qmp.run("query-vhost-user") == []
    assert disk.back.process.poll() is None


def is_connected(qmp, name):
    chardevs = {info["label"]: info["filename"] for info in qmp.run("query-chardev")}
    return not chardevs[name].startswith("disconnected")


def plug(disk):
    wait_until(lambda: is_connected(disk.qmp, "c0"))
    disk.qmp.run("device_add", driver="vhost-user-blk-pci", id="blk0", chardev="c0")
    appears(disk.guest, "/dev/vda")


@needs_storage
def test_plug_and_unplug_return_to_where_it_began(disk):
    guest, qmp = disk.guest, disk.qmp
    before = None
    for _ in range(3):
        plug(disk)
        assert disk_sum(guest) == disk.written
        qmp.run("device_del", id="blk0")
        qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="blk0")
        guest.run("while [ -e /dev/vda ]; do usleep 50000; done")
        # Without its connection, which comes again in a second.
        now = [name for name in descriptors(guest) if not name.startswith("socket:")]
        assert before in (None, now)
        before = now


@needs_storage
def test_an_idle_disk_goes_on_with_the_next_back_end(disk):
    """With reconnect=. One that is stopped by a signal is disconnected for good, and holds nobody up for long."""
    guest, qmp = disk.guest, disk.qmp
    plug(disk)
    assert disk_sum(guest) == disk.written
    disk.back.kill()
    disk.back.path.unlink(missing_ok=True)
    qmp.wait_event("VHOST_USER_CHANGE", WAIT_MAX, device="blk0", connected=False)
    assert state(qmp, "blk0")["state"] == "disconnected"
    # The image has what was written.
    with storage(disk.tmp_path, *qcow2(disk.tmp_path)) as again:
        qmp.wait_event("VHOST_USER_CHANGE", WAIT_MAX, device="blk0", connected=True)
        assert state(qmp, "blk0")["state"] == "running"
        assert disk_sum(guest) == disk.written
        written, read = write_disk(guest)
        assert written == read
        again.process.send_signal(signal.SIGSTOP)
        qmp.run("stop")
        qmp.wait_event("VHOST_USER_CHANGE", WAIT_MAX, device="blk0", connected=False)
        assert state(qmp, "blk0")["message"] == "the back end does not answer"
        qmp.run("cont")
        assert guest.run("echo still here") == "still here"
        again.process.send_signal(signal.SIGCONT)
    assert state(qmp, "blk0")["state"] == "needs-reset"


# ---- folders


def pmem_options(tmp_path, number):
    return pmem(tmp_path / f"pmem{number}.img", number, size="32M")


def read_into_dax(guest, shared, device):
    """A file of the host, read with O_DIRECT into a page of the device; the host's back end writes it there."""
    (shared / "direct").write_bytes(data := os.urandom(2 * MIB))
    guest.run(f"mkfs.ext4 -q -F -b 4096 {device} && mkdir -p /mnt && mount -o dax {device} /mnt")
    assert guest.run("dax-tool direct /host/direct /mnt/x") == f"ok {2 * MIB}"
    digest = hashlib.md5(data).hexdigest()
    assert guest.run("md5sum </mnt/x").split()[0] == digest
    guest.run(f"umount /mnt && mount -o dax {device} /mnt")
    assert guest.run("md5sum </mnt/x").split()[0] == digest
    guest.run("umount /mnt")


def read_and_write_folder(guest, shared):
    (shared / "from-host").write_bytes(data := os.urandom(SIZE))
    guest.run("modprobe virtiofs && mkdir -p /host && mount -t virtiofs host /host")
    assert guest.run("md5sum </host/from-host").split()[0] == hashlib.md5(data).hexdigest()
    guest.run(f"head -c {SIZE} /dev/urandom >/tmp/b && cp /tmp/b /host/from-guest && sync")
    assert guest.run("md5sum </tmp/b").split()[0] == hashlib.md5((shared / "from-guest").read_bytes()).hexdigest()


@needs_virtiofsd
def test_a_folder_is_mounted_read_and_written_also_into_dax_pages(tmp_path):
    """A direct read goes into a window of the start, and of one that is plugged while the folder is mounted."""
    back, shared = folder(tmp_path)
    with back, start(tmp_path, *pmem_options(tmp_path, 1), *chardev(back.path), *fs()) as guest:
        with Qmp(tmp_path / "qmp") as qmp:
            for is_again in False, True:
                if is_again:
                    reboot(guest)
                read_and_write_folder(guest, shared)
                read_into_dax(guest, shared, "/dev/pmem0")
            backend = {"qom-type": "memory-backend-file", "id": "mem2", "share": True, "size": 32 * MIB}
            qmp.run("object-add", backend | {"mem-path": f"{tmp_path}/pmem2.img"})
            qmp.run("device_add", driver="virtio-pmem-pci", memdev="mem2", id="nv2")
            appears(guest, "/dev/pmem1")
            read_into_dax(guest, shared, "/dev/pmem1")
            qmp.run("device_del", id="nv2")
            qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="nv2")
            assert guest.run("cat /host/direct | wc -c") == str(2 * MIB)
            assert state(qmp, "fs0")["state"] == "running"
        assert guest.power_off() == 0


# ---- back ends that die


@needs_storage
def test_a_back_end_that_dies_under_load_harms_nobody_else(tmp_path):
    """After a reset the device can go. One of any kind can come, on a network block device.

    Two storage daemons then: one exports a file by NBD, the other serves that as a disk.
    """
    with storage(tmp_path, *qcow2(tmp_path)) as back:
        options = [*pmem_options(tmp_path, 1), *chardev(back.path), *blk()]
        with start(tmp_path, *options, cpus=2) as guest, Qmp(tmp_path / "qmp") as qmp:
            load(guest)
            guest.run("(while dd if=/dev/urandom of=/dev/vda bs=1M count=32 oflag=direct 2>/dev/null; do :; done) &")
            wait_until(lambda: (tmp_path / "disk.qcow2").stat().st_size >= 2 * MIB)
            back.kill()
            event = qmp.wait_event("VHOST_USER_CHANGE", WAIT_MAX, device="blk0", connected=False)
            assert event["data"]["message"] == "the back end has closed the connection"
            assert state(qmp, "blk0")["state"] == "needs-reset" and not state(qmp, "blk0")["connected"]
            guest.wait_for_error("vhost-user-blk-pci: blk0: the back end has closed the connection")
            guest.run("mkfs.ext4 -q -F -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
            assert guest.run("dax-tool fsync /mnt/f 20") == "fsync 20"
            assert qmp.run("query-status")["running"]
            at = len(guest.output)
            qmp.run("system_reset")
            guest.booted(at)
            assert qmp.run("query-pmem")[0]["state"] == "ok"
            # The device can go, and one with another back end can come.
            qmp.run("device_del", id="blk0")
            qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="blk0")
            with pytest.raises(Refused, match="chardev 'c0': no back end is connected"):
                qmp.run("device_add", driver="vhost-user-blk-pci", id="blk0", chardev="c0")
            qmp.run("chardev-remove", id="c0")
            network_block_device_is_a_disk(tmp_path, guest, qmp)
            assert guest.power_off() == 0


def network_block_device_is_a_disk(tmp_path, guest, qmp):
    image, nbd = tmp_path / "raw.img", tmp_path / "nbd.sock"
    image.write_bytes(bytes(16 * MIB))
    command = [STORAGE, "--blockdev", f"driver=file,node-name=raw,filename={image}"]
    command += ["--nbd-server", f"addr.type=unix,addr.path={nbd}"]
    command += ["--export", "nbd,id=n0,node-name=raw,name=raw,writable=on"]
    node = f"driver=nbd,node-name=disk,server.type=unix,server.path={nbd},export=raw"
    device = {"driver": "vhost-user-device-pci", "virtio-id": 2, "num_vqs": 1, "config_size": 60}
    with Backend(command, nbd), storage(tmp_path, node, name="again.sock") as again:
        address = {"type": "unix", "data": {"path": str(again.path)}}
        socket = {"type": "socket", "data": {"addr": address, "server": False}}
        qmp.run("chardev-add", id="c1", backend=socket)
        qmp.run("device_add", device | {"id": "any0", "chardev": "c1"})
        load(guest)
        written, read = write_disk(guest)
        assert written == read
        qmp.run("device_del", id="any0")
        qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="any0")
    assert hashlib.md5(image.read_bytes()[:MIB]).hexdigest() == written


# ---- errors


@needs_storage
def test_errors_name_the_next_step(tmp_path):
    def refused(*args):
        status, _, errors = run_pmvm(*linux_options(), *args)
        assert status == 1
        return errors

    nobody = tmp_path / "nobody"
    assert f"Failed to connect to '{nobody}': No such file or directory" in refused(*RAM, *chardev(nobody), *blk())
    assert "Property 'vhost-user-blk.chardev' can't find value 'c0'" in refused(*RAM, *blk())
    assert "Property 'vhost-user-fs-device.chardev' can't find value 'c0'" in refused(*RAM, *fs())
    assert "chardev 'c0' is no socket" in refused(*RAM, "-chardev", "null,id=c0", *fs())
    server = ["-chardev", f"socket,id=c0,path={tmp_path}/server,server=on,wait=off"]
    assert "chardev 'c0': no back end is connected" in refused(*RAM, *server, *blk())
    with storage(tmp_path, *qcow2(tmp_path)) as back:
        shared = "Failed initializing vhost-user memory map, consider using -object memory-backend-file share=on\n"
        errors = refused(*chardev(back.path), *blk())
        assert shared in errors and "memory-backend-memfd" in errors
        private = ["-object", "memory-backend-memfd,id=ram,size=256M,share=off", *RAM[2:]]
        assert shared in refused(*private, *chardev(back.path), *blk())
        queues = "The maximum number of queues supported by the backend is 1\n"
        assert queues in refused(*RAM, *chardev(back.path), *blk(**{"num-queues": 2}))


# ---- -share


def virtiofsds(vm):
    """The processes that serve the machine's folders, by folder."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it has ended
        sources = [word[7:].decode() for word in words if word.startswith(b"source=")]
        if parent == vm.process.pid and sources:
            found[sources[0]] = int(path.name)
    return found


def one_more_folder(tmp_path, guest, qmp):
    """Plugged by the monitor, as docs/vhost-user.md has it, and unplugged."""
    (tmp_path / "three").mkdir()
    back, shared = folder(tmp_path / "three")
    (shared / "from-host").write_bytes(os.urandom(SIZE))
    with back:
        address = {"type": "unix", "data": {"path": str(back.path)}}
        qmp.run("chardev-add", id="c3", backend={"type": "socket", "data": {"addr": address, "server": False}})
        qmp.run("device_add", driver="vhost-user-fs-pci", id="fs3", chardev="c3", tag="third")
        guest.run(
            "mkdir /three && for i in $(seq 200); do mount -t virtiofs third /three && break; usleep 100000; done"
        )
        assert guest.run("md5sum </three/from-host").split()[0] == file_sum(shared / "from-host")
        guest.run("umount /three")
        qmp.run("device_del", id="fs3")
        qmp.wait_event("DEVICE_DELETED", WAIT_MAX, device="fs3")


@needs_virtiofsd
def test_share_is_a_folder_in_one_option(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for path in one, two:
        path.mkdir()
        (path / "from-host").write_bytes(os.urandom(SIZE))
    shares = ["-share", f"{one},sandbox=chroot", "-share", f"{two}/,tag=second,id=fs2,sandbox=chroot"]
    qmp_socket = ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]
    with Guest(*qmp_socket, *shares) as guest, Qmp(tmp_path / "qmp") as qmp:
        guest.run("modprobe virtiofs && mkdir /one /two && mount -t virtiofs one /one && mount -t virtiofs second /two")
        for path, mounted in (one, "/one"), (two, "/two"):
            assert guest.run(f"md5sum <{mounted}/from-host").split()[0] == file_sum(path / "from-host")
            guest.run(f"head -c {SIZE} /dev/urandom >/tmp/b && cp /tmp/b {mounted}/from-guest && sync")
            assert guest.run("md5sum </tmp/b").split()[0] == file_sum(path / "from-guest")
        one_more_folder(tmp_path, guest, qmp)
        processes = virtiofsds(guest)
        assert set(processes) == {str(one), str(two)}
        os.kill(processes[str(one)], signal.SIGKILL)
        event = qmp.wait_event("VHOST_USER_CHANGE", WAIT_MAX, device="share0")
        assert not event["data"]["connected"]
        guest.wait_for_error(f"share {one}: virtiofsd was killed by signal 9: the folder is gone")
        assert guest.run("md5sum </two/from-host").split()[0] == file_sum(two / "from-host")
        guest.signal(signal.SIGTERM)
        assert guest.end() == 0
        wait_until(lambda: not pathlib.Path(f"/proc/{processes[str(two)]}").exists())


def file_sum(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_errors_of_share_name_the_next_step(tmp_path):
    def refused(*args):
        status, _, errors = run_pmvm(*linux_options(), *args)
        assert status == 1
        return errors

    missing = tmp_path / "missing"
    errors = refused("-share", missing)
    assert f"share '{missing}': No such file or directory" in errors and "a folder that exists" in errors
    missing.write_text("")
    assert f"share '{missing}': Not a directory" in refused("-share", missing)
    if VIRTIOFSD:
        private = ["-object", "memory-backend-ram,id=ram,size=256M", "-machine", "memory-backend=ram"]
        errors = refused("-share", f"{tmp_path},sandbox=chroot", *private)
        assert "Failed initializing vhost-user memory map" in errors and "memory-backend-memfd" in errors
