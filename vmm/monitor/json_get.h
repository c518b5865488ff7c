// SPDX-License-Identifier: Apache-2.0
/*
 * json_get.h - short names for reading JSON values whose shape is known: arguments that were checked, and what the
 * printers of HMP show. A member that is not there reads as NULL, "", 0 or false. Everything returned is borrowed.
 */
#ifndef PMVM_JSON_GET_H
#define PMVM_JSON_GET_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

static inline struct json_object *get(struct json_object *obj, const char *key)
{
	struct json_object *val = NULL;

	return json_object_object_get_ex(obj, key, &val) ? val : NULL;
}

static inline const char *get_str(struct json_object *obj, const char *key)
{
	struct json_object *val = get(obj, key);

	return val ? json_object_get_string(val) : "";
}

static inline uint64_t get_uint(struct json_object *obj, const char *key)
{
	return json_object_get_uint64(get(obj, key));
}

static inline bool get_bool(struct json_object *obj, const char *key)
{
	return json_object_get_boolean(get(obj, key));
}

#endif
