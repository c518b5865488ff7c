"""Guests and machines: kernels, boot protocols, processors, memory sizes, interrupts, power.

SPDX-License-Identifier: Apache-2.0
"""
import pytest

from machine import Guest, pmem


def flush_works(guest, image):
    guest.run("echo works | dd of=/dev/pmem0 bs=4096 conv=sync,fsync")
    assert image.read_bytes().startswith(b"works\n")


@pytest.mark.parametrize(
    "flavour,image,memory,cpus",
    [
        ("cloud", "bzImage", "256M", 8),
        ("generic", "bzImage", "5G", 2),
        pytest.param("generic", "vmlinux", "3G", 4, marks=pytest.mark.long),
    ],
)
def test_boots(tmp_path, flavour, image, memory, cpus):
    with Guest(*pmem(tmp_path / "a.img", size="16M"), flavour=flavour, image=image, memory=memory, cpus=cpus) as guest:
        assert guest.run("nproc") == str(cpus)
        total_mib = int(guest.run("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) // 1024
        wanted = {"256M": 256, "3G": 3072, "5G": 5120}[memory]
        assert wanted * 0.65 < total_mib <= wanted
        # On an emulated host the guest finds its host's XSAVE sizes inconsistent, under any monitor.
        assert (
            guest.run(
                "dmesg | grep -iE 'BUG:|Oops|ACPI (BIOS )?Error|WARNING: CPU' | grep -v fpu/xstate.c", check=False
            )[1]
            == ""
        )
        flush_works(guest, tmp_path / "a.img")
        assert "pci-msi" in guest.run("grep virtio0 /proc/interrupts").lower()
        assert guest.power_off() == 0


@pytest.mark.parametrize("cpus", [pytest.param(1, marks=pytest.mark.long), 2])
def test_intx(tmp_path, cpus):
    """Also with 128 MiB of memory."""
    with Guest(*pmem(tmp_path / "a.img", size="16M"), append="pci=nomsi", cpus=cpus, memory="128M") as guest:
        assert "io-apic" in guest.run("grep virtio0 /proc/interrupts").lower()
        flush_works(guest, tmp_path / "a.img")
        guest.run("for n in 1 2 3 4 5; do dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync || exit 1; done")
        assert guest.power_off() == 0


@pytest.mark.parametrize("ways", ["acpi panic", pytest.param("kbd triple", marks=pytest.mark.long)])
def test_reboots_and_a_panic_start_the_same_machine(tmp_path, ways):
    """By the ACPI reset register, the keyboard controller, a triple fault, and what Linux does after a panic."""
    with Guest(*pmem(tmp_path / "a.img", size="16M"), cpus=2, append="panic=-1") as guest:
        for how in ways.split():
            guest.run(f"echo before {how} | dd of=/dev/pmem0 bs=4096 conv=sync,fsync")
            start = len(guest.output)
            if how == "panic":
                guest.send("echo c >/proc/sysrq-trigger\n")
            else:
                guest.run(f"echo {how} >/sys/kernel/reboot/type")
                guest.send("reboot -f\n")
            guest.booted(start)
            assert guest.run("head -n 1 /dev/pmem0") == f"before {how}"
            assert guest.run("nproc") == "2"
            # The guest's clock runs, at about the rate of its timers.
            assert (
                guest.run(
                    "before=$(cut -d. -f1 /proc/uptime); sleep 1; after=$(cut -d. -f1 /proc/uptime); "
                    "test $((after - before)) -ge 1 -a $after -lt 1000 && echo runs"
                )
                == "runs"
            )
        flush_works(guest, tmp_path / "a.img")
        assert guest.power_off() == 0
