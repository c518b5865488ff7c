// SPDX-License-Identifier: Apache-2.0
// chardev_input.c - what comes in: read as far as it can be kept, sorted for one or two front ends by the Ctrl-a escapes,
// handed over as far as they have room; and the end of it.
#include "chardev_internal.h"

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint8_t escape = 0x01; // Ctrl-a

void chardev_set_escape(uint8_t byte)
{
	escape = byte;
}

// Input is read as far as it can be kept, also while the front end has no room: a person's Ctrl-a has to be seen before
// the guest reads. What is not read paces the sender. Of a peer that sends no more, only the end is awaited.
static void update_events(struct chardev *chr)
{
	bool want_more = !chr->input_ended && chr->nraw < READ_AHEAD;
	// Once the peer is known to be gone, POLLHUP would come without end.
	bool want_end = (chr->input_ended || chr->peers) && !chr->stream.discard;

	stream_await(&chr->stream, want_more ? POLLIN : want_end ? POLLHUP : 0);
}

static size_t nwaiting(const struct chardev *chr)
{
	return chr->nraw + chr->sides[SIDE_DEVICE].nkept + chr->sides[SIDE_MONITOR].nkept;
}

static void print(struct chardev *chr, const char *text)
{
	chardev_write(chr, (const uint8_t *)text, strlen(text));
}

static bool has_monitor(const struct chardev *chr)
{
	return chr->sides[SIDE_MONITOR].front.receive != NULL;
}

static bool has_device(const struct chardev *chr)
{
	return chr->sides[SIDE_DEVICE].front.receive != NULL;
}

static void print_help(struct chardev *chr)
{
	char name[4], text[192];

	// As in QEMU: "C-a", or the character itself.
	snprintf(name, sizeof(name), escape <= 26 ? "C-%c" : "%c", escape <= 26 ? 'a' + escape - 1 : escape);
	snprintf(text, sizeof(text), "\r\n%s h    print this help\r\n%s x    exit pmvm\r\n%s%s%s %s  sends %s\r\n",
	         name, name, has_monitor(chr) && has_device(chr) ? name : "",
	         has_monitor(chr) && has_device(chr) ? " c    switch between console and monitor\r\n" : "", name, name,
	         name);
	print(chr, text);
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
	else if (byte == 'c' && has_monitor(chr) && has_device(chr))
		set_focus(chr, chr->focus == SIDE_DEVICE ? SIDE_MONITOR : SIDE_DEVICE);
}

// Gives the bytes that were read to the side that has the input, which an escape among them may change.
static void sort(struct chardev *chr)
{
	size_t i = 0;

	for (; i < chr->nraw; i++) {
		struct chardev_side *side = &chr->sides[chr->focus];
		uint8_t byte = chr->raw[i];

		if (chr->escaped && byte != escape) {
			take_escape(chr, byte);
		} else if (chr->mux && byte == escape && !chr->escaped) {
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

// A peer that sends no more is served to its end: the front end learns of it when it has all input.
static void report_end_of_input(struct chardev *chr)
{
	const struct chardev_front *front = &chr->sides[SIDE_DEVICE].front;

	if (chr->connected && chr->input_ended && nwaiting(chr) == 0 && front->input_ended)
		front->input_ended(front->owner);
}

void chardev_process_input(struct chardev *chr)
{
	size_t before;

	do {
		before = nwaiting(chr);
		sort(chr);
		for (unsigned i = 0; i < NSIDES; i++)
			deliver_side(&chr->sides[i]);
	} while (chr->nraw > 0 && nwaiting(chr) < before);
	update_events(chr);
	report_end_of_input(chr);
}

// Reads what fits. 0: more may come. -errno: there is no more; -EPIPE is an orderly end.
static int read_input(struct chardev *chr, size_t max)
{
	ssize_t n = stream_read(&chr->stream, chr->raw + chr->nraw, max - chr->nraw);

	if (n > 0)
		chr->nraw += (size_t)n;
	if (n == 0)
		return -EPIPE;
	return n > 0 || errno == EINTR || errno == EAGAIN ? 0 : -errno;
}

// The console's front end may never have room: what the peer had sent is kept, as far as it fits, and the next peer can
// come. A client of the monitor is served further, without answers, up to has_sent_too_much.
void chardev_lose_peer(struct chardev *chr)
{
	size_t before;

	if (!chr->peers) {
		stream_discard(&chr->stream);
		update_events(chr);
		return;
	}
	do
		before = chr->nraw;
	while (before < RAW_MAX && read_input(chr, RAW_MAX) == 0 && chr->nraw > before);
	chardev_disconnect(chr);
}

// Standard input stays silent from here on. A socket's peer may still read: until it hangs up.
static void end_input(struct chardev *chr, bool hung_up)
{
	if (!chardev_is_peer_kind(chr)) {
		stream_end_input(&chr->stream);
		return;
	}
	chr->input_ended = true;
	// TCP does not say whether the peer is gone, or only sends no more: as in QEMU, it is gone.
	if (hung_up || (chr->peers && !chr->is_local))
		chardev_lose_peer(chr);
	chardev_process_input(chr);
}

// A client of the monitor that has left takes a place and time of others, while nobody reads its answers.
static bool has_sent_too_much(struct chardev *chr)
{
	if (chr->peers || chr->nleft_over < RAW_MAX)
		return false;
	log_guest("%s: a client left while more than %u bytes of its commands waited: the rest is dropped", chr->name,
	          RAW_MAX);
	return true;
}

void chardev_on_readable(void *owner, short revents)
{
	struct chardev *chr = owner;
	bool hung_up = revents & (POLLHUP | POLLERR);
	size_t before;

	if (chr->input_ended || chr->nraw >= READ_AHEAD) {
		if (hung_up && chardev_is_peer_kind(chr)) {
			chardev_lose_peer(chr);
			chardev_made_room(chr, SIZE_MAX);
		}
		return;
	}
	// A peer that is gone is served at once, because its place may be needed; but only so far, in turn with others.
	for (unsigned nreads = 0; nreads < GONE_READS; nreads++) {
		before = chr->nraw;
		if ((hung_up && has_sent_too_much(chr)) || read_input(chr, READ_AHEAD) < 0) {
			end_input(chr, hung_up);
			return;
		}
		hung_up &= chr->nraw > before;
		chr->nleft_over += hung_up ? chr->nraw - before : 0;
		chardev_process_input(chr);
		if (!hung_up || chr->nraw >= READ_AHEAD || !stream_has_input(&chr->stream))
			break;
	}
}

void chardev_choose_focus(struct chardev *chr)
{
	assert(chr->mux);
	if (!chr->claimed[SIDE_DEVICE] && chr->focus == SIDE_DEVICE)
		set_focus(chr, SIDE_MONITOR);
	chardev_process_input(chr);
}

// The serial port's room is made by a vCPU, in its thread. What may concern the monitor is the main thread's.
void chardev_accept(struct chardev *chr)
{
	if (!chr->mux) {
		chardev_process_input(chr);
		return;
	}
	deliver_side(&chr->sides[SIDE_DEVICE]);
	if ((chr->nraw > 0 || chr->sides[SIDE_MONITOR].nkept > 0) && chr->sort_more.deadline_ms == 0)
		loop_arm(chr->loop, &chr->sort_more, 0);
}
