// SPDX-License-Identifier: Apache-2.0
/*
 * machine_object.h - the objects of the machine: what all of them have, and what a kind of objects does.
 *
 * An object is what a -object or an object_add made: something of the host that a device names by its id. Its kind is one
 * const struct object_kind in a file of its own, which device_list.h names in one line; its table of properties is in
 * the room config.
 */
#ifndef PMVM_MACHINE_OBJECT_H
#define PMVM_MACHINE_OBJECT_H

#include "config.h"

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct object;

#define OBJECTS_MAX 512u

/* All functions are called in the main thread with the machine lock held. */
struct object_kind {
	const struct object_type *type;
	size_t size; /* of the kind's own struct, whose first member is the struct object */
	/* Opens what the configuration names; may release the machine lock meanwhile. On failure nothing is left behind. */
	int (*create)(struct object *obj, struct vpmem_error *err);
	/* The whole start has succeeded, or the object came later: what create made stays when the machine ends. May be NULL. */
	void (*keep)(struct object *obj);
	/* Ends it, whatever it returns: -errno if data was lost, with a text. May release the machine lock. May be NULL. */
	int (*destroy)(struct object *obj, struct vpmem_error *err);
	/* The present value of a property that is a number, where it is not the configured one. NULL: there are none. */
	bool (*number)(const struct object *obj, const char *prop, uint64_t *val);
};

struct object {
	const struct object_kind *kind;
	struct machine *machine;
	struct object_config *cfg; /* owned */
	bool in_use;               /* a device has it by a link that is exclusive, or RAM is made of it */
};

/* The kinds, by index up to NULL. device_kinds.c */
const struct object_kind *object_kind_at(unsigned idx);

/* Takes the configuration on success; *cfg is NULL then. */
int machine_add_object(struct machine *m, struct object_config **cfg, struct vpmem_error *err);
/* Those of the command line. */
int machine_add_objects(struct machine *m, struct vpmem_error *err);
void machine_keep_objects(struct machine *m);
/* At the end: all of them, from the last one. */
void machine_drop_objects(struct machine *m);

#endif
