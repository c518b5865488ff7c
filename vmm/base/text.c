// SPDX-License-Identifier: Apache-2.0
// Text that grows.
#include "text.h"

#include <stdlib.h>
#include <stdio.h>
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

int text_utc(char *buf, size_t size, int64_t seconds, unsigned microseconds)
{
	// Years that begin in March, so that a leap day is the last one: 719468 days from March of year 0 to 1970.
	int64_t days = seconds / 86400 + 719468, era = days / 146097;
	unsigned of_era = (unsigned)(days - era * 146097), of_day = (unsigned)(seconds % 86400);
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153, day = of_year - (153 * month + 2) / 5 + 1;

	return snprintf(buf, size, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ ", year + (unsigned)era * 400 + (month >= 10),
	                month < 10 ? month + 3 : month - 9, day, of_day / 3600, of_day / 60 % 60, of_day % 60,
	                microseconds);
}
