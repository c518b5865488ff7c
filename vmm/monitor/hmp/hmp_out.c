// SPDX-License-Identifier: Apache-2.0
// The output of a line of HMP, with a terminal's line ends.
#include "hmp_out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hmp_out_append(struct hmp_out *out, const char *text, size_t len)
{
	const char *end;

	for (; (end = memchr(text, '\n', len)); text = end + 1) {
		text_add(&out->text, text, (size_t)(end - text));
		text_add_str(&out->text, "\r\n");
		len -= (size_t)(end + 1 - text);
	}
	text_add(&out->text, text, len);
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
		out->text.failed = true;
		return;
	}
	hmp_out_append(out, text, (size_t)len);
	free(text);
}

void hmp_out_error(struct hmp_out *out, const struct vpmem_error *err)
{
	hmp_printf(out, "Error: %s\n", err->text);
	if (err->hint[0])
		hmp_printf(out, "hint: %s\n", err->hint);
}
