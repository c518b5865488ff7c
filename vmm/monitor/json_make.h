// SPDX-License-Identifier: Apache-2.0
/*
 * json_make.h - short names for building JSON values. All take the value, also on failure. With NULL as the object or
 * array, which is one that could not be allocated, they only free the value.
 */
#ifndef PMVM_JSON_MAKE_H
#define PMVM_JSON_MAKE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

static inline void put(struct json_object *obj, const char *key, struct json_object *val)
{
	if (!obj || json_object_object_add(obj, key, val) < 0)
		json_object_put(val);
}

static inline void put_str(struct json_object *obj, const char *key, const char *val)
{
	put(obj, key, json_object_new_string(val));
}

static inline void put_bool(struct json_object *obj, const char *key, bool val)
{
	put(obj, key, json_object_new_boolean(val));
}

static inline void put_int(struct json_object *obj, const char *key, int64_t val)
{
	put(obj, key, json_object_new_int64(val));
}

static inline void put_uint(struct json_object *obj, const char *key, uint64_t val)
{
	put(obj, key, json_object_new_uint64(val));
}

static inline void add_to(struct json_object *array, struct json_object *val)
{
	if (!array || json_object_array_add(array, val) < 0)
		json_object_put(val);
}

#endif
