// SPDX-License-Identifier: Apache-2.0
// Line editing by libedit, a key at a time.
#include "hmp_edit_internal.h"

#include <stdlib.h>
#include <string.h>

// ---- UTF-8: all of libedit's characters are wide

static size_t encode(wchar_t wide, char *buf)
{
	uint32_t ch = (uint32_t)wide;

	if (ch < 0x80) {
		buf[0] = (char)ch;
		return 1;
	}
	if (ch < 0x800) {
		buf[0] = (char)(0xc0 | ch >> 6);
		buf[1] = (char)(0x80 | (ch & 0x3f));
		return 2;
	}
	if (ch < 0x10000) {
		buf[0] = (char)(0xe0 | ch >> 12);
		buf[1] = (char)(0x80 | (ch >> 6 & 0x3f));
		buf[2] = (char)(0x80 | (ch & 0x3f));
		return 3;
	}
	buf[0] = (char)(0xf0 | ch >> 18);
	buf[1] = (char)(0x80 | (ch >> 12 & 0x3f));
	buf[2] = (char)(0x80 | (ch >> 6 & 0x3f));
	buf[3] = (char)(0x80 | (ch & 0x3f));
	return 4;
}

// Writes [from, to) into edit->line. Returns false if it does not fit.
static bool take_text(struct hmp_edit *edit, const wchar_t *from, const wchar_t *to)
{
	edit->len = 0;
	for (; from < to; from++) {
		char text[4];
		size_t len = encode(*from, text);

		if (edit->len + len > HMP_LINE_MAX)
			return false;
		memcpy(edit->line + edit->len, text, len);
		edit->len += len;
	}
	edit->line[edit->len] = '\0';
	return true;
}

// ---- Tab

