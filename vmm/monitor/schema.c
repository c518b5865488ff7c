// SPDX-License-Identifier: Apache-2.0
// Values compared with their types, in the words of QEMU's input visitor.
#include "schema.h"

#include "error.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

// Long enough for every name in the schema; the names of a client's own members are truncated.
#define NAME_MAX_LEN 128

static int wrong_type(const char *name, const char *expected, struct vpmem_error *err)
{
	return error_set(err, -EINVAL, "Invalid parameter type for '%s', expected: %s", name, expected);
}

static int check_string(struct json_object *val, const char *name, struct vpmem_error *err)
{
	if (!json_object_is_type(val, json_type_string))
		return wrong_type(name, "string", err);
	// For C code the string would end at "\u0000".
	if (strlen(json_object_get_string(val)) != (size_t)json_object_get_string_len(val))
		return error_set(err, -EINVAL, "Parameter '%s' expects a string without NUL", name);
	return 0;
}

static int check_builtin(const struct schema_type *type, struct json_object *val, const char *name,
                         struct vpmem_error *err)
{
	if (!strcmp(type->json, "value"))
		return 0;
	if (!strcmp(type->json, "string"))
		return check_string(val, name, err);
	if (!strcmp(type->json, "boolean"))
		return json_object_is_type(val, json_type_boolean) ? 0 : wrong_type(name, "boolean", err);
	if (!strcmp(type->json, "int"))
		return json_object_is_type(val, json_type_int) ? 0 : wrong_type(name, "integer", err);
	if (!strcmp(type->json, "null"))
		return json_object_is_type(val, json_type_null) ? 0 : wrong_type(name, "null", err);
	return json_object_is_type(val, json_type_int) || json_object_is_type(val, json_type_double) ?
	               0 :
	               wrong_type(name, "number", err);
}

static int check_enum(const struct schema_type *type, struct json_object *val, const char *name,
                      struct vpmem_error *err)
{
	int rc = check_string(val, name, err);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; type->words[i]; i++)
		if (!strcmp(type->words[i], json_object_get_string(val)))
			return 0;
	return error_set(err, -EINVAL, "Parameter '%s' does not accept value '%.200s'", name,
	                 json_object_get_string(val));
}

static int check_array(const struct schema_type *type, struct json_object *val, const char *name,
                       struct vpmem_error *err)
{
	char element[NAME_MAX_LEN];
	int rc = 0;

	if (!json_object_is_type(val, json_type_array))
		return wrong_type(name, "array", err);
	for (size_t i = 0; i < json_object_array_length(val) && rc == 0; i++) {
		snprintf(element, sizeof(element), "%.100s[%zu]", name, i);
		rc = schema_check(type->element, json_object_array_get_idx(val, i), element, err);
	}
	return rc;
}

static void member_name(char out[NAME_MAX_LEN], const char *object, const char *member)
{
	snprintf(out, NAME_MAX_LEN, "%.60s%s%.60s", object, *object ? "." : "", member);
}

static int check_members(const struct schema_member *members, struct json_object *val, const char *name,
                         struct vpmem_error *err)
{
	char full[NAME_MAX_LEN];
	int rc = 0;

	for (const struct schema_member *m = members; m && m->name && rc == 0; m++) {
		struct json_object *member;

		member_name(full, name, m->name);
		if (json_object_object_get_ex(val, m->name, &member))
			rc = schema_check(m->type, member, full, err);
		else if (!m->optional)
			rc = error_set(err, -EINVAL, "Parameter '%s' is missing", full);
	}
	return rc;
}

// The variant that the tag, which was checked, chooses; NULL if it adds nothing.
static const struct schema_type *variant_of(const struct schema_type *type, struct json_object *val)
{
	struct json_object *tag;

	if (!type->tag || !json_object_object_get_ex(val, type->tag, &tag))
		return NULL;
	for (const struct schema_variant *v = type->variants; v->tag_value; v++)
		if (!strcmp(v->tag_value, json_object_get_string(tag)))
			return v->type;
	return NULL;
}

static bool has_member(const struct schema_type *type, const char *name)
{
	for (const struct schema_member *m = type ? type->members : NULL; m && m->name; m++)
		if (!strcmp(m->name, name))
			return true;
	return false;
}

static int check_object(const struct schema_type *type, struct json_object *val, const char *name,
                        struct vpmem_error *err)
{
	const struct schema_type *variant;
	char full[NAME_MAX_LEN];
	int rc;

	if (!json_object_is_type(val, json_type_object))
		return wrong_type(name, "object", err);
	rc = check_members(type->members, val, name, err);
	if (rc < 0)
		return rc;
	variant = variant_of(type, val);
	// The property table checks the members, with texts of its own (config.c).
	if (type->open || (variant && variant->props))
		return 0;
	rc = variant ? check_members(variant->members, val, name, err) : 0;
	if (rc < 0)
		return rc;
	json_object_object_foreach(val, key, member)
	{
		(void)member;
		if (has_member(type, key) || has_member(variant, key))
			continue;
		member_name(full, name, key);
		return error_set(err, -EINVAL, "Parameter '%s' is unexpected", full);
	}
	return 0;
}

int schema_check(const struct schema_type *type, struct json_object *val, const char *name, struct vpmem_error *err)
{
	switch (type->kind) {
	case SCHEMA_BUILTIN:
		return check_builtin(type, val, name, err);
	case SCHEMA_ENUM:
		return check_enum(type, val, name, err);
	case SCHEMA_ARRAY:
		return check_array(type, val, name, err);
	case SCHEMA_OBJECT:
		return check_object(type, val, name, err);
	}
	return -EINVAL;
}
