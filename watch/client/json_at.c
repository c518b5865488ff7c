// SPDX-License-Identifier: Apache-2.0
// Members of a JSON value of unknown shape. json-c asserts that an array is one: each type is checked first.
#include "json_at.h"

#include <string.h>

#define NAME_SIZE 64u

struct json_object *json_at(struct json_object *val, const char *path)
{
	while (*path && val) {
		size_t len = strcspn(path, ".");
		char name[NAME_SIZE];

		if (len >= sizeof(name) || !json_object_is_type(val, json_type_object))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		if (!json_object_object_get_ex(val, name, &val))
			return NULL;
		path += len + (path[len] == '.');
	}
	return val;
}

bool json_at_uint(struct json_object *val, const char *path, uint64_t *out)
{
	struct json_object *found = json_at(val, path);

	if (!json_object_is_type(found, json_type_int) ||
	    (json_object_get_int64(found) < 0 && json_object_get_uint64(found) == 0))
		return false;
	*out = json_object_get_uint64(found);
	return true;
}

bool json_at_bool(struct json_object *val, const char *path, bool *out)
{
	struct json_object *found = json_at(val, path);

	if (!json_object_is_type(found, json_type_boolean))
		return false;
	*out = json_object_get_boolean(found);
	return true;
}

const char *json_at_str(struct json_object *val, const char *path)
{
	struct json_object *found = json_at(val, path);

	return json_object_is_type(found, json_type_string) ? json_object_get_string(found) : NULL;
}

size_t json_at_length(struct json_object *val, const char *path)
{
	struct json_object *found = json_at(val, path);

	return json_object_is_type(found, json_type_array) ? json_object_array_length(found) : 0;
}
