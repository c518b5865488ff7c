// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit_internal.h - an editor, as its parts know it: hmp_edit.c (keys, lines), hmp_edit_tab.c (completion) and
 * hmp_edit_screen.c (what the terminal shows).
 */
#ifndef PMVM_HMP_EDIT_INTERNAL_H
#define PMVM_HMP_EDIT_INTERNAL_H

#include "hmp_edit.h"
#include "hmp_edit_history.h"
#include "hmp_edit_line.h"
#include "hmp_edit_screen.h"
#include "hmp_keys.h"

#define OFFERS_MAX 256u

struct hmp_edit {
	struct hmp_edit_client client;
	const char *prompt;
	struct keys keys;
	struct hmp_line line;
	struct hmp_history history;
	struct hmp_screen screen;
	bool too_long; /* something did not fit: the line is dropped at its end, and no key edits it */
	bool rings;    /* the bell, once the line is shown */

	unsigned noffers;
	size_t word_off;
	char *offers[OFFERS_MAX];
	char offer_end[4];

	char out[512]; /* output that is not written yet */
	size_t out_len;
};

/* Appends to the output, which edit_flush writes. */
void edit_put(struct hmp_edit *edit, const char *buf, size_t len);
void edit_flush(struct hmp_edit *edit);
/* Writes the prompt on a new row, or where the cursor is, for screen_show to write the line behind it. */
void edit_put_prompt(struct hmp_edit *edit);
/* Inserts before the cursor, or marks the line as too long. */
void edit_insert(struct hmp_edit *edit, const char *text, size_t len);

/* Tab: completes the word before the cursor, lists what it may become, or rings the bell. */
void edit_complete(struct hmp_edit *edit);

#endif
