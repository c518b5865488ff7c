"""The balloon in a Linux guest: memory goes to the host and comes back, by the monitor and by free page reporting.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import pathlib
import time

import pytest

from machine import MIB, Guest, kernel_files, run_pmvm
from monitor import Hmp, Qmp, Refused
from process import descriptors, threads
from test_ram import HUGE_PAGE, huge_pages

RAM = 256
WORK = 56  # MiB that a guest writes and frees
TAKEN = 48  # MiB that a balloon takes
WAIT_MAX = 200
UNPLUG_MAX = 200
CYCLES = 6

# How the guest's RAM is made, where it is not anonymous: as a memory backend.
MEMFD = f"memory-backend-memfd,id=ram,size={RAM}M"
KINDS = {
    "memfd": f"{MEMFD},share=on",
    "private-memfd": f"{MEMFD},share=off",
    "huge": f"{MEMFD},share=on,hugetlb=on,hugetlbsize=2M",
    "private-huge": f"{MEMFD},share=off,hugetlb=on,hugetlbsize=2M",
}
# What each sort of memory gets: tests/unit.
MORE_KINDS = ("private-memfd", "private-huge")


def ram(kind):
    return ["-object", KINDS[kind], "-machine", "memory-backend=ram"]


def host_of(kind):
    return huge_pages(RAM * MIB // HUGE_PAGE) if "huge" in kind else contextlib.nullcontext()


def monitors(tmp_path):
    qmp, hmp = (f"unix:{tmp_path}/{name},server=on,wait=off" for name in ("qmp", "hmp"))
    return ["-qmp", qmp, "-monitor", hmp]


def rss(guest):
    """MiB of memory that the process has, huge pages included."""
    lines = pathlib.Path(f"/proc/{guest.process.pid}/status").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
    return (sizes["VmRSS"] + sizes["HugetlbPages"]) // 1024


def waits_for(check, what):
    end = time.monotonic() + WAIT_MAX
    while not check():
        assert time.monotonic() < end, what()
        time.sleep(0.2)


def shrinks(guest, before, least):
    """The process has given back so much since it had `before`, all in MiB."""
    waits_for(lambda: before - rss(guest) >= least, lambda: f"{before} MiB, then {rss(guest)}")


def actual(qmp):
    return qmp.run("query-balloon")["actual"] // MIB


def reaches(qmp, size):
    """The guest has followed to this size in MiB."""
    waits_for(lambda: actual(qmp) == size, lambda: f"the balloon is at {actual(qmp)} MiB, not at {size}")


def driver_is(guest, there):
    test = "-e" if there else "! -e"
    guest.run(f"until set -- /sys/bus/virtio/drivers/virtio_balloon/virtio*; [ {test} $1 ]; do usleep 50000; done")


def plug(guest, qmp, **properties):
    qmp.run("device_add", {"driver": "virtio-balloon-pci", "id": "b0"} | properties)
    driver_is(guest, True)


def unplug(guest, qmp):
    qmp.run("device_del", id="b0")
    qmp.wait_event("DEVICE_DELETED", UNPLUG_MAX, device="b0")
    driver_is(guest, False)


def total(guest):
    """MiB that the guest's kernel has, beside itself and its balloon."""
    return int(guest.run("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) // 1024


def uses_and_frees(guest):
    """The guest writes to memory that was free, and frees it again."""
    guest.run(f"grep -q /big /proc/mounts || {{ mkdir /big && mount -t tmpfs -o size={WORK + 8}M tmpfs /big; }}")
    guest.run(f"dd if=/dev/zero of=/big/f bs=1M count={WORK} 2>/dev/null && rm /big/f")


def keeps_data(guest):
    guest.run("dd if=/dev/urandom of=/tmp/r bs=1M count=2 2>/dev/null && md5sum /tmp/r >/tmp/sum")


def has_its_data(guest):
    assert "OK" in guest.run("md5sum -c /tmp/sum")


def gives_and_takes_back(guest, qmp, is_huge=False):
    """By the balloon, and by free page reporting. The driver is loaded, and there is no device."""
    keeps_data(guest)
    uses_and_frees(guest)
    plug(guest, qmp)
    assert actual(qmp) == RAM
    before = rss(guest)
    qmp.run("balloon", value=(RAM - TAKEN) * MIB)
    reaches(qmp, RAM - TAKEN)
    # Of huge pages, those of which the guest has given every page.
    shrinks(guest, before, TAKEN // 3 if is_huge else TAKEN * 3 // 4)
    has_its_data(guest)
    assert qmp.run("query-memory-size-summary")["base-memory"] == RAM * MIB
    qmp.run("balloon", value=RAM * MIB)
    reaches(qmp, RAM)
    unplug(guest, qmp)
    # What the guest frees is reported.
    uses_and_frees(guest)
    before = rss(guest)
    assert before >= WORK
    plug(guest, qmp, **{"free-page-reporting": True})
    # The guest reports whole huge pages only, and its other files leave parts of some.
    freed = WORK // 2
    shrinks(guest, before, freed)
    uses_and_frees(guest)
    shrinks(guest, before, freed)
    has_its_data(guest)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.long if kind in MORE_KINDS else ()) for kind in KINDS]
)
def test_memory_of_a_backend_goes_to_the_host_and_comes_back(tmp_path, kind):
    with host_of(kind), Guest(*ram(kind), *monitors(tmp_path)) as guest, Qmp(tmp_path / "qmp") as qmp:
        guest.run("modprobe virtio_balloon")
        gives_and_takes_back(guest, qmp, "huge" in kind)
        assert guest.power_off() == 0


# ---- one machine with anonymous memory; at first with a balloon and without its driver


