// SPDX-License-Identifier: Apache-2.0
// Character devices: buffering, flow control and the Ctrl-a escapes. Opening is in chardev_open.c.
#include "chardev_internal.h"

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WRITE_OUT_AT 512u /* bytes */
#define WRITE_OUT_MS 2u
#define ESCAPE 0x01 /* Ctrl-a */

static const char help_begin[] = "\r\nC-a h    print this help\r\nC-a x    exit pmvm\r\n";
static const char help_monitor[] = "C-a c    switch between console and monitor\r\n";
static const char help_end[] = "C-a C-a  sends C-a\r\n";

static bool is_full(const struct chardev *chr)
{
	return chr->out_len == sizeof(chr->out);
}

// Input is read as far as it can be kept, also while the front end has no room: a person's Ctrl-a has to be
// seen before the guest listens. What is not read paces the sender.
static void update_events(struct chardev *chr)
{
	bool want_in = chr->in.fd >= 0 && chr->nraw < sizeof(chr->raw);

	loop_set_events(chr->loop, &chr->in, want_in ? POLLIN : 0);
	loop_set_events(chr->loop, &chr->outs, chr->out_blocked ? POLLOUT : 0);
}

static void made_room(struct chardev *chr, bool was_full)
{
	pthread_cond_broadcast(&chr->drained);
	for (unsigned i = 0; was_full && i < NSIDES; i++)
		if (chr->sides[i].front.writable)
			chr->sides[i].front.writable(chr->sides[i].front.owner);
}

static void tell_connection(struct chardev *chr, bool connected)
{
	const struct chardev_front *front = &chr->sides[SIDE_SERIAL].front;

	if (front->connection)
		front->connection(front->owner, connected);
}

void chardev_connected_to(struct chardev *chr, int fd)
{
	chr->in.fd = chr->outs.fd = fd;
	tell_connection(chr, true);
	chardev_accept(chr);
}

