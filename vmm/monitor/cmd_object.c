// SPDX-License-Identifier: Apache-2.0
// object-add, object-del: memory backends of a running machine.
#include "command.h"

#include "json_get.h"
#include "machine.h"
#include "schema_make.h"

static ENUM(object_type, "ObjectType", "memory-backend-file");
static const struct schema_type backend_file_type = {
	.kind = SCHEMA_OBJECT,
	.name = "MemoryBackendFileProperties",
	.props = &memory_backend_file_class,
	.required = "mem-path",
};
static const struct schema_type add_args_type = {
	.kind = SCHEMA_OBJECT,
	.name = "ObjectOptions",
	MEMBERS(MEMBER("qom-type", object_type), MEMBER("id", schema_str)),
	.tag = "qom-type",
	VARIANTS({ "memory-backend-file", &backend_file_type }),
};

static int add(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	struct memdev_config cfg;
	int rc = config_memdev(args, ctx->text ? PROPS_TEXT : PROPS_JSON, &cfg, err);

	(void)ret;
	if (rc < 0)
		return rc;
	rc = machine_object_add(ctx->machine, &cfg, err);
	memdev_config_free(&cfg);
	return rc;
}

static int del(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	(void)ret;
	return machine_object_del(ctx->machine, get_str(args, "id"), err);
}

const struct command cmd_object_add = {
	.name = "object-add",
	.args = &add_args_type,
	.run = add,
	.hmp_name = "object_add",
	.hmp_params = "[qom-type=]type,id=str[,prop=value][,...]",
	.hmp_help = "create QOM object",
	.hmp_args = HMP_OPTIONS,
	.hmp_key = "qom-type",
	.hmp_complete = COMPLETE_OBJECT_TYPE,
};

const struct command cmd_object_del = {
	.name = "object-del",
	.args = &schema_id_arg,
	.run = del,
	.hmp_name = "object_del",
	.hmp_params = "id",
	.hmp_help = "destroy QOM object",
	.hmp_args = HMP_WORD,
	.hmp_key = "id",
	.hmp_complete = COMPLETE_OBJECT,
};
