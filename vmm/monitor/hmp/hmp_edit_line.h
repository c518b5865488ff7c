// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit_line.h - a line that is edited: its text, the cursor in it, and the kill buffer. Nothing here writes to the
 * terminal.
 *
 * The text is valid UTF-8 with a NUL behind it. Offsets are in bytes, and always at the beginning of a character.
 */
#ifndef PMVM_HMP_EDIT_LINE_H
#define PMVM_HMP_EDIT_LINE_H

#include "hmp_edit.h"

struct hmp_line {
	char text[HMP_LINE_MAX + 1];
	size_t len, cursor;
	char killed[HMP_LINE_MAX]; /* what a yank inserts */
	size_t killed_len;
	bool kills, killed_before; /* this key is a kill, and so was the one before: they make one text */
};

/* To be called before each key. */
void line_begin_key(struct hmp_line *line);

/* Makes `text` the line, with the cursor at its end. It has at most HMP_LINE_MAX bytes. */
void line_set(struct hmp_line *line, const char *text);
/* Inserts before the cursor. Returns false, and changes nothing, if the line would be too long. */
bool line_insert(struct hmp_line *line, const char *text, size_t len);

/* Where the cursor goes by one character, or by one word of letters and digits. */
size_t line_left(const struct hmp_line *line);
size_t line_right(const struct hmp_line *line);
size_t line_word_left(const struct hmp_line *line);
size_t line_word_right(const struct hmp_line *line);
/* The beginning of the word before the cursor, where only spaces end a word. */
size_t line_argument_left(const struct hmp_line *line);

/* Removes what is between the cursor and `to`, on either side of it. A kill keeps it for a yank. */
void line_delete(struct hmp_line *line, size_t to);
void line_kill(struct hmp_line *line, size_t to);
/* Swaps the characters before and behind the cursor, at the end of the line the last two, and steps over them. */
void line_transpose(struct hmp_line *line);

#endif