// The socket's peer is gone: what is buffered in either direction cannot arrive any more.
void chardev_disconnect(struct chardev *chr)
{
	bool was_full = is_full(chr);

	if (chr->in.fd >= 0)
		close(chr->in.fd);
	chr->in.fd = chr->outs.fd = -1;
	chr->nraw = chr->sides[SIDE_SERIAL].nkept = 0;
	chr->out_len = 0;
	chr->out_blocked = false;
	loop_set_events(chr->loop, &chr->listen, POLLIN);
	made_room(chr, was_full);
	tell_connection(chr, false);
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

static void end_input(struct chardev *chr)
{
	close(chr->in.fd);
	chr->in.fd = -1;
	update_events(chr);
}

static void print(struct chardev *chr, const char *text)
{
	chardev_write(chr, (const uint8_t *)text, strlen(text));
}

static bool has_monitor(const struct chardev *chr)
{
	return chr->sides[SIDE_MONITOR].front.receive != NULL;
}

static void print_help(struct chardev *chr)
{
	print(chr, help_begin);
	if (has_monitor(chr))
		print(chr, help_monitor);
	print(chr, help_end);
}

// Hands over what a side keeps, as far as its front end has room.
static void deliver_side(struct chardev_side *side)
{
	while (side->nkept > 0 && side->front.room) {
		size_t room = side->front.room(side->front.owner), n = room < side->nkept ? room : side->nkept;
		uint8_t buf[sizeof(side->kept)];

		if (n == 0)
			break;
		memcpy(buf, side->kept, n);
		side->nkept -= n;
		memmove(side->kept, side->kept + n, side->nkept);
		side->front.receive(side->front.owner, buf, n);
	}
}

static void set_focus(struct chardev *chr, unsigned focus)
{
	struct chardev_side *from = &chr->sides[chr->focus], *to = &chr->sides[focus];

	// What was typed before the switch comes before it.
	deliver_side(from);
	chr->focus = focus;
	if (from->front.focus)
		from->front.focus(from->front.owner, false);
	if (to->front.focus)
		to->front.focus(to->front.owner, true);
}

// The byte after Ctrl-a.
static void take_escape(struct chardev *chr, uint8_t byte)
{
	chr->escaped = false;
	if (byte == 'x')
		chr->quit(chr->quit_owner);
	else if (byte == 'h' || byte == '?')
		print_help(chr);
	else if (byte == 'c' && has_monitor(chr))
		set_focus(chr, chr->focus == SIDE_SERIAL ? SIDE_MONITOR : SIDE_SERIAL);
}

// Gives the bytes that were read to the side that has the input, which an escape among them may change.
static void sort(struct chardev *chr)
{
	size_t i = 0;

	for (; i < chr->nraw; i++) {
		struct chardev_side *side = &chr->sides[chr->focus];
		uint8_t byte = chr->raw[i];

		if (chr->escaped && byte != ESCAPE) {
			take_escape(chr, byte);
		} else if (chr->mux && byte == ESCAPE && !chr->escaped) {
			chr->escaped = true;
		} else {
			if (side->nkept == sizeof(side->kept))
				break;
			chr->escaped = false;
			side->kept[side->nkept++] = byte;
		}
	}
	chr->nraw -= i;
	memmove(chr->raw, chr->raw + i, chr->nraw);
}

static size_t nwaiting(const struct chardev *chr)
{
	return chr->nraw + chr->sides[SIDE_SERIAL].nkept + chr->sides[SIDE_MONITOR].nkept;
}

static void deliver(struct chardev *chr)
{
	size_t before;

	do {
		before = nwaiting(chr);
		sort(chr);
		for (unsigned i = 0; i < NSIDES; i++)
			deliver_side(&chr->sides[i]);
	} while (chr->nraw > 0 && nwaiting(chr) < before);
	update_events(chr);
}

static void on_sort_more(void *owner)
{
	deliver(owner);
}

static void on_in_ready(void *owner, short revents)
{
	struct chardev *chr = owner;
	ssize_t n;

	if (chr->nraw == sizeof(chr->raw))
		return;
	n = read(chr->in.fd, chr->raw + chr->nraw, sizeof(chr->raw) - chr->nraw);

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
	chr->nraw += (size_t)n;
	deliver(chr);
}

void chardev_set_front(struct chardev *chr, const struct chardev_front *front)
{
	chr->sides[SIDE_SERIAL].front = *front;
	deliver(chr);
}

void chardev_set_monitor(struct chardev *chr, const struct chardev_front *front)
{
	assert(chr->mux);
	chr->sides[SIDE_MONITOR].front = *front;
	if (!front->receive)
		chr->focus = SIDE_SERIAL;
}

size_t chardev_pending(const struct chardev *chr)
{
	return chr->out_len;
}

void chardev_hang_up(struct chardev *chr)
{
	if (chr->kind == CHARDEV_UNIX) {
		if (chr->in.fd >= 0)
			chardev_disconnect(chr);
		return;
	}
	if (chr->in.fd >= 0)
		end_input(chr);
	chr->discard = true;
	chr->out_len = 0;
	chr->out_blocked = false;
}

// The serial port's room is made by a vCPU, in its thread. What may concern the monitor is the main thread's.
void chardev_accept(struct chardev *chr)
{
	if (!chr->mux) {
		deliver(chr);
		return;
	}
	deliver_side(&chr->sides[SIDE_SERIAL]);
	if ((chr->nraw > 0 || chr->sides[SIDE_MONITOR].nkept > 0) && chr->sort_more.deadline_ms == 0)
		loop_arm(chr->loop, &chr->sort_more, 0);
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
	chr->sort_more = (struct loop_timer) { .expired = on_sort_more, .owner = chr };
	rc = loop_add(chr->loop, &chr->in);
	rc = rc ? rc : loop_add(chr->loop, &chr->outs);
	if (rc == 0 && chr->listen.fd >= 0)
		rc = loop_add(chr->loop, &chr->listen);
	if (rc == 0 && chr->mux)
		rc = loop_add_timer(chr->loop, &chr->sort_more);
	return rc ? rc : loop_add_timer(chr->loop, &chr->write_out);
}

void chardev_detach(struct chardev *chr)
{
	loop_del(chr->loop, &chr->in);
	loop_del(chr->loop, &chr->outs);
	loop_del(chr->loop, &chr->listen);
	loop_del_timer(chr->loop, &chr->write_out);
	loop_del_timer(chr->loop, &chr->sort_more);
}
