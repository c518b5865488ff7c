// SPDX-License-Identifier: Apache-2.0
// update: other limits for a running container.
#include "bundle.h"
#include "cgroup.h"
#include "error.h"
#include "json_file.h"
#include "keeper_request.h"
#include "parse.h"
#include "state.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

// The options that set one number of the resources.
static const struct limit_option {
	const char *name, *group, *member;
	bool is_size, is_text;
} limit_options[] = {
	{ .name = "memory", .group = "memory", .member = "limit", .is_size = true },
	{ .name = "memory-swap", .group = "memory", .member = "swap", .is_size = true },
	{ .name = "memory-reservation", .group = "memory", .member = "reservation", .is_size = true },
	{ .name = "cpu-period", .group = "cpu", .member = "period" },
	{ .name = "cpu-quota", .group = "cpu", .member = "quota" },
	{ .name = "cpu-share", .group = "cpu", .member = "shares" },
	{ .name = "cpuset-cpus", .group = "cpu", .member = "cpus", .is_text = true },
	{ .name = "cpuset-mems", .group = "cpu", .member = "mems", .is_text = true },
	{ .name = "pids-limit", .group = "pids", .member = "limit" },
};

#define OPTIONS (sizeof(limit_options) / sizeof(limit_options[0]))

struct update {
	const char *file; // --resources
	const char *vals[OPTIONS];
};

static int number_from(const struct limit_option *option, const char *text, struct json_object **val,
                       struct vpmem_error *err)
{
	uint64_t number;
	int rc = option->is_size ? size_parse(text, &number) : uint_parse(text, &number);

	if (strcmp(text, "-1") == 0)
		*val = json_object_new_int64(-1);
	else if (rc < 0 || number > INT64_MAX)
		return error_set(err, -EINVAL, "--%s %s: not a number", option->name, text);
	else
		*val = json_object_new_int64((int64_t)number);
	return 0;
}

static int add_option(struct json_object *resources, const struct limit_option *option, const char *text,
                      struct vpmem_error *err)
{
	struct json_object *group = json_object_object_get(resources, option->group), *val = NULL;
	int rc = 0;

	if (option->is_text)
		val = json_object_new_string(text);
	else
		rc = number_from(option, text, &val, err);
	if (rc < 0)
		return rc;
	if (!json_object_is_type(group, json_type_object)) {
		group = json_object_new_object();
		json_object_object_add(resources, option->group, group);
	}
	return json_object_object_add(group, option->member, val);
}

static int resources_from(const struct update *update, struct json_object **resources, struct vpmem_error *err)
{
	int rc = 0;

	if (update->file)
		rc = json_file_read(update->file, resources, err);
	else
		*resources = json_object_new_object();
	if (rc == 0 && !json_object_is_type(*resources, json_type_object))
		rc = error_set(err, -EINVAL, "--resources %s: not a JSON object", update->file);
	for (size_t i = 0; rc == 0 && i < OPTIONS; i++)
		if (update->vals[i])
			rc = add_option(*resources, &limit_options[i], update->vals[i], err);
	if (rc == 0 && json_object_object_length(*resources) == 0) {
		rc = error_set(err, -EINVAL, "update: no limit is given");
		error_hint(err, "give --resources FILE, or an option such as --memory");
	}
	return rc;
}

// systemd would undo what it does not know.
static int limit_group(struct command *cmd, const struct state *state, struct json_object *resources,
                       struct vpmem_error *err)
{
	const uint64_t overhead = cmd->settings.memory_overhead;
	struct scope_limit properties[CGROUP_LIMITS_MAX];
	int rc = 0;

	if (state->scope)
		rc = scope_limit(state->scope, properties,
		                 cgroup_properties(state->cgroup, resources, overhead, true, properties), err);
	return rc ? rc : cgroup_limit(state->cgroup, resources, overhead, true, err);
}

static int apply(struct command *cmd, const char *id, struct json_object *resources, struct vpmem_error *err)
{
	struct json_object *more = json_object_new_object();
	struct state state = { 0 };
	int rc = state_load(cmd->root, id, &state, err);

	if (rc == 0)
		rc = limit_group(cmd, &state, resources, err);
	bundle_guest_resources(resources);
	json_object_object_add(more, "resources", json_object_get(resources));
	if (rc == 0) {
		rc = keeper_request(&state, "update", more, KEEPER_ANSWER_S, NULL, err);
		more = NULL;
	}
	json_object_put(more);
	state_fini(&state);
	return rc;
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	struct update update = { 0 };
	struct argument table[OPTIONS + 1] = {
		ARGUMENT("resources", 'r', TEXT, &update.file, "a file with linux.resources; -: standard input"),
	};
	const struct verb_operands operands = { .table = table, .n = OPTIONS + 1, .min = 1, .max = 1 };
	struct json_object *resources = NULL;
	int first, rc;

	for (size_t i = 0; i < OPTIONS; i++)
		table[i + 1] = (struct argument)ARGUMENT(limit_options[i].name, 0, TEXT, &update.vals[i],
		                                         "as in linux.resources");
	first = verb_parse(&verb_update, argc, argv, &operands, err);
	if (first < 0)
		return first;
	rc = command_settings(cmd, err);
	if (rc == 0)
		rc = resources_from(&update, &resources, err);
	if (rc == 0)
		rc = apply(cmd, argv[first], resources, err);
	json_object_put(resources);
	return rc;
}

const struct verb verb_update = {
	.name = "update",
	.operands = "ID",
	.summary = "change the limits of a running container",
	.run = run,
};
