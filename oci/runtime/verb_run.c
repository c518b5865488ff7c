// SPDX-License-Identifier: Apache-2.0
// run: create and start, then wait for the end and delete.
#include "bundle.h"
#include "error.h"
#include "foreground.h"
#include "keeper_request.h"
#include "oci_log.h"
#include "verb.h"
#include "verb_options.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <sys/wait.h>

struct run {
	struct command *cmd;
	const char *id;
};

static void pass(void *owner, int signal)
{
	const struct run *run = owner;
	struct json_object *more = json_object_new_object();
	struct vpmem_error err;
	struct state state = { 0 };

	json_object_object_add(more, "signal", json_object_new_int(signal));
	if (state_load(run->cmd->root, run->id, &state, &err) < 0)
		json_object_put(more);
	else if (keeper_request(&state, "kill", more, KEEPER_ANSWER_S, NULL, &err) < 0)
		oci_log_debug("signal %d: %s", signal, err.text);
	state_fini(&state);
}

static int wants_terminal(const struct create_options *opts, bool *wants, struct vpmem_error *err)
{
	struct bundle bundle;
	int rc = bundle_load(opts->bundle, opts->config, &bundle, err);

	*wants = rc == 0 && bundle.terminal;
	bundle_fini(&bundle);
	return rc;
}

// fg: its terminal; NULL: none. The program sees the size of the terminal from its start.
static int create_and_start(struct command *cmd, const struct create_options *opts, struct foreground *fg,
                            pid_t *keeper, struct vpmem_error *err)
{
	struct vpmem_error ignored;
	int rc = container_create(cmd, opts, keeper, err);

	if (rc < 0)
		return rc;
	if (fg)
		foreground_attach(fg);
	rc = container_start(cmd, opts->id, err);
	if (rc < 0 && container_delete(cmd, opts->id, true, &ignored) < 0)
		oci_log_warn("%s", ignored.text);
	return rc;
}

static int run_attached(struct command *cmd, struct create_arguments *args, struct vpmem_error *err)
{
	struct run run = { .cmd = cmd, .id = args->create.id };
	struct foreground fg = { .listen_fd = -1, .master_fd = -1, .signal_fd = -1 };
	bool has_terminal;
	pid_t keeper = 0;
	int rc = wants_terminal(&args->create, &has_terminal, err), status;

	if (rc == 0)
		rc = foreground_open(&fg, has_terminal && !args->create.console_socket, err);
	if (rc == 0 && fg.socket_path[0])
		args->create.console_socket = fg.socket_path;
	if (rc == 0)
		rc = create_and_start(cmd, &args->create, &fg, &keeper, err);
	status = rc == 0 ? foreground_wait(&fg, keeper, pass, &run) : 0;
	foreground_close(&fg);
	if (rc == 0 && !args->keeps)
		rc = container_delete(cmd, run.id, true, err);
	return rc < 0 ? rc : status;
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	struct create_arguments args = { 0 };
	pid_t keeper;
	int rc = create_arguments_parse(&verb_run, argc, argv, &args, err);

	if (rc < 0)
		return rc;
	return args.is_detached ? create_and_start(cmd, &args.create, NULL, &keeper, err) :
	                          run_attached(cmd, &args, err);
}

const struct verb verb_run = {
	.name = "run",
	.operands = "ID",
	.summary = "create and start a container, and wait for its end",
	.run = run,
};
