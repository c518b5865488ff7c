// SPDX-License-Identifier: Apache-2.0
/*
 * pump.h - moves bytes from one descriptor to another, in the event loop.
 *
 * It reads no more than it can write: at most PUMP_SIZE bytes are under way, so a slow reader slows the writer down. When
 * the source ends, what is under way is written, and then the sink is ended: a socket by shutdown(SHUT_WR), which its
 * other direction survives. When nobody reads the sink any more, the source is not read any more.
 *
 * Neither direction waits for a process at the other end (nonblock.h). Descriptors are borrowed.
 */
#ifndef PMVM_OCI_PUMP_H
#define PMVM_OCI_PUMP_H

#include "loop.h"
#include "nonblock.h"

#include <stddef.h>
#include <stdint.h>

#define PUMP_SIZE 65536u

enum pump_end {
	PUMP_FINISHED, /* the source has ended, and all of it is written */
	PUMP_BROKEN,   /* nobody takes it; what was under way is lost */
};

struct pump {
	struct loop *loop; /* NULL: it does not run */
	const struct nonblock *from, *to;
	struct loop_source source, sink;
	uint8_t *buf;      /* PUMP_SIZE bytes */
	size_t begin, end; /* of what is under way, in buf */
	uint64_t moved;    /* bytes that were written, to see progress */
	/* It has ended, and does not run any more. From the event loop. */
	void (*ended)(void *owner, enum pump_end how);
	void *owner;
};

/* *pump is all zeros. -ENOMEM, -ENOSPC: it does not run. */
int pump_start(struct pump *pump, struct loop *loop, const struct nonblock *from, const struct nonblock *to,
               void (*ended)(void *owner, enum pump_end how), void *owner);
/* Without `ended`. Legal for one that does not run. */
void pump_stop(struct pump *pump);
bool pump_is_running(const struct pump *pump);
/* Bytes wait for the reader of the sink. */
bool pump_is_waiting(const struct pump *pump);

#endif
