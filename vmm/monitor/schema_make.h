// SPDX-License-Identifier: Apache-2.0
/*
 * schema_make.h - short names for declaring types of the schema (schema.h) beside the command that has them:
 *
 *   static ENUM(state_type, "FooState", "on", "off");
 *   static OBJECT(foo_type, "FooInfo", MEMBER("state", state_type), OPTIONAL("size", schema_int));
 *   static ARRAY(foos_type, foo_type);
 */
#ifndef PMVM_SCHEMA_MAKE_H
#define PMVM_SCHEMA_MAKE_H

#include "schema.h"

// The terminators of the lists, and the members, are one line each.
// clang-format off
#define BUILTIN(var, type_name, json_type) \
	const struct schema_type var = { .kind = SCHEMA_BUILTIN, .name = type_name, .json = json_type }
/* ENUM lists its words; ENUM_OF has the NULL-terminated list that the rest of the code uses. */
#define ENUM_OF(var, type_name, list) \
	const struct schema_type var = { .kind = SCHEMA_ENUM, .name = type_name, .words = list }
#define ENUM(var, type_name, ...) ENUM_OF(var, type_name, ((const char *const[]) { __VA_ARGS__, NULL }))
#define ARRAY(var, of) const struct schema_type var = { .kind = SCHEMA_ARRAY, .element = &of }
#define OBJECT(var, type_name, ...) \
	const struct schema_type var = { .kind = SCHEMA_OBJECT, .name = type_name, MEMBERS(__VA_ARGS__) }

#define MEMBERS(...) .members = (const struct schema_member[]) { __VA_ARGS__, { 0 } }
#define MEMBER(member, of) { .name = member, .type = &of }
#define OPTIONAL(member, of) { .name = member, .type = &of, .optional = true }
/* Each is { value of the tag, &object }. */
#define VARIANTS(...) .variants = (const struct schema_variant[]) { __VA_ARGS__, { 0 } }
// clang-format on

#endif
