#!/usr/bin/python3
"""Unpacks the vmlinux ELF inside a bzImage: extract_vmlinux.py BZIMAGE VMLINUX

SPDX-License-Identifier: Apache-2.0

The setup header (Documentation/arch/x86/boot.rst in Linux) has the position of the compressed kernel.
The result must be an ELF file with a PVH entry note, as a monitor needs to start it directly.
"""
import lzma
import os
import struct
import subprocess
import sys
import zlib

XEN_ELFNOTE_PHYS32_ENTRY = 18
PT_NOTE = 4


def payload(image):
    if len(image) < 0x250 or image[0x202:0x206] != b"HdrS":
        raise ValueError("not a bzImage: no setup header")
    setup_sects = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sects + 1) * 512 + offset
    if length < 8 or start + length > len(image):
        raise ValueError("the payload is outside the file")
    return image[start : start + length]


def with_program(program, data):
    return subprocess.run(program, input=data, stdout=subprocess.PIPE, check=True).stdout


def decompress(data):
    """The payload is a compressed stream followed, but for gzip, by its unpacked size in four bytes."""
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(data)
    stream, size = data[:-4], struct.unpack("<I", data[-4:])[0]
    if data.startswith(b"\xfd7zXZ\0"):
        unpacked = lzma.LZMADecompressor().decompress(data)
    elif data.startswith(b"\x02\x21\x4c\x18"):  # the legacy LZ4 format
        unpacked = with_program(["lz4", "-dc"], stream)
    elif data.startswith(b"\x28\xb5\x2f\xfd"):
        unpacked = with_program(["zstd", "-dcq"], stream)
    else:
        raise ValueError(f"unknown compression: magic {data[:6].hex()}")
    if len(unpacked) != size:
        raise ValueError(f"unpacked {len(unpacked)} bytes instead of {size}")
    return unpacked


def pvh_entry(elf):
    """The 32-bit entry point from the Xen note of an x86-64 ELF file."""
    if elf[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", elf, 18)[0] != 62:
        raise ValueError("the payload is not an x86-64 ELF file")
    (phoff,) = struct.unpack_from("<Q", elf, 32)
    phentsize, phnum = struct.unpack_from("<HH", elf, 54)
    for i in range(phnum):
        kind, _, pos, _, _, size = struct.unpack_from("<IIQQQQ", elf, phoff + i * phentsize)
        end = pos + size if kind == PT_NOTE else 0
        while pos + 12 <= end:
            namesz, descsz, note = struct.unpack_from("<III", elf, pos)
            desc = pos + 12 + (namesz + 3) // 4 * 4
            if note == XEN_ELFNOTE_PHYS32_ENTRY and elf[pos + 12 : pos + 16] == b"Xen\0":
                return int.from_bytes(elf[desc : desc + descsz], "little")
            pos = desc + (descsz + 3) // 4 * 4
    raise ValueError("the kernel has no PVH entry note (CONFIG_PVH)")


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} BZIMAGE VMLINUX")
    source, target = sys.argv[1], sys.argv[2]
    try:
        with open(source, "rb") as f:
            elf = decompress(payload(f.read()))
        entry = pvh_entry(elf)
        with open(target + ".tmp", "wb") as f:
            f.write(elf)
        os.replace(target + ".tmp", target)
    except (OSError, ValueError, lzma.LZMAError, zlib.error, subprocess.CalledProcessError) as e:
        sys.exit(f"extract_vmlinux.py: {source}: {e}")
    print(f"{target}: {len(elf)} bytes, PVH entry {entry:#x}")


if __name__ == "__main__":
    main()
