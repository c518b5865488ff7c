// SPDX-License-Identifier: Apache-2.0
// An OCI process: what to run, and as whom.
#include "bundle.h"

#include "bundle_field.h"
#include "error.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static int check_user(struct json_object *process, struct vpmem_error *err)
{
	struct json_object *user, *gids;
	int64_t number;
	int rc = field_get(process, "process", "user", json_type_object, &user, err);

	rc = rc ? rc : field_int(user, "process.user", "uid", 0, UINT_MAX - 1, &number, err);
	rc = rc ? rc : field_int(user, "process.user", "gid", 0, UINT_MAX - 1, &number, err);
	rc = rc ? rc : field_int(user, "process.user", "umask", 0, 0777, &number, err);
	rc = rc ? rc : field_get(user, "process.user", "additionalGids", json_type_array, &gids, err);
	for (size_t i = 0; rc == 0 && gids && i < json_object_array_length(gids); i++) {
		struct json_object *gid = json_object_array_get_idx(gids, i);

		if (!json_object_is_type(gid, json_type_int) || json_object_get_int64(gid) < 0 ||
		    json_object_get_int64(gid) >= UINT_MAX)
			rc = error_set(err, -EINVAL, "process.user.additionalGids[%zu]: not a group", i);
	}
	return rc;
}

static int check_capabilities(struct json_object *process, struct vpmem_error *err)
{
	static const char *const sets[] = { "bounding", "effective", "inheritable", "permitted", "ambient" };
	struct json_object *capabilities, *names;
	int rc = field_get(process, "process", "capabilities", json_type_object, &capabilities, err);

	for (unsigned i = 0; rc == 0 && i < sizeof(sets) / sizeof(*sets); i++)
		rc = field_strings(capabilities, "process.capabilities", sets[i], &names, err);
	return rc;
}

static int check_limit(struct json_object *rlimits, size_t i, struct vpmem_error *err)
{
	struct json_object *limit = json_object_array_get_idx(rlimits, i), *member;
	char where[FIELD_PATH_SIZE];
	int rc;

	field_element(where, sizeof(where), "process", "rlimits", i);
	if (!json_object_is_type(limit, json_type_object))
		return error_set(err, -EINVAL, "%s: not an object", where);
	rc = field_need(limit, where, "type", json_type_string, &member, err);
	rc = rc ? rc : field_need(limit, where, "soft", json_type_int, &member, err);
	return rc ? rc : field_need(limit, where, "hard", json_type_int, &member, err);
}

static int check_limits(struct json_object *process, struct vpmem_error *err)
{
	struct json_object *rlimits;
	int rc = field_get(process, "process", "rlimits", json_type_array, &rlimits, err);

	for (size_t i = 0; rc == 0 && rlimits && i < json_object_array_length(rlimits); i++)
		rc = check_limit(rlimits, i, err);
	return rc;
}

static int check_command(struct json_object *process, struct vpmem_error *err)
{
	struct json_object *args, *env;
	const char *cwd;
	int rc = field_strings(process, "process", "args", &args, err);

	if (rc == 0 && (!args || json_object_array_length(args) == 0))
		rc = error_set(err, -EINVAL, "process.args: missing: what is to run?");
	rc = rc ? rc : field_strings(process, "process", "env", &env, err);
	rc = rc ? rc : field_string(process, "process", "cwd", &cwd, err);
	if (rc == 0 && (!cwd || *cwd != '/'))
		rc = error_set(err, -EINVAL, "process.cwd: %s: not an absolute path", cwd ? cwd : "missing");
	return rc;
}

int bundle_process_check(struct json_object *process, struct vpmem_error *err)
{
	const char *text;
	int64_t number;
	bool flag;
	int rc;

	if (!json_object_is_type(process, json_type_object))
		return error_set(err, -EINVAL, "process: not an object");
	rc = check_command(process, err);
	rc = rc ? rc : check_user(process, err);
	rc = rc ? rc : check_capabilities(process, err);
	rc = rc ? rc : check_limits(process, err);
	rc = rc ? rc : field_bool(process, "process", "terminal", &flag, err);
	rc = rc ? rc : field_bool(process, "process", "noNewPrivileges", &flag, err);
	rc = rc ? rc : field_int(process, "process", "oomScoreAdj", -1000, 1000, &number, err);
	rc = rc ? rc : field_string(process, "process", "apparmorProfile", &text, err);
	return rc ? rc : field_string(process, "process", "selinuxLabel", &text, err);
}

struct json_object *bundle_guest_process(struct json_object *process)
{
	struct json_object *copy = NULL;

	if (json_object_deep_copy(process, &copy, NULL) < 0)
		return NULL;
	json_object_object_del(copy, "apparmorProfile");
	json_object_object_del(copy, "selinuxLabel");
	return copy;
}
