// SPDX-License-Identifier: Apache-2.0
// object-add, object-del: the objects of a running machine.
#include "command.h"

#include "device_list.h"
#include "json_get.h"
#include "machine.h"
#include "schema_make.h"

// The types of objects, each with the properties of its table.
#define WORD(var, type_name, ...) type_name,
#define PROPERTIES(var, type_name, schema_name)                                     \
	static const struct schema_type var##_properties = { .kind = SCHEMA_OBJECT, \
		                                             .name = schema_name,   \
		                                             .props = &var##_class };
#define VARIANT(var, type_name, ...) { type_name, &var##_properties },

static const char *const type_words[] = { OBJECT_LIST(WORD) NULL };
static ENUM_OF(object_type_words, "ObjectType", type_words);
OBJECT_LIST(PROPERTIES)
static const struct schema_type add_args_type = {
	.kind = SCHEMA_OBJECT,
	.name = "ObjectOptions",
	MEMBERS(MEMBER("qom-type", object_type_words), MEMBER("id", schema_str)),
	.tag = "qom-type",
	.variants = (const struct schema_variant[]) { OBJECT_LIST(VARIANT) { 0 } },
};

static int add(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	struct object_config *cfg;
	int rc = config_object(args, ctx->text ? PROPS_TEXT : PROPS_JSON, &cfg, err);

	(void)ret;
	if (rc < 0)
		return rc;
	rc = machine_object_add(ctx->machine, &cfg, err);
	object_config_free(cfg);
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
