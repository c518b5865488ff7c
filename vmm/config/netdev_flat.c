// SPDX-License-Identifier: Apache-2.0
// The members of a netdev, without nesting.
#include "config.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 8192u

// {"addr": {"type": "unix"}} is "addr.type".
static void add_members(struct json_object *out, const char *name, struct json_object *nested)
{
	char full[64];

	json_object_object_foreach(nested, key, val)
	{
		snprintf(full, sizeof(full), "%.20s.%.40s", name, key);
		json_object_object_add(out, full, json_object_get(val));
	}
}

// A text of the list: JSON has it in {"str": "..."}.
static const char *text_at(struct json_object *list, size_t idx)
{
	struct json_object *element = json_object_array_get_idx(list, idx), *str;

	if (json_object_is_type(element, json_type_object) && json_object_object_get_ex(element, "str", &str))
		element = str;
	return json_object_is_type(element, json_type_string) ? json_object_get_string(element) : NULL;
}

// The texts, one in each line. NULL: it is another list, or too long.
static struct json_object *join(struct json_object *list)
{
	char text[TEXT_MAX] = "";
	size_t len = 0;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		const char *line = text_at(list, i);
		int n = line ? snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? "\n" : "", line) : -1;

		if (n < 0 || (size_t)n >= sizeof(text) - len)
			return NULL;
		len += (size_t)n;
	}
	return json_object_new_string(text);
}

struct json_object *netdev_flat(struct json_object *props)
{
	struct json_object *out = json_object_new_object();

	json_object_object_foreach(props, key, val)
	{
		struct json_object *joined = json_object_is_type(val, json_type_array) ? join(val) : NULL;

		if (json_object_is_type(val, json_type_object))
			add_members(out, key, val);
		else
			json_object_object_add(out, key, joined ? joined : json_object_get(val));
	}
	return out;
}
