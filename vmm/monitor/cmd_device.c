// SPDX-License-Identifier: Apache-2.0
// device_add, device_del: hotplug and unplug.
#include "command.h"

#include "json_get.h"
#include "machine.h"
#include "schema_make.h"

// As in QEMU, the schema does not say which properties a driver has: device-list-properties does.
static const struct schema_type add_args_type = {
	.kind = SCHEMA_OBJECT,
	.name = "device_add-arg",
	MEMBERS(MEMBER("driver", schema_str), OPTIONAL("bus", schema_str), OPTIONAL("id", schema_str)),
	.open = true,
};

static int add(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	struct device_config *cfg;
	int rc = config_device(args, ctx->text ? PROPS_TEXT : PROPS_SCALAR, &cfg, err);

	(void)ret;
	if (rc < 0)
		return rc;
	rc = machine_device_add(ctx->machine, &cfg, err);
	device_config_free(cfg);
	return rc;
}

static int del(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	(void)ret;
	return machine_device_del(ctx->machine, get_str(args, "id"), err);
}

const struct command cmd_device_add = {
	.name = "device_add",
	.args = &add_args_type,
	.run = add,
	.hmp_name = "device_add",
	.hmp_params = "driver[,prop=value][,...]",
	.hmp_help = "add device, like -device on the command line",
	.hmp_args = HMP_OPTIONS,
	.hmp_key = "driver",
	.hmp_complete = COMPLETE_DRIVER,
};

const struct command cmd_device_del = {
	.name = "device_del",
	.args = &schema_id_arg,
	.run = del,
	.hmp_name = "device_del",
	.hmp_params = "device",
	.hmp_help = "remove device",
	.hmp_args = HMP_WORD,
	.hmp_key = "id",
	.hmp_complete = COMPLETE_DEVICE,
};
