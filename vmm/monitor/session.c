// SPDX-License-Identifier: Apache-2.0
// A client of the monitor: its queue of output, and how it ends.
#include "monitor_internal.h"

#include "log.h"
#include "monotonic.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 4096u
#define LINGER_MS 3000u /* how long a client that was hung up on may take to read the rest */
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
	return s->stdio;
}

static void end(struct session *s)
{
	if (s->over)
		return;
	s->over = true;
	s->out_len = 0;
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

// Moves the queue into the chardev, as far as that takes it.
static void move_out(struct session *s)
{
	// The chardev may call us back from within.
	if (s->moving)
		return;
	s->moving = true;
	while (s->out_len > 0) {
		size_t taken = chardev_write(s->chr, s->out + s->out_start, s->out_len);

		// The client may have been found to be gone meanwhile: then the queue is empty.
		if (taken == 0 || taken > s->out_len)
			break;
		s->out_start += taken;
		s->out_len -= taken;
	}
	s->moving = false;
	if (s->out_len > 0)
		return;
	free(s->out);
	s->out = NULL;
	s->out_start = s->out_size = 0;
}

static int make_room(struct session *s, size_t len)
{
	size_t size = s->out_size ? s->out_size : 4096;
	uint8_t *out;

	if (len <= s->out_size - s->out_start - s->out_len)
		return 0;
	if (s->out_start > 0) {
		memmove(s->out, s->out + s->out_start, s->out_len);
		s->out_start = 0;
	}
	if (len <= s->out_size - s->out_len)
		return 0;
	while (size - s->out_len < len) {
		if (size > SIZE_MAX / 2)
			return -ENOMEM;
		size *= 2;
	}
	out = realloc(s->out, size);
	if (!out)
		return -ENOMEM;
	s->out = out;
	s->out_size = size;
	return 0;
}

void session_write(struct session *s, const void *buf, size_t len)
{
	size_t taken = 0;

	if (s->over || len == 0)
		return;
	assert(!s->moving);
	if (s->out_len == 0) {
		s->moving = true;
		taken = chardev_write(s->chr, buf, len);
		s->moving = false;
	}
	if (s->over || taken == len)
		return;
	if (make_room(s, len - taken) < 0) {
		log_guest("monitor: out of memory for a client's output: it is dropped");
		session_drop(s);
		return;
	}
	memcpy(s->out + s->out_start + s->out_len, (const uint8_t *)buf + taken, len - taken);
	s->out_len += len - taken;
	// A chardev that was full wrote itself empty at once: only one that takes nothing tells when it has room.
	move_out(s);
}

static bool all_sent(const struct session *s)
{
	return s->out_len == 0 && chardev_pending(s->chr) == 0;
}

// The queue has emptied: input is taken again, by the main thread.
static void on_writable(void *owner)
{
	struct session *s = owner;

	move_out(s);
	if (!s->over && s->out_len == 0)
		loop_arm(s->mon->loop, &s->again, 0);
}

static void try_hang_up(struct session *s)
{
	if (s->over)
		return;
	session_drain(s, 0);
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
	loop_arm(s->mon->loop, &s->again, 0);
}

bool session_drain(struct session *s, unsigned timeout_ms)
{
	uint64_t deadline = monotonic_ms() + timeout_ms;

	while (!s->over && !all_sent(s)) {
		size_t before = s->out_len;
		uint64_t now = monotonic_ms();

		move_out(s);
		if (!chardev_drain(s->chr, now < deadline ? (unsigned)(deadline - now) : 0) && s->out_len == before)
			break;
	}
	return s->over || all_sent(s);
}

static size_t on_room(void *owner)
{
	struct session *s = owner;

	return s->over || s->hanging_up || s->in_callback || s->out_len > 0 ? 0 : INPUT_MAX;
}

static void on_receive(void *owner, const uint8_t *buf, size_t len)
{
	struct session *s = owner;

	s->in_callback = true;
	s->face->input(s->state, buf, len);
	s->in_callback = false;
	if (s->over)
		loop_arm(s->mon->loop, &s->mon->reap, 0);
}

static void on_connection(void *owner, bool connected)
{
	if (!connected)
		end(owner);
}

static void on_focus(void *owner, bool focused)
{
	struct session *s = owner;

	if (s->over || !s->face->focus)
		return;
	s->in_callback = true;
	s->face->focus(s->state, focused);
	s->in_callback = false;
}

static void attach(struct session *s)
{
	const struct chardev_front front = {
		.room = on_room,
		.receive = on_receive,
		.writable = on_writable,
		.connection = on_connection,
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
	else
		chardev_close(s->chr);
}

static void give_back(struct session *s)
{
	loop_del_timer(s->mon->loop, &s->again);
	detach(s);
	free(s->out);
	free(s);
}

int session_start(struct monitor *mon, const struct session_face *face, struct chardev *chr, bool mux,
                  struct listener *listener)
{
	struct session *s = calloc(1, sizeof(*s));
	int rc = s ? 0 : -ENOMEM;

	if (s) {
		*s = (struct session) {
			.mon = mon,
			.listener = listener,
			.face = face,
			.chr = chr,
			.mux = mux,
			.stdio = !listener,
			.again = { .expired = on_again, .owner = s },
		};
		rc = loop_add_timer(mon->loop, &s->again);
	}
	if (rc < 0) {
		if (!mux)
			chardev_close(chr);
		free(s);
		return rc;
	}
	// Before the greeting, which may find that the client has left.
	attach(s);
	s->state = face->open(s);
	if (!s->state) {
		give_back(s);
		return -ENOMEM;
	}
	s->next = mon->sessions;
	mon->sessions = s;
	if (listener)
		listener->nclients++;
	return 0;
}

void session_free(struct session *s)
{
	s->over = true;
	s->face->close(s->state);
	if (s->listener)
		s->listener->nclients--;
	give_back(s);
}
