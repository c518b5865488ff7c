"""Devices that come and go while the guest works.

SPDX-License-Identifier: Apache-2.0
"""
import errno
import fcntl
import hashlib
import re
import shutil
import threading
import time

import pytest

import kvm_stats
from machine import CHECKOUT, MIB, Guest, near, pmem
from monitor import Hmp, Qmp, Refused
from process import descriptors, maps, private_kib, settle, threads
from sync_trace import calls

RAM = 512  # MiB of the shared guest: 4 GiB of persistent memory need page structures
UNPLUG_MAX = 200


def qmp_options(directory):
    return ["-qmp", f"unix:{directory}/qmp,server=on,wait=off"]


def add(qmp, path, memdev="mem2", device="nv2", size=32 * MIB, **properties):
    qmp.run(
        "object-add",
        {"qom-type": "memory-backend-file", "id": memdev, "share": True, "mem-path": str(path), "size": size},
    )
    qmp.run("device_add", {"driver": "virtio-pmem-pci", "id": device, "memdev": memdev} | properties)


def remove(qmp, memdev="mem2", device="nv2"):
    qmp.run("device_del", id=device)
    qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device=device)
    qmp.run("object-del", id=memdev)


def flushes_of(qmp):
    return sum(device["flushes"]["completed"] for device in qmp.run("query-pmem"))


def appears(guest, name="/dev/pmem1"):
    guest.run(f"until [ -e {name} ]; do usleep 50000; done")


def is_gone(guest, name="/dev/pmem1"):
    guest.run(f"while [ -e {name} ]; do usleep 50000; done")


def there_are(guest, number):
    """Waits until the guest has so many devices; returns their names."""
    count = f"set -- /dev/pmem*; [ $# = {number} ]"
    return guest.run(f"until {count}; do usleep 50000; done; echo $*").split()


def ids(qmp):
    return [device["data"]["id"] for device in qmp.run("query-memory-devices")]


# ---- each with a machine of its own


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_memory_slots_and_descriptors_are_balanced(tmp_path):
    log, cycles = tmp_path / "strace", 2
    traced = "-e trace=ioctl,mmap,munmap,eventfd2 -e signal=none".split()
    prefix = ["strace", "-f", "--seccomp-bpf", "-y", "-o", log, *traced]
    with Guest(*qmp_options(tmp_path), prefix=prefix) as guest, Qmp(tmp_path / "qmp") as qmp:
        for _ in range(cycles):
            add(qmp, tmp_path / "b.img")
            appears(guest, "/dev/pmem0")
            remove(qmp)
            is_gone(guest, "/dev/pmem0")
        qmp.run("quit")
        assert guest.end() == 0
    text = "\n".join(calls(log))
    slots = re.findall(r"KVM_SET_USER_MEMORY_REGION, \{slot=(\d+), [^}]*memory_size=(\d+)", text)
    device_slots = [(slot, int(size)) for slot, size in slots if int(size) in (0, 4096, 32 * MIB)]
    window, page = device_slots[0][0], device_slots[1][0]
    # The pmem window, and the register page as long as the guest decodes the BAR.
    assert device_slots == [(window, 32 * MIB), (page, 4096), (page, 0), (window, 0)] * cycles
    # Each of the device's ioeventfds and irqfds is taken back: as many calls, and none fails, which the second
    # ioeventfd at the same address would if the first one were still there.
    for request in "KVM_IOEVENTFD", "KVM_IRQFD":
        results = re.findall(rf"ioctl\([^,]+, {request}, .*= (.*)", text)
        assert len(results) % 2 == 0 and len(results) >= 2 * cycles and set(results) == {"0"}, results


