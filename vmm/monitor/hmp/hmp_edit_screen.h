// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit_screen.h - what the terminal shows behind the prompt, and how it comes to show a line.
 *
 * The editor changes a line as it likes; screen_show then compares what is shown with what is to be shown, and writes
 * the difference: for a key that appends, that key. It moves to the left with backspaces, and to the right by writing
 * what is there once more.
 */
#ifndef PMVM_HMP_EDIT_SCREEN_H
#define PMVM_HMP_EDIT_SCREEN_H

#include "hmp_edit_line.h"

/* Two bytes of a line may show as the three of U+FFFD; and a mark at each end. */
#define VIEW_MAX (HMP_LINE_MAX / 2 * 3 + 2)

/* A line, or its visible part. */
struct hmp_view {
	char text[VIEW_MAX + 1];
	size_t len;
	unsigned columns, cursor; /* how many it has; where the cursor is */
};

struct hmp_screen {
	unsigned columns_max; /* behind the prompt */
	size_t start;         /* the offset of the first character that is visible */
	struct hmp_view shown, next;
};

struct hmp_edit;

/* The cursor is behind a prompt that has just been written, on a row of `columns`. */
void screen_begin(struct hmp_screen *screen, size_t prompt_len, unsigned columns);
/* Shows the line, or its part around the cursor. */
void screen_show(struct hmp_edit *edit);
/* Shows the whole line, which may take several rows, and leaves the cursor behind it. */
void screen_show_all(struct hmp_edit *edit);

#endif
