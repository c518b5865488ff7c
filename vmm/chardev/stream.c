// SPDX-License-Identifier: Apache-2.0
// Bytes in and out of descriptors that never block.
#include "stream.h"

#include "monotonic.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define WRITE_OUT_AT 512u /* bytes */
#define WRITE_OUT_MS 2u

static void await_output(struct stream *s, bool blocked)
{
	s->blocked = blocked;
	loop_set_events(s->loop, &s->out_source, blocked ? POLLOUT : 0);
}

void stream_discard(struct stream *s)
{
	s->discard = true;
	queue_clear(&s->queue);
	await_output(s, false);
}

static void write_out(struct stream *s)
{
	size_t before = s->queue.len;
	bool blocked = false;
	int error = 0;

	while (s->queue.len > 0 && !blocked && error == 0) {
		size_t len;
		const uint8_t *head = queue_head(&s->queue, &len);
		ssize_t n = nonblock_write(&s->out, head, len);

		if (n > 0)
			queue_drop(&s->queue, (size_t)n);
		else if (n < 0 && errno == EAGAIN)
			blocked = true;
		else if (n == 0 || errno != EINTR)
			error = n == 0 ? EIO : errno;
	}
	await_output(s, blocked);
	if (error != 0) {
		stream_discard(s);
		s->ops->lost(s->owner, error);
	} else if (s->queue.len < before) {
		s->ops->written(s->owner, before);
	}
}

static void on_write_out_due(void *owner)
{
	write_out(owner);
}

static void on_out_ready(void *owner, short revents)
{
	(void)revents;
	write_out(owner);
}

static void on_in_ready(void *owner, short revents)
{
	struct stream *s = owner;

	s->ops->readable(s->owner, revents);
}

int stream_init(struct stream *s, struct loop *loop, const struct stream_ops *ops, void *owner)
{
	int rc;

	*s = (struct stream) {
		.loop = loop,
		.ops = ops,
		.owner = owner,
		.in = { .fd = -1 },
		.out = { .fd = -1 },
		.in_source = { .fd = -1, .ready = on_in_ready, .owner = s },
		.out_source = { .fd = -1, .ready = on_out_ready, .owner = s },
		.write_out = { .expired = on_write_out_due, .owner = s },
	};
	rc = loop_add(loop, &s->in_source);
	rc = rc ? rc : loop_add(loop, &s->out_source);
	return rc ? rc : loop_add_timer(loop, &s->write_out);
}

void stream_fini(struct stream *s)
{
	if (!s->loop)
		return;
	stream_detach(s);
	loop_del(s->loop, &s->in_source);
	loop_del(s->loop, &s->out_source);
	loop_del_timer(s->loop, &s->write_out);
}

void stream_attach(struct stream *s, const struct nonblock *in, const struct nonblock *out)
{
	s->in = *in;
	s->out = *out;
	s->in_source.fd = in->fd;
	s->out_source.fd = out->fd;
	s->discard = false;
	await_output(s, false);
}

void stream_detach(struct stream *s)
{
	queue_clear(&s->queue);
	await_output(s, false);
	stream_await(s, 0);
	nonblock_close(&s->out);
	nonblock_close(&s->in);
	s->in_source.fd = s->out_source.fd = -1;
}

void stream_end_input(struct stream *s)
{
	stream_await(s, 0);
	if (s->in.fd == s->out.fd)
		s->out.owns |= s->in.owns;
	else
		nonblock_close(&s->in);
	s->in = (struct nonblock) { .fd = -1 };
	s->in_source.fd = -1;
}

bool stream_has_input(const struct stream *s)
{
	return s->in.fd >= 0;
}

void stream_await(struct stream *s, short events)
{
	loop_set_events(s->loop, &s->in_source, s->in.fd >= 0 ? events : 0);
}

ssize_t stream_read(struct stream *s, void *buf, size_t len)
{
	return nonblock_read(&s->in, buf, len);
}

int stream_write(struct stream *s, const uint8_t *buf, size_t len)
{
	int rc;

	if (s->out.fd < 0 || s->discard || len == 0)
		return 0;
	rc = queue_put(&s->queue, buf, len);
	if (rc < 0 || s->blocked)
		return rc;
	if (s->queue.len >= WRITE_OUT_AT || memchr(buf, '\n', len))
		write_out(s);
	else if (s->write_out.deadline_ms == 0)
		loop_arm(s->loop, &s->write_out, WRITE_OUT_MS);
	return 0;
}

size_t stream_pending(const struct stream *s)
{
	return s->queue.len;
}

bool stream_drain(struct stream *s, unsigned timeout_ms)
{
	uint64_t deadline = monotonic_ms() + timeout_ms;

	while (s->queue.len > 0) {
		struct pollfd fd = { .fd = s->out.fd, .events = POLLOUT };
		uint64_t now = monotonic_ms();
		size_t before = s->queue.len;

		if (poll(&fd, 1, now < deadline ? (int)(deadline - now) : 0) <= 0)
			break;
		write_out(s);
		if (s->queue.len == before)
			break;
	}
	return s->queue.len == 0;
}
