// SPDX-License-Identifier: Apache-2.0
/*
 * agent_pump.h - carries bytes from one descriptor to another, without ever waiting.
 *
 * While the reader is slow the writer is not read: the pipe behind it fills up, and the program that writes waits.
 */
#ifndef PMVM_OCI_AGENT_PUMP_H
#define PMVM_OCI_AGENT_PUMP_H

#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmem.h>

enum { PUMP_SIZE = 32 * 1024 };

struct pump {
	struct loop *loop; /* NULL: it does not run */
	struct loop_source in, out;
	size_t start, end; /* of what is in buf */
	bool in_ended;
	bool ends_when_empty;
	/* All is delivered, or the reader is gone. In the event loop; the pump does not run any more. */
	void (*finished)(void *owner);
	void *owner;
	uint8_t buf[PUMP_SIZE];
};

/* Borrows the descriptors, which do not block. `finished` and `owner` are set already. */
int pump_start(struct pump *pump, struct loop *loop, int in_fd, int out_fd, struct vpmem_error *err);
/* Legal for one that does not run. */
void pump_stop(struct pump *pump);
/* The writer has ended: what it left is delivered, and nobody waits for the other holders of its end. */
void pump_end_when_empty(struct pump *pump);

#endif
