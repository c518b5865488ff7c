// SPDX-License-Identifier: Apache-2.0
// Members of JSON objects by their type.
#include "bundle_field.h"

#include "error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static const char *dot(const char *where)
{
	return *where ? "." : "";
}

static const char *name_of(enum json_type type)
{
	switch (type) {
	case json_type_boolean:
		return "true or false";
	case json_type_int:
		return "an integer";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "an array";
	case json_type_string:
		return "a string";
	default:
		return "of this type";
	}
}

int field_get(struct json_object *object, const char *where, const char *name, enum json_type type,
              struct json_object **val, struct vpmem_error *err)
{
	*val = object ? json_object_object_get(object, name) : NULL;
	if (!*val || json_object_is_type(*val, type))
		return 0;
	return error_set(err, -EINVAL, "%s%s%s: not %s", where, dot(where), name, name_of(type));
}

int field_need(struct json_object *object, const char *where, const char *name, enum json_type type,
               struct json_object **val, struct vpmem_error *err)
{
	int rc = field_get(object, where, name, type, val, err);

	return rc || *val ? rc : error_set(err, -EINVAL, "%s%s%s: missing", where, dot(where), name);
}

int field_string(struct json_object *object, const char *where, const char *name, const char **text,
                 struct vpmem_error *err)
{
	struct json_object *val;
	int rc = field_get(object, where, name, json_type_string, &val, err);

	*text = rc == 0 && val ? json_object_get_string(val) : NULL;
	return rc;
}

int field_int(struct json_object *object, const char *where, const char *name, int64_t min, int64_t max, int64_t *val,
              struct vpmem_error *err)
{
	struct json_object *member;
	int rc = field_get(object, where, name, json_type_int, &member, err);
	int64_t number;

	if (rc || !member)
		return rc;
	// A number beyond 63 bits becomes the nearest one of these.
	number = json_object_get_int64(member);
	if (number < min || number > max)
		return error_set(err, -EINVAL, "%s%s%s: %s is not within %" PRId64 " and %" PRId64, where, dot(where),
		                 name, json_object_get_string(member), min, max);
	*val = number;
	return 0;
}

int field_bool(struct json_object *object, const char *where, const char *name, bool *val, struct vpmem_error *err)
{
	struct json_object *member;
	int rc = field_get(object, where, name, json_type_boolean, &member, err);

	if (rc == 0 && member)
		*val = json_object_get_boolean(member);
	return rc;
}

int field_strings(struct json_object *object, const char *where, const char *name, struct json_object **val,
                  struct vpmem_error *err)
{
	int rc = field_get(object, where, name, json_type_array, val, err);

	for (size_t i = 0; rc == 0 && *val && i < json_object_array_length(*val); i++) {
		if (!json_object_is_type(json_object_array_get_idx(*val, i), json_type_string))
			rc = error_set(err, -EINVAL, "%s%s%s[%zu]: not a string", where, dot(where), name, i);
	}
	return rc;
}

const char *field_element(char *buf, size_t size, const char *where, const char *name, size_t index)
{
	snprintf(buf, size, "%s%s%s[%zu]", where, dot(where), name, index);
	return buf;
}
