// SPDX-License-Identifier: Apache-2.0
// The objects that a device names.
#include "config.h"

#include "error.h"
#include "props.h"
#include "suggest.h"

#include <errno.h>
#include <string.h>

const char *device_config_link(const struct device_config *cfg, unsigned idx, const struct prop **out)
{
	const struct prop *prop;

	for (unsigned i = 0; (prop = props_at(cfg->model->props, i)); i++) {
		const char *id;

		if (prop->type != PROP_LINK || prop->offset == PROP_NOWHERE)
			continue;
		id = *(char *const *)((const char *)cfg + prop->offset);
		if (!id || idx-- > 0)
			continue;
		if (out)
			*out = prop;
		return id;
	}
	return NULL;
}

bool device_config_names(const struct device_config *cfg, const char *object_id)
{
	const char *id;

	for (unsigned i = 0; (id = device_config_link(cfg, i, NULL)); i++)
		if (strcmp(id, object_id) == 0)
			return true;
	return false;
}

// Some type of objects that the property may name, for an example.
static const struct object_type *type_for(const struct prop *prop)
{
	unsigned i = 0;

	while (object_type_at(i) && !object_type_is(object_type_at(i), prop->link))
		i++;
	return object_type_at(i);
}

static int missing(const struct prop *prop, const char *id, const char *nearest, const char *command,
                   struct vpmem_error *err)
{
	const struct object_type *type = type_for(prop);

	error_set(err, -ENODEV, "Device '%.200s' not found", id);
	if (nearest)
		error_hint(err, "did you mean %s=%s?", prop->name, nearest);
	else if (type)
		error_hint(err, "%s names an object: %s%s,id=%s%s", prop->name, command, type->props->name, id,
		           type->example);
	return -ENODEV;
}

static int wrong_type(const struct prop *prop, struct vpmem_error *err)
{
	error_set(err, -EINVAL, "Invalid parameter type for '%s', expected: %s", prop->name, prop->link);
	if (prop->why)
		error_hint(err, "%s", prop->why);
	return -EINVAL;
}

int config_check_links(const struct device_config *cfg,
                       const struct object_config *(*at)(const void *owner, unsigned idx), const void *owner,
                       const char *command, struct vpmem_error *err)
{
	const struct object_config *object;
	const struct prop *prop;
	const char *id;

	for (unsigned i = 0; (id = device_config_link(cfg, i, &prop)); i++) {
		struct suggest s = { .word = id };
		unsigned k = 0;

		while ((object = at(owner, k++)) && strcmp(object->id, id) != 0)
			if (object_type_is(object->type, prop->link))
				suggest_offer(&s, object->id);
		if (!object)
			return missing(prop, id, s.best, command, err);
		if (!object_type_is(object->type, prop->link))
			return wrong_type(prop, err);
	}
	return 0;
}
