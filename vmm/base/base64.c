// SPDX-License-Identifier: Apache-2.0
// Bytes as text.
#include "base64.h"

#include <errno.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const uint8_t *buf, size_t len, char *text)
{
	char *p = text;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		unsigned bits = (unsigned)buf[i] << 16;

		bits |= n > 1 ? (unsigned)buf[i + 1] << 8 : 0;
		bits |= n > 2 ? buf[i + 2] : 0;
		*p++ = digits[bits >> 18];
		*p++ = digits[bits >> 12 & 63];
		*p++ = n > 1 ? digits[bits >> 6 & 63] : '=';
		*p++ = n > 2 ? digits[bits & 63] : '=';
	}
	*p = '\0';
	return (size_t)(p - text);
}

// The digits before the padding of four characters: 2 to 4, 0 if the padding is wrong.
static unsigned count_digits(const char *text, int is_last)
{
	unsigned n = 4;

	while (is_last && n > 2 && text[n - 1] == '=')
		n--;
	return memchr(text, '=', n) ? 0 : n;
}

ssize_t base64_decode(const char *text, size_t len, uint8_t *buf)
{
	uint8_t *p = buf;

	if (len % 4 != 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 4) {
		unsigned n = count_digits(text + i, i + 4 == len), bits = 0;

		if (n == 0)
			return -EINVAL;
		for (unsigned k = 0; k < 4; k++) {
			const char *digit = k < n ? memchr(digits, text[i + k], sizeof(digits) - 1) : digits;

			if (!digit)
				return -EINVAL;
			bits = bits << 6 | (unsigned)(digit - digits);
		}
		// Bits behind the last whole byte must be zero.
		if (bits & ((1u << 8 * (4 - n)) - 1))
			return -EINVAL;
		for (unsigned k = 0; k < n - 1; k++)
			*p++ = (uint8_t)(bits >> (16 - 8 * k));
	}
	return p - buf;
}
