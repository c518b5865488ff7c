// SPDX-License-Identifier: Apache-2.0
// set_link: whether a network card has a link.
#include "command.h"

#include "json_get.h"
#include "machine.h"
#include "schema_make.h"

static OBJECT(args_type, "set_link-arg", MEMBER("name", schema_str), MEMBER("up", schema_bool));

static int run(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	(void)ret;
	return machine_set_link(ctx->machine, get_str(args, "name"), get_bool(args, "up"), err);
}

const struct command cmd_set_link = {
	.name = "set_link",
	.args = &args_type,
	.run = run,
	.hmp_name = "set_link",
	.hmp_params = "name on|off",
	.hmp_help = "change the link status of a network adapter",
	.hmp_args = HMP_SWITCH,
	.hmp_key = "name",
	.hmp_switch = "up",
	.hmp_complete = COMPLETE_DEVICE,
};