def test_hotplug_before_the_start_while_the_guest_boots_and_while_it_is_stopped(tmp_path):
    """At whatever moment: before, while and after the kernel scans the bus."""
    with Guest("-S", *qmp_options(tmp_path), wait=False) as guest, Qmp(tmp_path / "qmp") as qmp:
        assert qmp.run("query-status")["status"] == "prelaunch"
        add(qmp, tmp_path / "b.img", size=2 * MIB)
        qmp.run("cont")
        for number, delay in enumerate([0, 0.4, 0.4, 0.8]):
            time.sleep(delay)
            add(qmp, tmp_path / f"{number}.img", f"m{number}", f"d{number}", size=2 * MIB)
        guest.booted()
        there_are(guest, 5)
        guest.run("for d in /dev/pmem*; do dd if=/dev/zero of=$d bs=4096 count=1 conv=fsync || exit 1; done")
        assert all(device["flushes"]["completed"] for device in qmp.run("query-pmem"))
        for number in range(4):
            remove(qmp, f"m{number}", f"d{number}")
        there_are(guest, 1)
        qmp.run("stop")
        add(qmp, tmp_path / "c.img", "mem3", "nv3", size=2 * MIB)
        qmp.run("device_del", id="nv2")
        with pytest.raises(Refused, match="^Device nv2 is already in the process of unplug$"):
            qmp.run("device_del", id="nv2")
        assert qmp.run("query-status") == {"status": "paused", "running": False}
        qmp.run("cont")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv2")
        there_are(guest, 1)
        assert ids(qmp) == ["nv3"]


