// SPDX-License-Identifier: Apache-2.0
// netdev_add, netdev_del: the network back ends of a running machine.
#include "command.h"

#include "device_list.h"
#include "json_get.h"
#include "machine.h"
#include "schema_make.h"

// The types of netdevs, each with the properties of its table.
#define WORD(var, type_name, ...) type_name,
#define PROPERTIES(var, type_name, schema_name)                                     \
	static const struct schema_type var##_properties = { .kind = SCHEMA_OBJECT, \
		                                             .name = schema_name,   \
		                                             .props = &var##_class };
#define VARIANT(var, type_name, ...) { type_name, &var##_properties },

static const char *const type_words[] = { NETDEV_LIST(WORD) NULL };
static ENUM_OF(netdev_type_words, "NetClientDriver", type_words);
NETDEV_LIST(PROPERTIES)
static const struct schema_type add_args_type = {
	.kind = SCHEMA_OBJECT,
	.name = "Netdev",
	MEMBERS(MEMBER("type", netdev_type_words), MEMBER("id", schema_str)),
	.tag = "type",
	.variants = (const struct schema_variant[]) { NETDEV_LIST(VARIANT) { 0 } },
};

static int add(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	struct object_config *cfg;
	int rc = config_netdev(args, ctx->text ? PROPS_TEXT : PROPS_JSON, &cfg, err);

	(void)ret;
	if (rc < 0)
		return rc;
	rc = machine_netdev_add(ctx->machine, &cfg, err);
	object_config_free(cfg);
	return rc;
}

static int del(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	(void)ret;
	return machine_netdev_del(ctx->machine, get_str(args, "id"), err);
}

const struct command cmd_netdev_add = {
	.name = "netdev_add",
	.args = &add_args_type,
	.run = add,
	.hmp_name = "netdev_add",
	.hmp_params = "[user|tap|stream|dgram|vhost-user],id=str[,prop=value][,...]",
	.hmp_help = "add host network device",
	.hmp_args = HMP_OPTIONS,
	.hmp_key = "type",
};

const struct command cmd_netdev_del = {
	.name = "netdev_del",
	.args = &schema_id_arg,
	.run = del,
	.hmp_name = "netdev_del",
	.hmp_params = "id",
	.hmp_help = "remove host network device",
	.hmp_args = HMP_WORD,
	.hmp_key = "id",
};
