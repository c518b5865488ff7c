// SPDX-License-Identifier: Apache-2.0
/*
 * qom.h - the machine as a tree of objects with properties, and the values of property tables as JSON.
 */
#ifndef PMVM_QOM_H
#define PMVM_QOM_H

#include <vpmem.h>

struct json_object;
struct machine;
struct prop;
struct prop_class;

/*
 * The properties of the object with this path, as a new array of {name, type, value}; the first is its "type". The
 * value of a child is its path. -ENODEV: there is no such object. (qom.c)
 */
int qom_properties(const struct machine *m, const char *path, struct json_object **list, struct vpmem_error *err);

/* The property of such a list with this name; borrowed. NULL: there is none, and err says so. */
struct json_object *qom_find(struct json_object *list, const char *name, struct vpmem_error *err);

/*
 * Sets the property of an object. -ENODEV: there is no such object. -EINVAL: there is no such property, it cannot change
 * while the object is there, or it does not take the value.
 */
int qom_set(const struct machine *m, const char *path, const char *name, struct json_object *val,
            struct vpmem_error *err);

/* ---- values (qom_props.c) */

/* The property's value in this struct; its default if it is not kept in the struct. NULL is null. */
struct json_object *prop_value(const struct prop_class *cls, const struct prop *prop, const void *obj);

/* The default, or NULL if there is none. */
struct json_object *prop_default(const struct prop_class *cls, const struct prop *prop);

#endif
