// SPDX-License-Identifier: Apache-2.0
// exec: one more process in a running container.
#include "bundle.h"
#include "container.h"
#include "error.h"
#include "exec_process.h"
#include "foreground.h"
#include "keeper.h"
#include "launch.h"
#include "pid_file.h"
#include "session.h"
#include "verb.h"
#include "verb_options.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <sys/wait.h>

struct exec {
	struct exec_arguments args;
	const char *console_socket, *pid_file, *cgroup;
	bool is_detached, ignores_paused;
	struct state state;
	struct json_object *process;
};

static int parse(struct exec *exec, int argc, char **argv, struct vpmem_error *err)
{
	const char *preserve_fds = NULL, *ignored = NULL;
	bool is_ignored = false;
	const struct argument table[] = {
		ARGUMENT("process", 'p', TEXT, &exec->args.file, "a file with the process as config.json has it"),
		ARGUMENT("detach", 'd', FLAG, &exec->is_detached, "do not wait for its end"),
		ARGUMENT("pid-file", 0, TEXT, &exec->pid_file, "where to write the pid of the session"),
		ARGUMENT("console-socket", 0, TEXT, &exec->console_socket, "where to send the terminal"),
		ARGUMENT("tty", 't', FLAG, &exec->args.has_terminal, "with a terminal"),
		ARGUMENT("cwd", 0, TEXT, &exec->args.cwd, "its working directory"),
		ARGUMENT("env", 'e', LIST, &exec->args.env, "NAME=VALUE"),
		ARGUMENT("user", 'u', TEXT, &exec->args.user, "UID[:GID]"),
		ARGUMENT("additional-gids", 'g', LIST, &exec->args.gids, "further groups"),
		ARGUMENT("cap", 'c', LIST, &exec->args.caps, "further capabilities"),
		ARGUMENT("no-new-privs", 0, FLAG, &exec->args.has_no_new_privs, "it can gain no privileges"),
		ARGUMENT("ignore-paused", 0, FLAG, &exec->ignores_paused, NULL),
		ARGUMENT("preserve-fds", 0, TEXT, &preserve_fds, "only 0 is supported"),
		ARGUMENT("process-label", 0, TEXT, &ignored, NULL),
		ARGUMENT("apparmor", 0, TEXT, &ignored, NULL),
		ARGUMENT("cgroup", 0, TEXT, &exec->cgroup, "its control group, below that of the container"),
		ARGUMENT("no-subreaper", 0, FLAG, &is_ignored, NULL),
	};
	const struct verb_operands operands = {
		.table = table, .n = sizeof(table) / sizeof(table[0]), .min = 1, .max = 4096, .stop_early = true
	};
	int first = verb_parse(&verb_exec, argc, argv, &operands, err);

	if (first < 0)
		return first;
	exec->args.command = argv + first + 1;
	return preserve_fds_check(preserve_fds, err) < 0 ? -ENOTSUP : first;
}

static int check_status(const struct state *state, struct vpmem_error *err)
{
	enum status status = state_status(state);

	if (status == STATUS_RUNNING || status == STATUS_CREATED)
		return 0;
	return error_set(err, -EINVAL, "cannot exec in container '%s': it is %s", state->id, status_names[status]);
}

static int run_session(void *owner, int ready_fd)
{
	const struct exec *exec = owner;
	char dir[STATE_DIR_SIZE];
	const struct session_plan plan = {
		.state_dir = dir,
		.container = exec->state.sandbox ? exec->state.id : NULL,
		.process = exec->process,
		.cgroup = exec->cgroup,
		.terminal = exec->args.has_terminal,
		.console_socket = exec->console_socket,
	};

	state_control_dir(&exec->state, dir);
	return session_run(&plan, ready_fd);
}

// The session passes it on.
static void pass(void *owner, int signal)
{
	kill(*(pid_t *)owner, signal);
}

// Of our terminal, if the file of the process has none.
static void set_size(struct json_object *process)
{
	unsigned rows, columns;
	struct json_object *size;

	if (json_object_object_get(process, "consoleSize") || !foreground_size(&rows, &columns))
		return;
	size = json_object_new_object();
	json_object_object_add(size, "height", json_object_new_int64(rows));
	json_object_object_add(size, "width", json_object_new_int64(columns));
	json_object_object_add(process, "consoleSize", size);
}

// Nobody would know of it. The process in the guest ends with it.
static void end_session(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int run_process(struct command *cmd, struct exec *exec, struct vpmem_error *err)
{
	struct foreground fg = { .listen_fd = -1, .master_fd = -1, .signal_fd = -1 };
	const struct launch_options opts = {
		.cgroup = exec->state.cgroup, .lock_fd = -1, .run = run_session, .owner = exec
	};
	int rc = 0, ready_fd;
	pid_t pid = 0;

	if (!exec->is_detached)
		rc = foreground_open(&fg, exec->args.has_terminal && !exec->console_socket, err);
	if (rc == 0 && fg.socket_path[0]) {
		exec->console_socket = fg.socket_path;
		set_size(exec->process);
	}
	if (rc == 0)
		rc = launch(&opts, &pid, &ready_fd, err);
	if (rc == 0)
		rc = launch_wait(ready_fd, "exec", (unsigned)cmd->settings.create_timeout_s, err);
	if (rc == 0)
		rc = pid_file_write(exec->pid_file, pid, err);
	if (rc < 0 && pid > 0)
		end_session(pid);
	if (rc == 0 && !exec->is_detached)
		rc = foreground_wait(&fg, pid, pass, &pid);
	foreground_close(&fg);
	return rc;
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	struct exec exec = { 0 };
	int rc = parse(&exec, argc, argv, err);

	if (rc < 0)
		return rc;
	rc = state_load(cmd->root, argv[rc], &exec.state, err);
	if (rc == 0)
		rc = command_settings(cmd, err);
	if (rc == 0)
		rc = check_status(&exec.state, err);
	if (rc == 0)
		rc = exec_process_make(&exec.args, exec.state.dir, &exec.process, err);
	if (rc == 0)
		rc = run_process(cmd, &exec, err);
	json_object_put(exec.process);
	state_fini(&exec.state);
	return rc;
}

const struct verb verb_exec = {
	.name = "exec",
	.operands = "ID [COMMAND [ARGUMENT...]]",
	.summary = "run one more process in a container",
	.failure = KEEPER_FAILED,
	.run = run,
};
