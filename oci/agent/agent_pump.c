// SPDX-License-Identifier: Apache-2.0
// One direction of a stream: a buffer, and an event of one of two descriptors at a time.
#include "agent_pump.h"

#include "error.h"

#include <unistd.h>

static void finish(struct pump *pump)
{
	pump_stop(pump);
	pump->finished(pump->owner);
}

static void read_some(void *owner, short revents);

static void rest_or_finish(struct pump *pump)
{
	const bool is_empty = pump->start == pump->end;

	if (is_empty && pump->in_ended) {
		finish(pump);
		return;
	}
	// An empty pipe that others hold open has no event.
	if (is_empty && pump->ends_when_empty) {
		read_some(pump, 0);
		return;
	}
	loop_set_events(pump->loop, &pump->in, is_empty ? POLLIN : 0);
	loop_set_events(pump->loop, &pump->out, is_empty ? 0 : POLLOUT);
}

static void write_some(void *owner, short revents)
{
	struct pump *pump = owner;
	ssize_t n = write(pump->out.fd, pump->buf + pump->start, pump->end - pump->start);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		n = 0;
	if (n < 0) {
		finish(pump);
		return;
	}
	pump->start += (size_t)n;
	rest_or_finish(pump);
}

static void read_some(void *owner, short revents)
{
	struct pump *pump = owner;
	ssize_t n = read(pump->in.fd, pump->buf, sizeof(pump->buf));

	(void)revents;
	// A terminal that nobody has open any more is EIO.
	if (n == 0 || (n < 0 && errno != EINTR && (errno != EAGAIN || pump->ends_when_empty)))
		pump->in_ended = true;
	pump->start = 0;
	pump->end = n > 0 ? (size_t)n : 0;
	rest_or_finish(pump);
}

int pump_start(struct pump *pump, struct loop *loop, int in_fd, int out_fd, struct vpmem_error *err)
{
	int rc;

	pump->in = (struct loop_source) { .fd = in_fd, .events = POLLIN, .ready = read_some, .owner = pump };
	pump->out = (struct loop_source) { .fd = out_fd, .events = 0, .ready = write_some, .owner = pump };
	rc = loop_add(loop, &pump->in);
	if (rc == 0) {
		rc = loop_add(loop, &pump->out);
		if (rc)
			loop_del(loop, &pump->in);
	}
	if (rc)
		return error_set(err, rc, "too many streams");
	pump->loop = loop;
	return 0;
}

void pump_stop(struct pump *pump)
{
	if (!pump->loop)
		return;
	loop_del(pump->loop, &pump->in);
	loop_del(pump->loop, &pump->out);
	pump->loop = NULL;
}

void pump_end_when_empty(struct pump *pump)
{
	pump->ends_when_empty = true;
	if (pump->loop)
		rest_or_finish(pump);
}
