// SPDX-License-Identifier: Apache-2.0
/*
 * agent_json.h - members of the objects that the host sends, with their types checked.
 *
 * An absent member is an error, unless a default is given. -EINVAL with a text that names the member.
 */
#ifndef PMVM_OCI_AGENT_JSON_H
#define PMVM_OCI_AGENT_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

/* Borrowed from obj. */
int member_get(struct json_object *obj, const char *name, enum json_type type, struct json_object **val,
               struct vpmem_error *err);
/* The same; NULL where it is absent. */
int member_optional(struct json_object *obj, const char *name, enum json_type type, struct json_object **val,
                    struct vpmem_error *err);

/* Not empty, and without a NUL. */
int member_string(struct json_object *obj, const char *name, const char **val, struct vpmem_error *err);
int member_number(struct json_object *obj, const char *name, int64_t min, int64_t max, int64_t *val,
                  struct vpmem_error *err);
/* False where it is absent. */
int member_bool(struct json_object *obj, const char *name, bool *val, struct vpmem_error *err);

#endif
