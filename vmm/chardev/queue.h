// SPDX-License-Identifier: Apache-2.0
/*
 * queue.h - bytes that wait, first in, first out: a ring that grows.
 */
#ifndef PMVM_QUEUE_H
#define PMVM_QUEUE_H

#include <stddef.h>
#include <stdint.h>

/* An all-zero struct is empty. */
struct queue {
	uint8_t *buf;
	size_t start, len, size;
};

/* Appends all bytes. -ENOMEM: none. */
int queue_put(struct queue *q, const uint8_t *buf, size_t len);
/* The first bytes, as many as lie in one piece. *len is 0 if the queue is empty. */
const uint8_t *queue_head(const struct queue *q, size_t *len);
/* Removes the first len bytes. A queue that becomes empty gives back the memory of what was unusually long. */
void queue_drop(struct queue *q, size_t len);
/* Removes all bytes and frees the memory. */
void queue_clear(struct queue *q);

#endif
