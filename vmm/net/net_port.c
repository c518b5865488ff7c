// SPDX-License-Identifier: Apache-2.0
// Ethernet frames on a stream, on a socket of datagrams, and on a tap.
#include "net_port.h"

#include "socket_io.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HEADER_MAX 12u
#define IN_SIZE (HEADER_MAX + NET_FRAME_MAX + NET_LENGTH_SIZE)
#define OUT_SIZE (NET_FRAME_MAX + NET_LENGTH_SIZE)

// ---- the main thread

int net_port_init(struct net_port *port, enum net_port_kind kind)
{
	*port = (struct net_port) { .kind = kind, .fd = -1, .wake_efd = -1, .lost_efd = -1 };
	pthread_mutex_init(&port->lock, NULL);
	// Memory that nobody has written to yet costs nothing.
	port->in = malloc(IN_SIZE);
	port->out = malloc(OUT_SIZE);
	if (port->in && port->out)
		return 0;
	net_port_fini(port);
	return -ENOMEM;
}

void net_port_fini(struct net_port *port)
{
	free(port->in);
	free(port->out);
	port->in = port->out = NULL;
	pthread_mutex_destroy(&port->lock);
}

void net_port_set_fd(struct net_port *port, int fd)
{
	pthread_mutex_lock(&port->lock);
	port->fd = fd;
	port->generation++;
	if (fd >= 0) {
		port->why = NULL;
		port->error = 0;
	}
	if (port->wake_efd >= 0)
		(void)!eventfd_write(port->wake_efd, 1);
	pthread_mutex_unlock(&port->lock);
}

const char *net_port_why_lost(struct net_port *port)
{
	const char *why;

	pthread_mutex_lock(&port->lock);
	why = port->why ? port->why : port->error ? strerror(port->error) : NULL;
	pthread_mutex_unlock(&port->lock);
	return why;
}

void net_port_set_wake_efd(void *opaque, int efd)
{
	struct net_port *port = opaque;

	pthread_mutex_lock(&port->lock);
	port->wake_efd = efd;
	pthread_mutex_unlock(&port->lock);
	if (port->worker_changed)
		port->worker_changed(port->owner);
}

bool net_port_has_worker(struct net_port *port)
{
	bool has;

	pthread_mutex_lock(&port->lock);
	has = port->wake_efd >= 0;
	pthread_mutex_unlock(&port->lock);
	return has;
}

// ---- the worker

// Under the lock. The main thread closes the descriptor when it sees that.
static void lose(struct net_port *port, const char *why, int error)
{
	if (port->fd < 0)
		return;
	port->fd = -1;
	port->generation++;
	port->why = why;
	port->error = error;
	if (port->lost_efd >= 0)
		(void)!eventfd_write(port->lost_efd, 1);
}

// Under the lock: the descriptor, with buffers that hold nothing of an earlier one.
static int current_fd(struct net_port *port)
{
	if (port->seen != port->generation) {
		port->in_at = port->in_end = port->out_at = port->out_end = 0;
		port->seen = port->generation;
	}
	return port->fd;
}

int net_port_poll_fd(void *opaque)
{
	struct net_port *port = opaque;
	int fd;

	pthread_mutex_lock(&port->lock);
	fd = port->fd;
	pthread_mutex_unlock(&port->lock);
	return fd;
}

static bool is_transient(int error)
{
	return error == EAGAIN || error == EINTR;
}

// An error of a datagram's destination, or of an interface that is down, comes and goes.
static bool is_harmless(const struct net_port *port, int error)
{
	return port->kind != NET_PORT_STREAM && error != EBADF && error != EBADFD && error != ENOTSOCK;
}

static void failed(struct net_port *port, int error)
{
	if (!is_transient(error) && !is_harmless(port, error))
		lose(port, NULL, error);
}

// Reads once. Under the lock.
static void fill(struct net_port *port, int fd)
{
	size_t room = IN_SIZE - port->in_end;
	ssize_t n;

	if (port->kind == NET_PORT_TAP)
		n = read(fd, port->in, room);
	else
		n = socket_receive(fd, port->in + port->in_end, room,
		                   MSG_DONTWAIT | (port->kind == NET_PORT_DATAGRAM ? MSG_TRUNC : 0));
	if (n < 0)
		failed(port, errno);
	else if (n == 0 && port->kind == NET_PORT_STREAM)
		lose(port, NULL, 0);
	else if ((size_t)n <= room)
		port->in_end += (size_t)n; // else: a datagram that is longer
}

static uint32_t load_be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

// The length of the frame at the front of the stream; -1: not all of it is there. Frames without a byte are skipped.
static ssize_t front_len(struct net_port *port)
{
	size_t have;
	uint32_t len;

	while ((have = port->in_end - port->in_at) >= NET_LENGTH_SIZE) {
		len = load_be32(port->in + port->in_at);
		if (len > NET_FRAME_MAX) {
			lose(port, "a frame is longer than any can be", 0);
			return -1;
		}
		if (len > 0)
			return have - NET_LENGTH_SIZE >= len ? (ssize_t)len : -1;
		port->in_at += NET_LENGTH_SIZE;
	}
	return -1;
}

// Makes room behind what is there of the next frame.
static void pack(struct net_port *port)
{
	memmove(port->in, port->in + port->in_at, port->in_end - port->in_at);
	port->in_end -= port->in_at;
	port->in_at = 0;
}

static const uint8_t *next_of_stream(struct net_port *port, size_t *len)
{
	ssize_t n = front_len(port);

	if (n < 0 && port->fd >= 0) {
		pack(port);
		fill(port, port->fd);
		n = port->fd >= 0 ? front_len(port) : -1;
	}
	if (n < 0)
		return NULL;
	*len = (size_t)n;
	return port->in + port->in_at + NET_LENGTH_SIZE;
}

