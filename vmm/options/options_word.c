// SPDX-License-Identifier: Apache-2.0
/*
 * options_word.c - errors for a word that is no known option, with the likely reason: a mistyped name, a missing
 * quote, a character that looks like another one, a line end of DOS.
 */
#include "error.h"
#include "options_internal.h"
#include "suggest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// Characters that editors, web pages and word processors put where a shell wants another one.
static const struct lookalike {
	const char *bytes, *name;
	bool is_dash;
} lookalikes[] = {
	{ .bytes = "\u00ad", .name = "U+00AD (soft hyphen)", .is_dash = true },
	{ .bytes = "\u2010", .name = "U+2010 (hyphen)", .is_dash = true },
	{ .bytes = "\u2011", .name = "U+2011 (non-breaking hyphen)", .is_dash = true },
	{ .bytes = "\u2012", .name = "U+2012 (figure dash)", .is_dash = true },
	{ .bytes = "\u2013", .name = "U+2013 (en dash)", .is_dash = true },
	{ .bytes = "\u2014", .name = "U+2014 (em dash)", .is_dash = true },
	{ .bytes = "\u2015", .name = "U+2015 (horizontal bar)", .is_dash = true },
	{ .bytes = "\u2212", .name = "U+2212 (minus sign)", .is_dash = true },
	{ .bytes = "\ufe63", .name = "U+FE63 (small hyphen-minus)", .is_dash = true },
	{ .bytes = "\uff0d", .name = "U+FF0D (fullwidth hyphen-minus)", .is_dash = true },
	{ .bytes = "\u2018", .name = "U+2018 (left single quotation mark)" },
	{ .bytes = "\u2019", .name = "U+2019 (right single quotation mark)" },
	{ .bytes = "\u201c", .name = "U+201C (left double quotation mark)" },
	{ .bytes = "\u201d", .name = "U+201D (right double quotation mark)" },
	{ .bytes = "\u201e", .name = "U+201E (low double quotation mark)" },
	{ .bytes = "\u00a0", .name = "U+00A0 (no-break space)" },
	{ .bytes = "\u200b", .name = "U+200B (zero width space)" },
	{ .bytes = "\ufeff", .name = "U+FEFF (byte order mark)" },
	{ .bytes = "\t", .name = "a tab" },
	{ .bytes = "\r", .name = "a carriage return" },
	{ .bytes = "\n", .name = "a line feed" },
	{ .bytes = " ", .name = "a blank" },
};
#define NLOOKALIKES (sizeof(lookalikes) / sizeof(lookalikes[0]))

// The lookalike that the text begins with, or NULL.
static const struct lookalike *at_start(const char *text)
{
	for (unsigned i = 0; i < NLOOKALIKES; i++)
		if (strncmp(text, lookalikes[i].bytes, strlen(lookalikes[i].bytes)) == 0)
			return &lookalikes[i];
	return NULL;
}

static const struct lookalike *anywhere(const char *text)
{
	const struct lookalike *found = NULL;

	for (; *text && !found; text++)
		found = at_start(text);
	return found;
}

bool word_has_cr(const char *word)
{
	size_t len = word ? strlen(word) : 0;

	return len > 0 && word[len - 1] == '\r';
}

void hint_cr(struct vpmem_error *err)
{
	error_hint(err,
	           "the word ends in a carriage return: a script with the line ends of DOS needs sed -i 's/\\r$//'");
}

// "–nographic"
static int begins_with_lookalike(struct cmdline *cl, const char *word, const struct lookalike *found)
{
	const char *name = word;

	error_set(cl->err, -EINVAL, "%.200s: begins with %s, not with '-'", word, found->name);
	for (const struct lookalike *dash = found; dash && dash->is_dash; dash = at_start(name))
		name += strlen(dash->bytes);
	if (option_find(name, strlen(name)))
		error_hint(cl->err, "type the dash again: -%s", name);
	else
		error_hint(cl->err, "leave that character out, or type it again");
	return -EINVAL;
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

// What a word is that follows an option with its argument: most often the rest of that argument.
static void hint_stray(struct cmdline *cl, const char *word)
{
	const struct place *last = &cl->last;
	const struct lookalike *quote = last->arg ? at_start(last->arg) : NULL;

	if (quote)
		error_hint(cl->err,
		           "the argument of %s begins with %s, which is no quote for a shell: type the quotes again",
		           last->option, quote->name);
	else if (last->arg && strcmp(option_name(last->option), "append") == 0)
		error_hint(cl->err, "quote the whole text of -append: -append \"%.60s %.60s ...\"", last->arg, word);
	else if (is_file(word))
		error_hint(cl->err, "to give the guest this file as persistent memory: -pmem %s", word);
	else if (last->arg)
		error_hint(cl->err, "if it belongs to the argument before it, quote both: %s \"%.60s %.60s\"",
		           last->option, last->arg, word);
	else
		error_hint(cl->err, "pmvm -help lists the options");
}

int option_stray(struct cmdline *cl, const char *word)
{
	const struct lookalike *found = at_start(word);

	if (!*word) {
		error_set(cl->err, -EINVAL, "'': an empty word is no option");
		error_hint(cl->err, "leave it out: a quoted variable of a shell may be empty");
		return -EINVAL;
	}
	if (found)
		return begins_with_lookalike(cl, word, found);
	error_set(cl->err, -EINVAL, "%.200s: an option begins with '-'", word);
	hint_stray(cl, word);
	return -EINVAL;
}

int option_unknown(struct cmdline *cl, const char *word, const char *name)
{
	const struct lookalike *found = anywhere(name);
	struct suggest s = { .word = name };
	size_t len = strcspn(name, "=");

	error_set(cl->err, -EINVAL, "%.200s: invalid option", word);
	for (const struct option *opt = option_table; opt->name || opt->usage; opt++)
		if (opt->name)
			suggest_offer(&s, opt->name);
	if (found)
		error_hint(cl->err, "it has %s in it", found->name);
	else if (name[len] && option_find(name, len))
		error_hint(cl->err, "the value is a word of its own: -%.*s %s", (int)len, name, name + len + 1);
	else if (s.best)
		error_hint(cl->err, "did you mean -%s?", s.best);
	else
		error_hint(cl->err, "pmvm -help lists the options");
	return -EINVAL;
}
