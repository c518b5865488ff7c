"""Reads what tests/guest/writers.c has left in its device's file.

SPDX-License-Identifier: Apache-2.0
"""
import struct

NWRITERS = 6
WRITER_LEN = 1 << 20
PAGE_LEN = 4096
NPAGES = 128
FACTOR = 0x9E3779B97F4A7C15


def pages_of(writer):
    """Writers with an odd number use the next page for each record, the others always the same."""
    return NPAGES if writer % 2 else 1


def record_number(page, pages):
    """Returns the number in a page, 0 if the file ends before it.

    A number whose checksum is wrong was just being written; before it, the page held the number of the previous round.
    """
    number, check = struct.unpack("<QQ", page.ljust(PAGE_LEN, b"\0")[:16])
    if number and check != (~number * FACTOR) % (1 << 64):
        return max(number - pages, 0)
    return number


def last_good(f, writer):
    """The number up to which no record is missing, as far as they have not been replaced by later ones."""
    pages = pages_of(writer)
    found = []
    for page in range(pages):
        f.seek(writer * WRITER_LEN + page * PAGE_LEN)
        found.append(record_number(f.read(PAGE_LEN), pages))
    top = max(found)
    for number in range(max(top - pages + 1, 1), top + 1):
        if found[number % pages] < number:
            return number - 1
    return top


def last_good_records(path):
    """The last good number of each writer."""
    with open(path, "rb") as f:
        return [last_good(f, writer) for writer in range(NWRITERS)]
