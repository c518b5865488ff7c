// SPDX-License-Identifier: Apache-2.0
// balloon, query-balloon: how much RAM the guest shall have, and how much it has.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine_balloon.h"
#include "schema_make.h"

#include <inttypes.h>

#define MIB (UINT64_C(1) << 20)

static OBJECT(args_type, "balloon-arg", MEMBER("value", schema_int));
static OBJECT(info_type, "BalloonInfo", MEMBER("actual", schema_int));

static int balloon(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                   struct vpmem_error *err)
{
	(void)ret;
	return machine_balloon(ctx->machine, json_object_get_int64(get(args, "value")), err);
}

static int query(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                 struct vpmem_error *err)
{
	struct json_object *info;
	uint64_t size;
	int rc = machine_balloon_size(ctx->machine, &size, err);

	(void)args;
	if (rc < 0)
		return rc;
	info = json_object_new_object();
	put_uint(info, "actual", size);
	return command_return(info, ret, err);
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	hmp_printf(out, "balloon: actual=%" PRIu64 "\n", get_uint(ret, "actual") / MIB);
}

const struct command cmd_balloon = {
	.name = "balloon",
	.args = &args_type,
	.run = balloon,
	.hmp_name = "balloon",
	.hmp_params = "target",
	.hmp_help = "request VM to change its memory allocation (in MB)",
	.hmp_args = HMP_MIB,
	.hmp_key = "value",
};

const struct command cmd_query_balloon = {
	.name = "query-balloon",
	.ret = &info_type,
	.run = query,
	.hmp_name = "info balloon",
	.hmp_help = "show balloon information",
	.hmp_print = print,
};
