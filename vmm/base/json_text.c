// SPDX-License-Identifier: Apache-2.0
/*
 * json_text.c - JSON values as text, in QEMU's layout.
 *
 * json-c serialises without any white space; none of its layouts is QEMU's, and it passes bytes that are not UTF-8 on.
 * So its text is laid out here: white space is added outside strings, and what is not ASCII is escaped inside them.
 */
#include "json_text.h"

#include "text.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define REPLACEMENT 0xfffdu
/* Deeper values are not indented further: an id of 30 KB, nested 1000 deep, would come back as 60 MB of blanks. */
#define INDENTED_LEVELS_MAX 64u

// ---- in strings

static bool is_continuation(const char *s, const char *end)
{
	return s < end && (*s & 0xc0) == 0x80;
}

// Takes one character that is not ASCII off the text. What is not UTF-8 (or overlong, or a surrogate) is REPLACEMENT.
static const char *decode(const char *s, const char *end, uint32_t *code)
{
	static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
	uint8_t first = (uint8_t)*s++;
	unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
	uint32_t val = first & (0x3fu >> more);
	unsigned missing = more;

	*code = REPLACEMENT;
	if (first < 0xc0 || first >= 0xf8)
		return s;
	for (; missing > 0 && is_continuation(s, end); missing--)
		val = val << 6 | ((uint8_t)*s++ & 0x3fu);
	if (missing == 0 && val >= smallest[more] && val <= 0x10ffff && (val < 0xd800 || val > 0xdfff))
		*code = val;
	return s;
}

static void add_escaped(struct text *text, uint32_t code)
{
	char buf[16];

	if (code >= 0x10000)
		snprintf(buf, sizeof(buf), "\\u%04X\\u%04X", 0xd800u + ((code - 0x10000) >> 10),
		         0xdc00u + ((code - 0x10000) & 0x3ff));
	else
		snprintf(buf, sizeof(buf), "\\u%04X", code);
	text_add_str(text, buf);
}

static void add_capitals(struct text *text, const char *s, size_t len)
{
	for (; len > 0; s++, len--) {
		char capital = (char)toupper((unsigned char)*s);

		text_add(text, &capital, 1);
	}
}

// A string from its first quote on, as json-c escaped it. Returns what follows its last quote.
static const char *add_string(struct text *text, const char *s, const char *end)
{
	uint32_t code;

	text_add(text, s++, 1);
	while (*s != '"') {
		if (*s & 0x80 || *s == 0x7f) {
			code = (uint8_t)*s;
			s = code == 0x7f ? s + 1 : decode(s, end, &code);
			add_escaped(text, code);
		} else if (*s == '\\' && s[1] == 'u') {
			// json-c has small hexadecimal digits, QEMU capitals. Not by sscanf, which is 80 KB of a static program.
			text_add(text, s, 2);
			add_capitals(text, s + 2, 4);
			s += 6;
		} else {
			size_t len = *s == '\\' ? 2 : 1;

			text_add(text, s, len);
			s += len;
		}
	}
	text_add(text, s, 1);
	return s + 1;
}

// ---- between them

static void new_line(struct text *text, unsigned level)
{
	text_add_str(text, "\n");
	for (unsigned i = 0; i < level && i < INDENTED_LEVELS_MAX; i++)
		text_add_str(text, "    ");
}

// One byte outside strings, with its white space. prev is the byte (or the string's quote) before it.
static void add_byte(struct text *text, char prev, const char *s, bool pretty, unsigned *level)
{
	bool opens = *s == '{' || *s == '[', closes = *s == '}' || *s == ']';
	bool is_empty = closes && (prev == '{' || prev == '['), will_be_empty = opens && (s[1] == '}' || s[1] == ']');

	*level -= closes;
	if (pretty && closes && !is_empty)
		new_line(text, *level);
	text_add(text, s, 1);
	*level += opens;
	if (pretty && (*s == ',' || (opens && !will_be_empty)))
		new_line(text, *level);
	else if (*s == ':' || *s == ',')
		text_add_str(text, " ");
}

void json_text_add(struct text *text, struct json_object *val, bool pretty)
{
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	size_t len = 0;
	const char *s = json_object_to_json_string_length(val, flags, &len), *end = s + len;
	unsigned level = 0;
	char prev = '\0';

	text->failed |= !s;
	while (s && s < end && !text->failed) {
		char now = *s;

		if (now == '"')
			s = add_string(text, s, end);
		else
			add_byte(text, prev, s++, pretty, &level);
		prev = now;
	}
}
