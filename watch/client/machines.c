// SPDX-License-Identifier: Apache-2.0
// The machines that are watched, and how all are sampled at the same time.
#include "machines.h"

#include "error.h"
#include "json_at.h"
#include "machines_find.h"
#include "monotonic.h"
#include "qmp_session.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_PAUSE_MS 20 /* until a monitor whose queue of connections is full is tried again */

#define EXITS_OF_VCPUS                                                                                         \
	"{\"target\": \"vcpu\", \"providers\": [{\"provider\": \"kvm\", \"names\": [\"exits\", \"io_exits\", " \
	"\"mmio_exits\", \"halt_exits\", \"irq_exits\", \"irq_window_exits\", \"nmi_window_exits\", "          \
	"\"signal_exits\", \"request_irq_exits\"]}]}"

static const struct qmp_command commands[NQUERIES] = {
	[QUERY_STATUS] = { "query-status", NULL },
	[QUERY_VERSION] = { "query-version", NULL },
	[QUERY_NAME] = { "query-name", NULL },
	[QUERY_UUID] = { "query-uuid", NULL },
	[QUERY_CPUS] = { "query-cpus-fast", NULL },
	[QUERY_EXITS] = { "query-stats", EXITS_OF_VCPUS },
	[QUERY_MEMORY] = { "query-memory-size-summary", NULL },
	[QUERY_BALLOON] = { "query-balloon", NULL },
	[QUERY_PMEM] = { "query-pmem", NULL },
	[QUERY_NET] = { "query-net-clients", NULL },
	[QUERY_VHOST_USER] = { "query-vhost-user", NULL },
	[QUERY_SANDBOX] = { "query-sandbox", NULL },
};
static_assert(NQUERIES <= QMP_COMMANDS_MAX, "a session takes all queries");

static void sample_free(struct sample *sample)
{
	for (unsigned i = 0; i < NQUERIES; i++)
		json_object_put(sample->answers[i]);
	*sample = (struct sample) { 0 };
}

static void machine_free(struct machine *m)
{
	sample_free(&m->now);
	sample_free(&m->before);
	free(m->path);
	free(m);
}

// ---- the list

static int add(struct machines *machines, const char *name, const char *path, bool is_given, struct vpmem_error *err)
{
	struct machine *m = NULL, **list;
	unsigned at = 0;

	for (; at < machines->n && strcmp(machines->list[at]->name, name) <= 0; at++)
		if (strcmp(machines->list[at]->name, name) == 0)
			return error_set(err, -EEXIST, "machine '%s' is given twice", name);
	if (machines->n == MACHINES_MAX)
		return error_set(err, -ENOSPC, "more than %u machines", MACHINES_MAX);
	list = realloc(machines->list, (machines->n + 1) * sizeof(struct machine *));
	if (list) {
		machines->list = list;
		m = calloc(1, sizeof(*m));
	}
	if (m)
		m->path = strdup(path);
	if (!m || !m->path) {
		free(m);
		return error_set(err, -ENOMEM, "out of memory");
	}
	snprintf(m->name, sizeof(m->name), "%s", name);
	m->is_given = is_given;
	m->is_found = true;
	memmove(list + at + 1, list + at, (machines->n - at) * sizeof(struct machine *));
	list[at] = m;
	machines->n++;
	return 0;
}

bool machine_name_wellformed(const char *name)
{
	for (const char *at = name; *at; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return *name != '\0';
}

int machines_add(struct machines *machines, const char *name_and_path, struct vpmem_error *err)
{
	const char *path = strchr(name_and_path, '=');
	char name[MACHINE_NAME_SIZE];

	if (!path || path == name_and_path || !path[1]) {
		error_set(err, -EINVAL, "'%s' is not NAME=PATH", name_and_path);
		error_hint(err, "for example --machine web=/run/pmvm/web.qmp");
		return -EINVAL;
	}
	if ((size_t)(path - name_and_path) >= sizeof(name))
		return error_set(err, -EINVAL, "a name of a machine has at most %zu bytes", sizeof(name) - 1);
	snprintf(name, sizeof(name), "%.*s", (int)(path - name_and_path), name_and_path);
	if (!machine_name_wellformed(name))
		return error_set(err, -EINVAL, "a name of a machine is printable ASCII without spaces");
	return add(machines, name, path + 1, true, err);
}

/* One of that name which is already there, given or found, stays what it is. */
static void found(void *owner, const char *name, const char *path)
{
	struct machines *machines = owner;
	struct machine *m = NULL;

	for (unsigned i = 0; i < machines->n; i++)
		if (strcmp(machines->list[i]->name, name) == 0)
			m = machines->list[i];
	if (m && strcmp(m->path, path) == 0)
		m->is_found = true;
	else if (!m)
		(void)add(machines, name, path, false, NULL);
}

static void read_directory(struct machines *machines)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < machines->n; i++)
		machines->list[i]->is_found = machines->list[i]->is_given;
	machines->directory_error[0] = '\0';
	if (machines->directory && machines_find(machines->directory, found, machines) < 0)
		snprintf(machines->directory_error, sizeof(machines->directory_error), "%.64s: %s", machines->directory,
		         strerror(errno));
	for (unsigned i = 0; i < machines->n; i++) {
		if (machines->list[i]->is_found)
			machines->list[kept++] = machines->list[i];
		else
			machine_free(machines->list[i]);
	}
	machines->n = kept;
}

