// SPDX-License-Identifier: Apache-2.0
// object_add, object_del, device_add, device_del.
#include "commands.h"

#include "error.h"
#include "machine.h"

#include <errno.h>

int cmd_object_add(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
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

int cmd_object_del(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                   struct vpmem_error *err)
{
	(void)ret;
	return machine_object_del(ctx->machine, arg_str(args, "id"), err);
}

int cmd_device_add(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                   struct vpmem_error *err)
{
	struct pmem_config cfg;
	int rc = config_pmem(args, ctx->text ? PROPS_TEXT : PROPS_SCALAR, &cfg, err);

	(void)ret;
	if (rc < 0)
		return rc;
	rc = machine_device_add(ctx->machine, &cfg, err);
	pmem_config_free(&cfg);
	return rc;
}

int cmd_pmem_clear_error(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                         struct vpmem_error *err)
{
	(void)ret;
	return machine_clear_error(ctx->machine, arg_str(args, "id"), err);
}

int cmd_device_del(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                   struct vpmem_error *err)
{
	(void)ret;
	return machine_device_del(ctx->machine, arg_str(args, "id"), err);
}
