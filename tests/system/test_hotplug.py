"""Devices that come and go while the guest works.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time

import pytest

import kvm_stats
from machine import MIB, Guest, pmem
from monitor import Hmp, Qmp, Refused

CYCLES = int(os.environ.get("PMVM_HOTPLUG_CYCLES", 200))
UNPLUG_MAX = 60


def qmp_options(tmp_path):
    return ["-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]


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
    guest.run(f"wait-for {name} 60")


def is_gone(guest, name="/dev/pmem1"):
    guest.run(f"n=0; while [ -e {name} ]; do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.2; done")


def test_the_documented_session(tmp_path):
    """QEMU's documentation, letter by letter; the guest does nothing by itself."""
    with Guest(
        *pmem("virtio_pmem.img", size="16M"), "-monitor", "unix:monitor,server=on,wait=off", cwd=tmp_path
    ) as guest:
        with Hmp(tmp_path / "monitor") as hmp:
            assert hmp.run("object_add memory-backend-file,id=mem2,share=on,mem-path=virtio_pmem2.img,size=4G") == ""
            assert hmp.run("device_add virtio-pmem-pci,id=virtio_pmem2,memdev=mem2") == ""
            appears(guest)
            assert guest.run("cat /sys/block/pmem1/size") == str(4096 * 2048)
            assert (tmp_path / "virtio_pmem2.img").stat().st_size == 4096 * MIB
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
        assert guest.power_off() == 0


def test_events_of_an_unplug_come_in_order_and_the_file_is_free(tmp_path):
    image = tmp_path / "b.img"
    with Guest(*pmem(tmp_path / "a.img", size="16M"), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        add(qmp, image)
        appears(guest)
        where = qmp.run("query-memory-devices")[1]["data"]["memaddr"]
        guest.run("dd if=/dev/urandom of=/dev/pmem1 bs=1M count=32 conv=fsync && md5sum /dev/pmem1 >/tmp/sum")
        wanted = guest.run("cat /tmp/sum").split()[0]
        qmp.run("device_del", id="nv2")
        first = qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX)
        second = qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX)
        assert first["data"] == {"path": "/machine/peripheral/nv2/virtio-backend"}
        assert second["data"] == {"device": "nv2", "path": "/machine/peripheral/nv2"}
        assert set(second["timestamp"]) == {"seconds", "microseconds"}
        assert [dev["data"]["id"] for dev in qmp.run("query-memory-devices")] == ["nv1"]
        assert "b.img" in maps(guest)
        qmp.run("object-del", id="mem2")
        # Mapping, descriptor and lock are gone: another machine may have the file now.
        assert "b.img" not in maps(guest)
        assert not any("b.img" in name for name in descriptors(guest))
        lock = "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.LOCK_EX|fcntl.LOCK_NB)"
        subprocess.run(["python3", "-c", lock, image], check=True)
        assert subprocess.run(["md5sum", image], check=True, capture_output=True, text=True).stdout.split()[0] == wanted
        # Slot and window are used again, and the data is there.
        add(qmp, image)
        appears(guest)
        assert qmp.run("query-memory-devices")[1]["data"]["memaddr"] == where
        assert guest.run("md5sum /dev/pmem1").split()[0] == wanted
        assert guest.run("ls /sys/bus/pci/devices").split() == ["0000:00:00.0", "0000:00:01.0", "0000:00:02.0"]


def maps(vm):
    return pathlib.Path(f"/proc/{vm.process.pid}/maps").read_text()


def descriptors(vm):
    directory = pathlib.Path(f"/proc/{vm.process.pid}/fd")
    return sorted(os.readlink(entry) for entry in directory.iterdir())


def threads(vm):
    return len(list(pathlib.Path(f"/proc/{vm.process.pid}/task").iterdir()))


def private_kib(vm, ram_kib):
    """Private dirty memory without the guest's RAM, which is the one mapping of at least that size."""
    total = size = 0
    for line in pathlib.Path(f"/proc/{vm.process.pid}/smaps").read_text().splitlines():
        match = re.match(r"(Size|Private_Dirty): +(\d+) kB", line)
        if match and match[1] == "Size":
            size = int(match[2])
        elif match and size < ram_kib:
            total += int(match[2])
    return total


