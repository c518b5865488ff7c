// SPDX-License-Identifier: Apache-2.0
/*
 * bundle_field.h - members of JSON objects by their type.
 *
 * `where` is the path of the object in the file, "linux.resources", or "" for the whole: errors name WHERE.NAME. A
 * member that is null is a missing one. What is returned is borrowed.
 */
#ifndef PMVM_OCI_BUNDLE_FIELD_H
#define PMVM_OCI_BUNDLE_FIELD_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

/* *val is NULL if it is missing, or the object is NULL. -EINVAL: it is of another type. */
int field_get(struct json_object *object, const char *where, const char *name, enum json_type type,
              struct json_object **val, struct vpmem_error *err);
/* Also -EINVAL if it is missing. */
int field_need(struct json_object *object, const char *where, const char *name, enum json_type type,
               struct json_object **val, struct vpmem_error *err);
/* *text is NULL if it is missing. */
int field_string(struct json_object *object, const char *where, const char *name, const char **text,
                 struct vpmem_error *err);
/* *val stays if it is missing. -EINVAL: not within min and max. */
int field_int(struct json_object *object, const char *where, const char *name, int64_t min, int64_t max, int64_t *val,
              struct vpmem_error *err);
int field_bool(struct json_object *object, const char *where, const char *name, bool *val, struct vpmem_error *err);
/* An array of strings; *val is NULL if it is missing. */
int field_strings(struct json_object *object, const char *where, const char *name, struct json_object **val,
                  struct vpmem_error *err);

/* WHERE.NAME[index] as the path of an element, in buf; returns buf. */
const char *field_element(char *buf, size_t size, const char *where, const char *name, size_t index);

#define FIELD_PATH_SIZE 128

#endif
