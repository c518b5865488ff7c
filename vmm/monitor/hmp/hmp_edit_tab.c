// SPDX-License-Identifier: Apache-2.0
// Completion: what the client offers for the word before the cursor.
#include "hmp_edit_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_printable(const char *word)
{
	for (; *word; word++)
		if (*word < ' ' || *word > '~')
			return false;
	return true;
}

void hmp_edit_offer(struct hmp_edit *edit, size_t word_off, const char *word, const char *end)
{
	const struct hmp_line *line = &edit->line;
	char *copy;

	if (edit->noffers == OFFERS_MAX || !is_printable(word) ||
	    strncmp(line->text + word_off, word, line->cursor - word_off) != 0)
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

static size_t common_len(const struct hmp_edit *edit)
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

// Inserts what all offers have in common behind what is typed. Returns false if that is nothing.
static bool insert_common(struct hmp_edit *edit)
{
	size_t typed = edit->line.cursor - edit->word_off, len = common_len(edit) - typed;

	edit_insert(edit, edit->offers[0] + typed, len);
	if (edit->noffers > 1)
		return len > 0;
	edit_insert(edit, edit->offer_end, strlen(edit->offer_end));
	return len > 0 || edit->offer_end[0];
}

static void list_offers(struct hmp_edit *edit)
{
	screen_show_all(edit);
	for (unsigned i = 0; i < edit->noffers; i++) {
		edit_put(edit, "\r\n", 2);
		edit_put(edit, edit->offers[i], strlen(edit->offers[i]));
	}
	edit_put(edit, "\r\n", 2);
	edit_put_prompt(edit);
}

void edit_complete(struct hmp_edit *edit)
{
	char text[HMP_LINE_MAX + 1];

	memcpy(text, edit->line.text, edit->line.cursor);
	text[edit->line.cursor] = '\0';
	edit->client.complete(edit->client.owner, text, edit);
	qsort(edit->offers, edit->noffers, sizeof(edit->offers[0]), by_name);
	if (edit->noffers == 0)
		edit->rings = true;
	else if (!insert_common(edit) && edit->noffers > 1)
		list_offers(edit);
	for (unsigned i = 0; i < edit->noffers; i++)
		free(edit->offers[i]);
	edit->noffers = 0;
	// The person sees what Tab did, also when more keys are waiting.
	screen_show(edit);
}
