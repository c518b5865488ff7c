// SPDX-License-Identifier: Apache-2.0
// The monitor as a whole: what the options ask for, events to all, and the end.
#include "monitor_internal.h"

#include "command.h"
#include "error.h"
#include "event.h"
#include "log.h"
#include "monotonic.h"
#include "qmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOODBYE_MS 1000u /* for all clients together */
#define GOODBYE_STEP_MS 10u

static const struct front_end *const front_ends[] = {
	[MONITOR_HMP] = &hmp_front_end,
	[MONITOR_QMP] = &qmp_front_end,
	[MONITOR_QMP_PRETTY] = &qmp_pretty_front_end,
};

static void on_reap(void *owner)
{
	struct monitor *mon = owner;
	struct session **link = &mon->sessions;

	while (*link) {
		struct session *s = *link;

		if (!s->over || s->in_callback) {
			link = &s->next;
			continue;
		}
		*link = s->next;
		session_free(s);
	}
}

static int open_stdio(struct monitor *mon, const struct front_end *front_end, const struct chardev_config *cfg,
                      struct vpmem_error *err)
{
	struct chardev *chr = NULL;
	int rc = chardev_open(cfg, mon->loop, NULL, NULL, &chr, err);

	if (rc < 0)
		return rc;
	rc = session_start(mon, front_end, chr, false, NULL);
	return rc ? error_set(err, rc, "cannot set up monitor: %s", strerror(-rc)) : 0;
}

static int on_accepted(void *owner, int fd)
{
	struct monitor_socket *socket = owner;
	struct chardev *chr = NULL;
	int rc = chardev_adopt(fd, "monitor", socket->mon->loop, &chr);

	if (rc < 0)
		return rc;
	socket->awaited = false;
	// The chardev has the descriptor from here on, on failure as well.
	rc = session_start(socket->mon, socket->front_end, chr, false, socket);
	if (rc < 0) {
		log_guest("monitor: cannot serve a client: %s", strerror(-rc));
		listener_peer_left(socket->listener);
	}
	return 0;
}

static int open_socket(struct monitor *mon, const struct front_end *front_end, const struct chardev_config *cfg,
                       struct vpmem_error *err)
{
	struct monitor_socket *socket = calloc(1, sizeof(*socket));
	const struct listener_config listener = {
		.path = cfg->path,
		.module = "monitor",
		.mode = 0700, // a client controls the machine, and can make it open files
		.npeers_max = SOCKET_CLIENTS_MAX,
		.turn_away = true,
		.accepted = on_accepted,
		.owner = socket,
	};
	int rc;

	if (!socket)
		return error_set(err, -ENOMEM, "out of memory");
	*socket = (struct monitor_socket) {
		.mon = mon, .front_end = front_end, .awaited = cfg->wait, .next = mon->sockets
	};
	rc = listener_open(&listener, mon->loop, &socket->listener, err);
	if (rc < 0)
		free(socket);
	else
		mon->sockets = socket;
	return rc;
}

static int open_one(struct monitor *mon, const struct monitor_config *cfg, struct vpmem_error *err)
{
	const struct front_end *front_end = front_ends[cfg->protocol];
	int rc;

	if (cfg->mux) {
		rc = session_start(mon, front_end, mon->machine->console, true, NULL);
		return rc ? error_set(err, rc, "cannot set up monitor: %s", strerror(-rc)) : 0;
	}
	switch (cfg->chardev.kind) {
	case CHARDEV_STDIO:
		return open_stdio(mon, front_end, &cfg->chardev, err);
	case CHARDEV_UNIX:
		return open_socket(mon, front_end, &cfg->chardev, err);
	case CHARDEV_FILE:
	case CHARDEV_NULL:
		break;
	}
	return 0;
}

int monitor_create(struct machine *m, struct monitor **out, struct vpmem_error *err)
{
	struct monitor *mon = calloc(1, sizeof(*mon));
	int rc = 0;

	if (!mon)
		return error_set(err, -ENOMEM, "out of memory");
	*mon = (struct monitor) {
		.machine = m,
		.loop = &m->loop,
		.reap = { .expired = on_reap, .owner = mon },
	};
	rc = loop_add_timer(mon->loop, &mon->reap);
	if (rc < 0)
		error_set(err, rc, "cannot set up monitor: %s", strerror(-rc));
	for (unsigned i = 0; i < m->opts->nmonitors && rc == 0; i++)
		rc = open_one(mon, &m->opts->monitors[i], err);
	if (rc < 0) {
		monitor_destroy(mon);
		return rc;
	}
	*out = mon;
	return 0;
}

// In turns: a client that does not read must not take the time of those that do.
static void say_goodbye(struct monitor *mon)
{
	uint64_t deadline = monotonic_ms() + GOODBYE_MS;
	bool all_sent;

	do {
		all_sent = true;
		for (struct session *s = mon->sessions; s; s = s->next)
			all_sent &= session_drain(s, GOODBYE_STEP_MS);
	} while (!all_sent && monotonic_ms() < deadline);
}

void monitor_destroy(struct monitor *mon)
{
	struct session *s;

	if (!mon)
		return;
	say_goodbye(mon);
	while ((s = mon->sessions)) {
		mon->sessions = s->next;
		session_drop(s);
		session_free(s);
	}
	while (mon->sockets) {
		struct monitor_socket *socket = mon->sockets;

		mon->sockets = socket->next;
		listener_close(socket->listener);
		free(socket);
	}
	loop_del_timer(mon->loop, &mon->reap);
	free(mon);
}

void monitor_event(struct monitor *mon, const struct machine_event *event)
{
	struct json_object *json;
	char *text;

	if (!mon)
		return;
	json = monitor_event_json(event);
	text = json ? qmp_text(json) : NULL;
	if (!text)
		log_guest("monitor: out of memory: an event is lost");
	for (struct session *s = mon->sessions; s && text; s = s->next) {
		if (s->over || s->hanging_up || !s->front_end->event)
			continue;
		s->front_end->event(s->state, text);
		if (!s->over && chardev_pending(s->chr) > SESSION_OUT_MAX) {
			log_guest("monitor: a client does not read its events: it is dropped");
			session_drop(s);
		}
	}
	json_object_put(json);
	free(text);
}

struct machine *monitor_machine(struct monitor *mon)
{
	return mon->machine;
}

bool monitor_is_awaited(const struct monitor *mon)
{
	for (const struct monitor_socket *socket = mon->sockets; socket; socket = socket->next)
		if (socket->awaited)
			return true;
	return false;
}

// ---- as the machine sees it

static int observer_up(struct machine *m, void **state, struct vpmem_error *err)
{
	struct monitor *mon = NULL;
	int rc = monitor_create(m, &mon, err);

	*state = mon;
	return rc;
}

static void observer_down(void *state)
{
	monitor_destroy(state);
}

static void observer_event(void *state, const struct machine_event *event)
{
	monitor_event(state, event);
}

static bool observer_is_awaited(void *state)
{
	return monitor_is_awaited(state);
}

const struct machine_observer monitor_observer = {
	.up = observer_up,
	.down = observer_down,
	.event = observer_event,
	.is_awaited = observer_is_awaited,
};
