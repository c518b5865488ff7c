// SPDX-License-Identifier: Apache-2.0
// What the terminal shows of a line.
#include "hmp_edit_screen.h"

#include "hmp_edit_internal.h"
#include "hmp_edit_utf8.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#define REPLACEMENT 0xfffdu
/* A column for each mark, and a wide character at the cursor. */
#define MARKS_AND_CURSOR 4u

// A character without a width of its own has a stand-in, so that each is visible, and its column is known.
static unsigned width_shown(uint32_t ch)
{
	unsigned width = utf8_width(ch);

	return width > 0 ? width : 1;
}

static unsigned columns_between(const char *text, size_t from, size_t to)
{
	unsigned columns = 0;
	size_t len;

	for (; from < to; from += len)
		columns += width_shown(utf8_decode(text + from, &len));
	return columns;
}

// ---- a line into a view

static void view_append(struct hmp_view *view, uint32_t ch)
{
	unsigned width = utf8_width(ch);

	view->len += utf8_encode(width > 0 ? ch : REPLACEMENT, view->text + view->len);
	view->columns += width > 0 ? width : 1;
	view->text[view->len] = '\0';
}

// The line from `start`, as far as it fits.
static void view_build(struct hmp_view *view, const struct hmp_line *line, size_t start, unsigned columns_max)
{
	unsigned room = columns_max - (start > 0);
	bool fits = columns_between(line->text, start, line->len) <= room;
	size_t len;

	view->len = view->columns = view->cursor = 0;
	view->text[0] = '\0';
	if (start > 0)
		view_append(view, '<');
	for (size_t off = start; off < line->len; off += len) {
		uint32_t ch = utf8_decode(line->text + off, &len);

		if (!fits && view->columns + width_shown(ch) >= columns_max) {
			view_append(view, '>');
			return;
		}
		if (off == line->cursor)
			view->cursor = view->columns;
		view_append(view, ch);
	}
	if (line->cursor == line->len)
		view->cursor = view->columns;
}

static bool is_visible(const struct hmp_line *line, size_t start, unsigned columns_max)
{
	if (start > line->cursor || !utf8_is_boundary(line->text, start))
		return false;
	return columns_between(line->text, start, line->cursor) + MARKS_AND_CURSOR <= columns_max;
}

// Scrolls by half a row, so that most keys need no scrolling.
static size_t choose_start(const struct hmp_line *line, size_t before, unsigned columns_max)
{
	unsigned columns = 0;
	size_t off = line->cursor, len;

	if (columns_between(line->text, 0, line->len) <= columns_max)
		return 0;
	if (is_visible(line, before, columns_max))
		return before;
	while (off > 0 && columns < columns_max / 2) {
		off = utf8_prev(line->text, off);
		columns += width_shown(utf8_decode(line->text + off, &len));
	}
	return off;
}

// ---- from one view to another

// The offset of a column.
static size_t offset_of(const struct hmp_view *view, unsigned column)
{
	size_t off = 0, len;

	for (unsigned at = 0; at < column && off < view->len; off += len)
		at += width_shown(utf8_decode(view->text + off, &len));
	return off;
}

// Moves the cursor on a screen that shows `view`.
static void move(struct hmp_edit *edit, const struct hmp_view *view, unsigned from, unsigned to)
{
	size_t off = offset_of(view, from);

	if (to > from)
		edit_put(edit, view->text + off, offset_of(view, to) - off);
	for (; from > to; from--)
		edit_put(edit, "\b", 1);
}

static size_t common_len(const struct hmp_view *a, const struct hmp_view *b)
{
	size_t len = 0;

	while (len < a->len && len < b->len && a->text[len] == b->text[len])
		len++;
	while (len > 0 && !(utf8_is_boundary(a->text, len) && utf8_is_boundary(b->text, len)))
		len--;
	return len;
}

// Writes what makes a screen that shows `shown` show `next`.
static void show_next(struct hmp_edit *edit)
{
	struct hmp_view *shown = &edit->screen.shown, *next = &edit->screen.next;
	size_t same = common_len(shown, next);
	unsigned column = shown->cursor;

	if (same < shown->len || same < next->len) {
		move(edit, shown, column, columns_between(shown->text, 0, same));
		edit_put(edit, next->text + same, next->len - same);
		for (column = next->columns; column < shown->columns; column++)
			edit_put(edit, " ", 1);
	}
	move(edit, next, column, next->cursor);
	memcpy(shown->text, next->text, next->len + 1);
	shown->len = next->len;
	shown->columns = next->columns;
	shown->cursor = next->cursor;
}

void screen_begin(struct hmp_screen *screen, size_t prompt_len, unsigned columns)
{
	assert(columns >= prompt_len + 1 + 2 * (MARKS_AND_CURSOR + 1));
	// The last column stays free: some terminals go to the next row as soon as it is written.
	screen->columns_max = columns - 1 - (unsigned)prompt_len;
	screen->start = 0;
	screen->shown.len = screen->shown.columns = screen->shown.cursor = 0;
	screen->shown.text[0] = '\0';
}

void screen_show(struct hmp_edit *edit)
{
	struct hmp_screen *screen = &edit->screen;

	screen->start = choose_start(&edit->line, screen->start, screen->columns_max);
	view_build(&screen->next, &edit->line, screen->start, screen->columns_max);
	show_next(edit);
}

void screen_show_all(struct hmp_edit *edit)
{
	struct hmp_view *next = &edit->screen.next;

	view_build(next, &edit->line, 0, UINT_MAX);
	next->cursor = next->columns;
	show_next(edit);
}
