"""The guest's RAM from memory backends: what the guest sees, what the host has, and reset.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib

import pytest

from machine import MIB, Guest, linux_options, pmem, run_pmvm
from monitor import Hmp, Qmp, Refused

RAM = 256
WORD = b"THE-GUEST-WROTE-THIS-WORD"
KSM = pathlib.Path("/sys/kernel/mm/ksm")
HUGE_PAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
HUGE_PAGE = 2 * MIB


@contextlib.contextmanager
def huge_pages(number):
    """Reserves huge pages of the host."""
    before = HUGE_PAGES.read_text().strip()
    HUGE_PAGES.write_text(str(number))
    try:
        if int(HUGE_PAGES.read_text()) < number:
            pytest.skip(f"the host cannot give {number} huge pages")
        yield
    finally:
        HUGE_PAGES.write_text(before)


def numbers(entry):
    """The numbers and flags of one mapping in smaps."""
    sizes = {line.split()[0][:-1]: int(line.split()[1]) for line in entry if line.endswith(" kB")}
    return sizes | {"flags": next(line.split()[1:] for line in entry if line.startswith("VmFlags:"))}


def ram_of(guest, name):
    """What smaps has about the guest's RAM, which is a mapping of a file of this name."""
    lines = pathlib.Path(f"/proc/{guest.process.pid}/smaps").read_text().splitlines()
    heads = [at for at, line in enumerate(lines) if "-" in line.split()[0]] + [len(lines)]
    for begin, end in zip(heads, heads[1:]):
        low, high = (int(number, 16) for number in lines[begin].split()[0].split("-"))
        if name in lines[begin] and high - low == RAM * MIB:
            return numbers(lines[begin + 1 : end]) | {"sharing": lines[begin].split()[1][3]}
    return pytest.fail(f"no RAM from {name}")


def descriptor_of(guest, name):
    """The RAM as another process has it: by the descriptor of its file."""
    for entry in pathlib.Path(f"/proc/{guest.process.pid}/fd").iterdir():
        if name in os.readlink(entry):
            return os.open(entry, os.O_RDWR)
    return pytest.fail(f"no descriptor of {name}")


def has_word(fd):
    """The file has the guest's word in a page that is no hole. The guest takes its last pages first."""
    extents, at, size = [], 0, os.fstat(fd).st_size
    while at < size:
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(fd, begin, os.SEEK_HOLE)
        extents.append((begin, at))
    return any(
        WORD in os.pread(fd, min(MIB, end - at), at)
        for begin, end in reversed(extents)
        for at in reversed(range(begin, end, MIB))
    )


