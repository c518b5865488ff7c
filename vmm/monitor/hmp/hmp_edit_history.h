// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit_history.h - the lines that Up and Down bring back. Zero is the initial state.
 *
 * A line that is brought back and edited is a new line: the one in the history stays as it was.
 */
#ifndef PMVM_HMP_EDIT_HISTORY_H
#define PMVM_HMP_EDIT_HISTORY_H

#include "hmp_edit.h"

struct hmp_history {
	char *lines[HMP_HISTORY_MAX]; /* the oldest is first */
	unsigned nlines, at;          /* at == nlines: the line that is not in the history yet */
	char *draft;                  /* that line, while another one is shown; NULL: it is empty */
};

/* Keeps a line that was entered, unless it is blank or the same as the last one. Without memory it is not kept. */
void history_add(struct hmp_history *history, const char *line);
/* A new line begins. */
void history_rewind(struct hmp_history *history);
/* The line to show instead of `line`, the one that is shown. NULL: there is none. Valid until the next call. */
const char *history_older(struct hmp_history *history, const char *line);
const char *history_newer(struct hmp_history *history);
void history_free(struct hmp_history *history);

#endif
