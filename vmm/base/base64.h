// SPDX-License-Identifier: Apache-2.0
/*
 * base64.h - bytes as text, RFC 4648 with padding.
 */
#ifndef PMVM_BASE64_H
#define PMVM_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BASE64_SIZE(len) (((len) + 2) / 3 * 4 + 1)

/* Into BASE64_SIZE(len) bytes, NUL-terminated. Returns the length of the text. */
size_t base64_encode(const uint8_t *buf, size_t len, char *text);
/* Into len / 4 * 3 bytes. Returns how many there are, or -EINVAL. */
ssize_t base64_decode(const char *text, size_t len, uint8_t *buf);

#endif