static const uint8_t *next_packet(struct net_port *port, size_t *len)
{
	if (port->in_end == 0)
		fill(port, port->fd);
	if (port->in_end > port->header_size + NET_FRAME_MAX)
		port->in_end = 0;
	if (port->in_end <= port->header_size) {
		port->in_end = 0;
		return NULL;
	}
	*len = port->in_end - port->header_size;
	return port->in + port->header_size;
}

const uint8_t *net_port_next(void *opaque, size_t *len)
{
	struct net_port *port = opaque;
	const uint8_t *frame = NULL;

	pthread_mutex_lock(&port->lock);
	if (current_fd(port) >= 0)
		frame = port->kind == NET_PORT_STREAM ? next_of_stream(port, len) : next_packet(port, len);
	pthread_mutex_unlock(&port->lock);
	return frame;
}

void net_port_drop(void *opaque)
{
	struct net_port *port = opaque;

	pthread_mutex_lock(&port->lock);
	if (current_fd(port) < 0 || port->in_end == 0)
		;
	else if (port->kind == NET_PORT_STREAM)
		port->in_at += NET_LENGTH_SIZE + load_be32(port->in + port->in_at);
	else
		port->in_end = 0;
	pthread_mutex_unlock(&port->lock);
}

// ---- sending

// The rest of a frame, from its byte `from`, goes into the buffer.
static void keep_rest(struct net_port *port, const struct iovec *iov, unsigned niov, size_t from)
{
	port->out_at = port->out_end = 0;
	for (unsigned i = 0; i < niov; i++) {
		size_t skip = from < iov[i].iov_len ? from : iov[i].iov_len, len = iov[i].iov_len - skip;

		from -= skip;
		assert(port->out_end + len <= OUT_SIZE);
		memcpy(port->out + port->out_end, (const uint8_t *)iov[i].iov_base + skip, len);
		port->out_end += len;
	}
}

static int send_on_stream(struct net_port *port, int fd, struct iovec *iov, unsigned niov, size_t len)
{
	uint8_t prefix[NET_LENGTH_SIZE] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		                            (uint8_t)len };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = niov };
	ssize_t n;

	if (port->out_at < port->out_end)
		return -EAGAIN;
	iov[0] = (struct iovec) { .iov_base = prefix, .iov_len = sizeof(prefix) };
	n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && is_transient(errno))
		return -EAGAIN;
	if (n < 0)
		failed(port, errno);
	else if ((size_t)n < len + sizeof(prefix))
		keep_rest(port, iov, niov, (size_t)n);
	return 0;
}

// A datagram that has no room is lost, as on any network: poll(2) would not say when there is some.
static int send_packet(struct net_port *port, int fd, struct iovec *iov, unsigned niov)
{
	static const uint8_t zeros[HEADER_MAX];
	struct msghdr msg = { .msg_name = (void *)port->dest_addr,
		              .msg_namelen = port->dest_len,
		              .msg_iov = iov + 1,
		              .msg_iovlen = niov - 1 };
	ssize_t n;

	iov[0] = (struct iovec) { .iov_base = (void *)zeros, .iov_len = port->header_size };
	if (port->remote) {
		net_remote_send(port->remote, &msg);
		return 0;
	}
	if (port->kind == NET_PORT_TAP)
		n = port->header_size ? writev(fd, iov, (int)niov) : writev(fd, iov + 1, (int)niov - 1);
	else
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0)
		return 0;
	if (port->kind == NET_PORT_TAP && is_transient(errno))
		return -EAGAIN;
	failed(port, errno);
	return 0;
}

int net_port_send(void *opaque, const struct iovec *parts, unsigned nparts, size_t len)
{
	struct net_port *port = opaque;
	struct iovec iov[1 + NET_PARTS_MAX];
	int fd, rc = 0;

	assert(nparts <= NET_PARTS_MAX && len <= NET_FRAME_MAX);
	memcpy(iov + 1, parts, nparts * sizeof(*parts));
	pthread_mutex_lock(&port->lock);
	fd = current_fd(port);
	if (fd >= 0)
		rc = port->kind == NET_PORT_STREAM ? send_on_stream(port, fd, iov, nparts + 1, len) :
		                                     send_packet(port, fd, iov, nparts + 1);
	pthread_mutex_unlock(&port->lock);
	return rc;
}

bool net_port_flush(void *opaque)
{
	struct net_port *port = opaque;
	bool flushed;
	ssize_t n;

	pthread_mutex_lock(&port->lock);
	if (current_fd(port) >= 0 && port->out_at < port->out_end) {
		n = socket_send(port->fd, port->out + port->out_at, port->out_end - port->out_at, MSG_DONTWAIT);
		if (n >= 0)
			port->out_at += (size_t)n;
		else
			failed(port, errno);
	}
	flushed = current_fd(port) < 0 || port->out_at == port->out_end;
	pthread_mutex_unlock(&port->lock);
	return flushed;
}

// poll(2) may have had a descriptor that was closed meanwhile, and whose number another one has now: it is asked again.
void net_port_hung_up(void *opaque, int fd)
{
	struct net_port *port = opaque;
	struct pollfd again = { .fd = fd };
	socklen_t size = sizeof(int);
	int error = 0;

	pthread_mutex_lock(&port->lock);
	if (port->fd == fd && poll(&again, 1, 0) > 0) {
		bool socket = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0;

		// An error of a datagram is gone now that it was read.
		if (port->kind != NET_PORT_DATAGRAM || !socket)
			lose(port, NULL, error);
	}
	pthread_mutex_unlock(&port->lock);
}
