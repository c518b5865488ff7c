// SPDX-License-Identifier: Apache-2.0
// qom-list, qom-get: the tree of objects (qom.c).
#include "command.h"

#include "error.h"
#include "json_get.h"
#include "qom.h"
#include "schema_make.h"

#include <errno.h>
#include <string.h>

static OBJECT(list_args_type, "path-arg", MEMBER("path", schema_str));
static OBJECT(get_args_type, "qom-get-arg", MEMBER("path", schema_str), MEMBER("property", schema_str));

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
	const char *name = get_str(args, "property");
	struct json_object *list;
	int rc = qom_properties(ctx->machine, get_str(args, "path"), &list, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < json_object_array_length(list) && !*ret; i++) {
		struct json_object *property = json_object_array_get_idx(list, i);

		if (strcmp(get_str(property, "name"), name) == 0)
			*ret = json_object_get(get(property, "value"));
	}
	// The first property is the object's type.
	if (!*ret)
		rc = error_set(err, -EINVAL, "Property '%s.%.200s' not found",
		               get_str(json_object_array_get_idx(list, 0), "value"), name);
	json_object_put(list);
	return rc;
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
