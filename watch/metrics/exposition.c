// SPDX-License-Identifier: Apache-2.0
// Writes metrics as text: OpenMetrics, and the format that Prometheus had before.
#include "exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *suffix_of(enum metric_type type)
{
	return type == METRIC_COUNTER ? "_total" : type == METRIC_INFO ? "_info" : "";
}

static const char *type_word(const struct exposition *e)
{
	static const char *const words[] = { [METRIC_GAUGE] = "gauge",
		                             [METRIC_COUNTER] = "counter",
		                             [METRIC_HISTOGRAM] = "histogram",
		                             [METRIC_STATESET] = "stateset",
		                             [METRIC_INFO] = "info" };
	enum metric_type type = e->family->type;

	if (!e->is_openmetrics && (type == METRIC_STATESET || type == METRIC_INFO))
		return words[METRIC_GAUGE];
	return words[type];
}

static void add_line(struct exposition *e, const char *key, const char *value)
{
	text_add_str(&e->text, "# ");
	text_add_str(&e->text, key);
	text_add_str(&e->text, " ");
	text_add_str(&e->text, e->family->name);
	if (!e->is_openmetrics)
		text_add_str(&e->text, suffix_of(e->family->type));
	text_add_str(&e->text, " ");
	text_add_str(&e->text, value);
	text_add_str(&e->text, "\n");
}

/* The length of the character that begins here, or 0: it is not UTF-8, or the NUL. */
static size_t character_len(const unsigned char *at)
{
	size_t len = at[0] < 0x80 ? at[0] != 0 :
	             at[0] < 0xc2 ? 0 :
	             at[0] < 0xe0 ? 2 :
	             at[0] < 0xf0 ? 3 :
	             at[0] < 0xf5 ? 4 :
	                            0;

	for (size_t i = 1; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	// Longer forms than needed, surrogates, and what is beyond U+10FFFF.
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf0 && at[1] < 0x90) ||
	    (at[0] == 0xf4 && at[1] >= 0x90))
		return 0;
	return len;
}

static void add_escaped(struct text *text, const char *value)
{
	const char *at = value ? value : "", *begin = at;

	while (*at) {
		size_t len = character_len((const unsigned char *)at);

		if ((size_t)(at - begin) + len > LABEL_VALUE_MAX)
			return;
		if (len == 0)
			text_add_str(text, "?");
		else if (*at == '\n')
			text_add_str(text, "\\n");
		else if (*at == '\\' || *at == '"')
			text_add(text, (const char[]) { '\\', *at }, 2);
		else
			text_add(text, at, len);
		at += len > 0 ? len : 1;
	}
}

static void add_sample(struct exposition *e, const char *suffix, const struct label *labels, const char *value)
{
	const struct family *family = e->family;
	const char *before = "{";

	if (!e->has_samples) {
		add_line(e, "HELP", family->help);
		add_line(e, "TYPE", type_word(e));
		if (e->is_openmetrics && family->unit)
			add_line(e, "UNIT", family->unit);
	}
	e->has_samples = true;
	text_add_str(&e->text, family->name);
	text_add_str(&e->text, suffix_of(family->type));
	text_add_str(&e->text, suffix);
	for (; labels && labels->name; labels++) {
		text_add_str(&e->text, before);
		text_add_str(&e->text, labels->name);
		text_add_str(&e->text, "=\"");
		add_escaped(&e->text, labels->value);
		text_add_str(&e->text, "\"");
		before = ",";
	}
	text_add_str(&e->text, *before == ',' ? "} " : " ");
	text_add_str(&e->text, value);
	text_add_str(&e->text, "\n");
}

void exposition_family(struct exposition *e, const struct family *family)
{
	e->family = family;
	e->has_samples = false;
}

void exposition_uint(struct exposition *e, const char *suffix, const struct label *labels, uint64_t value)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%" PRIu64, value);
	add_sample(e, suffix, labels, buf);
}

void exposition_number(char *buf, size_t size, double value)
{
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(buf, size, "%.*g", digits, value);
		if (strtod(buf, NULL) >= value && strtod(buf, NULL) <= value)
			return;
	}
}

void exposition_double(struct exposition *e, const char *suffix, const struct label *labels, double value)
{
	char buf[32];

	exposition_number(buf, sizeof(buf), value);
	add_sample(e, suffix, labels, buf);
}

void exposition_end(struct exposition *e)
{
	if (e->is_openmetrics)
		text_add_str(&e->text, "# EOF\n");
}
