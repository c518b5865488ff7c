// SPDX-License-Identifier: Apache-2.0
// What all verbs do with their arguments.
#include "verb.h"

#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TABLE_MAX 40u

int command_settings(struct command *cmd, struct vpmem_error *err)
{
	return cmd->settings.pmvm ? 0 : settings_load(cmd->config, &cmd->settings, err);
}

static int print_help(const struct verb *verb, const struct argument *table, size_t n)
{
	printf("usage: pmvm-oci [GLOBAL OPTIONS] %s [OPTIONS] %s\n%s\n", verb->name, verb->operands, verb->summary);
	arguments_print(table, n);
	return VERB_HELP;
}

int verb_parse(const struct verb *verb, int argc, char **argv, const struct verb_operands *operands,
               struct vpmem_error *err)
{
	struct argument table[TABLE_MAX];
	bool wants_help = false;
	unsigned n;
	int first;

	if (operands->n > 0)
		memcpy(table, operands->table, operands->n * sizeof(table[0]));
	table[operands->n] = (struct argument)ARGUMENT("help", 'h', FLAG, &wants_help, "print this");
	first = arguments_parse(argc, argv, table, operands->n + 1, operands->stop_early, err);
	if (first < 0)
		return first;
	if (wants_help)
		return print_help(verb, table, operands->n + 1);
	n = (unsigned)(argc - first);
	if (n >= operands->min && n <= operands->max)
		return first;
	error_set(err, -EINVAL, n < operands->min ? "%s: an operand is missing" : "%s: too many operands", verb->name);
	error_hint(err, "usage: pmvm-oci %s [OPTIONS] %s", verb->name, verb->operands);
	return -EINVAL;
}
