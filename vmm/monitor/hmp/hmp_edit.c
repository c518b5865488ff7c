// SPDX-License-Identifier: Apache-2.0
// Line editing, a key at a time: what each key does, and where a line ends.
#include "hmp_edit_internal.h"

#include "hmp_edit_utf8.h"

#include <stdlib.h>
#include <string.h>

// ---- output

void edit_flush(struct hmp_edit *edit)
{
	if (edit->out_len > 0)
		edit->client.write(edit->client.owner, edit->out, edit->out_len);
	edit->out_len = 0;
}

void edit_put(struct hmp_edit *edit, const char *buf, size_t len)
{
	while (len > 0) {
		size_t part = sizeof(edit->out) - edit->out_len;

		if (part > len)
			part = len;
		memcpy(edit->out + edit->out_len, buf, part);
		edit->out_len += part;
		buf += part;
		len -= part;
		if (edit->out_len == sizeof(edit->out))
			edit_flush(edit);
	}
}

// One for all that came at once, and before the end of the line: a prompt is the last of the output.
static void put_bell(struct hmp_edit *edit)
{
	if (edit->rings)
		edit_put(edit, "\a", 1);
	edit->rings = false;
}

static unsigned columns(const struct hmp_edit *edit)
{
	unsigned count = edit->client.columns ? edit->client.columns(edit->client.owner) : 0;

	return count >= HMP_COLUMNS_MIN && count <= HMP_COLUMNS_MAX ? count : HMP_COLUMNS_DEFAULT;
}

void edit_put_prompt(struct hmp_edit *edit)
{
	size_t len = strlen(edit->prompt);

	edit_put(edit, edit->prompt, len);
	screen_begin(&edit->screen, len, columns(edit));
}

// ---- lines

static void begin_line(struct hmp_edit *edit)
{
	edit->too_long = false;
	line_begin_key(&edit->line);
	line_set(&edit->line, "");
	history_rewind(&edit->history);
	edit_put_prompt(edit);
}

static void end_line(struct hmp_edit *edit)
{
	bool fits = !edit->too_long;

	screen_show_all(edit);
	put_bell(edit);
	edit_put(edit, "\r\n", 2);
	edit_flush(edit);
	if (fits)
		history_add(&edit->history, edit->line.text);
	edit->client.line(edit->client.owner, fits ? edit->line.text : NULL);
	begin_line(edit);
}

void edit_insert(struct hmp_edit *edit, const char *text, size_t len)
{
	if (!line_insert(&edit->line, text, len))
		edit->too_long = edit->rings = true;
}

static void insert_character(struct hmp_edit *edit, uint32_t ch)
{
	char text[UTF8_MAX];

	edit_insert(edit, text, utf8_encode(ch, text));
}

static void yank(struct hmp_edit *edit)
{
	edit_insert(edit, edit->line.killed, edit->line.killed_len);
}

static void recall(struct hmp_edit *edit, const char *text)
{
	if (text)
		line_set(&edit->line, text);
}

static void redraw(struct hmp_edit *edit, const char *before)
{
	edit_put(edit, before, strlen(before));
	edit_put_prompt(edit);
}

// ---- keys

static void move_key(struct hmp_line *line, uint32_t key)
{
	switch (key) {
	case KEY_HOME:
		line->cursor = 0;
		break;
	case KEY_END:
		line->cursor = line->len;
		break;
	case KEY_LEFT:
		line->cursor = line_left(line);
		break;
	case KEY_RIGHT:
		line->cursor = line_right(line);
		break;
	case KEY_WORD_LEFT:
		line->cursor = line_word_left(line);
		break;
	case KEY_WORD_RIGHT:
		line->cursor = line_word_right(line);
		break;
	}
}

static void change_key(struct hmp_line *line, uint32_t key)
{
	switch (key) {
	case KEY_BACKSPACE:
		line_delete(line, line_left(line));
		break;
	case KEY_DELETE:
		line_delete(line, line_right(line));
		break;
	case KEY_KILL_TO_END:
		line_kill(line, line->len);
		break;
	case KEY_KILL_TO_START:
		line_kill(line, 0);
		break;
	case KEY_KILL_ARGUMENT:
		line_kill(line, line_argument_left(line));
		break;
	case KEY_KILL_WORD_LEFT:
		line_kill(line, line_word_left(line));
		break;
	case KEY_KILL_WORD_RIGHT:
		line_kill(line, line_word_right(line));
		break;
	case KEY_TRANSPOSE:
		line_transpose(line);
		break;
	}
}

static void edit_key(struct hmp_edit *edit, uint32_t key)
{
	line_begin_key(&edit->line);
	switch (key) {
	case KEY_TAB:
		edit_complete(edit);
		break;
	case KEY_YANK:
		yank(edit);
		break;
	case KEY_UP:
		recall(edit, history_older(&edit->history, edit->line.text));
		break;
	case KEY_DOWN:
		recall(edit, history_newer(&edit->history));
		break;
	case KEY_CLEAR_SCREEN:
		redraw(edit, "\033[H\033[2J");
		break;
	case KEY_REDRAW:
		redraw(edit, "\r\n");
		break;
	default:
		if (key >= ' ') {
			insert_character(edit, key);
			break;
		}
		move_key(&edit->line, key);
		change_key(&edit->line, key);
		break;
	}
}

void hmp_edit_feed(struct hmp_edit *edit, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint32_t key = keys_feed(&edit->keys, buf[i]);

		if (key == KEY_ENTER)
			end_line(edit);
		else if (key != KEY_NONE && edit->too_long)
			edit->rings = true;
		else if (key != KEY_NONE)
			edit_key(edit, key);
	}
	screen_show(edit);
	put_bell(edit);
	edit_flush(edit);
}

// ---- life

struct hmp_edit *hmp_edit_create(const char *prompt, const struct hmp_edit_client *client)
{
	struct hmp_edit *edit = calloc(1, sizeof(*edit));

	if (!edit)
		return NULL;
	edit->client = *client;
	edit->prompt = prompt;
	return edit;
}

void hmp_edit_destroy(struct hmp_edit *edit)
{
	if (!edit)
		return;
	history_free(&edit->history);
	free(edit);
}

void hmp_edit_prompt(struct hmp_edit *edit)
{
	begin_line(edit);
	edit_flush(edit);
}
