// SPDX-License-Identifier: Apache-2.0
/*
 * json_at.h - members of a JSON value that another process has sent: nothing is known about its shape.
 *
 * A path is the names of members, with dots between them: "syncs.total-ns". All results are borrowed.
 */
#ifndef PMVM_JSON_AT_H
#define PMVM_JSON_AT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL: there is no such member, or it is null. An empty path is the value itself. */
struct json_object *json_at(struct json_object *val, const char *path);

/* False: there is no such member, or it is no integer from 0 on. *out is then unchanged. */
bool json_at_uint(struct json_object *val, const char *path, uint64_t *out);

/* False: it is not there, or no boolean. *out is then unchanged. */
bool json_at_bool(struct json_object *val, const char *path, bool *out);

/* NULL: it is not there, or no string. */
const char *json_at_str(struct json_object *val, const char *path);

/* The number of elements; 0 if the value is no array. */
size_t json_at_length(struct json_object *val, const char *path);

#endif