def lives_on(guest, reboots=True):
    """The guest's memory keeps what is in it, and after a reboot as well."""
    work = "dd if=/dev/urandom of=/tmp/r bs=1M count=4 2>/dev/null && md5sum /tmp/r >/tmp/s && md5sum -c /tmp/s"
    guest.run(work)
    if not reboots:
        return
    start = len(guest.output)
    guest.send("reboot -f\n")
    guest.booted(start)
    guest.run(work)
    total = int(guest.run("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) // 1024
    assert RAM * 0.65 < total <= RAM


def test_a_memfd_is_shared_with_another_process(tmp_path):
    """As -numa names it. That -machine memory-backend= takes the same: test_huge_pages, test_prealloc."""
    options = ["-object", f"memory-backend-memfd,id=ram,size={RAM}M,share=on", "-numa", "node,memdev=ram"]
    monitors = [
        "-qmp",
        f"unix:{tmp_path}/qmp,server=on,wait=off",
        "-monitor",
        f"unix:{tmp_path}/hmp,server=on,wait=off",
    ]
    with Guest(*options, *monitors, *pmem(tmp_path / "a.img", size="16M")) as guest:
        assert ram_of(guest, "memfd:memory-backend-memfd")["sharing"] == "s"
        guest.run("echo the-guest-wrote-this-word | tr a-z A-Z >/tmp/word")
        fd = descriptor_of(guest, "memfd:memory-backend-memfd")
        assert has_word(fd)
        os.close(fd)
        with Qmp(tmp_path / "qmp") as qmp, Hmp(tmp_path / "hmp") as hmp:
            memdevs = {memdev["id"]: memdev for memdev in qmp.run("query-memdev")}
            assert set(memdevs) == {"ram", "mem1"}
            assert memdevs["ram"] | {"size": RAM * MIB, "share": True, "prealloc": False} == memdevs["ram"]
            assert qmp.run("query-memory-size-summary")["base-memory"] == RAM * MIB
            assert "memory backend: ram\n" in hmp.run("info memdev")
            with pytest.raises(Refused, match="object 'ram' is in use, can not be deleted"):
                qmp.run("object-del", id="ram")
            with pytest.raises(
                Refused,
                match="can't use already busy memdev|expected: memory-backend-file",
            ):
                qmp.run("device_add", {"driver": "virtio-pmem-pci", "memdev": "ram"})
        guest.run("echo works | dd of=/dev/pmem0 bs=4096 conv=sync,fsync")
        lives_on(guest)
        assert guest.power_off() == 0


def test_huge_pages():
    options = [
        "-object",
        f"memory-backend-memfd,id=ram,size={RAM}M,hugetlb=on,hugetlbsize=2M,prealloc=on",
    ]
    with huge_pages(RAM * MIB // HUGE_PAGE):
        with Guest(*options, "-machine", "memory-backend=ram") as guest:
            ram = ram_of(guest, "memfd:memory-backend-memfd")
            assert ram["KernelPageSize"] == HUGE_PAGE // 1024
            assert ram["Shared_Hugetlb"] + ram["Private_Hugetlb"] == RAM * 1024
            lives_on(guest)
            assert guest.power_off() == 0


def test_without_huge_pages_the_error_names_their_size(tmp_path):
    options = [
        "-object",
        f"memory-backend-memfd,id=ram,size={RAM}M,hugetlb=on,hugetlbsize=2M",
    ]
    if not HUGE_PAGES.exists() or int(HUGE_PAGES.read_text()) > 0:
        pytest.skip("this host has huge pages, or no support for them")
    status, _, errors = run_pmvm(*linux_options(), *options, "-machine", "memory-backend=ram", cwd=tmp_path)
    assert status == 1
    assert "ram: unable to map backing store for guest RAM: Cannot allocate memory" in errors
    assert "128 free huge pages of 2048 KiB" in errors and "hugepages-2048kB/nr_hugepages" in errors


@pytest.mark.parametrize("share", ["on", "off"])
def test_prealloc(tmp_path, share):
    """Before the guest begins; what the guest does with such memory is the same as with other memory."""
    options = [
        "-object",
        f"memory-backend-ram,id=ram,size={RAM}M,share={share},prealloc=on,dump=off",
        "-machine",
        "memory-backend=ram",
        "-qmp",
        f"unix:{tmp_path}/qmp,server=on,wait=off",
    ]
    name = "memfd:memory-backend-memfd" if share == "on" else ""
    with Guest("-S", *options, wait=False) as guest, Qmp(tmp_path / "qmp") as qmp:
        ram = ram_of(guest, name)
        assert ram["Rss"] == RAM * 1024
        assert "dd" in ram["flags"] and ("mg" in ram["flags"]) == (share == "off" and KSM.exists())
        if share == "off":
            qmp.run("cont")
            guest.booted()
            lives_on(guest, reboots=False)
        qmp.run("quit")
        assert guest.end() == 0


@pytest.mark.parametrize("share", ["on", "off"])
def test_a_file_is_ram(tmp_path, share):
    options = [
        "-object",
        f"memory-backend-file,id=ram,mem-path={tmp_path}/ram,size={RAM}M,share={share}",
    ]
    with Guest(*options, "-machine", "memory-backend=ram") as guest:
        guest.run("echo the-guest-wrote-this-word | tr a-z A-Z >/tmp/word")
        with open(tmp_path / "ram", "rb") as file:
            assert has_word(file.fileno()) == (share == "on")
        lives_on(guest, reboots=False)
        assert guest.power_off() == 0
    assert (tmp_path / "ram").stat().st_size == RAM * MIB


def test_prealloc_of_more_than_the_host_has(tmp_path):
    total = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal")) // 1024
    options = [
        "-object",
        f"memory-backend-memfd,id=ram,size={total * 2}M,prealloc=on",
        "-machine",
        "memory-backend=ram",
    ]
    status, _, errors = run_pmvm(*linux_options(), "-m", f"{total * 2}M", *options, cwd=tmp_path)
    assert status == 1
    assert "Cannot allocate memory" in errors and "hint: " in errors and "give the guest less" in errors
