// SPDX-License-Identifier: Apache-2.0
// Text that HMP gathers, with a terminal's line ends.
#include "hmp_out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hmp_out_init(struct hmp_out *out)
{
	*out = (struct hmp_out) { .text = NULL };
}

void hmp_out_free(struct hmp_out *out)
{
	free(out->text);
	hmp_out_init(out);
}

// Room for len more bytes and a NUL.
static bool make_room(struct hmp_out *out, size_t len)
{
	size_t cap = out->cap ? out->cap : 256;
	char *text;

	while (cap - out->len <= len)
		cap *= 2;
	if (cap == out->cap)
		return true;
	text = realloc(out->text, cap);
	if (!text)
		return false;
	out->text = text;
	out->cap = cap;
	return true;
}

void hmp_out_append(struct hmp_out *out, const char *text, size_t len)
{
	// A line end may need a byte more.
	if (out->failed || len == 0)
		return;
	if (!make_room(out, 2 * len)) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			out->text[out->len++] = '\r';
		out->text[out->len++] = text[i];
	}
	out->text[out->len] = '\0';
}

void hmp_printf(struct hmp_out *out, const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0) {
		out->failed = true;
		return;
	}
	hmp_out_append(out, text, (size_t)len);
	free(text);
}
