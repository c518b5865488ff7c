// SPDX-License-Identifier: Apache-2.0
// The OCI process of an exec.
#include "exec_process.h"

#include "bundle.h"
#include "error.h"
#include "json_file.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_object *string(const char *text)
{
	return json_object_new_string(text);
}

// The member, which is made if it is missing.
static struct json_object *member(struct json_object *in, const char *name, bool is_array)
{
	struct json_object *val = json_object_object_get(in, name);

	if (!json_object_is_type(val, is_array ? json_type_array : json_type_object)) {
		val = is_array ? json_object_new_array() : json_object_new_object();
		json_object_object_add(in, name, val);
	}
	return val;
}

static int parse_id(const char *text, char **end, uint32_t *id)
{
	unsigned long val;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	val = strtoul(text, end, 10);
	if (errno || val > UINT32_MAX - 1)
		return -EINVAL;
	*id = (uint32_t)val;
	return 0;
}

static int set_user(struct json_object *process, const char *text, struct vpmem_error *err)
{
	struct json_object *user = member(process, "user", false);
	uint32_t uid, gid = 0;
	char *end;
	int rc = parse_id(text, &end, &uid);

	if (rc == 0 && *end == ':')
		rc = parse_id(end + 1, &end, &gid);
	if (rc < 0 || *end)
		return error_set(err, -EINVAL, "--user %s: not of the form UID[:GID]", text);
	json_object_object_add(user, "uid", json_object_new_int64(uid));
	json_object_object_add(user, "gid", json_object_new_int64(gid));
	return 0;
}

static int add_gids(struct json_object *process, const struct argument_list *list, struct vpmem_error *err)
{
	struct json_object *gids;

	if (list->n == 0)
		return 0;
	gids = member(member(process, "user", false), "additionalGids", true);
	for (size_t i = 0; i < list->n; i++) {
		uint32_t gid;
		char *end;

		if (parse_id(list->vals[i], &end, &gid) < 0 || *end)
			return error_set(err, -EINVAL, "--additional-gids %s: not a number", list->vals[i]);
		json_object_array_add(gids, json_object_new_int64(gid));
	}
	return 0;
}

static void add_caps(struct json_object *process, const struct argument_list *list)
{
	static const char *const sets[] = { "bounding", "effective", "permitted" };

	for (size_t set = 0; list->n > 0 && set < sizeof(sets) / sizeof(sets[0]); set++) {
		struct json_object *caps = member(member(process, "capabilities", false), sets[set], true);

		for (size_t i = 0; i < list->n; i++)
			json_object_array_add(caps, string(list->vals[i]));
	}
}

static int change(struct json_object *process, const struct exec_arguments *args, struct vpmem_error *err)
{
	struct json_object *command = json_object_new_array();
	int rc = 0;

	for (char **word = args->command; *word; word++)
		json_object_array_add(command, string(*word));
	json_object_object_add(process, "args", command);
	json_object_object_add(process, "terminal", json_object_new_boolean(args->has_terminal));
	if (args->cwd)
		json_object_object_add(process, "cwd", string(args->cwd));
	if (args->has_no_new_privs)
		json_object_object_add(process, "noNewPrivileges", json_object_new_boolean(true));
	for (size_t i = 0; i < args->env.n; i++)
		json_object_array_add(member(process, "env", true), string(args->env.vals[i]));
	if (args->user)
		rc = set_user(process, args->user, err);
	if (rc == 0)
		rc = add_gids(process, &args->gids, err);
	add_caps(process, &args->caps);
	return rc;
}

static int from_container(const struct exec_arguments *args, const char *state_dir, struct json_object **process,
                          struct vpmem_error *err)
{
	struct json_object *config;
	char path[PATH_MAX];
	int rc;

	if (!args->command[0]) {
		error_set(err, -EINVAL, "exec: the command is missing");
		error_hint(err, "give it after the id, or a file by --process");
		return -EINVAL;
	}
	snprintf(path, sizeof(path), "%s/config.json", state_dir);
	rc = json_file_read(path, &config, err);
	if (rc < 0)
		return rc;
	*process = json_object_get(json_object_object_get(config, "process"));
	json_object_put(config);
	if (!json_object_is_type(*process, json_type_object))
		return error_set(err, -EINVAL, "%s: process is missing", path);
	return change(*process, args, err);
}

static int from_file(struct exec_arguments *args, struct json_object **process, struct vpmem_error *err)
{
	int rc = json_file_read(args->file, process, err);

	if (rc < 0)
		return rc;
	if (!json_object_is_type(*process, json_type_object))
		return error_set(err, -EINVAL, "--process %s: not a JSON object", args->file);
	if (args->has_terminal)
		json_object_object_add(*process, "terminal", json_object_new_boolean(true));
	args->has_terminal = json_object_get_boolean(json_object_object_get(*process, "terminal"));
	return 0;
}

int exec_process_make(struct exec_arguments *args, const char *state_dir, struct json_object **process,
                      struct vpmem_error *err)
{
	int rc = args->file ? from_file(args, process, err) : from_container(args, state_dir, process, err);
	struct json_object *guest;

	rc = rc < 0 ? rc : bundle_process_check(*process, err);
	if (rc < 0)
		return rc;
	// Labels of the host's security modules are not for the guest.
	guest = bundle_guest_process(*process);
	if (!guest)
		return error_set(err, -ENOMEM, "exec: out of memory");
	json_object_put(*process);
	*process = guest;
	return 0;
}
