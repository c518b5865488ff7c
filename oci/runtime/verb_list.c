// SPDX-License-Identifier: Apache-2.0
// list: all containers of the root.
#include "error.h"
#include "print_json.h"
#include "state.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static int print_id(void *owner, const struct state *state)
{
	(void)owner;
	puts(state->id);
	return 0;
}

static int add_json(void *owner, const struct state *state)
{
	json_object_array_add(owner, state_json(state));
	return 0;
}

static int print_row(void *owner, const struct state *state)
{
	enum status status = state_status(state);

	(void)owner;
	printf("%-24s %-8d %-9s %-40s %-28s %s\n", state->id, status == STATUS_STOPPED ? 0 : (int)state->process.pid,
	       status_names[status], state->bundle, state->created, state->owner);
	return 0;
}

static int list(struct command *cmd, const char *format, bool is_quiet, struct vpmem_error *err)
{
	struct json_object *all;
	int rc;

	if (is_quiet)
		return state_each(cmd->root, print_id, NULL, err);
	if (strcmp(format, "table") == 0) {
		printf("%-24s %-8s %-9s %-40s %-28s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
		return state_each(cmd->root, print_row, NULL, err);
	}
	if (strcmp(format, "json") != 0)
		return error_set(err, -EINVAL, "--format %s: neither table nor json", format);
	all = json_object_new_array();
	rc = state_each(cmd->root, add_json, all, err);
	if (rc == 0)
		return print_json(all, false, err);
	json_object_put(all);
	return rc;
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	const char *format = "table";
	bool is_quiet = false;
	const struct argument table[] = {
		ARGUMENT("format", 'f', TEXT, &format, "table or json"),
		ARGUMENT("quiet", 'q', FLAG, &is_quiet, "only the ids"),
	};
	const struct verb_operands operands = { .table = table, .n = 2 };
	int rc = verb_parse(&verb_list, argc, argv, &operands, err);

	return rc < 0 ? rc : list(cmd, format, is_quiet, err);
}

const struct verb verb_list = {
	.name = "list",
	.operands = "",
	.summary = "list the containers",
	.run = run,
};
