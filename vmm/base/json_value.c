// SPDX-License-Identifier: Apache-2.0
// One JSON value, parsed strictly, with QEMU's error texts.
#include "json_value.h"

#include <errno.h>
#include <json-c/json.h>

static const char *error_text(enum json_tokener_error error)
{
	switch (error) {
	case json_tokener_error_parse_null:
	case json_tokener_error_parse_boolean:
		return "JSON parse error, invalid keyword";
	case json_tokener_error_parse_number:
		return "JSON parse error, invalid or too large number";
	case json_tokener_error_parse_array:
		return "JSON parse error, expected separator in list";
	case json_tokener_error_parse_object_key_name:
		return "JSON parse error, key is not a string in object";
	case json_tokener_error_parse_object_key_sep:
		return "JSON parse error, missing : in object pair";
	case json_tokener_error_parse_object_value_sep:
		return "JSON parse error, expected separator in dict";
	case json_tokener_error_parse_string:
		return "JSON parse error, invalid escape sequence in string";
	case json_tokener_error_parse_utf8_string:
		return "JSON parse error, invalid UTF-8 sequence in string";
	default:
		return "JSON parse error, expecting value";
	}
}

static size_t count_members(struct json_object *val)
{
	size_t n = 0;

	if (json_object_is_type(val, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(val); i++)
			n += count_members(json_object_array_get_idx(val, i));
	} else if (json_object_is_type(val, json_type_object)) {
		json_object_object_foreach(val, key, member)
		{
			(void)key;
			n += 1 + count_members(member);
		}
	}
	return n;
}

int json_value_prepare(void)
{
	struct json_object *object = json_object_new_object();
	int rc = object ? json_object_object_add(object, "key", NULL) : -1;

	json_object_put(object);
	return rc < 0 ? -ENOMEM : 0;
}

struct json_tokener *json_value_parser(unsigned depth)
{
	// json-c counts the value itself, and a scalar in the innermost one.
	struct json_tokener *parser = json_tokener_new_ex((int)depth + 4);

	if (parser)
		json_tokener_set_flags(parser, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	return parser;
}

const char *json_value_parse(struct json_tokener *parser, const char *text, size_t len, size_t nkeys,
                             struct json_object **out)
{
	struct json_object *val;

	*out = NULL;
	json_tokener_reset(parser);
	val = json_tokener_parse_ex(parser, text, (int)len);
	if (json_tokener_get_error(parser) != json_tokener_success)
		return error_text(json_tokener_get_error(parser));
	if (count_members(val) != nkeys) {
		json_object_put(val);
		return "JSON parse error, duplicate key";
	}
	*out = val;
	return NULL;
}
