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

static int on_accepted(void *owner, int fd)
{
	struct monitor_chardev *source = owner;
	struct chardev *chr = NULL;
	int rc = chardev_adopt(fd, "monitor", source->mon->loop, &chr);

	if (rc < 0)
		return rc;
	// The chardev has the descriptor from here on, on failure as well.
	rc = session_start(source->mon, source->front_end, chr, source);
	if (rc < 0) {
		log_guest("monitor: cannot serve a client: %s", strerror(-rc));
		chardev_peer_left(source->chr);
	}
	return 0;
}

// Each peer of a socket is a client; of others, the chardev itself is one.
static int start_clients(struct monitor_chardev *source, struct vpmem_error *err)
{
	int rc = 0;

	if (chardev_has_peers(source->chr))
		chardev_set_acceptor(source->chr, on_accepted, source);
	else if (chardev_kind(source->chr) != CHARDEV_NULL)
		rc = session_start(source->mon, source->front_end, source->chr, NULL);
	return rc ? error_set(err, rc, "cannot set up monitor: %s", strerror(-rc)) : 0;
}

static int open_one(struct monitor *mon, const struct monitor_config *cfg, struct vpmem_error *err)
{
	struct chardev *chr = chardev_find(&mon->machine->chardevs, cfg->chardev);
	struct monitor_chardev *source;
	int rc;

	if (!chr)
		return error_set(err, -ENODEV, "chardev \"%s\" not found", cfg->chardev);
	rc = chardev_claim(chr, CHARDEV_MONITOR, err);
	if (rc < 0)
		return rc;
	source = calloc(1, sizeof(*source));
	if (!source) {
		chardev_release(chr, CHARDEV_MONITOR);
		return error_set(err, -ENOMEM, "out of memory");
	}
	*source = (struct monitor_chardev) {
		.mon = mon, .front_end = front_ends[cfg->protocol], .chr = chr, .next = mon->sources
	};
	mon->sources = source;
	return start_clients(source, err);
}

// A chardev that only the monitor had is closed: nobody would serve its peers.
static void close_one(struct monitor *mon, struct monitor_chardev *source)
{
	if (chardev_has_peers(source->chr))
		chardev_set_acceptor(source->chr, NULL, NULL);
	chardev_release(source->chr, CHARDEV_MONITOR);
	if (!chardev_is_busy(source->chr))
		chardev_list_remove(&mon->machine->chardevs, source->chr);
	free(source);
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
	while (mon->sources) {
		struct monitor_chardev *source = mon->sources;

		mon->sources = source->next;
		close_one(mon, source);
	}
	loop_del_timer(mon->loop, &mon->reap);
	free(mon);
}

static bool wants_events(const struct session *s)
{
	return !s->over && !s->hanging_up && s->front_end->event;
}

static bool is_heard(const struct monitor *mon)
{
	for (const struct session *s = mon->sessions; s; s = s->next)
		if (wants_events(s))
			return true;
	return false;
}

void monitor_event(struct monitor *mon, const struct machine_event *event)
{
	struct json_object *json;
	char *text;

	if (!mon || !is_heard(mon))
		return;
	json = monitor_event_json(event);
	text = json ? qmp_text(json) : NULL;
	if (!text)
		log_guest("monitor: out of memory: an event is lost");
	for (struct session *s = mon->sessions; s && text; s = s->next) {
		if (!wants_events(s))
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

const struct machine_observer monitor_observer = {
	.up = observer_up,
	.down = observer_down,
	.event = observer_event,
};
