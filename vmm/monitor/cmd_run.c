// SPDX-License-Identifier: Apache-2.0
// Commands that start, stop and end the guest. The answer is sent before the program ends.
#include "commands.h"

#include "machine.h"

int cmd_stop(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
             struct vpmem_error *err)
{
	(void)args, (void)ret, (void)err;
	machine_stop(ctx->machine);
	return 0;
}

int cmd_cont(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
             struct vpmem_error *err)
{
	(void)args, (void)ret;
	return machine_cont(ctx->machine, err);
}

// HMP's quit and system_reset have the same causes in QEMU: they call the QMP commands.
int cmd_quit(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
             struct vpmem_error *err)
{
	(void)args, (void)ret, (void)err;
	machine_request(ctx->machine, REQUEST_QUIT, CAUSE_HOST_QMP_QUIT);
	return 0;
}

int cmd_system_reset(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                     struct vpmem_error *err)
{
	(void)args, (void)ret, (void)err;
	machine_request(ctx->machine, REQUEST_RESET, CAUSE_HOST_QMP_SYSTEM_RESET);
	return 0;
}

int cmd_system_powerdown(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                         struct vpmem_error *err)
{
	(void)args, (void)ret, (void)err;
	machine_powerdown(ctx->machine);
	return 0;
}
