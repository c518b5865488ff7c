// SPDX-License-Identifier: Apache-2.0
// A terminal as a line editor needs one.
#include "hmp_edit_terminal.h"

#include "hmp_edit_internal.h"
#include "hmp_edit_utf8.h"

#include <string.h>

static void clear_row(struct terminal *t, unsigned row)
{
	for (unsigned i = 0; i < TERMINAL_COLUMNS_MAX; i++)
		t->cells[row][i] = ' ';
}

static void clear(struct terminal *t)
{
	for (unsigned i = 0; i < TERMINAL_ROWS; i++)
		clear_row(t, i);
}

void terminal_init(struct terminal *t, unsigned columns)
{
	memset(t, 0, sizeof(*t));
	t->columns = columns;
	clear(t);
}

static void line_feed(struct terminal *t)
{
	if (++t->row < TERMINAL_ROWS)
		return;
	t->row--;
	memmove(t->cells[0], t->cells[1], (TERMINAL_ROWS - 1) * sizeof(t->cells[0]));
	clear_row(t, t->row);
}

static const char *put_character(struct terminal *t, uint32_t ch)
{
	unsigned width = utf8_width(ch);

	if (width == 0)
		return "a character without a column";
	if (t->wraps || t->column + width > t->columns) {
		line_feed(t);
		t->column = 0;
	}
	t->cells[t->row][t->column] = ch;
	if (width == 2)
		t->cells[t->row][t->column + 1] = 0;
	t->column += width;
	t->wraps = t->column == t->columns;
	t->column -= t->wraps;
	return NULL;
}

static const char *put_sequence(struct terminal *t, uint8_t byte)
{
	size_t len = strlen(t->escape);

	t->escape[len] = (char)byte;
	t->escape[len + 1] = '\0';
	if (strcmp(t->escape, "\033[H") == 0)
		t->row = t->column = 0;
	else if (strcmp(t->escape, "\033[2J") == 0)
		clear(t);
	else
		return strncmp(t->escape, "\033[2J", len + 1) == 0 ? NULL : "an unknown sequence";
	t->escape[0] = '\0';
	t->wraps = false;
	return NULL;
}

static const char *put_control(struct terminal *t, uint8_t byte)
{
	switch (byte) {
	case '\a':
		t->nbells++;
		return NULL;
	case '\b':
		if (t->column == 0)
			return "a backspace in the first column";
		t->column--;
		break;
	case '\r':
		t->column = 0;
		break;
	case '\n':
		line_feed(t);
		break;
	case '\033':
		strcpy(t->escape, "\033");
		break;
	default:
		return "a control character";
	}
	t->wraps = false;
	return NULL;
}

static const char *put_byte(struct terminal *t, uint8_t byte)
{
	if (t->escape[0])
		return put_sequence(t, byte);
	if ((byte & 0xc0) == 0x80) {
		if (t->utf8_left == 0)
			return "not UTF-8";
		t->utf8 = t->utf8 << 6 | (byte & 0x3f);
		return --t->utf8_left > 0 ? NULL : put_character(t, t->utf8);
	}
	if (t->utf8_left > 0)
		return "not UTF-8";
	if (byte < 0x20)
		return put_control(t, byte);
	if (byte < 0x80)
		return put_character(t, byte);
	t->utf8_left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
	t->utf8 = byte & (0x3fu >> t->utf8_left);
	return NULL;
}

const char *terminal_write(struct terminal *t, const char *buf, size_t len)
{
	const char *fault = NULL;

	for (size_t i = 0; i < len && !fault; i++)
		fault = put_byte(t, (uint8_t)buf[i]);
	return fault;
}

// ---- a line into characters

struct characters {
	uint32_t ch[HMP_LINE_MAX];
	size_t count, cursor;
};

