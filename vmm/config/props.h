// SPDX-License-Identifier: Apache-2.0
/*
 * props.h - tables of properties: the parameters of a device, a backend or an option, described once for all uses.
 *
 * A class is a named table of properties over one C struct. The same table
 *   - checks and converts the user's input, as text ("4G", "on") or as JSON with native types,
 *   - provides the defaults,
 *   - prints `help`,
 *   - and is the source of device-list-properties and query-qmp-schema.
 * Errors are QEMU's texts, with the nearest known name or the reason as the hint.
 *
 * A property of QEMU that has no effect here is also in the table, with PROP_NOWHERE. It is accepted with the
 * values that describe what pmvm does anyway (`only`), and refused with others.
 */
#ifndef PMVM_PROPS_H
#define PMVM_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <vpmem.h>

struct json_object;

/* The text form of a value, and its type in the struct. */
enum prop_type {
	PROP_BOOL,       /* on/off (also yes/no, true/false, y/n); JSON boolean; bool */
	PROP_STR,        /* char *, allocated */
	PROP_ID,         /* PROP_STR that must be an identifier: a letter, then letters, digits, '-', '.', '_' */
	PROP_LINK,       /* PROP_STR that names an object */
	PROP_SIZE,       /* bytes, with a suffix K M G T P E; JSON number; uint64_t */
	PROP_COUNT,      /* number of an object; uint64_t */
	PROP_UINT64,     /* number of a device, decimal or 0x; uint64_t */
	PROP_UINT32,     /* the same with 32 bits; uint32_t */
	PROP_WORD,       /* one of `words`; unsigned, its index */
	PROP_NODES,      /* NUMA nodes: "2", "0-3", or a list of them; JSON array; uint64_t, a bit each */
	PROP_ADDR,       /* PCI address: "5", "1f.0", hexadecimal; JSON also devfn; int, the slot or -1 */
	PROP_OPT_SIZE,   /* PROP_SIZE of an option that QEMU parses itself (-m): other texts; uint64_t */
	PROP_OPT_NUMBER, /* the same for a number */
};

#define PROP_NOWHERE UINT32_MAX

/* Small, because the tables of a position-independent program are private memory of each process. */
struct prop {
	const char *name;
	const char *type_name; /* NULL: the type's own, e.g. "bool" */
	const char *def;       /* default, as text; NULL: none */
	const char *help;      /* NULL: none */
	const char *only;      /* NULL, or the accepted values, separated by '|' ("": only empty text) */
	const char *why;       /* the hint when another value, or an object of another type, is refused */
	union {
		const char *const *words; /* PROP_WORD: NULL-terminated */
		const char *link; /* PROP_LINK: the type of objects it names, or the type above (object_type_is) */
	};
	uint32_t offset; /* of its field in the struct, or PROP_NOWHERE */
	enum prop_type type : 8;
	bool not_yet : 1;   /* "is not supported yet" instead of "is not supported" */
	bool not_zero : 1;  /* 0 is refused */
	bool exclusive : 1; /* PROP_LINK: an object has one user at a time */
	bool required : 1;  /* QMP's schema says so; the class checks it */
	bool hidden : 1;    /* not in help: names the object itself (qom-type, driver, id) */
};

/* QEMU's error text for an unknown name. */
enum prop_unknown {
	PROP_UNKNOWN_INVALID,    /* Invalid parameter 'x' (in JSON: Parameter 'x' is unexpected) */
	PROP_UNKNOWN_UNEXPECTED, /* Parameter 'smp.x' is unexpected */
	PROP_UNKNOWN_NOT_FOUND,  /* Property 'virtio-pmem-pci.x' not found */
};

struct prop_class {
	const char *name;   /* "virtio-pmem-pci" */
	const char *prefix; /* before names in messages: "smp."; or "" */
	enum prop_unknown unknown;
	bool underscores; /* '_' in a name counts as '-', where QEMU has it so: -machine and -cpu */
	/* More properties, of what all such classes have, at the same offsets. NULL: none. It has no base itself. */
	const struct prop_class *base;
	const struct prop *props; /* in the order that help shows: sorted by "name=" */
	unsigned nprops;
};

/* All properties, those of the base among the others, in the order that help shows: idx from 0; NULL is the end. */
const struct prop *props_at(const struct prop_class *cls, unsigned idx);

/* Writes all defaults into a struct that was zeroed. -ENOMEM. */
int props_init(const struct prop_class *cls, void *obj);
/* Frees the strings and sets them to NULL. */
void props_release(const struct prop_class *cls, void *obj);

/* The form of the values of an object. */
enum props_form {
	PROPS_TEXT,   /* all are strings: key=value */
	PROPS_JSON,   /* native JSON types: -object and -device with JSON, QMP's object-add */
	PROPS_SCALAR, /* strings, integers or booleans, which all count as text: QMP's device_add, as in QEMU */
};

/*
 * Checks all members of the object, in their order, and writes them into the struct. -EINVAL: err says which and why.
 * After an error the struct may hold some values: the caller releases it.
 */
int props_apply(const struct prop_class *cls, struct json_object *in, enum props_form form, void *obj,
                struct vpmem_error *err);

const struct prop *props_find(const struct prop_class *cls, const char *name);
/* The name of its type in help: "bool", "int", "OnOffAuto", "link<memory-backend>". */
const char *props_type_name(const struct prop *prop);
/* QEMU's format: two spaces, name=<type>, " - ", description, (default: x). */
void props_help(const struct prop_class *cls, FILE *out);

/* ---- values (props_value.c) ---------------------------------------------------------------------- */

union prop_value {
	bool b;
	uint64_t u;
	int slot;
	char *s; /* allocated; the caller's */
};

int prop_from_text(const struct prop_class *cls, const struct prop *prop, const char *text, union prop_value *val,
                   struct vpmem_error *err);
int prop_from_json(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                   union prop_value *val, struct vpmem_error *err);
/* A string, an integer or a boolean, taken as text. */
int prop_from_scalar(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                     union prop_value *val, struct vpmem_error *err);
/* Text for PROP_NODES, where a key that repeats came as an array of strings. */
int prop_nodes_from_list(const struct prop_class *cls, const struct prop *prop, struct json_object *list,
                         union prop_value *val, struct vpmem_error *err);
/* The value is a string of the heap. */
bool prop_is_string(const struct prop *prop);

#endif
