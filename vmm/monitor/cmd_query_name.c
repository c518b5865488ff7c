// SPDX-License-Identifier: Apache-2.0
// query-name: the name that -name gives.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "schema_make.h"

static OBJECT(name_type, "NameInfo", OPTIONAL("name", schema_str));

static struct json_object *query(const struct machine *m)
{
	struct json_object *info = json_object_new_object();

	if (m->opts->name)
		put_str(info, "name", m->opts->name);
	return info;
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	if (get(ret, "name"))
		hmp_printf(out, "%s\n", get_str(ret, "name"));
}

const struct command cmd_query_name = {
	.name = "query-name",
	.ret = &name_type,
	.query = query,
	.hmp_name = "info name",
	.hmp_help = "show the current VM name",
	.hmp_print = print,
};
