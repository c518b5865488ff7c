// SPDX-License-Identifier: Apache-2.0
/*
 * text.h - text that grows.
 *
 * An all-zero struct is empty. Once memory runs out, `failed` is set and nothing more is added; what was added before
 * stays. Only text_free clears `failed`.
 */
#ifndef PMVM_TEXT_H
#define PMVM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *buf; /* len bytes, without a final NUL; NULL while empty */
	size_t len, cap;
	bool failed;
};

void text_add(struct text *text, const void *buf, size_t len);
void text_add_str(struct text *text, const char *str);
/* Ends the text with a NUL, which len does not count. Returns it, or NULL after a failure. Adding may go on. */
char *text_str(struct text *text);
/* Frees the buffer; the struct is empty again. */
void text_free(struct text *text);

/*
 * "2026-01-31T12:00:00.123456Z ": a time of CLOCK_REALTIME in UTC, from 1970 on, with a blank. Returns its length. Not by
 * gmtime(3), which reads files.
 */
int text_utc(char *buf, size_t size, int64_t seconds, unsigned microseconds);

#endif