def test_many_times_with_a_file_system(tmp_path):
    """Plug, mount, write, fsync, unmount, unplug: on both sides all returns to where it began."""
    image = tmp_path / "b.img"
    with Guest(*pmem(tmp_path / "a.img", size="16M"), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:

        def cycle(number, prepare=""):
            add(qmp, image)
            appears(guest)
            guest.run(
                f"{prepare} mkdir -p /mnt && mount -o dax /dev/pmem1 /mnt && "
                f"{{ [ {number} = 0 ] || [ $(cat /mnt/n) = {number - 1} ]; }} && "
                f"echo {number} >/mnt/n && sync /mnt/n && umount /mnt"
            )
            remove(qmp)
            is_gone(guest)

        def state():
            return (
                descriptors(guest),
                threads(guest),
                len(maps(guest).splitlines()),
                guest.run("ls /sys/bus/pci/devices /sys/bus/nd/devices /dev/pmem*; grep -c . /proc/iomem"),
            )

        cycle(0, "mkfs.ext4 -q -F -b 4096 /dev/pmem1 &&")
        cycle(1)
        before, memory = state(), private_kib(guest, 256 * 1024)
        for number in range(2, CYCLES):
            cycle(number)
        assert state() == before
        # A page or two of the allocator's may be touched anew; a leak of 1 KiB a time would show.
        assert private_kib(guest, 256 * 1024) - memory < max(32, CYCLES // 4)
        assert guest.power_off() == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_memory_slots_and_descriptors_are_balanced(tmp_path):
    log = tmp_path / "strace"
    prefix = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-o",
        log,
        "-e",
        "trace=ioctl,mmap,munmap,eventfd2",
        "-e",
        "signal=none",
    ]
    with Guest(*qmp_options(tmp_path), prefix=prefix) as guest, Qmp(tmp_path / "qmp") as qmp:
        for _ in range(3):
            add(qmp, tmp_path / "b.img")
            appears(guest, "/dev/pmem0")
            remove(qmp)
            is_gone(guest, "/dev/pmem0")
        qmp.run("quit")
        assert guest.end() == 0
    text = log.read_text()
    slots = re.findall(r"KVM_SET_USER_MEMORY_REGION, \{slot=(\d+), [^}]*memory_size=(\d+)", text)
    device_slots = [(slot, int(size)) for slot, size in slots if int(size) in (0, 4096, 32 * MIB)]
    window, page = device_slots[0][0], device_slots[1][0]
    # The pmem window, and the register page as long as the guest decodes the BAR.
    assert device_slots == [(window, 32 * MIB), (page, 4096), (page, 0), (window, 0)] * 3
    # Each of the device's ioeventfds and irqfds is taken back: as many calls, and none fails, which the second
    # ioeventfd at the same address would if the first one were still there.
    for request in "KVM_IOEVENTFD", "KVM_IRQFD":
        calls = re.findall(rf"ioctl\([^,]+, {request}, .*= (.*)", text)
        assert len(calls) % 2 == 0 and len(calls) >= 6 and set(calls) == {"0"}, calls


def test_notifications_by_ports(tmp_path):
    """Linux uses the ports, also those of a hotplugged device. (Without an exit to pmvm: test_syscalls_per_flush.)"""
    pair = pmem(tmp_path / "a.img", size="32M")
    with (
        Guest(*pair[:-1], f"{pair[-1]},modern-pio-notify=on", *qmp_options(tmp_path)) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        add(qmp, tmp_path / "b.img", **{"modern-pio-notify": True})
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
            guest.run(f"dax-tool fsync /{disk}/f 400")
            after = kvm_stats.counters(guest.process.pid, "mmio_exits", "io_exits")
            assert flushes_of(qmp) - flushes >= 400
            if before is not None:
                assert after["mmio_exits"] == before["mmio_exits"]
                # KVM also counts those that it serves itself.
                assert after["io_exits"] - before["io_exits"] >= 400
        guest.run("umount /pmem1")
        remove(qmp)
        is_gone(guest)
        assert guest.run("grep -c virtio-pci-modern /proc/ioports") == "1"
        assert guest.power_off() == 0


def test_unplug_while_mounted(tmp_path):
    """The guest's applications get errors; what was flushed is in the host's file."""
    image = tmp_path / "b.img"
    with Guest(*qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        add(qmp, image)
        appears(guest, "/dev/pmem0")
        guest.run("mkfs.ext4 -q -b 4096 /dev/pmem0 && mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt")
        guest.run("dd if=/dev/urandom of=/mnt/f bs=1M count=4 conv=fsync; md5sum /mnt/f >/tmp/sum")
        wanted = guest.run("cat /tmp/sum").split()[0]
        remove(qmp)
        status, _ = guest.run("dd if=/dev/zero of=/mnt/g bs=1M count=1 conv=fsync", check=False)
        assert status != 0
        guest.run("umount -l /mnt", check=False)
        assert guest.run("echo alive") == "alive"
        add(qmp, image)
        name = guest.run(
            "n=0; while ! ls /dev/pmem* 2>/dev/null; do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.2; done"
        ).split()[-1]
        guest.run(f"mkdir -p /mnt2; mount -o dax {name} /mnt2")
        assert guest.run("md5sum /mnt2/f").split()[0] == wanted


def test_hotplug_while_the_guest_boots(tmp_path):
    """At whatever moment: before, while and after the kernel scans the bus."""
    for delay in 0, 0.4, 0.8, 1.6:
        with Guest(*qmp_options(tmp_path), wait=False) as guest, Qmp(tmp_path / "qmp") as qmp:
            time.sleep(delay)
            add(qmp, tmp_path / "b.img")
            guest.booted()
            appears(guest, "/dev/pmem0")
            guest.run("dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync")
            remove(qmp)


def test_hotplug_while_stopped_and_before_the_start(tmp_path):
    with Guest("-S", *qmp_options(tmp_path), wait=False) as guest, Qmp(tmp_path / "qmp") as qmp:
        assert qmp.run("query-status")["status"] == "prelaunch"
        add(qmp, tmp_path / "b.img")
        qmp.run("cont")
        guest.booted()
        appears(guest, "/dev/pmem0")
        qmp.run("stop")
        add(qmp, tmp_path / "c.img", "mem3", "nv3")
        qmp.run("device_del", id="nv2")
        with pytest.raises(Refused, match="^Device nv2 is already in the process of unplug$"):
            qmp.run("device_del", id="nv2")
        assert qmp.run("query-status") == {"status": "paused", "running": False}
        qmp.run("cont")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv2")
        appears(guest)


def test_as_many_as_the_bus_takes(tmp_path):
    with (
        Guest(*pmem(tmp_path / "0.img", size="2M"), *qmp_options(tmp_path), memory="512M") as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        for number in range(1, 31):
            add(qmp, tmp_path / f"{number}.img", f"m{number}", f"d{number}", size=2 * MIB)
        qmp.run(
            "object-add",
            {
                "qom-type": "memory-backend-file",
                "id": "one-more",
                "mem-path": str(tmp_path / "x.img"),
                "share": True,
                "size": 2 * MIB,
            },
        )
        with pytest.raises(
            Refused, match="PCI: no slot/function available for virtio-pmem-pci, all in use or reserved|too many pmem"
        ):
            qmp.run("device_add", driver="virtio-pmem-pci", memdev="one-more", id="d31")
        qmp.run("object-del", id="one-more")
        guest.run(
            "n=0; while [ $(ls /dev/pmem* | wc -l) != 31 ]; do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.2; done"
        )
        for number in 1, 17, 30:
            remove(qmp, f"m{number}", f"d{number}")
        add(qmp, tmp_path / "17.img", "m17", "d17", size=2 * MIB)
        guest.run(
            "n=0; while [ $(ls /dev/pmem* | wc -l) != 29 ]; do n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.2; done"
        )


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
        assert [dev["data"]["id"] for dev in qmp.run("query-memory-devices")] == ["nv2"]
        # The removal may be requested again; and a reset completes a pending one.
        qmp.run("device_del", id="nv2")
        qmp.run("system_reset")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv2")
        assert qmp.run("query-memory-devices") == []


def test_a_guest_ejects_by_itself(tmp_path):
    with Guest(*pmem(tmp_path / "a.img", size="16M"), *qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        guest.run("echo 0 >/sys/bus/pci/slots/1/power")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv1")
        assert qmp.run("query-memory-devices") == []
        qmp.run("object-del", id="mem1")


def slow_or_failing(log, *inject):
    return ["strace", "-f", "--seccomp-bpf", "-o", log, "-e", "trace=fdatasync", *inject]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_unplug_with_a_flush_in_flight(tmp_path):
    """Each sync takes 3 s. The guest's fsync ends with it, in success; then the device goes."""
    prefix = slow_or_failing(tmp_path / "log", "-e", "inject=fdatasync:delay_enter=3000000")
    with Guest(*qmp_options(tmp_path), prefix=prefix) as guest, Qmp(tmp_path / "qmp") as qmp:
        add(qmp, tmp_path / "b.img")
        appears(guest, "/dev/pmem0")
        # As a grandchild: this shell ends when a background job of its own does.
        guest.run("((dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync 2>/dev/null; echo $? >/tmp/status) &)")
        end = time.monotonic() + UNPLUG_MAX
        while "in-flight-ns" not in qmp.run("query-pmem")[0]["syncs"]:
            assert time.monotonic() < end, "no sync is under way"
            time.sleep(0.1)
        qmp.run("device_del", id="nv2")
        assert qmp.run("query-status")["running"]
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv2")
        assert guest.run("cat /tmp/status") == "0"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_failed_last_sync_is_reported_by_object_del(tmp_path):
    prefix = slow_or_failing(tmp_path / "log", "-e", "inject=fdatasync:error=EIO:when=1")
    with Guest(*qmp_options(tmp_path), prefix=prefix) as guest, Qmp(tmp_path / "qmp") as qmp:
        add(qmp, tmp_path / "b.img")
        appears(guest, "/dev/pmem0")
        qmp.run("device_del", id="nv2")
        qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="nv2")
        with pytest.raises(Refused, match="mem2: the last sync failed.*Input/output error"):
            qmp.run("object-del", id="mem2")
        # The object is gone all the same.
        with pytest.raises(Refused, match="object 'mem2' not found"):
            qmp.run("object-del", id="mem2")
        assert guest.power_off() == 1


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_failed_sync_outlives_its_device(tmp_path):
    """The memory backend has the same open file as before, which the kernel reports the loss to once."""
    write = "dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync"
    prefix = slow_or_failing(tmp_path / "log", "-e", "inject=fdatasync:error=EIO:when=1")
    with Guest(*qmp_options(tmp_path), prefix=prefix) as guest, Qmp(tmp_path / "qmp") as qmp:
        add(qmp, tmp_path / "b.img")
        appears(guest, "/dev/pmem0")
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
        assert guest.power_off() == 1


def test_a_client_that_dies_in_the_middle_of_device_add(tmp_path):
    """Half a request does nothing; a whole one whose answer nobody reads is done. Others go on."""
    with Guest(*qmp_options(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        qmp.run(
            "object-add",
            {
                "qom-type": "memory-backend-file",
                "id": "mem2",
                "share": True,
                "mem-path": str(tmp_path / "b.img"),
                "size": 32 * MIB,
            },
        )
        request = '{"execute": "device_add", "arguments": {"driver": "virtio-pmem-pci", "id": "nv2", "memdev": "mem2"}}'
        for length in 10, 60, len(request) - 1:
            with Qmp(tmp_path / "qmp") as dying:
                dying.socket.sendall(request[:length].encode())
        assert qmp.run("query-memory-devices") == []
        with Qmp(tmp_path / "qmp") as dying:
            dying.socket.sendall(request.encode())
        appears(guest, "/dev/pmem0")
        assert [dev["data"]["id"] for dev in qmp.run("query-memory-devices")] == ["nv2"]
        remove(qmp)


def test_two_clients_plug_at_once(tmp_path):
    with Guest(*qmp_options(tmp_path), memory="512M") as guest:
        ended = []

        def work(name):
            with Qmp(tmp_path / "qmp") as qmp:
                for _ in range(3):
                    add(qmp, tmp_path / f"{name}.img", f"m-{name}", f"d-{name}", size=2 * MIB)
                    time.sleep(0.5)
                    remove(qmp, f"m-{name}", f"d-{name}")
            ended.append(name)

        workers = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(180)
        assert sorted(ended) == ["a", "b"]
        with Qmp(tmp_path / "qmp") as qmp:
            assert qmp.run("query-memory-devices") == [] and qmp.run("query-memdev")[0]["id"] == "pc.ram"
        assert guest.run("ls /dev/pmem* 2>/dev/null; true") == ""
