// SPDX-License-Identifier: Apache-2.0
// query-vm-generation-id: what the device vmgenid shows to the guest.
#include "command.h"

#include "error.h"
#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "schema_make.h"

#include <errno.h>

static OBJECT(info_type, "GuidInfo", MEMBER("guid", schema_str));

static int query(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                 struct vpmem_error *err)
{
	const char *guid = ctx->machine->vm_generation_id;
	struct json_object *info;

	(void)args;
	if (!*guid)
		return error_set(err, -ENOENT, "VM Generation ID device not found");
	info = json_object_new_object();
	put_str(info, "guid", guid);
	return command_return(info, ret, err);
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	hmp_printf(out, "%s\n", get_str(ret, "guid"));
}

const struct command cmd_query_vm_generation_id = {
	.name = "query-vm-generation-id",
	.ret = &info_type,
	.run = query,
	.hmp_name = "info vm-generation-id",
	.hmp_help = "Show Virtual Machine Generation ID",
	.hmp_print = print,
};
