// SPDX-License-Identifier: Apache-2.0
// Character devices: buffering, flow control and the Ctrl-a escapes. Opening is in chardev_open.c.
#include "chardev_internal.h"

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WRITE_OUT_AT 512u   /* bytes */
#define WRITE_OUT_MS 2u
#define ESCAPE 0x01         /* Ctrl-a */

static const char escape_help[] =
	"\r\n"
	"C-a h    print this help\r\n"
	"C-a x    exit pmvm\r\n"
	"C-a C-a  sends C-a\r\n";

static bool is_full(const struct chardev *chr)
{
	return chr->out_len == sizeof(chr->out);
}

// Input is read as far as it can be kept, also while the front end has no room: a person's Ctrl-a has to be
// seen before the guest listens. What is not read paces the sender.
static void update_events(struct chardev *chr)
{
	bool want_in = chr->in.fd >= 0 && chr->nkept < sizeof(chr->kept);

	loop_set_events(chr->loop, &chr->in, want_in ? POLLIN : 0);
	loop_set_events(chr->loop, &chr->outs, chr->out_blocked ? POLLOUT : 0);
}

static void made_room(struct chardev *chr, bool was_full)
{
	pthread_cond_broadcast(&chr->drained);
	if (was_full && chr->front.writable)
		chr->front.writable(chr->front.owner);
}

// The socket's peer is gone: what is buffered in either direction cannot arrive any more.
void chardev_disconnect(struct chardev *chr)
{
	bool was_full = is_full(chr);

	if (chr->in.fd >= 0)
		close(chr->in.fd);
	chr->in.fd = chr->outs.fd = -1;
	chr->nkept = 0;
	chr->out_len = 0;
	chr->out_blocked = false;
	loop_set_events(chr->loop, &chr->listen, POLLIN);
	made_room(chr, was_full);
}

static void lose_output(struct chardev *chr, int error)
{
	bool was_full = is_full(chr);

	if (chr->kind == CHARDEV_UNIX) {
		chardev_disconnect(chr);
		return;
	}
	log_error("%s: cannot write: output is discarded from here on: %s", chr->name, strerror(error));
	chr->discard = true;
	chr->out_len = 0;
	chr->out_blocked = false;
	made_room(chr, was_full);
}

void chardev_write_out(struct chardev *chr)
{
	bool was_full = is_full(chr), progress = false;

	chr->out_blocked = false;
	while (chr->out_len > 0) {
		size_t span = sizeof(chr->out) - chr->out_start;
		ssize_t n = write(chr->outs.fd, &chr->out[chr->out_start], chr->out_len < span ? chr->out_len : span);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			chr->out_blocked = true;
			break;
		}
		if (n <= 0) {
			lose_output(chr, errno);
			return;
		}
		chr->out_start = (chr->out_start + (size_t)n) % sizeof(chr->out);
		chr->out_len -= (size_t)n;
		progress = true;
	}
	update_events(chr);
	if (progress)
		made_room(chr, was_full);
}

static void on_write_out_due(void *owner)
{
	chardev_write_out(owner);
}

static void on_out_ready(void *owner, short revents)
{
	(void)revents;
	chardev_write_out(owner);
}

size_t chardev_write(struct chardev *chr, const uint8_t *buf, size_t len)
{
	size_t room = sizeof(chr->out) - chr->out_len, taken = len < room ? len : room;
	bool line_ends = false;

	if (chr->outs.fd < 0 || chr->discard)
		return len;
	for (size_t i = 0; i < taken; i++) {
		chr->out[(chr->out_start + chr->out_len++) % sizeof(chr->out)] = buf[i];
		line_ends |= buf[i] == '\n';
	}
	if (chr->out_blocked)
		return taken;
	if (line_ends || chr->out_len >= WRITE_OUT_AT)
		chardev_write_out(chr);
	else if (chr->write_out.deadline_ms == 0)
		loop_arm(chr->loop, &chr->write_out, WRITE_OUT_MS);
	return taken;
}

// Removes the escapes from what a person typed, in place. Returns how many bytes are the guest's.
static size_t take_escapes(struct chardev *chr, uint8_t *buf, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		if (!chr->escaped) {
			if (buf[i] == ESCAPE)
				chr->escaped = true;
			else
				buf[kept++] = buf[i];
			continue;
		}
		chr->escaped = false;
		if (buf[i] == ESCAPE)
			buf[kept++] = ESCAPE;
		else if (buf[i] == 'x')
			chr->quit(chr->quit_owner);
		else if (buf[i] == 'h' || buf[i] == '?')
			chardev_write(chr, (const uint8_t *)escape_help, sizeof(escape_help) - 1);
	}
	return kept;
}

static void end_input(struct chardev *chr)
{
	close(chr->in.fd);
	chr->in.fd = -1;
	update_events(chr);
}

// Hands over what was kept, as far as the front end has room.
static void deliver(struct chardev *chr)
{
	while (chr->nkept > 0 && chr->front.room) {
		size_t room = chr->front.room(chr->front.owner), n = room < chr->nkept ? room : chr->nkept;
		uint8_t buf[sizeof(chr->kept)];

		if (n == 0)
			break;
		memcpy(buf, chr->kept, n);
		chr->nkept -= n;
		memmove(chr->kept, chr->kept + n, chr->nkept);
		chr->front.receive(chr->front.owner, buf, n);
	}
	update_events(chr);
}

static void on_in_ready(void *owner, short revents)
{
	struct chardev *chr = owner;
	uint8_t *buf = chr->kept + chr->nkept;
	ssize_t n = read(chr->in.fd, buf, sizeof(chr->kept) - chr->nkept);

	(void)revents;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		// End of input: a socket's peer is gone; standard input stays silent from here on.
		if (chr->kind == CHARDEV_UNIX)
			chardev_disconnect(chr);
		else
			end_input(chr);
		return;
	}
	if (chr->mux)
		n = (ssize_t)take_escapes(chr, buf, (size_t)n);
	chr->nkept += (size_t)n;
	deliver(chr);
}

void chardev_set_front(struct chardev *chr, const struct chardev_front *front)
{
	chr->front = *front;
	deliver(chr);
}

void chardev_accept(struct chardev *chr)
{
	deliver(chr);
}

void chardev_wait(struct chardev *chr)
{
	pthread_cond_wait(&chr->drained, chr->loop->lock);
}

void chardev_interrupt(struct chardev *chr)
{
	pthread_cond_broadcast(&chr->drained);
}

bool chardev_connected(const struct chardev *chr)
{
	return chr->kind != CHARDEV_UNIX || chr->in.fd >= 0;
}

int chardev_attach(struct chardev *chr)
{
	int rc;

	chr->in.ready = on_in_ready;
	chr->outs.ready = on_out_ready;
	chr->in.owner = chr->outs.owner = chr->listen.owner = chr;
	chr->write_out = (struct loop_timer) { .expired = on_write_out_due, .owner = chr };
	rc = loop_add(chr->loop, &chr->in);
	rc = rc ? rc : loop_add(chr->loop, &chr->outs);
	rc = rc ? rc : loop_add(chr->loop, &chr->listen);
	return rc ? rc : loop_add_timer(chr->loop, &chr->write_out);
}

void chardev_detach(struct chardev *chr)
{
	loop_del(chr->loop, &chr->in);
	loop_del(chr->loop, &chr->outs);
	loop_del(chr->loop, &chr->listen);
	loop_del_timer(chr->loop, &chr->write_out);
}
