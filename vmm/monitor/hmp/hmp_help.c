// SPDX-License-Identifier: Apache-2.0
// The commands that HMP shows: found by name, and listed.
#include "hmp.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX 128u

struct entry {
	const char *name, *alias, *params, *help;
};

// Not in the table of commands: both show the table.
static const struct entry own[] = {
	{ "help", "?", "[cmd]", "show the help" },
	{ "info", NULL, "[subcommand]", "show various information about the system state" },
};

static bool is_word(const char *name, const char *word, size_t len)
{
	return name && strlen(name) == len && !strncmp(name, word, len);
}

const char *hmp_info_name(const struct command *cmd)
{
	return cmd->hmp_name && !strncmp(cmd->hmp_name, "info ", 5) ? cmd->hmp_name + 5 : NULL;
}

bool hmp_is_listed(const struct command *cmd)
{
	return cmd->hmp_name && !hmp_info_name(cmd);
}

const struct command *hmp_find(const char *name, size_t len)
{
	for (unsigned i = 0; i < command_count; i++)
		if (is_word(command_table[i]->hmp_name, name, len) || is_word(command_table[i]->hmp_alias, name, len))
			return command_table[i];
	return NULL;
}

static struct entry entry_of(const struct command *cmd)
{
	const char *params = cmd->hmp_params ? cmd->hmp_params : "";
	const char *help = cmd->hmp_help ? cmd->hmp_help : "";

	return (struct entry) { cmd->hmp_name, cmd->hmp_alias, params, help };
}

static void print_entry(const struct entry *e, struct hmp_out *out)
{
	hmp_printf(out, "%s%s%s %s -- %s\n", e->name, e->alias ? "|" : "", e->alias ? e->alias : "", e->params,
	           e->help);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void print_sorted(struct entry *entries, unsigned count, struct hmp_out *out)
{
	qsort(entries, count, sizeof(*entries), by_name);
	for (unsigned i = 0; i < count; i++)
		print_entry(&entries[i], out);
}

static void list_info(struct hmp_out *out)
{
	struct entry entries[LIST_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < command_count && count < LIST_MAX; i++)
		if (hmp_info_name(command_table[i]))
			entries[count++] = entry_of(command_table[i]);
	print_sorted(entries, count, out);
}

static void list_all(struct hmp_out *out)
{
	struct entry entries[LIST_MAX] = { own[0], own[1] };
	unsigned count = 2;

	for (unsigned i = 0; i < command_count && count < LIST_MAX; i++)
		if (hmp_is_listed(command_table[i]))
			entries[count++] = entry_of(command_table[i]);
	print_sorted(entries, count, out);
}

static void help_name(const char *name, size_t len, struct hmp_out *out)
{
	const struct command *cmd = hmp_find(name, len);
	struct entry entry;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (is_word(own[i].name, name, len) || is_word(own[i].alias, name, len)) {
			print_entry(&own[i], out);
			return;
		}
	}
	if (!cmd) {
		hmp_printf(out, "unknown command: '%.*s'\n", (int)len, name);
		return;
	}
	entry = entry_of(cmd);
	print_entry(&entry, out);
}

void hmp_help(const char *text, struct hmp_out *out)
{
	char full[64] = "info ";
	const char *word;
	size_t len = hmp_next_word(&text, &word);

	if (len == 0) {
		list_all(out);
		return;
	}
	if (!is_word("info", word, len)) {
		help_name(word, len, out);
		return;
	}
	len = hmp_next_word(&text, &word);
	if (len == 0) {
		list_info(out);
	} else if (len < sizeof(full) - 5) {
		memcpy(full + 5, word, len);
		help_name(full, len + 5, out);
	} else {
		hmp_printf(out, "unknown command: 'info %.*s'\n", (int)len, word);
	}
}
