// SPDX-License-Identifier: Apache-2.0
// device-list-properties: what -device and device_add take.
#include "command.h"

#include "config.h"
#include "error.h"
#include "json_get.h"
#include "json_make.h"
#include "props.h"
#include "qom.h"
#include "schema_make.h"

#include <errno.h>

static OBJECT(args_type, "typename-arg", MEMBER("typename", schema_str));

static struct json_object *describe(const struct prop_class *cls, const struct prop *prop)
{
	struct json_object *info = json_object_new_object();

	put_str(info, "name", prop->name);
	put_str(info, "type", props_type_name(prop));
	if (prop->help)
		put_str(info, "description", prop->help);
	if (prop->def)
		put(info, "default-value", prop_default(cls, prop));
	return info;
}

static int run(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	const char *name = get_str(args, "typename");
	const struct device_model *model = device_model_find(name);
	const struct prop *prop;
	struct json_object *list;

	(void)ctx;
	if (!model)
		return error_set(err, -ENODEV, "Device '%.200s' not found", name);
	list = json_object_new_array();
	for (unsigned i = 0; (prop = props_at(model->props, i)); i++)
		if (!prop->hidden)
			add_to(list, describe(model->props, prop));
	return command_return(list, ret, err);
}

const struct command cmd_device_list_properties = {
	.name = "device-list-properties",
	.args = &args_type,
	.ret = &schema_properties,
	.run = run,
};
