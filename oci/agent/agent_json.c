// SPDX-License-Identifier: Apache-2.0
// Members of the host's objects: present, of the right type, within bounds.
#include "agent_json.h"

#include "error.h"

#include <string.h>

int member_optional(struct json_object *obj, const char *name, enum json_type type, struct json_object **val,
                    struct vpmem_error *err)
{
	*val = NULL;
	if (!json_object_object_get_ex(obj, name, val))
		return 0;
	if (json_object_is_type(*val, type))
		return 0;
	*val = NULL;
	return error_set(err, -EINVAL, "'%s' is not of the type %s", name, json_type_to_name(type));
}

int member_get(struct json_object *obj, const char *name, enum json_type type, struct json_object **val,
               struct vpmem_error *err)
{
	int rc = member_optional(obj, name, type, val, err);

	if (rc == 0 && !*val)
		rc = error_set(err, -EINVAL, "'%s' is missing", name);
	return rc;
}

int member_string(struct json_object *obj, const char *name, const char **val, struct vpmem_error *err)
{
	struct json_object *member;
	int rc = member_get(obj, name, json_type_string, &member, err);

	*val = NULL;
	if (rc)
		return rc;
	*val = json_object_get_string(member);
	if (**val == '\0')
		return error_set(err, -EINVAL, "'%s' is empty", name);
	if (strlen(*val) != (size_t)json_object_get_string_len(member))
		return error_set(err, -EINVAL, "'%s' has a NUL", name);
	return 0;
}

int member_number(struct json_object *obj, const char *name, int64_t min, int64_t max, int64_t *val,
                  struct vpmem_error *err)
{
	struct json_object *member;
	int rc = member_get(obj, name, json_type_int, &member, err);

	if (rc)
		return rc;
	*val = json_object_get_int64(member);
	if (*val < min || *val > max)
		return error_set(err, -EINVAL, "'%s' is not from %lld to %lld", name, (long long)min, (long long)max);
	return 0;
}

int member_bool(struct json_object *obj, const char *name, bool *val, struct vpmem_error *err)
{
	struct json_object *member;
	int rc = member_optional(obj, name, json_type_boolean, &member, err);

	*val = rc == 0 && member && json_object_get_boolean(member);
	return rc;
}
