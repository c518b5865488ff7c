"""The machines that are compared: pmvm and QEMU, with the same kernel, initramfs, images and work.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import shutil
import time

import machine
from monitor import Qmp

MEMORY_MIB = 256
QEMU = "qemu-system-x86_64"


class Peer(machine.Guest):
    """A Linux guest that is driven over its console, and a QMP client; `devices` as -object and -device take them."""

    name = ""
    about = ""
    image = "bzImage"
    has_pmem = True
    unplugs = True

    # Guest's own __init__ would wait for the guest, and choose the kernel and the console.
    # pylint: disable-next=super-init-not-called
    def __init__(self, directory, devices=(), append="", memory_mib=MEMORY_MIB, prefix=(), wait=True):
        self.qmp_path = pathlib.Path(directory) / f"{self.name.replace(' ', '-')}-{id(self):x}.qmp"
        self.memory_mib = memory_mib
        options = self.options(append)  # copies kernel and initramfs at first
        self.began = time.monotonic()
        machine.Vm.__init__(  # pylint: disable=non-parent-init-called
            self,
            [*options, "-qmp", f"unix:{self.qmp_path},server=on,wait=off", *devices],
            cwd=directory,
            prefix=prefix,
            program=self.program(),
        )
        if not wait:
            return
        try:
            self.become_ready()
        except BaseException:
            self.kill()
            raise

    @staticmethod
    def program():
        """Returns the path of the program, or None where it is not installed."""
        raise NotImplementedError

    def options(self, append):
        """Returns the options of the machine; `append` is added to the kernel's command line."""
        raise NotImplementedError

    def become_ready(self):
        self.wait_for(r"pmvm-guest: ready [\d.]+", machine.BOOT_MAX)
        self.ready_at = time.monotonic()
        self.booted()

    def qmp(self):
        return Qmp(self.qmp_path)

    def kernel(self, append):
        kernel, initrd = machine.kernel_files(image=self.image)
        return ["-kernel", kernel, "-initrd", initrd, "-append", f"console=ttyS0 quiet {append}"]


class Pmvm(Peer):
    """The program under test."""

    name = "pmvm"
    about = "build/pmvm -nographic, bzImage"

    @staticmethod
    def program():
        return machine.pmvm()

    def options(self, append):
        return ["-m", f"{self.memory_mib}M", "-nographic", *self.kernel(append)]


class Qemu(Peer):
    """With its usual options: the default devices, SeaBIOS."""

    name = "QEMU"
    about = "-accel kvm -M q35 -cpu host -nographic -nic none, bzImage, SeaBIOS"
    unplugs = False
    machine = ["-M", "q35", "-nographic", "-nic", "none"]

    @staticmethod
    def program():
        return shutil.which(QEMU)

    def options(self, append):
        # QEMU needs the maximum of memory that devices add.
        memory = f"{self.memory_mib}M" + (f",maxmem={self.memory_mib + 4096}M,slots=2" if self.has_pmem else "")
        return ["-accel", "kvm", "-cpu", "host", *self.machine, "-m", memory, *self.kernel(append)]


class QemuBest(Qemu):
    """With the options that make it fastest with this device."""

    name = "QEMU best"
    about = "q35 without default devices, no SMM, USB, SATA; vmlinux by PVH and qboot"
    machine = [
        "-M",
        "q35,smm=off,vmport=off,sata=off,usb=off,smbus=off,hpet=off,graphics=off",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-bios",
        "qboot.rom",
    ]
    image = "vmlinux"


class QemuMicrovm(Qemu):
    """Its machine for fast starts has no virtio-pmem: boot and memory only."""

    name = "QEMU microvm"
    about = "-M microvm without pit, pic and rtc, -nodefaults, vmlinux by PVH; it has no virtio-pmem"
    has_pmem = False
    machine = [
        "-M",
        "microvm,pit=off,pic=off,rtc=off",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-serial",
        "stdio",
    ]
    image = "vmlinux"


ALL = [Pmvm, Qemu, QemuBest, QemuMicrovm]


def present():
    """(the peers that are installed, a line about each that is not)"""
    found = [peer for peer in ALL if peer.program()]
    missing = [f"{peer.name}: not installed" for peer in ALL if not peer.program()]
    return found, [*missing, "kvmtool: absent, Debian 12 has no package of it"]
