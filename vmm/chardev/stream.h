// SPDX-License-Identifier: Apache-2.0
/*
 * stream.h - bytes in and out of descriptors that never block, from the event loop.
 *
 * A stream has an input and an output: two descriptors (standard input and output), one of both kinds (a socket), or
 * only an output (a file). Output goes into a queue, which is written at each end of a line, when it has grown, or a
 * few milliseconds later. The queue has no limit of its own: an owner whose output nobody requested checks
 * stream_pending first. Input is not buffered here: the owner reads when `readable` says that there is something.
 *
 * All calls and callbacks run under the machine lock.
 */
#ifndef PMVM_STREAM_H
#define PMVM_STREAM_H

#include "loop.h"
#include "nonblock.h"
#include "queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_ops {
	/* There is input, or its end, or (revents has POLLHUP) the peer is gone. */
	void (*readable)(void *owner, short revents);
	/* Bytes were written out; `before` were pending. */
	void (*written)(void *owner, size_t before);
	/* Writing failed for good, with this errno. What was pending is dropped, and so is what comes. */
	void (*lost)(void *owner, int error);
};

struct stream {
	struct loop *loop;
	const struct stream_ops *ops;
	void *owner;
	struct nonblock in, out; /* fd -1: none */
	struct loop_source in_source, out_source;
	struct loop_timer write_out; /* armed while bytes wait for the end of their line */
	struct queue queue;
	bool blocked; /* the output takes nothing now: POLLOUT is awaited */
	bool discard; /* writing failed for good, or stream_discard */
};

/* Registers with the loop. 0 or -ENOSPC. stream_fini is legal in any case, also on an all-zero struct with fds -1. */
int stream_init(struct stream *s, struct loop *loop, const struct stream_ops *ops, void *owner);
/* Closes the descriptors that the stream owns. */
void stream_fini(struct stream *s);

/* Takes the descriptors, with an empty queue. For a socket, out is the same descriptor, not owned. */
void stream_attach(struct stream *s, const struct nonblock *in, const struct nonblock *out);
/* Closes both, and drops what is pending. */
void stream_detach(struct stream *s);
/* Closes the input. If the output is the same descriptor, that stays. */
void stream_end_input(struct stream *s);
bool stream_has_input(const struct stream *s);

/* Which input is awaited: POLLIN; POLLHUP: only the peer's end; 0: nothing. */
void stream_await(struct stream *s, short events);
/* As nonblock_read. */
ssize_t stream_read(struct stream *s, void *buf, size_t len);

/* Queues all bytes. They are dropped while there is no output. -ENOMEM: none was queued. */
int stream_write(struct stream *s, const uint8_t *buf, size_t len);
size_t stream_pending(const struct stream *s);
/* Writes out what the descriptor takes within timeout_ms. true: nothing is pending. */
bool stream_drain(struct stream *s, unsigned timeout_ms);
/* Drops what is pending and what comes. */
void stream_discard(struct stream *s);

#endif
