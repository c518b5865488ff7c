// SPDX-License-Identifier: Apache-2.0
// stop, cont, quit, system_reset, system_powerdown. The reply is sent before the program ends.
#include "command.h"

#include "machine.h"

static int stop(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                struct vpmem_error *err)
{
	(void)args, (void)ret, (void)err;
	machine_stop(ctx->machine);
	return 0;
}

static int cont(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                struct vpmem_error *err)
{
	(void)args, (void)ret;
	return machine_cont(ctx->machine, err);
}

// HMP's quit and system_reset have the same causes in QEMU: they call the QMP commands.
static int quit(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                struct vpmem_error *err)
{
	(void)args, (void)ret, (void)err;
	machine_request(ctx->machine, REQUEST_QUIT, CAUSE_HOST_QMP_QUIT);
	return 0;
}

static int system_reset(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                        struct vpmem_error *err)
{
	(void)args, (void)ret, (void)err;
	machine_request(ctx->machine, REQUEST_RESET, CAUSE_HOST_QMP_SYSTEM_RESET);
	return 0;
}

static int system_powerdown(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                            struct vpmem_error *err)
{
	(void)args, (void)ret, (void)err;
	machine_powerdown(ctx->machine);
	return 0;
}

const struct command cmd_stop = {
	.name = "stop",
	.run = stop,
	.hmp_name = "stop",
	.hmp_alias = "s",
	.hmp_help = "stop emulation",
};

const struct command cmd_cont = {
	.name = "cont",
	.run = cont,
	.hmp_name = "cont",
	.hmp_alias = "c",
	.hmp_help = "resume emulation",
};

const struct command cmd_quit = {
	.name = "quit",
	.run = quit,
	.hmp_name = "quit",
	.hmp_alias = "q",
	.hmp_help = "quit the emulator",
};

const struct command cmd_system_reset = {
	.name = "system_reset",
	.run = system_reset,
	.hmp_name = "system_reset",
	.hmp_help = "reset the system",
};

const struct command cmd_system_powerdown = {
	.name = "system_powerdown",
	.run = system_powerdown,
	.hmp_name = "system_powerdown",
	.hmp_help = "send system power down event",
};
