// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit_internal.h - what hmp_edit.c (lines) and hmp_edit_open.c (libedit, set up) share.
 */
#ifndef PMVM_HMP_EDIT_INTERNAL_H
#define PMVM_HMP_EDIT_INTERNAL_H

#include "hmp_edit.h"
#include "hmp_keys.h"

#include <histedit.h>
#include <locale.h>
#include <stdio.h>

#define OFFERS_MAX 256u

struct hmp_edit {
	struct hmp_edit_client client;
	const char *prompt;
	struct keys keys;
	wchar_t key;               /* what libedit reads next; KEY_NONE: nothing */
	bool muted;                /* what libedit prints is not for the client */
	bool too_long;             /* the rest of this line is dropped */
	bool shown;                /* the prompt is there */
	bool is_stdio;
	unsigned short columns;    /* of the pseudo-terminal */

	EditLine *el;              /* NULL: no editing */
	History *history;
	FILE *out;
	int pty_fd, tty_fd;
	locale_t utf8;

	char line[HMP_LINE_MAX + 1];  /* without libedit: what was typed; with it: the complete line */
	size_t len;

	unsigned noffers;
	size_t word_off;
	char *offers[OFFERS_MAX];
	char offer_end[4];
};

/* Gives the person text, unless muted. */
void hmp_edit_put(struct hmp_edit *edit, const char *buf, size_t len);

/* Sets up libedit. On failure, and at the end, hmp_edit_close takes down what is there. */
int hmp_edit_open(struct hmp_edit *edit);
void hmp_edit_close(struct hmp_edit *edit);
/* Looks how wide the person's terminal is now. */
void hmp_edit_set_size(struct hmp_edit *edit);

/* libedit's Tab. */
unsigned char hmp_edit_on_tab(EditLine *el, wint_t ch);

#endif
