// SPDX-License-Identifier: Apache-2.0
// Character devices: peers, output and flow control, front ends. Input is in chardev_input.c, opening in chardev_open.c.
#include "chardev_internal.h"

#include "log.h"
#include "term.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void chardev_made_room(struct chardev *chr, size_t before)
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

	chardev_made_room(chr, stream_pending(&chr->stream) < CHARDEV_OUT_MAX ? before : 0);
}

static void report_connection(struct chardev *chr, bool connected)
{
	const struct chardev_front *front = &chr->sides[SIDE_DEVICE].front;

	if (front->connection)
		front->connection(front->owner, connected);
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
	chardev_made_room(chr, before);
	report_connection(chr, false);
}

static void on_lost(void *owner, int error)
{
	struct chardev *chr = owner;

	if (chardev_is_peer_kind(chr))
		chardev_lose_peer(chr);
	else
		log_error("%s: cannot write: output is discarded from here on: %s", chr->name, strerror(error));
	chardev_made_room(chr, SIZE_MAX);
}

const struct stream_ops chardev_stream_ops = { .readable = chardev_on_readable,
	                                       .written = on_written,
	                                       .lost = on_lost };

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
	chardev_process_input(chr);
}

void chardev_set_monitor(struct chardev *chr, const struct chardev_front *front)
{
	assert(chr->mux);
	chr->sides[SIDE_MONITOR].front = *front;
	if (!front->receive)
		chr->focus = SIDE_DEVICE;
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
	if (chardev_is_peer_kind(chr)) {
		if (chr->connected)
			chardev_disconnect(chr);
		return;
	}
	stream_end_input(&chr->stream);
	stream_discard(&chr->stream);
	if (chr->kind == CHARDEV_STDIO)
		term_restore();
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
	return !chardev_is_peer_kind(chr) || chr->connected;
}
