// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit_utf8.h - UTF-8 text that is known to be valid, and how many columns of a screen it takes.
 *
 * The C library's wcwidth needs a locale with its files; this program has none.
 */
#ifndef PMVM_HMP_EDIT_UTF8_H
#define PMVM_HMP_EDIT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX 4u /* bytes of a character */

/* Returns how many of the UTF8_MAX bytes at buf the character takes. */
size_t utf8_encode(uint32_t ch, char *buf);
/* The character at `text`; *len is how many bytes it takes. */
uint32_t utf8_decode(const char *text, size_t *len);
/* true: a character begins at off, or the text ends there. */
bool utf8_is_boundary(const char *text, size_t off);
/* The offset of the character behind, and in front of, the one at off. Not at the end, and not at 0. */
size_t utf8_next(const char *text, size_t off);
size_t utf8_prev(const char *text, size_t off);
/* 1 or 2 columns. 0: none of its own (a combining mark, a format character), or terminals differ. */
unsigned utf8_width(uint32_t ch);

#endif
