// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_edit.h - line editing for a stream of bytes that need not be a terminal: libedit without its reading.
 *
 * Keys come from hmp_edit_feed, whatever the client sends; libedit runs one command for each and returns.
 * Output goes to `write`. libedit edits only where it finds a terminal, so it is given one of its own: a
 * pseudo-terminal that nobody reads or writes. Where there is none, and in a program that is built without
 * libedit, a line is edited from its end (Backspace, Ctrl-u, Tab) and there is no history.
 */
#ifndef PMVM_HMP_EDIT_H
#define PMVM_HMP_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HMP_LINE_MAX 4096u /* bytes without the line end */

struct hmp_edit;

struct hmp_edit_client {
	/* What the person sees. */
	void (*write)(void *owner, const char *buf, size_t len);
	/* A line is complete; it is without its end. NULL: it was longer than HMP_LINE_MAX, and is gone. */
	void (*line)(void *owner, const char *line);
	/*
	 * Tab behind `text`, which is what stands before the cursor: calls hmp_edit_offer for each word that
	 * fits.
	 */
	void (*complete)(void *owner, const char *text, struct hmp_edit *edit);
	void *owner;
};

/* Starts without a prompt. is_stdio: the person's terminal is ours, $TERM with its size. NULL: out of memory. */
struct hmp_edit *hmp_edit_create(const char *prompt, const struct hmp_edit_client *client, bool is_stdio);
void hmp_edit_destroy(struct hmp_edit *edit);

/* Shows the prompt, with an empty line behind it. To be called once at the beginning; not after a line. */
void hmp_edit_prompt(struct hmp_edit *edit);
/* Bytes from the client, cut anywhere. After each line the prompt comes by itself. Not from a callback. */
void hmp_edit_feed(struct hmp_edit *edit, const uint8_t *buf, size_t len);

/*
 * From `complete`: the word under the cursor, which begins at word_off of the text, may become `word`.
 * `end` goes behind the word if it is the only one: " ", "," or "".
 */
void hmp_edit_offer(struct hmp_edit *edit, size_t word_off, const char *word, const char *end);

#endif
