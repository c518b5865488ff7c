// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit.h - line editing for a stream of bytes that need not be a terminal.
 *
 * Keys come from hmp_edit_feed, in any pieces. The editor has cursor keys, a kill buffer, a history of its own and
 * completion. It needs no thread, no descriptor and no terminal: it writes characters, spaces, backspaces and line
 * ends, which every terminal understands, and escape sequences for Ctrl-l only. Control characters that arrive are
 * never written back.
 *
 * On the screen a line has one row. One that is wider than the row is shown in part around the cursor, with '<' and
 * '>' for the hidden ends, and as a whole when Enter ends it.
 */
#ifndef PMVM_HMP_EDIT_H
#define PMVM_HMP_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HMP_LINE_MAX 4096u   /* bytes without the line end */
#define HMP_HISTORY_MAX 100u /* lines that Up can bring back */
#define HMP_COLUMNS_DEFAULT 80u
#define HMP_COLUMNS_MIN 20u /* of the screen; a smaller size is taken as unknown */
#define HMP_COLUMNS_MAX 1000u

struct hmp_edit;

struct hmp_edit_client {
	/* Output for the terminal. */
	void (*write)(void *owner, const char *buf, size_t len);
	/* A line is complete, without its end. NULL: it was longer than HMP_LINE_MAX, and was dropped. */
	void (*line)(void *owner, const char *line);
	/* Tab behind `text`, the line up to the cursor: calls hmp_edit_offer for each word that fits. */
	void (*complete)(void *owner, const char *text, struct hmp_edit *edit);
	/* The width of the terminal, asked for at each prompt; 0: unknown. NULL: always unknown. */
	unsigned (*columns)(void *owner);
	void *owner;
};

/* Starts without a prompt. `prompt` is printable ASCII and borrowed. NULL: out of memory. */
struct hmp_edit *hmp_edit_create(const char *prompt, const struct hmp_edit_client *client);
void hmp_edit_destroy(struct hmp_edit *edit);

/* Shows the prompt with an empty line. Call it once at the beginning; after a line the editor does it. */
void hmp_edit_prompt(struct hmp_edit *edit);
/* Bytes from the client, in any pieces. Not from a callback. */
void hmp_edit_feed(struct hmp_edit *edit, const uint8_t *buf, size_t len);

/*
 * From `complete`: `word` may replace the word before the cursor, which begins at word_off of the text. `end` follows
 * the word if it is the only one: " ", "," or "". Words that do not fit, or are not printable ASCII, are ignored.
 */
void hmp_edit_offer(struct hmp_edit *edit, size_t word_off, const char *word, const char *end);

#endif
