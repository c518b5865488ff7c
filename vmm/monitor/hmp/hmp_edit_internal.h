// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit_internal.h - what hmp_edit.c (lines, and editing without libedit) and hmp_edit_libedit.c share.
 */
#ifndef PMVM_HMP_EDIT_INTERNAL_H
#define PMVM_HMP_EDIT_INTERNAL_H

#include "hmp_edit.h"
#include "hmp_keys.h"

#define OFFERS_MAX 256u

struct libedit;

/* How keys become lines. */
struct hmp_editor {
	/* Shows the prompt, with an empty line behind it. */
	void (*begin)(struct hmp_edit *edit);
	/* Takes a key. At the end of a line it is hmp_edit_end_line's turn. */
	void (*key)(struct hmp_edit *edit, wchar_t key);
	/* After some keys: what it has kept back goes out. */
	void (*flush)(struct hmp_edit *edit);
	void (*close)(struct hmp_edit *edit);
};

struct hmp_edit {
	struct hmp_edit_client client;
	const struct hmp_editor *editor;
	struct libedit *libedit; /* hmp_edit_libedit.c's */
	const char *prompt;
	struct keys keys;
	bool too_long; /* the rest of this line is dropped */
	bool is_stdio;

	char line[HMP_LINE_MAX + 1]; /* what was typed, or what of it libedit was asked for */
	size_t len;

	unsigned noffers;
	size_t word_off;
	char *offers[OFFERS_MAX];
	char offer_end[4];
};

/* Gives the person text. */
void hmp_edit_put(struct hmp_edit *edit, const char *buf, size_t len);
/* Appends to the line. Returns false if it does not fit. */
bool hmp_edit_append(struct hmp_edit *edit, wchar_t key);
/* The line is complete: the client gets it, if it fits. */
void hmp_edit_end_line(struct hmp_edit *edit, bool fits);

/*
 * Tab behind the line: asks the client. `insert` gets what all offers have in common behind what is typed; if that is
 * nothing and there are several, `list` gets one after the other.
 */
enum hmp_edit_tab { HMP_TAB_NOTHING, HMP_TAB_INSERTED, HMP_TAB_LISTED };
enum hmp_edit_tab hmp_edit_complete(struct hmp_edit *edit, bool (*insert)(struct hmp_edit *edit, const char *text),
                                    void (*list)(struct hmp_edit *edit, const char *word));

/*
 * Sets up libedit. Returns NULL where there is no pseudo-terminal or no memory for it: nothing is left of it then.
 * Not in a program that is built without libedit.
 */
const struct hmp_editor *hmp_edit_libedit_open(struct hmp_edit *edit);

#endif
