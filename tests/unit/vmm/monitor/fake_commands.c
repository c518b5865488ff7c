// SPDX-License-Identifier: Apache-2.0
// A table of commands for the tests of HMP: each keeps its arguments.
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern char fake_args[4096];
char fake_args[4096];

static int run(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	(void)err;
	snprintf(fake_args, sizeof(fake_args), "%s%s", ctx->text ? "" : "typed ",
	         json_object_to_json_string_ext(args, JSON_C_TO_STRING_PLAIN));
	*ret = json_object_new_object();
	json_object_object_add(*ret, "running", json_object_new_boolean(true));
	return 0;
}

static int run_error(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                     struct vpmem_error *err)
{
	(void)ctx;
	(void)args;
	(void)ret;
	snprintf(err->text, sizeof(err->text), "Device 'x' not found");
	snprintf(err->hint, sizeof(err->hint), "did you mean y?");
	return -ENODEV;
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	hmp_printf(out, "VM status: %s\n", json_object_object_length(ret) == 1 ? "running" : "?");
}

static const struct command fake_device_add = {
	.name = "device_add",
	.run = run,
	.hmp_name = "device_add",
	.hmp_params = "driver[,prop=value][,...]",
	.hmp_help = "add device, like -device on the command line",
	.hmp_args = HMP_OPTIONS,
	.hmp_key = "driver",
	.hmp_complete = COMPLETE_DRIVER,
};
static const struct command fake_device_del = {
	.name = "device_del",
	.run = run,
	.hmp_name = "device_del",
	.hmp_params = "device",
	.hmp_help = "remove device",
	.hmp_args = HMP_WORD,
	.hmp_key = "id",
	.hmp_complete = COMPLETE_DEVICE,
};
static const struct command fake_object_add = {
	.name = "object-add",
	.run = run,
	.hmp_name = "object_add",
	.hmp_params = "[qom-type=]type,id=str[,prop=value][,...]",
	.hmp_help = "create QOM object",
	.hmp_args = HMP_OPTIONS,
	.hmp_key = "qom-type",
	.hmp_complete = COMPLETE_OBJECT_TYPE,
};
static const struct command fake_object_del = {
	.name = "object-del",
	.run = run_error,
	.hmp_name = "object_del",
	.hmp_params = "id",
	.hmp_help = "destroy QOM object",
	.hmp_args = HMP_WORD,
	.hmp_key = "id",
	.hmp_complete = COMPLETE_OBJECT,
};
static const struct command fake_cont = {
	.name = "cont",
	.run = run,
	.hmp_name = "cont",
	.hmp_alias = "c",
	.hmp_params = "",
	.hmp_help = "resume emulation",
};
static const struct command fake_query_status = {
	.name = "query-status",
	.run = run,
	.hmp_name = "info status",
	.hmp_params = "",
	.hmp_help = "show the current VM status",
	.hmp_print = print,
};
static const struct command fake_query_block = {
	.name = "query-block",
	.run = run,
	.hmp_name = "info one",
	.hmp_params = "[name]",
	.hmp_help = "show one",
	.hmp_args = HMP_OPTIONAL,
	.hmp_key = "name",
};
static const struct command fake_query_commands = {
	.name = "query-commands",
	.run = run,
};

const struct command *const command_table[] = {
	&fake_device_add, &fake_device_del,   &fake_object_add,  &fake_object_del,
	&fake_cont,       &fake_query_status, &fake_query_block, &fake_query_commands,
};
const unsigned command_count = sizeof(command_table) / sizeof(command_table[0]);

int command_run(const struct command *cmd, const struct command_context *ctx, struct json_object *args,
                struct json_object **ret, struct vpmem_error *err)
{
	return cmd->run(ctx, args, ret, err);
}
