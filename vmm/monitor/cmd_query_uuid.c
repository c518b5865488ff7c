// SPDX-License-Identifier: Apache-2.0
// query-uuid: the UUID that -uuid gives; without that option, as in QEMU, zeros.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "schema_make.h"

static OBJECT(uuid_type, "UuidInfo", MEMBER("UUID", schema_str));

static struct json_object *query(const struct machine *m)
{
	struct json_object *info = json_object_new_object();

	put_str(info, "UUID", m->opts->uuid ? m->opts->uuid : "00000000-0000-0000-0000-000000000000");
	return info;
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	hmp_printf(out, "%s\n", get_str(ret, "UUID"));
}

const struct command cmd_query_uuid = {
	.name = "query-uuid",
	.ret = &uuid_type,
	.query = query,
	.hmp_name = "info uuid",
	.hmp_help = "show the current VM UUID",
	.hmp_print = print,
};