static void take_line(struct characters *out, const struct hmp_line *line)
{
	out->count = out->cursor = 0;
	for (size_t i = 0; i < line->len; i++) {
		uint8_t byte = (uint8_t)line->text[i];

		if (i == line->cursor)
			out->cursor = out->count;
		if ((byte & 0xc0) == 0x80)
			out->ch[out->count - 1] = out->ch[out->count - 1] << 6 | (byte & 0x3f);
		else
			out->ch[out->count++] = byte < 0x80 ? byte :
			                                      byte & (byte < 0xe0 ? 0x1f :
			                                              byte < 0xf0 ? 0xf :
			                                                            7);
	}
	if (line->cursor == line->len)
		out->cursor = out->count;
	for (size_t i = 0; i < out->count; i++)
		if (utf8_width(out->ch[i]) == 0)
			out->ch[i] = 0xfffd;
}

static unsigned width_of_all(const struct characters *line)
{
	unsigned columns = 0;

	for (size_t i = 0; i < line->count; i++)
		columns += utf8_width(line->ch[i]);
	return columns;
}

// What stands before the cursor: the line back to its beginning, or to a mark.
static const char *compare_left(const struct terminal *t, const struct characters *line, unsigned first, bool fits)
{
	const uint32_t *cells = t->cells[t->row];
	unsigned column = t->column;

	for (size_t i = line->cursor; i > 0; i--) {
		unsigned width = utf8_width(line->ch[i - 1]);

		if (!fits && column == first + 1 && cells[first] == '<')
			return NULL;
		if (column < first + width || cells[column - width] != line->ch[i - 1])
			return "the row is not the line, before the cursor";
		column -= width;
	}
	// A mark that hides nothing would show the line as longer than it is.
	return column == first ? NULL : "the cursor is not where the line's is";
}

static const char *compare_right(const struct terminal *t, const struct characters *line, bool fits)
{
	const uint32_t *cells = t->cells[t->row];
	unsigned column = t->column;

	for (size_t i = line->cursor; i < line->count; i++) {
		// A wide character that does not fit leaves a column free.
		if (!fits && cells[column] == '>' && column + 3 >= t->columns && cells[column + 1] == ' ') {
			column++;
			break;
		}
		if (column + 1 >= t->columns || cells[column] != line->ch[i])
			return "the row is not the line, behind the cursor";
		column += utf8_width(line->ch[i]);
	}
	for (; column < t->columns; column++)
		if (cells[column] != ' ')
			return "something is left behind the line";
	return NULL;
}

const char *terminal_compare(const struct terminal *t, const struct hmp_edit *edit)
{
	static struct characters line;
	unsigned first = (unsigned)strlen(edit->prompt);
	const char *fault;
	bool fits;

	for (unsigned i = 0; i < first; i++)
		if (t->cells[t->row][i] != (uint8_t)edit->prompt[i])
			return "the prompt is damaged";
	take_line(&line, &edit->line);
	fits = first + width_of_all(&line) < t->columns;
	fault = compare_left(t, &line, first, fits);
	return fault ? fault : compare_right(t, &line, fits);
}

const char *terminal_row(const struct terminal *t, unsigned row)
{
	static char text[TERMINAL_COLUMNS_MAX * 4 + 1];
	size_t len = 0, end = 0;

	for (unsigned i = 0; i < t->columns; i++) {
		uint32_t ch = t->cells[row][i];

		if (ch == 0)
			continue;
		if (ch >= 0x10000)
			text[len++] = (char)(0xf0 | ch >> 18);
		if (ch >= 0x800)
			text[len++] = (char)(ch < 0x10000 ? 0xe0 | ch >> 12 : 0x80 | (ch >> 12 & 0x3f));
		if (ch >= 0x80)
			text[len++] = (char)(ch < 0x800 ? 0xc0 | ch >> 6 : 0x80 | (ch >> 6 & 0x3f));
		text[len++] = (char)(ch < 0x80 ? ch : 0x80 | (ch & 0x3f));
		if (ch != ' ')
			end = len;
	}
	text[end] = '\0';
	return text;
}
