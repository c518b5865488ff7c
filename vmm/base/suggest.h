// SPDX-License-Identifier: Apache-2.0
/*
 * suggest.h - finds the known name that is nearest to a mistyped word: "did you mean -smp?".
 *
 * The caller offers the known names one by one:
 *
 *	struct suggest s = { .word = "smpp" };
 *	for (...)
 *		suggest_offer(&s, table[i].name);
 *	if (s.best) ...
 *
 * The distance is the number of letters to insert, delete, replace, or swap with a neighbour. Case is ignored, and
 * '_' equals '-'. One error is allowed in a short word, three in a long one.
 */
#ifndef PMVM_SUGGEST_H
#define PMVM_SUGGEST_H

struct suggest {
	const char *word; /* borrowed */
	const char *best; /* borrowed from the offers; NULL: none is near enough */
	unsigned best_distance;
};

/* Of two names that are equally near, the first one offered stays. */
void suggest_offer(struct suggest *s, const char *name);

#endif
