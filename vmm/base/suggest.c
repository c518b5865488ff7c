// SPDX-License-Identifier: Apache-2.0
// The nearest known name to a mistyped word: edit distance with swaps (optimal string alignment).
#include "suggest.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

// Longer words are ignored: every known name is shorter.
#define WORD_MAX 48u

static int fold(char c)
{
	return c == '_' ? '-' : tolower((unsigned char)c);
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned min = a < b ? a : b;

	return min < c ? min : c;
}

// Three rows of the usual matrix: a swap needs the row before the last.
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	size_t a_len = strlen(a), b_len = strlen(b);

	for (unsigned j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			int x = fold(a[i - 1]), y = fold(b[j - 1]);

			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == fold(b[j - 2]) && fold(a[i - 2]) == y && above2[j - 2] + 1 < row[j])
				row[j] = above2[j - 2] + 1;
		}
	}
	return rows[a_len % 3][b_len];
}

void suggest_offer(struct suggest *s, const char *name)
{
	size_t len = strlen(s->word);
	unsigned limit = len < 5 ? 1 : len < 16 ? 2 : 3;
	unsigned d;

	if (len < 2 || len > WORD_MAX || strlen(name) > WORD_MAX)
		return;
	d = distance(s->word, name);
	// A distance as large as the name means that they have nothing in common: "xy" is no mistyped "m".
	if (d > limit || d >= strlen(name) || (s->best && d >= s->best_distance))
		return;
	s->best = name;
	s->best_distance = d;
}
