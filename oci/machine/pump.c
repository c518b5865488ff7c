// SPDX-License-Identifier: Apache-2.0
// Bytes from one descriptor to another.
#include "pump.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static bool would_wait(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

// Only one of the two is polled: reading goes on when all is written.
static void set_events(struct pump *pump)
{
	const bool waits = pump->begin < pump->end;

	loop_set_events(pump->loop, &pump->source, waits ? 0 : POLLIN);
	loop_set_events(pump->loop, &pump->sink, waits ? POLLOUT : 0);
}

static void finish(struct pump *pump, enum pump_end how)
{
	if (how == PUMP_FINISHED && pump->to->how == NONBLOCK_SOCKET)
		(void)shutdown(pump->to->fd, SHUT_WR);
	if (how == PUMP_BROKEN && pump->from->how == NONBLOCK_SOCKET)
		(void)shutdown(pump->from->fd, SHUT_RD);
	pump_stop(pump);
	pump->ended(pump->owner, how);
}

static void write_some(struct pump *pump)
{
	ssize_t n = nonblock_write(pump->to, pump->buf + pump->begin, pump->end - pump->begin);

	if (n < 0 && !would_wait(errno)) {
		finish(pump, PUMP_BROKEN);
		return;
	}
	if (n > 0) {
		pump->begin += (size_t)n;
		pump->moved += (uint64_t)n;
	}
	set_events(pump);
}

static void on_source(void *owner, short revents)
{
	struct pump *pump = owner;
	ssize_t n = nonblock_read(pump->from, pump->buf, PUMP_SIZE);

	(void)revents;
	if (n < 0 && would_wait(errno))
		return;
	if (n <= 0) {
		// An error is an end as well: EIO of a terminal that nobody has open, ECONNRESET of a guest that is gone.
		finish(pump, PUMP_FINISHED);
		return;
	}
	pump->begin = 0;
	pump->end = (size_t)n;
	write_some(pump);
}

static void on_sink(void *owner, short revents)
{
	(void)revents;
	write_some(owner);
}

int pump_start(struct pump *pump, struct loop *loop, const struct nonblock *from, const struct nonblock *to,
               void (*ended)(void *owner, enum pump_end how), void *owner)
{
	int rc;

	*pump = (struct pump) {
		.loop = loop,
		.from = from,
		.to = to,
		.source = { .fd = from->fd, .events = POLLIN, .ready = on_source, .owner = pump },
		.sink = { .fd = to->fd, .ready = on_sink, .owner = pump },
		.buf = malloc(PUMP_SIZE),
		.ended = ended,
		.owner = owner,
	};
	rc = pump->buf ? loop_add(loop, &pump->source) : -ENOMEM;
	rc = rc ? rc : loop_add(loop, &pump->sink);
	if (rc < 0)
		pump_stop(pump);
	return rc;
}

void pump_stop(struct pump *pump)
{
	if (!pump->loop)
		return;
	loop_del(pump->loop, &pump->source);
	loop_del(pump->loop, &pump->sink);
	free(pump->buf);
	pump->buf = NULL;
	pump->loop = NULL;
}

bool pump_is_running(const struct pump *pump)
{
	return pump->loop;
}

bool pump_is_waiting(const struct pump *pump)
{
	return pump->loop && pump->begin < pump->end;
}
