// SPDX-License-Identifier: Apache-2.0
/*
 * schema.h - the types of QMP: what a command takes and returns, and the data of an event.
 *
 * One description serves two readers: schema_check compares arguments with it, in QEMU's words, and query-qmp-schema
 * shows it to clients. The members of an object that a table of properties describes already (props.h) come from that
 * table, and are checked by it. A command declares its types in its own file (schema_make.h).
 */
#ifndef PMVM_SCHEMA_H
#define PMVM_SCHEMA_H

#include <stdbool.h>
#include <vpmem.h>

struct json_object;
struct prop_class;

enum schema_kind { SCHEMA_BUILTIN, SCHEMA_ENUM, SCHEMA_ARRAY, SCHEMA_OBJECT };

struct schema_member {
	const char *name; /* NULL: end of the list */
	const struct schema_type *type;
	bool optional;
};

/* The members that are added when the object's tag has this value. */
struct schema_variant {
	const char *tag_value;          /* NULL: end of the list */
	const struct schema_type *type; /* an object */
};

struct schema_type {
	enum schema_kind kind;
	bool open;        /* object: takes members that are not listed; the command checks them */
	const char *name; /* unique; NULL for an array: "[element]" */
	union {
		const char *json;                  /* builtin: "string", "int", "number", "boolean", "value" */
		const char *const *words;          /* enum: NULL-terminated */
		const struct schema_type *element; /* array */
		struct {                           /* object */
			const struct schema_member *members; /* NULL: none */
			const char *tag;                     /* the member, an enum, that chooses the variant */
			const struct schema_variant *variants;
			const struct prop_class *props; /* optional members from this table, but hidden ones */
		};
	};
};

/*
 * Compares a value with its type. `name` is the value's own for messages, "" for a command's arguments.
 * -EINVAL with QEMU's text: a member is missing or unexpected, a type is wrong, a word is not known.
 */
int schema_check(const struct schema_type *type, struct json_object *val, const char *name, struct vpmem_error *err);

/* ---- the types that several commands share (schema_types.c); those of one command are in its file -------- */

extern const struct schema_type schema_empty, schema_str, schema_int, schema_bool, schema_any;
extern const struct schema_type schema_strs, schema_ints; /* arrays */
extern const struct schema_type schema_id_arg;            /* {"id": "..."} */
extern const struct schema_type schema_properties;        /* an array of ObjectPropertyInfo */

#endif
