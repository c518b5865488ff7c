// SPDX-License-Identifier: Apache-2.0
// human-monitor-command: a line of HMP from a QMP client; its output is the result.
#include "command.h"

#include "error.h"
#include "hmp_out.h"
#include "json_get.h"
#include "machine.h"
#include "schema_make.h"

#include <errno.h>

static OBJECT(args_type, "human-monitor-command-arg", MEMBER("command-line", schema_str),
              OPTIONAL("cpu-index", schema_int));

static int run(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	struct json_object *cpu, *text;
	struct hmp_out out = { 0 };
	const char *str;

	// No command here acts on one processor; that the processor exists is still checked.
	if (json_object_object_get_ex(args, "cpu-index", &cpu) &&
	    (json_object_get_int64(cpu) < 0 || json_object_get_int64(cpu) >= ctx->machine->vcpus.n))
		return error_set(err, -EINVAL, "Parameter 'cpu-index' expects a CPU number");
	hmp_run_line(ctx->monitor, get_str(args, "command-line"), &out);
	str = text_str(&out.text);
	text = str ? json_object_new_string_len(str, (int)out.text.len) : NULL;
	text_free(&out.text);
	return command_return(text, ret, err);
}

const struct command cmd_human_monitor_command = {
	.name = "human-monitor-command",
	.args = &args_type,
	.ret = &schema_str,
	.run = run,
};