def test_as_many_as_the_bus_takes(tmp_path):
    """Of the 31 slots, devices without a driver take the first 27."""
    others = ["-device", "virtio-rng-pci"] * 27
    with Guest(*others, *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        for number in range(4):
            add(qmp, tmp_path / f"{number}.img", f"m{number}", f"d{number}", size=2 * MIB)
        with pytest.raises(
            Refused, match="PCI: no slot/function available for virtio-pmem-pci, all in use or reserved"
        ):
            add(qmp, tmp_path / "x.img", "one-more", "d31", size=2 * MIB)
        qmp.run("object-del", id="one-more")
        there_are(guest, 4)
        for number in 0, 1, 3:
            remove(qmp, f"m{number}", f"d{number}")
        add(qmp, tmp_path / "1.img", "m1", "d1", size=2 * MIB)
        there_are(guest, 2)


def test_a_guest_that_does_not_answer(tmp_path):
    """Without ACPI hotplug the guest gets no request: the device stays usable, and an event is sent."""
    with (
        Guest(*qmp_options(tmp_path), append="initcall_blacklist=ged_driver_init", wait=False) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        add(qmp, tmp_path / "b.img")
        guest.booted()
        appears(guest, "/dev/pmem0")
        qmp.run("device_del", id="nv2")
        event = qmp.wait_event("DEVICE_UNPLUG_GUEST_ERROR", UNPLUG_MAX)
        assert event["data"] == {"device": "nv2", "path": "/machine/peripheral/nv2"}
        guest.run("dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync")
        assert ids(qmp) == ["nv2"]
        # The removal may be requested again; and a reset completes a pending one.
        qmp.run("device_del", id="nv2")
        qmp.run("system_reset")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv2")
        assert ids(qmp) == []


# ---- a machine whose syncs hang or fail; its devices have a file of their own in each test


@pytest.fixture(name="faulty", scope="module")
def fixture_faulty(tmp_path_factory):
    """fault_shim.c takes the fault from a file beside the image."""
    directory = tmp_path_factory.mktemp("faulty")
    with Guest(
        *qmp_options(directory),
        # The library opens files in the thread that syncs.
        *("-sandbox", "off"),
        prefix=["env", f"LD_PRELOAD={near(CHECKOUT / 'build/tests/fault-shim.so')}"],
        program=near(CHECKOUT / "build/tests/pmvm-shared"),
    ) as guest:
        yield guest, directory
        # A device failed, also if it is gone.
        assert guest.power_off() == 1


def test_unplug_with_a_flush_in_flight(faulty):
    """The guest's fsync ends with its sync, in success; then the device goes."""
    guest, directory = faulty
    with Qmp(directory / "qmp") as qmp:
        add(qmp, directory / "hangs.img")
        appears(guest, "/dev/pmem0")
        fault = directory / "hangs.img.fault"
        fault.write_text("hang")
        # As a grandchild: this shell ends when a background job of its own does.
        guest.run("((dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync 2>/dev/null; echo $? >/tmp/status) &)")
        end = time.monotonic() + UNPLUG_MAX
        while "in-flight-ns" not in qmp.run("query-pmem")[0]["syncs"]:
            assert time.monotonic() < end, "no sync is under way"
            time.sleep(0.1)
        qmp.run("device_del", id="nv2")
        assert qmp.run("query-status")["running"]
        assert guest.run("echo alive; cat /tmp/status 2>/dev/null; true") == "alive"
        assert ids(qmp) == ["nv2"] and "DEVICE_DELETED" not in [event["event"] for event in qmp.events]
        fault.unlink()
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv2")
        assert guest.run("cat /tmp/status") == "0"
        qmp.run("object-del", id="mem2")


def test_a_failed_last_sync_is_reported_by_object_del(faulty):
    guest, directory = faulty
    with Qmp(directory / "qmp") as qmp:
        add(qmp, directory / "last.img")
        appears(guest, "/dev/pmem0")
        fault = directory / "last.img.fault"
        fault.write_text(f"error {errno.EIO}")
        qmp.run("device_del", id="nv2")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv2")
        # One sync when the device goes, and one when its memory goes.
        assert not fault.exists()
        fault.write_text(f"error {errno.EIO}")
        with pytest.raises(Refused, match="mem2: the last sync failed.*Input/output error"):
            qmp.run("object-del", id="mem2")
        # The object is gone all the same.
        with pytest.raises(Refused, match="object 'mem2' not found"):
            qmp.run("object-del", id="mem2")


def test_a_failed_sync_outlives_its_device(faulty):
    """The memory backend has the same open file as before, which the kernel reports the loss to once."""
    guest, directory = faulty
    write = "dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync"
    with Qmp(directory / "qmp") as qmp:
        add(qmp, directory / "outlives.img")
        appears(guest, "/dev/pmem0")
        (directory / "outlives.img.fault").write_text(f"error {errno.EIO}")
        assert guest.run(write, check=False)[0] != 0
        qmp.run("device_del", id="nv2")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv2")
        qmp.run("device_add", driver="virtio-pmem-pci", id="nv3", memdev="mem2")
        appears(guest, "/dev/pmem0")
        assert qmp.run("query-pmem")[0]["state"] == "failed"
        assert guest.run(write, check=False)[0] != 0
        # No sync of the new device failed: there was none.
        assert qmp.run("query-pmem")[0]["syncs"]["count"] == 0
        qmp.run("pmem_clear_error", id="nv3")
        assert qmp.run("query-pmem")[0]["state"] == "ok"


# ---- one machine; each test leaves it with the device of the start


@pytest.fixture(name="shared", scope="module")
def fixture_shared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shared")
    pair = pmem("virtio_pmem.img", size="16M")
    monitor = ["-monitor", "unix:monitor,server=on,wait=off", *qmp_options(directory)]
    with Guest(*pair[:-1], f"{pair[-1]},modern-pio-notify=on", *monitor, memory=f"{RAM}M", cwd=directory) as guest:
        guest.run("mkdir -p /mnt")
        yield guest, directory
        assert guest.power_off() == 0


def test_the_documented_session(shared):
    """QEMU's documentation, letter by letter; the guest does nothing by itself."""
    guest, directory = shared
    with Hmp(directory / "monitor") as hmp:
        assert hmp.run("object_add memory-backend-file,id=mem2,share=on,mem-path=virtio_pmem2.img,size=4G") == ""
        assert hmp.run("device_add virtio-pmem-pci,id=virtio_pmem2,memdev=mem2") == ""
        appears(guest)
        assert guest.run("cat /sys/block/pmem1/size") == str(4096 * 2048)
        assert (directory / "virtio_pmem2.img").stat().st_size == 4096 * MIB
        guest.run("dd if=/dev/zero of=/dev/pmem1 bs=4096 count=1 conv=fsync")
        assert (
            hmp.run("object_del mem2") == "Error: object 'mem2' is in use, can not be deleted\n"
            "hint: device_del its device first, and wait for DEVICE_DELETED\n"
        )
        assert hmp.run("device_del virtio_pmem2") == ""
        is_gone(guest)
        end = time.monotonic() + UNPLUG_MAX
        while "virtio_pmem2" in hmp.run("info memory-devices") and time.monotonic() < end:
            time.sleep(0.1)
        assert hmp.run("object_del mem2") == ""
        assert hmp.run("device_del virtio_pmem2") == "Error: Device 'virtio_pmem2' not found\n"
        assert hmp.run("object_del mem2") == "Error: object 'mem2' not found\n"


def test_the_usual_machine_has_one_bus(shared):
    guest, directory = shared
    assert guest.run("dmesg | grep -c 'PCI host bridge to bus'") == "1"
    with Qmp(directory / "qmp") as qmp:
        assert [bus["bus"] for bus in qmp.run("query-pci")] == [0]
        with pytest.raises(Refused, match="^Bus 'pcie.1' not found "):
            add(qmp, directory / "one.img", size=2 * MIB, bus="pcie.1")
        qmp.run("object-del", id="mem2")


def test_events_of_an_unplug_come_in_order_and_the_file_is_free(shared):
    guest, directory = shared
    image, size = directory / "b.img", 4 * MIB
    with Qmp(directory / "qmp") as qmp:
        add(qmp, image, size=size)
        appears(guest)
        where = qmp.run("query-memory-devices")[1]["data"]["memaddr"]
        guest.run("dd if=/dev/urandom of=/dev/pmem1 bs=1M count=4 conv=fsync")
        wanted = guest.run("md5sum /dev/pmem1").split()[0]
        qmp.run("device_del", id="nv2")
        first = qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX)
        second = qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX)
        assert first["data"] == {"path": "/machine/peripheral/nv2/virtio-backend"}
        assert second["data"] == {"device": "nv2", "path": "/machine/peripheral/nv2"}
        assert set(second["timestamp"]) == {"seconds", "microseconds"}
        assert ids(qmp) == ["nv1"]
        assert "b.img" in maps(guest)
        qmp.run("object-del", id="mem2")
        # Mapping, descriptor and lock are gone: another machine may have the file now.
        assert "b.img" not in maps(guest)
        assert not any("b.img" in name for name in descriptors(guest))
        with open(image, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert hashlib.md5(image.read_bytes()).hexdigest() == wanted
        # Slot and window are used again, and the data is there.
        add(qmp, image, size=size)
        appears(guest)
        assert qmp.run("query-memory-devices")[1]["data"]["memaddr"] == where
        assert guest.run("md5sum /dev/pmem1").split()[0] == wanted
        assert guest.run("ls /sys/bus/pci/devices").split() == ["0000:00:00.0", "0000:00:01.0", "0000:00:02.0"]
        remove(qmp)


@pytest.mark.parametrize("cycles", [30, pytest.param(200, marks=pytest.mark.long)])
def test_many_times_with_a_file_system(shared, cycles):
    """Plug, mount, write, fsync, unmount, unplug: on both sides all returns to where it began."""
    guest, directory = shared
    with Qmp(directory / "qmp") as qmp:
        guest.run(
            "work() { mount -o dax /dev/pmem1 /mnt && read last </mnt/n && [ $last = $1 ] && echo $(($1 + 1)) >/mnt/n "
            "&& sync /mnt/n && umount /mnt; }"
        )

        def cycle(number):
            add(qmp, directory / f"{cycles}.img")
            appears(guest)
            if number == 0:
                guest.run("mkfs.ext4 -q -F -b 4096 /dev/pmem1 && mount /dev/pmem1 /mnt && echo 0 >/mnt/n; umount /mnt")
            guest.run(f"work {number}")
            remove(qmp)
            # Two threads that free a device at a time would need a second stack, whose mapping is kept.
            settle(guest)

        def state():
            return (
                descriptors(guest),
                threads(guest),
                len(maps(guest).splitlines()),
                guest.run("ls /sys/bus/pci/devices /sys/bus/nd/devices /dev/pmem*; grep -c . /proc/iomem"),
            )

        cycle(0)
        cycle(1)
        before, memory = state(), private_kib(guest, RAM * 1024)
        for number in range(2, cycles):
            cycle(number)
        assert state() == before
        more = private_kib(guest, RAM * 1024) - memory
        print(f"{more} KiB more after {cycles} cycles")
        # A page or two of the allocator's may be touched anew; a leak of 1 KiB a time would show.
        assert more < max(20, cycles // 4)


def test_notifications_by_ports(shared):
    """Linux uses the ports, also those of a hotplugged device. (Without an exit to pmvm: test_syscalls_per_flush.)"""
    guest, directory = shared
    count = 50
    with Qmp(directory / "qmp") as qmp:
        add(qmp, directory / "ports.img", size=16 * MIB, **{"modern-pio-notify": True})
        appears(guest)
        regions = [device["regions"] for device in qmp.run("query-pci")[0]["devices"] if device["qdev_id"]]
        assert [bar for bars in regions for bar in bars if bar["type"] == "io"] == [
            {"bar": 4, "size": 16, "address": port, "type": "io"} for port in (0x1000, 0x1010)
        ]
        assert guest.run("grep -c virtio-pci-modern /proc/ioports") == "2"
        for disk in "pmem0", "pmem1":
            guest.run(f"mkfs.ext4 -q -b 4096 /dev/{disk} && mkdir -p /{disk} && mount -o dax /dev/{disk} /{disk}")
            flushes = flushes_of(qmp)
            before = kvm_stats.counters(guest.process.pid, "mmio_exits", "io_exits")
            guest.run(f"dax-tool fsync /{disk}/f {count}")
            after = kvm_stats.counters(guest.process.pid, "mmio_exits", "io_exits")
            assert flushes_of(qmp) - flushes >= count
            if before is not None:
                assert after["mmio_exits"] == before["mmio_exits"]
                # KVM also counts those that it serves itself.
                assert after["io_exits"] - before["io_exits"] >= count
            guest.run(f"umount /{disk}")
        remove(qmp)
        is_gone(guest)
        assert guest.run("grep -c virtio-pci-modern /proc/ioports") == "1"


def test_a_client_that_dies_in_the_middle_of_device_add(shared):
    """Half a request does nothing; a whole one whose answer nobody reads is done. Others go on."""
    guest, directory = shared
    with Qmp(directory / "qmp") as qmp:
        backend = {"qom-type": "memory-backend-file", "id": "mem2", "share": True, "size": 2 * MIB}
        qmp.run("object-add", backend | {"mem-path": str(directory / "dies.img")})
        request = '{"execute": "device_add", "arguments": {"driver": "virtio-pmem-pci", "id": "nv2", "memdev": "mem2"}}'
        for length in 10, 60, len(request) - 1:
            with Qmp(directory / "qmp") as dying:
                dying.socket.sendall(request[:length].encode())
        assert ids(qmp) == ["nv1"]
        with Qmp(directory / "qmp") as dying:
            dying.socket.sendall(request.encode())
        appears(guest)
        assert ids(qmp) == ["nv1", "nv2"]
        remove(qmp)


def test_two_clients_plug_at_once(shared):
    guest, directory = shared
    ended = []
    with Qmp(directory / "qmp") as qmp:
        before = qmp.run("query-memdev")

    def work(name):
        with Qmp(directory / "qmp") as qmp:
            for _ in range(2):
                add(qmp, directory / f"{name}.img", f"m-{name}", f"d-{name}", size=2 * MIB)
                remove(qmp, f"m-{name}", f"d-{name}")
        ended.append(name)

    workers = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(180)
    assert sorted(ended) == ["a", "b"]
    with Qmp(directory / "qmp") as qmp:
        assert ids(qmp) == ["nv1"] and qmp.run("query-memdev") == before
    assert there_are(guest, 1) == ["/dev/pmem0"]


def test_unplug_while_mounted(shared):
    """The guest's applications get errors; what was flushed is in the host's file."""
    guest, directory = shared
    with Qmp(directory / "qmp") as qmp:
        add(qmp, directory / "mounted.img", size=16 * MIB)
        appears(guest)
        guest.run("mkfs.ext4 -q -b 4096 /dev/pmem1 && mount -o dax /dev/pmem1 /mnt")
        guest.run("dd if=/dev/urandom of=/mnt/f bs=1M count=1 conv=fsync")
        wanted = guest.run("md5sum /mnt/f").split()[0]
        remove(qmp)
        status, _ = guest.run("dd if=/dev/zero of=/mnt/g bs=1M count=1 conv=fsync", check=False)
        assert status != 0
        guest.run("umount -l /mnt", check=False)
        assert guest.run("echo alive") == "alive"
        add(qmp, directory / "mounted.img", size=16 * MIB)
        name = there_are(guest, 2)[-1]
        guest.run(f"mkdir -p /mnt2; mount -o dax {name} /mnt2")
        assert guest.run("md5sum /mnt2/f; umount /mnt2").split()[0] == wanted
        remove(qmp)


def test_a_guest_ejects_by_itself(shared):
    """The device of the start: this test is the last one."""
    guest, directory = shared
    with Qmp(directory / "qmp") as qmp:
        guest.run("echo 0 >/sys/bus/pci/slots/1/power")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv1")
        assert ids(qmp) == []
        qmp.run("object-del", id="mem1")
