// SPDX-License-Identifier: Apache-2.0
// query-status: whether the guest runs.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "schema_make.h"

#include <string.h>

static ENUM_OF(state_type, "RunState", run_state_names);
static OBJECT(status_type, "StatusInfo", MEMBER("running", schema_bool), MEMBER("status", state_type));

static struct json_object *query(const struct machine *m)
{
	struct json_object *status = json_object_new_object();

	put_str(status, "status", run_state_name(m->run_state));
	put_bool(status, "running", m->run_state == RUN_STATE_RUNNING);
	return status;
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	const char *status = get_str(ret, "status");
	bool running = get_bool(ret, "running");

	hmp_printf(out, "VM status: %s", running ? "running" : "paused");
	if (!running && strcmp(status, "paused") != 0)
		hmp_printf(out, " (%s)", status);
	hmp_printf(out, "\n");
}

const struct command cmd_query_status = {
	.name = "query-status",
	.ret = &status_type,
	.query = query,
	.hmp_name = "info status",
	.hmp_help = "show the current VM status (running|paused)",
	.hmp_print = print,
};
