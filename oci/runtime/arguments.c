// SPDX-License-Identifier: Apache-2.0
// The options of a verb.
#include "arguments.h"

#include "error.h"
#include "suggest.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define ARGUMENTS_MAX 40u
#define FIRST_LONG 256 /* getopt's numbers: beyond those of letters */

struct getopt_table {
	struct option longs[ARGUMENTS_MAX + 1];
	char letters[2 + ARGUMENTS_MAX * 2 + 1];
};

static void fill(struct getopt_table *to, const struct argument *table, size_t n, bool stop_early)
{
	char *letter = to->letters;

	assert(n <= ARGUMENTS_MAX);
	if (stop_early)
		*letter++ = '+';
	*letter++ = ':';
	for (size_t i = 0; i < n; i++) {
		bool is_flag = table[i].type == ARGUMENT_FLAG;

		to->longs[i] = (struct option) { .name = table[i].name,
			                         .has_arg = is_flag ? optional_argument : required_argument,
			                         .val = FIRST_LONG + (int)i };
		if (table[i].letter) {
			*letter++ = table[i].letter;
			if (!is_flag)
				*letter++ = ':';
		}
	}
	to->longs[n] = (struct option) { 0 };
	*letter = '\0';
}

static const struct argument *found(const struct argument *table, size_t n, int number)
{
	if (number >= FIRST_LONG)
		return &table[number - FIRST_LONG];
	for (size_t i = 0; i < n; i++)
		if (table[i].letter == number)
			return &table[i];
	return NULL;
}

static int take(const struct argument *argument, char *text, struct vpmem_error *err)
{
	struct argument_list *list = argument->val;
	bool is_false = text && strcmp(text, "false") == 0;

	switch (argument->type) {
	case ARGUMENT_FLAG:
		if (text && !is_false && strcmp(text, "true") != 0)
			return error_set(err, -EINVAL, "--%s: '%s' is neither true nor false", argument->name, text);
		*(bool *)argument->val = !is_false;
		return 0;
	case ARGUMENT_TEXT:
		*(const char **)argument->val = text;
		return 0;
	case ARGUMENT_LIST:
		if (list->n == ARGUMENT_LIST_MAX)
			return error_set(err, -EINVAL, "--%s: more than %u times", argument->name, ARGUMENT_LIST_MAX);
		list->vals[list->n++] = text;
		return 0;
	}
	return 0;
}

static int refuse(const struct argument *table, size_t n, int why, char **argv, struct vpmem_error *err)
{
	const char *word = argv[optind - 1];
	struct suggest near = { .word = word + strspn(word, "-") };

	if (why == ':')
		return error_set(err, -EINVAL, "%s: needs a value", word);
	if (optopt != 0 && optopt < FIRST_LONG)
		error_set(err, -EINVAL, "unknown option -%c", optopt);
	else
		error_set(err, -EINVAL, "unknown option %s", word);
	for (size_t i = 0; i < n; i++)
		suggest_offer(&near, table[i].name);
	if (near.best)
		error_hint(err, "did you mean --%s?", near.best);
	else
		error_hint(err, "see --help");
	return -EINVAL;
}

int arguments_parse(int argc, char **argv, const struct argument *table, size_t n, bool stop_early,
                    struct vpmem_error *err)
{
	struct getopt_table getopt_table;
	int number, rc = 0;

	fill(&getopt_table, table, n, stop_early);
	opterr = 0;
	optind = 0; // anew: the global options were parsed before those of the verb
	while (rc == 0 && (number = getopt_long(argc, argv, getopt_table.letters, getopt_table.longs, NULL)) != -1) {
		if (number == '?' || number == ':')
			rc = refuse(table, n, number, argv, err);
		else
			rc = take(found(table, n, number), optarg, err);
	}
	return rc < 0 ? rc : optind;
}

void arguments_print(const struct argument *table, size_t n)
{
	static const char *const values[] = {
		[ARGUMENT_FLAG] = "", [ARGUMENT_TEXT] = " VALUE", [ARGUMENT_LIST] = " VALUE..."
	};

	for (size_t i = 0; i < n; i++) {
		char name[64];

		if (!table[i].meaning)
			continue;
		snprintf(name, sizeof(name), "--%s%s", table[i].name, values[table[i].type]);
		if (table[i].letter)
			printf("  -%c, %-28s %s\n", table[i].letter, name, table[i].meaning);
		else
			printf("      %-28s %s\n", name, table[i].meaning);
	}
}