@pytest.fixture(name="shared", scope="module")
def fixture_shared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shared")
    with Guest("-device", "virtio-balloon-pci,id=b0", *monitors(directory)) as guest, Qmp(directory / "qmp") as qmp:
        with Hmp(directory / "hmp") as hmp:
            yield guest, qmp, hmp
        assert guest.power_off() == 0


def test_statistics(shared):
    guest, qmp, _ = shared
    path = {"path": "/machine/peripheral/b0"}
    names = ("guest-stats", "guest-stats-polling-interval")

    def stats():
        return qmp.run("qom-get", path | {"property": names[0]})

    assert stats()["last-update"] == 0 and set(stats()["stats"].values()) == {2**64 - 1}
    guest.run("modprobe virtio_balloon")
    qmp.run("qom-set", path | {"property": names[1], "value": 1})
    assert qmp.run("qom-get", path | {"property": names[1]}) == 1
    waits_for(lambda: stats()["last-update"] > 0, stats)
    assert stats()["stats"]["stat-total-memory"] // MIB == total(guest)
    # They are asked for again and again.
    first = stats()["last-update"]
    waits_for(lambda: stats()["last-update"] >= first + 2, stats)
    with pytest.raises(Refused, match="timer value is too big"):
        qmp.run("qom-set", path | {"property": names[1], "value": 2**32})
    qmp.run("qom-set", path | {"property": names[1], "value": 0})


def test_the_balloon_and_a_reboot(shared):
    """The next driver follows the target of the last one, as in QEMU, and its memory is whole."""
    guest, qmp, hmp = shared
    assert guest.run("cat /sys/bus/pci/devices/0000:00:01.0/device") == "0x1045"
    assert "balloon/b0" in threads(guest)
    assert hmp.run(f"balloon {RAM - TAKEN}") == ""
    reaches(qmp, RAM - TAKEN)
    assert hmp.run("info balloon") == f"balloon: actual={RAM - TAKEN}\n"
    qmp.wait_event("BALLOON_CHANGE", WAIT_MAX, actual=(RAM - TAKEN) * MIB)
    start = len(guest.output)
    guest.send("reboot -f\n")
    guest.booted(start)
    keeps_data(guest)
    # What the last driver wrote stays in the register; this one gives its own memory.
    whole = total(guest)
    guest.run("modprobe virtio_balloon")
    waits_for(lambda: total(guest) <= whole - TAKEN, lambda: f"the guest has {total(guest)} of {whole} MiB")
    reaches(qmp, RAM - TAKEN)
    hmp.run("stop")
    hmp.run(f"balloon {RAM}")
    assert actual(qmp) == RAM - TAKEN
    hmp.run("cont")
    reaches(qmp, RAM)
    assert total(guest) == whole
    uses_and_frees(guest)
    has_its_data(guest)


def test_plug_and_unplug_return_to_where_it_began(shared):
    guest, qmp, _ = shared
    guest.run("modprobe virtio_balloon")
    keeps_data(guest)
    unplug(guest, qmp)
    before = None
    for number in range(CYCLES):
        plug(guest, qmp, **{"free-page-reporting": number % 2 == 1})
        # The driver takes all back when it goes, also while it follows a target.
        qmp.run("balloon", value=(RAM - 16) * MIB)
        if number % 4 == 0:
            reaches(qmp, RAM - 16)
        unplug(guest, qmp)
        state = descriptors(guest), threads(guest), guest.run("ls /sys/bus/pci/devices")
        assert before in (None, state)
        before = state
    has_its_data(guest)


def test_memory_goes_to_the_host_and_comes_back(shared):
    guest, qmp, _ = shared
    gives_and_takes_back(guest, qmp)


def test_errors_are_qemus(tmp_path):
    kernel, _ = kernel_files()
    lines = {
        "-device virtio-balloon -device virtio-balloon": "Only one balloon device is supported",
        "-device virtio-balloon,free-page-hint=on": "'free-page-hint=on' is not supported",
        "-device virtio-balloon,guest-stats-polling-interval=4294967296": "timer value is too big",
    }
    for line, text in lines.items():
        status, _, errors = run_pmvm("-kernel", kernel, "-nographic", *line.split(), cwd=tmp_path)
        assert status == 1 and text in errors, (line, errors)
    status, output, _ = run_pmvm("-device", "virtio-balloon-pci,help")
    assert status == 0 and "free-page-reporting=<bool>" in output
    with Guest("-S", *monitors(tmp_path), wait=False), Qmp(tmp_path / "qmp") as qmp, Hmp(tmp_path / "hmp") as hmp:
        for command in ("query-balloon", "balloon"):
            reply = qmp.exchange({"execute": command, "arguments": {"value": 1} if command == "balloon" else {}})
            assert reply["error"]["class"] == "DeviceNotActive"
            assert "No balloon device has been activated" in reply["error"]["desc"]
        assert "Error: No balloon device has been activated\n" in hmp.run("info balloon")
        qmp.run("device_add", {"driver": "virtio-balloon", "id": "b0"})
        with pytest.raises(Refused, match="Only one balloon device is supported"):
            qmp.run("device_add", {"driver": "virtio-balloon", "id": "b1"})
        with pytest.raises(Refused, match="Parameter 'target' expects a size"):
            qmp.run("balloon", value=0)
        words = {
            "balloon": "unexpected end of expression",
            "balloon x": "invalid char 'x' in expression",
            "balloon -3": "enter a positive value",
            "balloon 1G": "balloon: extraneous characters at the end of line",
            "balloon 16 5": "balloon: extraneous characters at the end of line",
            "balloon 0": "Error: Parameter 'target' expects a size",
            "balloon 99999999999999": "integer is too large",
        }
        for line, text in words.items():
            assert text in hmp.run(line), line
        assert hmp.run("info balloon") == f"balloon: actual={RAM}\n"
        qmp.run("quit")
