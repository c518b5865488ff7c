// SPDX-License-Identifier: Apache-2.0
// Text that grows.
#include "text.h"

#include <stdlib.h>
#include <string.h>

void text_add(struct text *text, const void *buf, size_t len)
{
	if (text->failed || len == 0)
		return;
	if (len > text->cap - text->len) {
		size_t cap = (text->len + len) * 2;
		char *grown = realloc(text->buf, cap);

		if (!grown) {
			text->failed = true;
			return;
		}
		text->buf = grown;
		text->cap = cap;
	}
	memcpy(text->buf + text->len, buf, len);
	text->len += len;
}

void text_add_str(struct text *text, const char *str)
{
	text_add(text, str, strlen(str));
}

char *text_str(struct text *text)
{
	text_add(text, "", 1);
	if (text->failed)
		return NULL;
	text->len--;
	return text->buf;
}

void text_free(struct text *text)
{
	free(text->buf);
	*text = (struct text) { 0 };
}
