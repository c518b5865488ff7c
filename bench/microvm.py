#!/usr/bin/python3 -ISB
"""The program of the setting `pmvm` that starts QEMU's microvm instead: it has the same options, except images.

SPDX-License-Identifier: Apache-2.0

An image of persistent memory becomes a disk at the same PCI address, because microvm has no virtio-pmem. QEMU runs as
root: it has neither `-run-with` nor a chroot that its monitor socket and its images survive.
"""
import os
import re
import sys

QEMU = "/usr/bin/qemu-system-x86_64"
MACHINE = "microvm,pcie=on,pit=off,pic=off,rtc=off,isa-serial=off"
OWN = ["-accel", "kvm", "-cpu", "host", "-no-user-config"]
IMAGE = re.compile(r"memory-backend-file,id=(?P<id>\w+),share=on,readonly=(?P<readonly>on|off),mem-path=(?P<path>.+)")


def translated(option, value):
    """The options of QEMU for one of pmvm with a value."""
    image = IMAGE.fullmatch(value)
    if option == "-run-with":
        return []
    if option == "-machine":
        return [option, f"{MACHINE},{value}"]
    if image:
        file = f"file.driver=file,file.filename={image['path']},file.locking=off"
        return ["-blockdev", f"driver=raw,node-name={image['id']},read-only={image['readonly']},{file}"]
    return [option, value.replace("virtio-pmem-pci,memdev=", "virtio-blk-pci,drive=")]


def main():
    words, options = iter(sys.argv[1:]), []
    for option in words:
        options += [option] if option in ("-nodefaults", "-no-reboot") else translated(option, next(words))
    os.execv(QEMU, [QEMU, *OWN, *options])


if __name__ == "__main__":
    main()
