// SPDX-License-Identifier: Apache-2.0
// Character devices: input for one or two front ends, flow control, and the Ctrl-a escapes. Opening is in
// chardev_open.c.
#include "chardev_internal.h"

#include "log.h"
#include "term.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void made_room(struct chardev *chr, size_t before)
{
	bool was_full = before >= CHARDEV_OUT_MAX;

	pthread_cond_broadcast(&chr->drained);
	for (unsigned i = 0; was_full && i < NSIDES; i++)
		if (chr->sides[i].front.writable)
			chr->sides[i].front.writable(chr->sides[i].front.owner);
}

static void on_written(void *owner, size_t before)
{
	struct chardev *chr = owner;

	made_room(chr, stream_pending(&chr->stream) < CHARDEV_OUT_MAX ? before : 0);
}

static void report_connection(struct chardev *chr, bool connected)
{
	const struct chardev_front *front = &chr->sides[SIDE_DEVICE].front;

	if (front->connection)
		front->connection(front->owner, connected);
}

static bool has_peers(const struct chardev *chr)
{
	return chr->kind == CHARDEV_SOCKET || chr->kind == CHARDEV_PTY;
}

// A socket, or a pty's descriptor.
static void use_fd(int fd, struct nonblock *in, struct nonblock *out)
{
	struct stat st;
	bool is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);

	*in = (struct nonblock) { .fd = fd, .owns = true, .how = is_socket ? NONBLOCK_SOCKET : NONBLOCK_PLAIN };
	*out = (struct nonblock) { .fd = fd, .how = in->how };
}

static bool is_local(int fd)
{
	int domain = AF_UNIX;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain == AF_UNIX;
}

int chardev_connect(struct chardev *chr, int fd)
{
	struct nonblock in, out;

	use_fd(fd, &in, &out);
	chr->is_local = is_local(fd);
	stream_attach(&chr->stream, &in, &out);
	chr->connected = true;
	chr->input_ended = false;
	chr->nleft_over = 0;
	report_connection(chr, true);
	chardev_accept(chr);
	return 0;
}

// Output cannot arrive any more. Input that had arrived is still the front end's.
void chardev_disconnect(struct chardev *chr)
{
	size_t before = stream_pending(&chr->stream);

	if (!chr->connected)
		return;
	stream_detach(&chr->stream);
	chr->connected = false;
	if (chr->peers)
		peers_left(chr->peers);
	else
		chr->nraw = chr->sides[SIDE_DEVICE].nkept = 0;
	made_room(chr, before);
	report_connection(chr, false);
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
	report_end_of_input(chr);
}

