// SPDX-License-Identifier: Apache-2.0
// Every entry of the table of commands is complete: for QMP, for HMP, and for the schema.
#include "command.h"
#include "hmp.h"
#include "schema.h"
#include "unit_test.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static const struct schema_member *find_member(const struct schema_type *type, const char *name)
{
	for (const struct schema_member *m = type ? type->members : NULL; m && m->name; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

static void every_command_can_run(void **state)
{
	(void)state;
	for (unsigned i = 0; i < command_count; i++) {
		const struct command *cmd = command_table[i];

		assert_non_null(cmd->name);
		if (!cmd->run == !cmd->query)
			fail_msg("%s has both run and query, or neither", cmd->name);
		// A query has no arguments and always a result.
		if (cmd->query && (cmd->args || !cmd->ret))
			fail_msg("%s: a query with arguments, or without a result", cmd->name);
		if (cmd->args)
			assert_int_equal(cmd->args->kind, SCHEMA_OBJECT);
	}
}

static void names_are_unique(void **state)
{
	(void)state;
	for (unsigned i = 0; i < command_count; i++) {
		const struct command *cmd = command_table[i];

		// The first of two with one name would be found.
		if (command_find(cmd->name) != cmd)
			fail_msg("%s is in the table twice", cmd->name);
		if (cmd->hmp_name && hmp_find(cmd->hmp_name, strlen(cmd->hmp_name)) != cmd)
			fail_msg("%s is the HMP name of two commands", cmd->hmp_name);
		if (cmd->hmp_alias && hmp_find(cmd->hmp_alias, strlen(cmd->hmp_alias)) != cmd)
			fail_msg("%s is the name of two commands", cmd->hmp_alias);
	}
}

/* A word of the line becomes a member that the schema knows. */
static void what_hmp_reads_is_in_the_schema(void **state)
{
	(void)state;
	for (unsigned i = 0; i < command_count; i++) {
		const struct command *cmd = command_table[i];

		if (!cmd->hmp_name)
			continue;
		assert_true((cmd->hmp_args == HMP_NONE) == !cmd->hmp_key);
		assert_true((cmd->hmp_args == HMP_NONE) == !cmd->hmp_params);
		assert_true((cmd->hmp_args == HMP_NONE) == !cmd->args);
		if (cmd->hmp_key && !find_member(cmd->args, cmd->hmp_key))
			fail_msg("%s: the schema has no member '%s'", cmd->name, cmd->hmp_key);
	}
}

static void what_is_returned_is_printed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < command_count; i++) {
		const struct command *cmd = command_table[i];

		if ((cmd->hmp_name && cmd->ret) != !!cmd->hmp_print)
			fail_msg("%s: a result without a printer, or a printer without a result", cmd->name);
	}
}

static void every_command_of_hmp_has_help(void **state)
{
	char line[256];

	(void)state;
	for (unsigned i = 0; i < command_count; i++) {
		const struct command *cmd = command_table[i];
		const char *list = cmd->hmp_name && hmp_info_name(cmd) ? "info" : "";
		struct hmp_out out = { 0 };

		if (!cmd->hmp_name)
			continue;
		assert_non_null(cmd->hmp_help);
		assert_null(strchr(cmd->hmp_help, '\n'));
		snprintf(line, sizeof(line), "%s%s%s %s -- %s\r\n", cmd->hmp_name, cmd->hmp_alias ? "|" : "",
		         cmd->hmp_alias ? cmd->hmp_alias : "", cmd->hmp_params ? cmd->hmp_params : "", cmd->hmp_help);
		hmp_help(list, &out);
		if (!strstr(text_str(&out.text), line))
			fail_msg("help %s does not list: %s", list, line);
		text_free(&out.text);
		hmp_help(cmd->hmp_name, &out);
		assert_string_equal(text_str(&out.text), line);
		text_free(&out.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_can_run),           cmocka_unit_test(names_are_unique),
		cmocka_unit_test(what_hmp_reads_is_in_the_schema), cmocka_unit_test(what_is_returned_is_printed),
		cmocka_unit_test(every_command_of_hmp_has_help),
	};

	return cmocka_run_group_tests_name("command table", tests, NULL, NULL);
}
