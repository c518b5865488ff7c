// SPDX-License-Identifier: Apache-2.0
// pmem_clear_error: after a sync failed, every flush of the device fails; from now on they are tried again.
#include "command.h"

#include "json_get.h"
#include "machine.h"
#include "schema.h"

static int run(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	(void)ret;
	return machine_clear_error(ctx->machine, get_str(args, "id"), err);
}

const struct command cmd_pmem_clear_error = {
	.name = "pmem_clear_error",
	.args = &schema_id_arg,
	.run = run,
	.hmp_name = "pmem_clear_error",
	.hmp_params = "device",
	.hmp_help = "let the flushes of a device be tried again after a sync failed",
	.hmp_args = HMP_WORD,
	.hmp_key = "id",
	.hmp_complete = COMPLETE_DEVICE,
};
