// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit_terminal.h - a terminal as a line editor needs one: rows of characters, a cursor, backspace, line ends,
 * automatic wrapping, and ESC [ H and ESC [ 2 J. It finds fault with every other control character and sequence, and
 * with characters that have no column.
 */
#ifndef PMVM_HMP_EDIT_TERMINAL_H
#define PMVM_HMP_EDIT_TERMINAL_H

#include "hmp_edit.h"

#define TERMINAL_ROWS 40u
#define TERMINAL_COLUMNS_MAX 200u

struct terminal {
	unsigned columns;
	unsigned row, column;
	bool wraps;                                          /* the last column is written: the next character wraps */
	uint32_t cells[TERMINAL_ROWS][TERMINAL_COLUMNS_MAX]; /* 0: the second half of a wide character */
	unsigned nbells;
	char escape[8]; /* a sequence, as far as it has come */
	uint32_t utf8;
	unsigned utf8_left;
};

void terminal_init(struct terminal *t, unsigned columns);
/* Both return NULL, or what is wrong. */
const char *terminal_write(struct terminal *t, const char *buf, size_t len);
/* Compares the row of the cursor with the prompt and the line of the editor, and the cursors. */
const char *terminal_compare(const struct terminal *t, const struct hmp_edit *edit);
/* A row as UTF-8, without spaces at its end. Valid until the next call. */
const char *terminal_row(const struct terminal *t, unsigned row);

#endif
