// SPDX-License-Identifier: Apache-2.0
// Processes by name, their streams, and the event of their end.
#include "agent_process.h"

#include "agent.h"
#include "agent_cgroup.h"
#include "error.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const stream_names[STREAMS_MAX] = { "stdin", "stdout", "stderr" };

bool process_name_wellformed(const char *name)
{
	if (strncmp(name, "exec-", 5) != 0)
		return false;
	name += 5;
	return *name && strlen(name) <= 9 && name[strspn(name, "0123456789")] == '\0';
}

const char *process_init_name(unsigned container, char name[PROCESS_NAME_SIZE])
{
	snprintf(name, PROCESS_NAME_SIZE, container ? "init-%u" : "init", container);
	return name;
}

struct process *process_find(struct agent *agent, const char *name)
{
	for (unsigned i = 0; i < PROCESSES_MAX; i++)
		if (agent->processes[i] && strcmp(agent->processes[i]->name, name) == 0)
			return agent->processes[i];
	return NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_stream(struct stream *stream)
{
	pump_stop(&stream->to_host);
	pump_stop(&stream->to_process);
	close_fd(&stream->host_fd);
	close_fd(&stream->inner_fd);
	close_fd(&stream->child_fd);
}

void process_drop(struct process *process)
{
	struct agent *agent = process->agent;

	for (unsigned i = 0; i < STREAMS_MAX; i++)
		close_stream(&process->streams[i]);
	close_fd(&process->console_fd);
	for (unsigned i = 0; i < PROCESSES_MAX; i++)
		if (agent->processes[i] == process)
			agent->processes[i] = NULL;
	free(process);
}

/* The event, once nothing is left to deliver. Frees the process. */
static void report_end(struct process *process)
{
	struct json_object *event;

	if (!process->has_ended)
		return;
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		if (process->streams[i].host_fd >= 0)
			return;
	event = json_object_new_object();
	json_object_object_add(event, "event", json_object_new_string("exit"));
	json_object_object_add(event, "process", json_object_new_string(process->name));
	json_object_object_add(event, "status", json_object_new_int(process->status));
	json_object_object_add(event, "oom", json_object_new_boolean(cgroup_oom_kills(process->container) > 0));
	agent_send(process->agent, event);
	process_drop(process);
}

static void output_finished(void *owner)
{
	struct stream *stream = owner;

	close_stream(stream);
	report_end(stream->process);
}

/*
 * Nothing comes from the host any more, or the process reads no more. A terminal has no end of file: its host hangs up. One
 * that takes no more input still has output.
 */
static void input_finished(void *owner)
{
	struct stream *stream = owner;

	if (stream->process->is_terminal && !stream->to_process.in_ended)
		return;
	close_stream(stream);
	report_end(stream->process);
}

static struct process *new_process(struct agent *agent, const char *name, unsigned container, bool is_terminal)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->agent = agent;
	process->container = container;
	process->is_terminal = is_terminal;
	process->console_fd = -1;
	snprintf(process->name, sizeof(process->name), "%s", name);
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		struct stream *stream = &process->streams[i];

		*stream = (struct stream) { .process = process, .host_fd = -1, .inner_fd = -1, .child_fd = -1 };
		stream->to_host.owner = stream->to_process.owner = stream;
		stream->to_host.finished = output_finished;
		stream->to_process.finished = input_finished;
	}
	return process;
}

static int connect_stream(struct stream *stream, const char *which, struct vpmem_error *err)
{
	struct json_object *hello, *names;
	int fd, rc = agent_connect(stream->process->agent, &fd, err);

	if (rc)
		return rc;
	stream->host_fd = fd;
	hello = json_object_new_object();
	names = json_object_new_object();
	json_object_object_add(names, "process", json_object_new_string(stream->process->name));
	json_object_object_add(names, "which", json_object_new_string(which));
	json_object_object_add(names, "token", json_object_new_string(stream->process->agent->token));
	json_object_object_add(hello, "stream", names);
	rc = wire_send(stream->host_fd, hello, err);
	json_object_put(hello);
	return rc;
}

static int make_pipe(struct stream *stream, bool is_input, struct vpmem_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, -errno, "a stream has no pipe: %s", strerror(errno));
	stream->inner_fd = ends[is_input];
	stream->child_fd = ends[!is_input];
	if (fcntl(stream->inner_fd, F_SETFL, O_NONBLOCK) < 0)
		return error_set(err, -errno, "a pipe cannot be non-blocking: %s", strerror(errno));
	return 0;
}