void chardev_process_input(struct chardev *chr)
{
	deliver(chr);
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
static void lose_peer(struct chardev *chr)
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
	if (!has_peers(chr)) {
		stream_end_input(&chr->stream);
		return;
	}
	chr->input_ended = true;
	// TCP does not say whether the peer is gone, or only sends no more: as in QEMU, it is gone.
	if (hung_up || (chr->peers && !chr->is_local))
		lose_peer(chr);
	deliver(chr);
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

static void on_readable(void *owner, short revents)
{
	struct chardev *chr = owner;
	bool hung_up = revents & (POLLHUP | POLLERR);
	size_t before;

	if (chr->input_ended || chr->nraw >= READ_AHEAD) {
		if (hung_up && has_peers(chr)) {
			lose_peer(chr);
			made_room(chr, SIZE_MAX);
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
		deliver(chr);
		if (!hung_up || chr->nraw >= READ_AHEAD || !stream_has_input(&chr->stream))
			break;
	}
}

static void on_lost(void *owner, int error)
{
	struct chardev *chr = owner;

	if (has_peers(chr))
		lose_peer(chr);
	else
		log_error("%s: cannot write: output is discarded from here on: %s", chr->name, strerror(error));
	made_room(chr, SIZE_MAX);
}

const struct stream_ops chardev_stream_ops = { .readable = on_readable, .written = on_written, .lost = on_lost };

// A full disk, or a reader of a fifo that is slow, ends the log and holds up nobody.
static void write_log(struct chardev *chr, const uint8_t *buf, size_t len)
{
	ssize_t n;

	if (chr->log_fd < 0 || len == 0)
		return;
	n = write(chr->log_fd, buf, len);
	if (n == (ssize_t)len)
		return;
	log_error("%s: cannot write: the log ends here: %s", chr->logfile, n < 0 ? strerror(errno) : "no space");
	close(chr->log_fd);
	chr->log_fd = -1;
}

size_t chardev_write(struct chardev *chr, const uint8_t *buf, size_t len)
{
	size_t pending = stream_pending(&chr->stream);
	size_t room = pending < CHARDEV_OUT_MAX ? CHARDEV_OUT_MAX - pending : 0, taken = len < room ? len : room;

	if (chr->kind == CHARDEV_RINGBUF) {
		ringbuf_write(&chr->ring, buf, len);
		taken = len;
	} else if (stream_write(&chr->stream, buf, taken) < 0) {
		return 0;
	}
	write_log(chr, buf, taken);
	return taken;
}

int chardev_queue(struct chardev *chr, const uint8_t *buf, size_t len)
{
	if (chr->kind == CHARDEV_RINGBUF) {
		ringbuf_write(&chr->ring, buf, len);
	} else {
		int rc = stream_write(&chr->stream, buf, len);

		if (rc < 0)
			return rc;
	}
	write_log(chr, buf, len);
	return 0;
}

void chardev_set_front(struct chardev *chr, const struct chardev_front *front)
{
	chr->sides[SIDE_DEVICE].front = *front;
	chr->open = front->receive != NULL;
	if (chardev_connected(chr))
		report_connection(chr, true);
	deliver(chr);
}

void chardev_set_monitor(struct chardev *chr, const struct chardev_front *front)
{
	assert(chr->mux);
	chr->sides[SIDE_MONITOR].front = *front;
	if (!front->receive)
		chr->focus = SIDE_DEVICE;
}

void chardev_choose_focus(struct chardev *chr)
{
	assert(chr->mux);
	if (!chr->claimed[SIDE_DEVICE] && chr->focus == SIDE_DEVICE)
		set_focus(chr, SIDE_MONITOR);
	deliver(chr);
}

// The peer has come before the acceptor.
static void hand_over_peer(struct chardev *chr)
{
	int rc, fd = fcntl(chr->stream.in.fd, F_DUPFD_CLOEXEC, 0);

	stream_detach(&chr->stream);
	chr->connected = false;
	chr->nraw = 0;
	rc = fd < 0 ? -errno : chr->acceptor(chr->acceptor_owner, fd);
	if (rc == 0)
		return;
	log_guest("chardev: %s: cannot serve the peer: %s", chr->name, strerror(-rc));
	if (fd >= 0)
		close(fd);
	peers_left(chr->peers);
}

void chardev_set_acceptor(struct chardev *chr, int (*acceptor)(void *owner, int fd), void *owner)
{
	assert(chr->peers);
	chr->acceptor = acceptor;
	chr->acceptor_owner = owner;
	if (!acceptor)
		return;
	if (chr->connected)
		hand_over_peer(chr);
	peers_begin(chr->peers);
}

void chardev_peer_left(struct chardev *chr)
{
	peers_left(chr->peers);
}

size_t chardev_pending(const struct chardev *chr)
{
	return stream_pending(&chr->stream);
}

bool chardev_drain(struct chardev *chr, unsigned timeout_ms)
{
	return stream_drain(&chr->stream, timeout_ms);
}

void chardev_hang_up(struct chardev *chr)
{
	if (has_peers(chr)) {
		if (chr->connected)
			chardev_disconnect(chr);
		return;
	}
	stream_end_input(&chr->stream);
	stream_discard(&chr->stream);
	if (chr->kind == CHARDEV_STDIO)
		term_restore();
}

// The serial port's room is made by a vCPU, in its thread. What may concern the monitor is the main thread's.
void chardev_accept(struct chardev *chr)
{
	if (!chr->mux) {
		deliver(chr);
		return;
	}
	deliver_side(&chr->sides[SIDE_DEVICE]);
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
	return !has_peers(chr) || chr->connected;
}
