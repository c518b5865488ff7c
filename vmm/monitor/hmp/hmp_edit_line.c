// SPDX-License-Identifier: Apache-2.0
// A line that is edited.
#include "hmp_edit_line.h"

#include "hmp_edit_utf8.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

void line_begin_key(struct hmp_line *line)
{
	line->killed_before = line->kills;
	line->kills = false;
}

void line_set(struct hmp_line *line, const char *text)
{
	line->len = line->cursor = strlen(text);
	memcpy(line->text, text, line->len + 1);
}

bool line_insert(struct hmp_line *line, const char *text, size_t len)
{
	char *at = line->text + line->cursor;

	if (len > HMP_LINE_MAX - line->len)
		return false;
	memmove(at + len, at, line->len - line->cursor + 1);
	memcpy(at, text, len);
	line->len += len;
	line->cursor += len;
	return true;
}

// ---- places

size_t line_left(const struct hmp_line *line)
{
	return line->cursor > 0 ? utf8_prev(line->text, line->cursor) : 0;
}

size_t line_right(const struct hmp_line *line)
{
	return line->cursor < line->len ? utf8_next(line->text, line->cursor) : line->len;
}

// Every character beyond ASCII is taken as a letter, so a word never begins inside of one.
static bool is_word(char byte)
{
	return isalnum((unsigned char)byte) || (unsigned char)byte >= 0x80;
}

size_t line_word_left(const struct hmp_line *line)
{
	size_t off = line->cursor;

	while (off > 0 && !is_word(line->text[off - 1]))
		off--;
	while (off > 0 && is_word(line->text[off - 1]))
		off--;
	return off;
}

size_t line_word_right(const struct hmp_line *line)
{
	size_t off = line->cursor;

	while (off < line->len && !is_word(line->text[off]))
		off++;
	while (off < line->len && is_word(line->text[off]))
		off++;
	return off;
}

size_t line_argument_left(const struct hmp_line *line)
{
	size_t off = line->cursor;

	while (off > 0 && line->text[off - 1] == ' ')
		off--;
	while (off > 0 && line->text[off - 1] != ' ')
		off--;
	return off;
}

// ---- removal

void line_delete(struct hmp_line *line, size_t to)
{
	size_t from = to < line->cursor ? to : line->cursor, end = to < line->cursor ? line->cursor : to;

	memmove(line->text + from, line->text + end, line->len - end + 1);
	line->len -= end - from;
	line->cursor = from;
}

// What a series of kills removes comes from one line, with no insertion between: it always fits.
void line_kill(struct hmp_line *line, size_t to)
{
	bool backwards = to < line->cursor;
	size_t len = backwards ? line->cursor - to : to - line->cursor;

	if (len == 0)
		return;
	line->kills = true;
	if (!line->killed_before)
		line->killed_len = 0;
	assert(len <= sizeof(line->killed) - line->killed_len);
	if (backwards) {
		memmove(line->killed + len, line->killed, line->killed_len);
		memcpy(line->killed, line->text + to, len);
	} else {
		memcpy(line->killed + line->killed_len, line->text + line->cursor, len);
	}
	line->killed_len += len;
	line_delete(line, to);
}

void line_transpose(struct hmp_line *line)
{
	size_t end = line_right(line), middle, begin;
	char first[UTF8_MAX];

	if (end == 0 || (middle = utf8_prev(line->text, end)) == 0)
		return;
	begin = utf8_prev(line->text, middle);
	memcpy(first, line->text + begin, middle - begin);
	memmove(line->text + begin, line->text + middle, end - middle);
	memcpy(line->text + end - (middle - begin), first, middle - begin);
	line->cursor = end;
}