static int start_stream(struct stream *stream, bool input, bool output, struct vpmem_error *err)
{
	struct loop *loop = &stream->process->agent->loop;
	int rc = 0;

	if (input)
		rc = pump_start(&stream->to_process, loop, stream->host_fd, stream->inner_fd, err);
	if (rc == 0 && output)
		rc = pump_start(&stream->to_host, loop, stream->inner_fd, stream->host_fd, err);
	return rc;
}

static int open_streams(struct process *process, struct vpmem_error *err)
{
	int rc = 0;

	if (process->is_terminal)
		return connect_stream(&process->streams[0], "terminal", err);
	for (unsigned i = 0; rc == 0 && i < STREAMS_MAX; i++) {
		rc = connect_stream(&process->streams[i], stream_names[i], err);
		if (rc == 0)
			rc = make_pipe(&process->streams[i], i == 0, err);
		if (rc == 0)
			rc = start_stream(&process->streams[i], i == 0, i != 0, err);
	}
	return rc;
}

int process_open(struct agent *agent, const char *name, unsigned container, bool is_terminal, struct process **process,
                 struct vpmem_error *err)
{
	unsigned i = 0;
	int rc;

	*process = NULL;
	if (process_find(agent, name))
		return error_set(err, -EEXIST, "there is a process '%s' already", name);
	while (i < PROCESSES_MAX && agent->processes[i])
		i++;
	if (i == PROCESSES_MAX)
		return error_set(err, -EBUSY, "there are %d processes already: wait until one ends", PROCESSES_MAX);
	*process = new_process(agent, name, container, is_terminal);
	if (!*process)
		return error_set(err, -ENOMEM, "no memory for the process '%s'", name);
	agent->processes[i] = *process;
	rc = open_streams(*process, err);
	if (rc) {
		process_drop(*process);
		*process = NULL;
	}
	return rc;
}

bool process_child_fds(const struct process *process, int fds[3])
{
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		fds[i] = process->streams[i].child_fd;
	return !process->is_terminal;
}

int process_run(struct process *process, pid_t pid, int terminal_fd, struct vpmem_error *err)
{
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		close_fd(&process->streams[i].child_fd);
	close_fd(&process->console_fd);
	process->pid = pid;
	if (process->is_terminal) {
		struct stream *stream = &process->streams[0];
		int rc;

		stream->inner_fd = terminal_fd;
		if (fcntl(terminal_fd, F_SETFL, O_NONBLOCK) < 0)
			return error_set(err, -errno, "the terminal cannot be non-blocking: %s", strerror(errno));
		rc = start_stream(stream, true, true, err);
		if (rc)
			return rc;
	}
	return 0;
}

void process_catch_up(struct process *process)
{
	int wait_status;

	if (crun_has_ended(&process->agent->crun, process->pid, &wait_status))
		process_ended(process->agent, process->pid, wait_status);
}

/*
 * What is in a pipe was written before the process ended, and others may hold the pipe for ever. The kernel hangs up a
 * terminal that was the process's, so that it comes to its end.
 */
static void end_streams(struct process *process)
{
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		struct stream *stream = &process->streams[i];

		if (process->is_terminal)
			continue;
		if (i == 0)
			close_stream(stream);
		else
			pump_end_when_empty(&stream->to_host);
	}
}

bool process_ended(void *owner, pid_t pid, int wait_status)
{
	struct agent *agent = owner;
	struct process *process = NULL;

	for (unsigned i = 0; !process && i < PROCESSES_MAX; i++)
		if (agent->processes[i] && agent->processes[i]->pid == pid)
			process = agent->processes[i];
	if (!process)
		return false;
	process->pid = -1;
	process->status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
	end_streams(process);
	process->has_ended = true;
	report_end(process);
	return true;
}

int process_resize(struct process *process, unsigned short rows, unsigned short columns, struct vpmem_error *err)
{
	const struct winsize size = { .ws_row = rows, .ws_col = columns };

	if (!process->is_terminal)
		return error_set(err, -ENOTTY, "the process '%s' has no terminal", process->name);
	if (ioctl(process->streams[0].inner_fd, TIOCSWINSZ, &size) < 0)
		return error_set(err, -errno, "the terminal cannot be resized: %s", strerror(errno));
	return 0;
}
