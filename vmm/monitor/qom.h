// SPDX-License-Identifier: Apache-2.0
/*
 * qom.h - the values of property tables as JSON, for the tree of objects and for lists of properties.
 */
#ifndef PMVM_QOM_H
#define PMVM_QOM_H

struct json_object;
struct prop;
struct prop_class;

/* What the property has in this struct; its default if it is not kept in the struct. NULL is null. */
struct json_object *prop_value(const struct prop_class *cls, const struct prop *prop, const void *obj);

/* The default, or NULL if there is none. */
struct json_object *prop_default(const struct prop_class *cls, const struct prop *prop);

#endif
