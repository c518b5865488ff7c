// SPDX-License-Identifier: Apache-2.0
/*
 * parse.h - numbers, sizes, identifiers and UUIDs in text. The whole text must be valid.
 */
#ifndef PMVM_PARSE_H
#define PMVM_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal, octal (0) or hexadecimal (0x), no sign. -EINVAL: not a number. -ERANGE: 2^64 or more. */
int uint_parse(const char *text, uint64_t *val);

/*
 * Bytes: "4096", "0x1000", or a decimal number with a suffix B K M G T P E in either case, then also with
 * a fraction ("1.5G", rounded down). -EINVAL: not a size. -ERANGE: 2^64 or more.
 */
int size_parse(const char *text, uint64_t *bytes);

/* QEMU's rule for ids: a letter, then letters, digits, '-', '.', '_'. */
bool id_wellformed(const char *id);

/* 8-4-4-4-12 hexadecimal digits. */
bool uuid_wellformed(const char *text);

/* Its 16 bytes in the order of the text. False: it is not well-formed. */
bool uuid_parse(const char *text, uint8_t bytes[16]);

#endif
