// SPDX-License-Identifier: Apache-2.0
// JSON values as text, in QEMU's layout.
#include "json_text.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT 0xfffdu
/* Deeper values stay at this: an id of 30 KB, nested 1000 deep, would come back as 60 MB of blanks. */
#define INDENTED_LEVELS_MAX 64u

struct writer {
	struct json_text *text;
	bool pretty;
	unsigned level;
};

void json_text_add(struct json_text *text, const void *buf, size_t len)
{
	if (text->failed)
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

void json_text_free(struct json_text *text)
{
	free(text->buf);
	*text = (struct json_text) { 0 };
}

static void add(struct writer *w, const char *str)
{
	json_text_add(w->text, str, strlen(str));
}

// ---- strings

static bool is_continuation(const uint8_t *s, const uint8_t *end)
{
	return s < end && (*s & 0xc0) == 0x80;
}

// Takes one character off the string; what is no UTF-8 (also overlong forms, surrogates) is REPLACEMENT.
static const uint8_t *decode(const uint8_t *s, const uint8_t *end, uint32_t *code)
{
	static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned more = *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : *s >= 0xc0 ? 1 : 0;
	unsigned left = more;

	*code = REPLACEMENT;
	if (*s < 0x80)
		*code = *s;
	if (*s < 0xc0 || *s >= 0xf8)
		return s + 1;
	uint32_t val = *s++ & (0x3fu >> more);

	for (; left > 0 && is_continuation(s, end); left--)
		val = val << 6 | (*s++ & 0x3fu);
	if (left == 0 && val >= smallest[more] && val <= 0x10ffff && (val < 0xd800 || val > 0xdfff))
		*code = val;
	return s;
}

static void add_escaped(struct writer *w, uint32_t code)
{
	char buf[16];

	if (code >= 0x10000)
		snprintf(buf, sizeof(buf), "\\u%04X\\u%04X", 0xd800u + ((code - 0x10000) >> 10),
		         0xdc00u + ((code - 0x10000) & 0x3ff));
	else
		snprintf(buf, sizeof(buf), "\\u%04X", code);
	add(w, buf);
}

static void add_character(struct writer *w, uint32_t code)
{
	static const char named[][2] = { "\"\"", "\\\\", "\bb", "\ff", "\nn", "\rr", "\tt" };

	for (unsigned i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		if (code != (uint8_t)named[i][0])
			continue;
		json_text_add(w->text, (char[]) { '\\', named[i][1] }, 2);
		return;
	}
	if (code >= 0x20 && code < 0x7f)
		json_text_add(w->text, (char[]) { (char)code }, 1);
	else
		add_escaped(w, code);
}

static void add_string(struct writer *w, const char *str, size_t len)
{
	const uint8_t *s = (const uint8_t *)str, *end = s + len;

	add(w, "\"");
	while (s < end) {
		uint32_t code;

		s = decode(s, end, &code);
		add_character(w, code);
	}
	add(w, "\"");
}

// ---- values

static void add_value(struct writer *w, struct json_object *val);

static void new_line(struct writer *w)
{
	add(w, "\n");
	for (unsigned i = 0; i < w->level && i < INDENTED_LEVELS_MAX; i++)
		add(w, "    ");
}

static void separate(struct writer *w, bool first)
{
	if (!first)
		add(w, w->pretty ? "," : ", ");
	if (w->pretty)
		new_line(w);
}

static void finish(struct writer *w, bool empty, const char *bracket)
{
	w->level--;
	if (w->pretty && !empty)
		new_line(w);
	add(w, bracket);
}

static void add_object(struct writer *w, struct json_object *obj)
{
	bool first = true;

	add(w, "{");
	w->level++;
	json_object_object_foreach(obj, key, member)
	{
		separate(w, first);
		first = false;
		add_string(w, key, strlen(key));
		add(w, ": ");
		add_value(w, member);
	}
	finish(w, first, "}");
}

static void add_array(struct writer *w, struct json_object *array)
{
	size_t len = json_object_array_length(array);

	add(w, "[");
	w->level++;
	for (size_t i = 0; i < len; i++) {
		separate(w, i == 0);
		add_value(w, json_object_array_get_idx(array, i));
	}
	finish(w, len == 0, "]");
}

static void add_value(struct writer *w, struct json_object *val)
{
	switch (json_object_get_type(val)) {
	case json_type_object:
		add_object(w, val);
		return;
	case json_type_array:
		add_array(w, val);
		return;
	case json_type_string:
		add_string(w, json_object_get_string(val), (size_t)json_object_get_string_len(val));
		return;
	case json_type_null:
	case json_type_boolean:
	case json_type_int:
	case json_type_double:
		break;
	}
	// A number that came from a client is written as it was.
	add(w, val ? json_object_to_json_string_ext(val, JSON_C_TO_STRING_PLAIN) : "null");
}

void json_text_value(struct json_text *text, struct json_object *val, bool pretty)
{
	struct writer w = { .text = text, .pretty = pretty };

	add_value(&w, val);
}
