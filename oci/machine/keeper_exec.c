// SPDX-License-Identifier: Apache-2.0
// Processes of exec: each belongs to a session, which has its streams.
#include "keeper_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNAL_MS 10000u
#define PREFIX "exec-"

static struct keeper_exec *find(const struct keeper *k, const char *process)
{
	char name[32];

	for (struct keeper_exec *exec = k->execs; exec; exec = exec->next) {
		snprintf(name, sizeof(name), PREFIX "%" PRIu64, exec->idx);
		if (strcmp(name, process) == 0)
			return exec;
	}
	return NULL;
}

static void drop(struct keeper *k, struct keeper_exec *exec)
{
	struct keeper_exec **place = &k->execs;
	struct control_client *session = control_client_of(exec->session);

	while (*place != exec)
		place = &(*place)->next;
	*place = exec->next;
	if (session)
		session->exec_idx = 0;
	free(exec);
}

// ---- the start

struct start {
	struct keeper *k;
	uint64_t idx;
	struct control_ticket session;
};

static void kill_process(struct keeper *k, const char *process);

static void on_answer(void *owner, struct json_object *ok, const char *error)
{
	struct start *start = owner;
	char process[32];
	struct keeper_exec *exec;

	snprintf(process, sizeof(process), PREFIX "%" PRIu64, start->idx);
	exec = find(start->k, process);
	if (error && exec)
		drop(start->k, exec);
	if (error)
		control_refuse(start->session, error);
	else if (control_client_of(start->session))
		control_answer(start->session, json_object_get(ok));
	else if (exec)
		// Its session has gone meanwhile.
		kill_process(start->k, process);
	free(start);
}

void keeper_exec_begin(struct keeper *k, struct control_client *client, struct json_object *request, unsigned number)
{
	struct json_object *arguments = json_object_new_object(), *cgroup = json_object_object_get(request, "cgroup");
	struct keeper_exec *exec = calloc(1, sizeof(*exec));
	struct start *start = calloc(1, sizeof(*start));
	char process[32];

	if (!arguments || !exec || !start || client->exec_idx > 0) {
		control_refuse(control_ticket(client), client->exec_idx > 0 ? "exec: twice" : "out of memory");
		json_object_put(arguments);
		free(exec);
		free(start);
		return;
	}
	*exec = (struct keeper_exec) { .idx = ++k->last_exec, .session = control_ticket(client), .next = k->execs };
	*start = (struct start) { .k = k, .idx = exec->idx, .session = exec->session };
	k->execs = exec;
	client->exec_idx = exec->idx;
	snprintf(process, sizeof(process), PREFIX "%" PRIu64, exec->idx);
	json_object_object_add(arguments, "process", json_object_new_string(process));
	if (number > 0)
		json_object_object_add(arguments, "container", json_object_new_int64(number));
	json_object_object_add(arguments, "spec", json_object_get(json_object_object_get(request, "process")));
	if (cgroup)
		json_object_object_add(arguments, "cgroup", json_object_get(cgroup));
	link_ask(&k->link, "exec", arguments, keeper_create_ms(k), on_answer, start);
}

// ---- while it runs

int keeper_tell_stream(struct control_client *session, const char *which, int fd)
{
	struct json_object *message = json_object_new_object();
	int rc;

	json_object_object_add(message, "stream", json_object_new_string(which));
	rc = control_tell(session, message, fd);
	if (rc == 0)
		close(fd);
	return rc;
}

int keeper_exec_stream(struct keeper *k, const char *process, const char *which, int fd)
{
	struct keeper_exec *exec = find(k, process);
	struct control_client *session = exec ? control_client_of(exec->session) : NULL;

	return session ? keeper_tell_stream(session, which, fd) : -ENOENT;
}

static void on_killed(void *owner, struct json_object *ok, const char *error)
{
	(void)owner;
	(void)ok;
	(void)error;
}

static void kill_process(struct keeper *k, const char *process)
{
	struct json_object *arguments = json_object_new_object();

	json_object_object_add(arguments, "process", json_object_new_string(process));
	json_object_object_add(arguments, "signal", json_object_new_int(SIGKILL));
	link_ask(&k->link, "signal", arguments, SIGNAL_MS, on_killed, NULL);
}

void keeper_exec_gone(struct keeper *k, struct control_client *client)
{
	char process[32];
	struct keeper_exec *exec;

	snprintf(process, sizeof(process), PREFIX "%" PRIu64, client->exec_idx);
	exec = client->exec_idx > 0 ? find(k, process) : NULL;
	if (exec && exec->has_exited)
		drop(k, exec);
	else if (exec && k->phase < KEEPER_ENDING)
		kill_process(k, process);
}

// ---- the end

void keeper_exec_exited(struct keeper *k, const char *process, int status)
{
	struct keeper_exec *exec = find(k, process);
	struct control_client *session = exec ? control_client_of(exec->session) : NULL;
	struct json_object *message;

	if (!exec || exec->has_exited)
		return;
	exec->has_exited = true;
	if (!session) {
		drop(k, exec);
		return;
	}
	message = json_object_new_object();
	json_object_object_add(message, "event", json_object_new_string("exit"));
	json_object_object_add(message, "status", json_object_new_int(status));
	(void)control_tell(session, message, -1);
}

void keeper_exec_free(struct keeper *k)
{
	while (k->execs)
		drop(k, k->execs);
}
