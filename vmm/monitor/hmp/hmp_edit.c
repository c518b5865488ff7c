// SPDX-License-Identifier: Apache-2.0
// Line editing, a key at a time: what is the same with libedit and without it, and editing without it.
#include "hmp_edit_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hmp_edit_put(struct hmp_edit *edit, const char *buf, size_t len)
{
	if (len > 0)
		edit->client.write(edit->client.owner, buf, len);
}

// ---- UTF-8: all keys are wide characters

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

bool hmp_edit_append(struct hmp_edit *edit, wchar_t key)
{
	char text[4];
	size_t len = encode(key, text);

	if (edit->len + len > HMP_LINE_MAX)
		return false;
	memcpy(edit->line + edit->len, text, len);
	edit->len += len;
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

// What all offers share behind what is typed.
static bool insert_common(struct hmp_edit *edit, bool (*insert)(struct hmp_edit *edit, const char *text))
{
	size_t typed = edit->len - edit->word_off, len = common_length(edit);
	char text[256];
	int n = snprintf(text, sizeof(text), "%.*s%s", (int)(len - typed), edit->offers[0] + typed,
	                 edit->noffers == 1 ? edit->offer_end : "");

	return n > 0 && (size_t)n < sizeof(text) && insert(edit, text);
}

enum hmp_edit_tab hmp_edit_complete(struct hmp_edit *edit, bool (*insert)(struct hmp_edit *edit, const char *text),
                                    void (*list)(struct hmp_edit *edit, const char *word))
{
	enum hmp_edit_tab result = HMP_TAB_NOTHING;

	edit->client.complete(edit->client.owner, edit->line, edit);
	if (edit->noffers > 0) {
		qsort(edit->offers, edit->noffers, sizeof(edit->offers[0]), by_name);
		if (insert_common(edit, insert)) {
			result = HMP_TAB_INSERTED;
		} else if (edit->noffers > 1) {
			for (unsigned i = 0; i < edit->noffers; i++)
				list(edit, edit->offers[i]);
			result = HMP_TAB_LISTED;
		}
	}
	for (unsigned i = 0; i < edit->noffers; i++)
		free(edit->offers[i]);
	edit->noffers = 0;
	return result;
}

// ---- editing without libedit: what is typed is shown, and can be taken back from the end

static void plain_begin(struct hmp_edit *edit)
{
	edit->len = 0;
	edit->line[0] = '\0';
	hmp_edit_put(edit, edit->prompt, strlen(edit->prompt));
}

static void plain_insert(struct hmp_edit *edit, wchar_t key)
{
	size_t before = edit->len;

	if (hmp_edit_append(edit, key))
		hmp_edit_put(edit, edit->line + before, edit->len - before);
	else
		edit->too_long = true;
}

static void plain_backspace(struct hmp_edit *edit)
{
	if (edit->len == 0)
		return;
	while (--edit->len > 0 && ((uint8_t)edit->line[edit->len] & 0xc0) == 0x80)
		;
	edit->line[edit->len] = '\0';
	hmp_edit_put(edit, "\b \b", 3);
}

static bool plain_insert_offer(struct hmp_edit *edit, const char *text)
{
	for (; *text; text++)
		plain_insert(edit, *text);
	return true;
}

static void plain_list_offer(struct hmp_edit *edit, const char *word)
{
	hmp_edit_put(edit, "\r\n", 2);
	hmp_edit_put(edit, word, strlen(word));
}

static void plain_tab(struct hmp_edit *edit)
{
	if (hmp_edit_complete(edit, plain_insert_offer, plain_list_offer) != HMP_TAB_LISTED)
		return;
	hmp_edit_put(edit, "\r\n", 2);
	hmp_edit_put(edit, edit->prompt, strlen(edit->prompt));
	hmp_edit_put(edit, edit->line, edit->len);
}

static void plain_key(struct hmp_edit *edit, wchar_t key)
{
	if (key == KEY_ENTER) {
		hmp_edit_put(edit, "\r\n", 2);
		hmp_edit_end_line(edit, !edit->too_long);
	} else if (edit->too_long) {
		return;
	} else if (key == KEY_BACKSPACE) {
		plain_backspace(edit);
	} else if (key == KEY_KILL_LINE) {
		while (edit->len > 0)
			plain_backspace(edit);
	} else if (key == KEY_TAB) {
		plain_tab(edit);
	} else if (key >= L' ') {
		plain_insert(edit, key);
	}
}

// It keeps nothing: neither output nor memory.
static void plain_nothing(struct hmp_edit *edit)
{
	(void)edit;
}

static const struct hmp_editor plain_editor = {
	.begin = plain_begin,
	.key = plain_key,
	.flush = plain_nothing,
	.close = plain_nothing,
};

// ---- life

struct hmp_edit *hmp_edit_create(const char *prompt, const struct hmp_edit_client *client, bool is_stdio)
{
	struct hmp_edit *edit = calloc(1, sizeof(*edit));

	if (!edit)
		return NULL;
	edit->client = *client;
	edit->prompt = prompt;
	edit->is_stdio = is_stdio;
#if HAVE_LIBEDIT
	edit->editor = hmp_edit_libedit_open(edit);
#endif
	if (!edit->editor)
		edit->editor = &plain_editor;
	return edit;
}

void hmp_edit_destroy(struct hmp_edit *edit)
{
	if (!edit)
		return;
	edit->editor->close(edit);
	free(edit);
}

void hmp_edit_prompt(struct hmp_edit *edit)
{
	edit->too_long = false;
	edit->editor->begin(edit);
	edit->editor->flush(edit);
}

void hmp_edit_end_line(struct hmp_edit *edit, bool fits)
{
	edit->client.line(edit->client.owner, fits ? edit->line : NULL);
	hmp_edit_prompt(edit);
}

void hmp_edit_feed(struct hmp_edit *edit, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		wchar_t key = keys_feed(&edit->keys, buf[i]);

		if (key != KEY_NONE)
			edit->editor->key(edit, key);
	}
	edit->editor->flush(edit);
}