void machines_free(struct machines *machines)
{
	for (unsigned i = 0; i < machines->n; i++)
		machine_free(machines->list[i]);
	free(machines->list);
	machines->list = NULL;
	machines->n = 0;
}

// ---- a sample

static void take(struct machine *m, struct qmp_session *s, uint64_t started_ns)
{
	struct sample *now = &m->now;

	now->at_ns = monotonic_ns();
	now->took_s = (double)(now->at_ns - started_ns) / 1e9;
	if (s->state == QMP_DONE && !json_at_str(s->answers[QUERY_STATUS], "status"))
		snprintf(s->error, sizeof(s->error), "query-status has no status");
	now->is_up = s->state == QMP_DONE && !s->error[0];
	memcpy(now->error, s->error, sizeof(now->error));
	for (unsigned i = 0; i < NQUERIES && now->is_up; i++) {
		now->answers[i] = s->answers[i];
		s->answers[i] = NULL;
	}
	if (now->is_up)
		process_stats_read(&now->process, s->peer_pid, now->answers[QUERY_CPUS]);
}

/* Waits until one of the sessions can go on, for timeout_ms at most. */
static void wait_for_some(struct qmp_session *sessions, struct pollfd *polls, unsigned n, int timeout_ms)
{
	for (unsigned i = 0; i < n; i++) {
		const struct qmp_session *s = &sessions[i];

		polls[i] = (struct pollfd) { .fd = s->state == QMP_CONNECTS ? -1 : s->fd,
			                     .events = (short)(POLLIN | (s->writes ? POLLOUT : 0)) };
		if (s->state == QMP_CONNECTS && timeout_ms > CONNECT_PAUSE_MS)
			timeout_ms = CONNECT_PAUSE_MS;
	}
	(void)poll(polls, n, timeout_ms);
}

static void run(struct machines *machines, struct qmp_session *sessions, struct pollfd *polls)
{
	uint64_t started_ns = monotonic_ns(), deadline_ms = monotonic_ms() + machines->timeout_ms;
	unsigned left = machines->n;

	for (unsigned i = 0; i < machines->n; i++) {
		qmp_session_start(&sessions[i], machines->list[i]->path, commands, NQUERIES);
		polls[i].revents = 0;
	}
	while (left > 0) {
		uint64_t now_ms = monotonic_ms();

		left = 0;
		for (unsigned i = 0; i < machines->n; i++) {
			struct machine *m = machines->list[i];
			struct qmp_session *s = &sessions[i];

			if (now_ms >= deadline_ms)
				qmp_session_fail(s, "no answer in %u ms", machines->timeout_ms);
			else if (polls[i].revents || s->state == QMP_CONNECTS)
				qmp_session_serve(s);
			if (!qmp_session_is_over(s))
				left++;
			else if (m->now.at_ns == 0)
				take(m, s, started_ns);
		}
		if (left > 0)
			wait_for_some(sessions, polls, machines->n,
			              (int)(deadline_ms > now_ms ? deadline_ms - now_ms : 0));
	}
	for (unsigned i = 0; i < machines->n; i++)
		qmp_session_end(&sessions[i]);
}

void machines_sample(struct machines *machines)
{
	struct qmp_session *sessions;
	struct pollfd *polls;

	read_directory(machines);
	sessions = calloc(machines->n + 1, sizeof(*sessions));
	polls = calloc(machines->n + 1, sizeof(*polls));
	for (unsigned i = 0; i < machines->n; i++) {
		struct machine *m = machines->list[i];

		sample_free(&m->before);
		m->before = m->now;
		m->now = (struct sample) { .error = "out of memory" };
	}
	if (sessions && polls)
		run(machines, sessions, polls);
	free(sessions);
	free(polls);
}
