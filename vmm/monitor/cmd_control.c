// SPDX-License-Identifier: Apache-2.0
// Commands about the monitor: negotiation, a line of HMP, what commands and events there are.
#include "commands.h"

#include "error.h"
#include "event.h"
#include "hmp_out.h"
#include "json_make.h"
#include "machine.h"
#include "schema.h"

#include <errno.h>

int cmd_qmp_capabilities(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                         struct vpmem_error *err)
{
	struct json_object *enable;

	(void)ret;
	if (!ctx->qmp || ctx->qmp->done)
		return error_set(err, -ENOSYS, "Capabilities negotiation is already complete, command ignored");
	// The schema knows one capability, so a list that is not empty enables it.
	if (json_object_object_get_ex(args, "enable", &enable))
		ctx->qmp->oob = json_object_array_length(enable) > 0;
	ctx->qmp->done = true;
	return 0;
}

int cmd_human_monitor_command(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                              struct vpmem_error *err)
{
	struct json_object *cpu, *text;
	struct hmp_out out;

	// No command of ours looks at one processor; that it exists is still checked.
	if (json_object_object_get_ex(args, "cpu-index", &cpu) &&
	    (json_object_get_int64(cpu) < 0 || json_object_get_int64(cpu) >= ctx->machine->vcpus.n))
		return error_set(err, -EINVAL, "Parameter 'cpu-index' expects a CPU number");
	hmp_out_init(&out);
	hmp_run_line(ctx->monitor, arg_str(args, "command-line"), &out);
	text = out.failed ? NULL : json_object_new_string_len(out.text ? out.text : "", (int)out.len);
	hmp_out_free(&out);
	return command_give(text, ret, err);
}

static void add_name(struct json_object *list, const char *name)
{
	struct json_object *info = json_object_new_object();

	put_str(info, "name", name);
	add_to(list, info);
}

int cmd_query_commands(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                       struct vpmem_error *err)
{
	struct json_object *list = json_object_new_array();

	(void)ctx, (void)args;
	for (unsigned i = 0; i < command_count; i++)
		if (command_table[i].name)
			add_name(list, command_table[i].name);
	return command_give(list, ret, err);
}

int cmd_query_events(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                     struct vpmem_error *err)
{
	struct json_object *list = json_object_new_array();

	(void)ctx, (void)args;
	for (unsigned i = 0; i < event_count; i++)
		add_name(list, event_table[i].name);
	return command_give(list, ret, err);
}

int cmd_query_qmp_schema(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                         struct vpmem_error *err)
{
	(void)ctx, (void)args;
	return command_give(schema_info(), ret, err);
}
