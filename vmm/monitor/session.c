// SPDX-License-Identifier: Apache-2.0
// A client of the monitor: its bytes, and how it ends.
#include "monitor_internal.h"

#include "log.h"
#include "monotonic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 4096u
#define LINGER_MS 3000u /* how long a client that was hung up on may read nothing of the rest */
#define LINGER_STEP_MS 20u

struct monitor *session_monitor(struct session *s)
{
	return s->mon;
}

bool session_is_mux(const struct session *s)
{
	return s->mux;
}

bool session_is_stdio(const struct session *s)
{
	return chardev_kind(s->chr) == CHARDEV_STDIO;
}

static void end(struct session *s)
{
	if (s->over)
		return;
	s->over = true;
	loop_arm(s->mon->loop, &s->mon->reap, 0);
}

void session_drop(struct session *s)
{
	if (s->over)
		return;
	end(s);
	if (!s->mux)
		chardev_hang_up(s->chr);
}

void session_write(struct session *s, const void *buf, size_t len)
{
	if (s->over || chardev_queue(s->chr, buf, len) == 0)
		return;
	log_guest("monitor: out of memory for a client's output: it is dropped");
	session_drop(s);
}

static bool all_sent(const struct session *s)
{
	return chardev_pending(s->chr) == 0;
}

// There is room again: input is taken, by the main thread.
static void on_writable(void *owner)
{
	struct session *s = owner;

	if (!s->over)
		loop_arm(s->mon->loop, &s->again, 0);
}

// A client that reads gets all of a long answer.
static void extend_linger(struct session *s)
{
	size_t pending = chardev_pending(s->chr);

	if (pending < s->linger_pending)
		s->linger_ms = monotonic_ms() + LINGER_MS;
	s->linger_pending = pending;
}

static void try_hang_up(struct session *s)
{
	if (s->over)
		return;
	session_drain(s, 0);
	extend_linger(s);
	if (all_sent(s) || monotonic_ms() >= s->linger_ms)
		session_drop(s);
	else
		loop_arm(s->mon->loop, &s->again, LINGER_STEP_MS);
}

static void on_again(void *owner)
{
	struct session *s = owner;

	if (s->hanging_up && !s->in_callback)
		try_hang_up(s);
	else if (!s->over)
		chardev_accept(s->chr);
}

void session_hang_up(struct session *s)
{
	if (s->over || s->hanging_up)
		return;
	s->hanging_up = true;
	s->linger_ms = monotonic_ms() + LINGER_MS;
	s->linger_pending = chardev_pending(s->chr);
	loop_arm(s->mon->loop, &s->again, 0);
}

bool session_drain(struct session *s, unsigned timeout_ms)
{
	return s->over || chardev_drain(s->chr, timeout_ms);
}

// What the guest prints on a console that is shared fills up to CHARDEV_OUT_MAX, and is no reason to wait.
static size_t on_room(void *owner)
{
	struct session *s = owner;
	bool is_behind = chardev_pending(s->chr) > CHARDEV_OUT_MAX;

	return s->over || s->hanging_up || s->in_callback || is_behind ? 0 : INPUT_MAX;
}

static void on_receive(void *owner, const uint8_t *buf, size_t len)
{
	struct session *s = owner;

	s->in_callback = true;
	s->front_end->input(s->state, buf, len);
	s->in_callback = false;
	if (s->over)
		loop_arm(s->mon->loop, &s->mon->reap, 0);
}

static void on_connection(void *owner, bool connected)
{
	if (!connected)
		end(owner);
}

// The client sends no more, and all its requests were carried out. It may still read the answers.
static void on_input_ended(void *owner)
{
	struct session *s = owner;

	if (!s->in_callback && all_sent(s))
		session_drop(s);
	else
		session_hang_up(s);
}

static void on_focus(void *owner, bool focused)
{
	struct session *s = owner;

	if (s->over || !s->front_end->focus)
		return;
	s->in_callback = true;
	s->front_end->focus(s->state, focused);
	s->in_callback = false;
}

static void attach(struct session *s)
{
	const struct chardev_front front = {
		.room = on_room,
		.receive = on_receive,
		.writable = on_writable,
		.connection = on_connection,
		.input_ended = on_input_ended,
		.focus = on_focus,
		.owner = s,
	};

	if (s->mux)
		chardev_set_monitor(s->chr, &front);
	else
		chardev_set_front(s->chr, &front);
}

static void detach(struct session *s)
{
	const struct chardev_front none = { .owner = NULL };

	if (s->mux)
		chardev_set_monitor(s->chr, &none);
	else if (s->source)
		chardev_close(s->chr);
	else
		chardev_set_front(s->chr, &none);
}

static void give_back(struct session *s)
{
	loop_del_timer(s->mon->loop, &s->again);
	detach(s);
	free(s);
}

int session_start(struct monitor *mon, const struct front_end *front_end, struct chardev *chr,
                  struct monitor_chardev *source)
{
	struct session *s = calloc(1, sizeof(*s));
	int rc = s ? 0 : -ENOMEM;

	if (s) {
		*s = (struct session) {
			.mon = mon,
			.source = source,
			.front_end = front_end,
			.chr = chr,
			.mux = chardev_is_mux(chr),
			.again = { .expired = on_again, .owner = s },
		};
		rc = loop_add_timer(mon->loop, &s->again);
	}
	if (rc < 0) {
		if (source)
			chardev_close(chr);
		free(s);
		return rc;
	}
	// Before the greeting, which may find that the client has left.
	attach(s);
	s->state = front_end->open(s);
	if (!s->state) {
		give_back(s);
		return -ENOMEM;
	}
	s->next = mon->sessions;
	mon->sessions = s;
	if (s->mux)
		chardev_choose_focus(s->chr);
	return 0;
}

void session_free(struct session *s)
{
	s->over = true;
	s->front_end->close(s->state);
	if (s->source)
		chardev_peer_left(s->source->chr);
	give_back(s);
}
