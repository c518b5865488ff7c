// SPDX-License-Identifier: Apache-2.0
// One -netdev, checked alone: network back ends, which are like objects, with ids of their own.
#include "config.h"
#include "device_list.h"
#include "error.h"
#include "keyval.h"
#include "props.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define TYPE(name, ...) extern const struct object_type name##_type;
NETDEV_LIST(TYPE)
#undef TYPE
#define TYPE(name, ...) &name##_type,
static const struct object_type *const types[] = { NETDEV_LIST(TYPE) NULL };

const struct object_type *netdev_type_at(unsigned idx)
{
	return types[idx];
}

static const struct object_type *type_find(const char *name)
{
	for (unsigned i = 0; types[i]; i++)
		if (strcmp(types[i]->props->name, name) == 0)
			return types[i];
	return NULL;
}

static const struct object_type *type_of(struct json_object *props, struct vpmem_error *err)
{
	const struct object_type *type;
	struct json_object *json;
	const char *name;

	if (!json_object_object_get_ex(props, "type", &json)) {
		error_set(err, -EINVAL, "Parameter 'type' is missing");
		error_hint(err, "for example tap,id=n0,ifname=tap0,script=no,downscript=no");
		return NULL;
	}
	if (!json_object_is_type(json, json_type_string)) {
		error_set(err, -EINVAL, "Invalid parameter type for 'type', expected: string");
		return NULL;
	}
	name = json_object_get_string(json);
	type = type_find(name);
	if (type)
		return type;
	error_set(err, -EINVAL, "Parameter 'type' does not accept value '%.200s'", name);
	error_hint(err, "the types of network back ends here are dgram, stream, tap, user, vhost-user");
	return NULL;
}

int config_netdev(struct json_object *props, enum props_form form, struct object_config **out, struct vpmem_error *err)
{
	const struct object_type *type = type_of(props, err);
	struct json_object *flat;
	int rc;

	*out = NULL;
	if (!type)
		return -EINVAL;
	flat = netdev_flat(props);
	rc = flat ? config_of_type(type, flat, form, out, err) : error_set(err, -ENOMEM, "out of memory");
	json_object_put(flat);
	return rc;
}

int config_netdev_help(const char *name, FILE *out, struct vpmem_error *err)
{
	const struct object_type *type;

	if (!name || keyval_is_help(name)) {
		fprintf(out, "Available netdev backend types:\n");
		for (unsigned i = 0; types[i]; i++)
			fprintf(out, "%s\n", types[i]->props->name);
		return 0;
	}
	type = type_find(name);
	if (!type)
		return error_set(err, -EINVAL, "Parameter 'type' does not accept value '%s'", name);
	props_help(type->props, out);
	return 0;
}
