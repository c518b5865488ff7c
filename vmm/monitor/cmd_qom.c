// SPDX-License-Identifier: Apache-2.0
// qom-list, qom-get, qom-set: the tree of objects (qom.c).
#include "command.h"

#include "error.h"
#include "json_get.h"
#include "qom.h"
#include "schema_make.h"

#include <errno.h>

static OBJECT(list_args_type, "path-arg", MEMBER("path", schema_str));
static OBJECT(get_args_type, "qom-get-arg", MEMBER("path", schema_str), MEMBER("property", schema_str));
static OBJECT(set_args_type, "qom-set-arg", MEMBER("path", schema_str), MEMBER("property", schema_str),
              MEMBER("value", schema_any));

static int qom_list(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                    struct vpmem_error *err)
{
	int rc = qom_properties(ctx->machine, get_str(args, "path"), ret, err);

	for (size_t i = 0; rc == 0 && i < json_object_array_length(*ret); i++)
		json_object_object_del(json_object_array_get_idx(*ret, i), "value");
	return rc;
}

static int qom_get(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                   struct vpmem_error *err)
{
	struct json_object *list, *property;
	int rc = qom_properties(ctx->machine, get_str(args, "path"), &list, err);

	if (rc < 0)
		return rc;
	property = qom_find(list, get_str(args, "property"), err);
	if (property)
		*ret = json_object_get(get(property, "value"));
	json_object_put(list);
	return property ? 0 : -EINVAL;
}

static int qom_set_run(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                       struct vpmem_error *err)
{
	(void)ret;
	return qom_set(ctx->machine, get_str(args, "path"), get_str(args, "property"), get(args, "value"), err);
}

const struct command cmd_qom_list = {
	.name = "qom-list",
	.args = &list_args_type,
	.ret = &schema_properties,
	.run = qom_list,
};

const struct command cmd_qom_get = {
	.name = "qom-get",
	.args = &get_args_type,
	.ret = &schema_any,
	.run = qom_get,
};

const struct command cmd_qom_set = {
	.name = "qom-set",
	.args = &set_args_type,
	.run = qom_set_run,
};