void hmp_edit_offer(struct hmp_edit *edit, size_t word_off, const char *word, const char *end)
{
	char *copy;

	if (edit->noffers == OFFERS_MAX || strncmp(edit->line + word_off, word, edit->len - word_off) != 0)
		return;
	copy = strdup(word);
	if (!copy)
		return;
	edit->word_off = word_off;
	edit->offers[edit->noffers++] = copy;
	snprintf(edit->offer_end, sizeof(edit->offer_end), "%s", end);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t common_length(const struct hmp_edit *edit)
{
	size_t len = strlen(edit->offers[0]);

	for (unsigned i = 1; i < edit->noffers; i++) {
		size_t same = 0;

		while (same < len && edit->offers[i][same] == edit->offers[0][same])
			same++;
		len = same;
	}
	return len;
}

static void list_offers(struct hmp_edit *edit)
{
	fputc('\n', edit->out);
	for (unsigned i = 0; i < edit->noffers; i++)
		fprintf(edit->out, "%s\n", edit->offers[i]);
	// What is on the screen is not what libedit thinks: it draws the line anew.
	el_set(edit->el, EL_REFRESH);
}

// Inserts what all offers share. Returns whether that was anything.
static bool insert_common(struct hmp_edit *edit, size_t typed)
{
	size_t len = common_length(edit);
	char text[256];
	int n = snprintf(text, sizeof(text), "%.*s%s", (int)(len - typed), edit->offers[0] + typed,
	                 edit->noffers == 1 ? edit->offer_end : "");

	return n > 0 && (size_t)n < sizeof(text) && el_insertstr(edit->el, text) == 0;
}

unsigned char hmp_edit_on_tab(EditLine *el, wint_t ch)
{
	unsigned char result = CC_ERROR;
	struct hmp_edit *edit;
	const LineInfoW *info;

	(void)ch;
	el_get(el, EL_CLIENTDATA, &edit);
	info = el_wline(el);
	if (!take_text(edit, info->buffer, info->cursor))
		return CC_ERROR;
	edit->client.complete(edit->client.owner, edit->line, edit);
	if (edit->noffers > 0) {
		qsort(edit->offers, edit->noffers, sizeof(edit->offers[0]), by_name);
		if (insert_common(edit, edit->len - edit->word_off)) {
			result = CC_REFRESH;
		} else if (edit->noffers > 1) {
			list_offers(edit);
			result = CC_NORM;
		}
	}
	for (unsigned i = 0; i < edit->noffers; i++)
		free(edit->offers[i]);
	edit->noffers = 0;
	return result;
}

// ---- life

// libedit asks the locale how to write a character; only this thread's, and only for this long.
static locale_t enter(const struct hmp_edit *edit)
{
	return edit->utf8 ? uselocale(edit->utf8) : (locale_t)0;
}

static void leave(locale_t before)
{
	if (before)
		uselocale(before);
}

struct hmp_edit *hmp_edit_create(const char *prompt, const struct hmp_edit_client *client, bool is_stdio)
{
	struct hmp_edit *edit = calloc(1, sizeof(*edit));
	locale_t before;

	if (!edit)
		return NULL;
	edit->client = *client;
	edit->prompt = prompt;
	edit->is_stdio = is_stdio;
	edit->pty_fd = edit->tty_fd = -1;
	edit->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	before = enter(edit);
	edit->muted = true;
	if (hmp_edit_open(edit) < 0)
		hmp_edit_close(edit);
	else
		fflush(edit->out);
	edit->muted = false;
	leave(before);
	return edit;
}

void hmp_edit_destroy(struct hmp_edit *edit)
{
	locale_t before;

	if (!edit)
		return;
	before = enter(edit);
	hmp_edit_close(edit);
	leave(before);
	if (edit->utf8)
		freelocale(edit->utf8);
	free(edit);
}

// ---- use

// A fresh line: libedit prepares one when its mode changes, and shows the prompt.
static void begin_line(struct hmp_edit *edit)
{
	edit->len = 0;
	edit->too_long = false;
	edit->shown = true;
	if (edit->el) {
		hmp_edit_set_size(edit);
		el_set(edit->el, EL_UNBUFFERED, 1);
	} else {
		hmp_edit_put(edit, edit->prompt, strlen(edit->prompt));
	}
}

void hmp_edit_prompt(struct hmp_edit *edit)
{
	locale_t before = enter(edit);

	if (edit->el && edit->shown)
		el_set(edit->el, EL_UNBUFFERED, 0);
	begin_line(edit);
	leave(before);
}

static void end_line(struct hmp_edit *edit, bool fits)
{
	HistEvent event;

	if (edit->el) {
		el_set(edit->el, EL_UNBUFFERED, 0);
		fflush(edit->out);
		if (fits && edit->line[strspn(edit->line, " \t")])
			history(edit->history, &event, H_ENTER, edit->line);
	}
	edit->client.line(edit->client.owner, fits ? edit->line : NULL);
	begin_line(edit);
}

// Without libedit: what is typed is shown, and can be taken back from the end.
static void take_plain(struct hmp_edit *edit, wchar_t key)
{
	char text[4];
	size_t len;

	if (key == KEY_ENTER) {
		hmp_edit_put(edit, "\r\n", 2);
		edit->line[edit->len] = '\0';
		end_line(edit, !edit->too_long);
	} else if (key == KEY_BACKSPACE && edit->len > 0) {
		while (--edit->len > 0 && ((uint8_t)edit->line[edit->len] & 0xc0) == 0x80)
			;
		hmp_edit_put(edit, "\b \b", 3);
	} else if (key >= L' ') {
		len = encode(key, text);
		if (edit->len + len > HMP_LINE_MAX) {
			edit->too_long = true;
			return;
		}
		memcpy(edit->line + edit->len, text, len);
		edit->len += len;
		hmp_edit_put(edit, text, len);
	}
}

static void take_edited(struct hmp_edit *edit, wchar_t key)
{
	const LineInfoW *info = el_wline(edit->el);
	const wchar_t *end;
	int len;

	if (info->lastchar - info->buffer > HMP_LINE_MAX)
		edit->too_long = true;
	if (edit->too_long && key != KEY_ENTER)
		return;
	edit->key = key;
	el_wgets(edit->el, &len);
	if (key != KEY_ENTER)
		return;
	info = el_wline(edit->el);
	end = info->lastchar;
	while (end > info->buffer && end[-1] == L'\n')
		end--;
	end_line(edit, take_text(edit, info->buffer, end) && !edit->too_long);
}

void hmp_edit_feed(struct hmp_edit *edit, const uint8_t *buf, size_t len)
{
	locale_t before = enter(edit);

	for (size_t i = 0; i < len; i++) {
		wchar_t key = keys_feed(&edit->keys, buf[i]);

		if (key == KEY_NONE)
			continue;
		if (edit->el)
			take_edited(edit, key);
		else
			take_plain(edit, key);
	}
	if (edit->out)
		fflush(edit->out);
	leave(before);
}
