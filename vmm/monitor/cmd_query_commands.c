// SPDX-License-Identifier: Apache-2.0
// query-commands: the names of all commands.
#include "command.h"

#include "json_make.h"
#include "schema_make.h"

static OBJECT(info_type, "CommandInfo", MEMBER("name", schema_str));
static ARRAY(infos_type, info_type);

static struct json_object *query(const struct machine *m)
{
	struct json_object *list = json_object_new_array();

	(void)m;
	for (unsigned i = 0; i < command_count; i++) {
		struct json_object *info = json_object_new_object();

		put_str(info, "name", command_table[i]->name);
		add_to(list, info);
	}
	return list;
}

const struct command cmd_query_commands = { .name = "query-commands", .ret = &infos_type, .query = query };
