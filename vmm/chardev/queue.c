// SPDX-License-Identifier: Apache-2.0
// Bytes that wait: a ring that grows.
#include "queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_SIZE 4096u

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int grow(struct queue *q, size_t need)
{
	size_t size = q->size ? q->size : USUAL_SIZE, first = min_size(q->len, q->size - q->start);
	uint8_t *buf;

	while (size < need) {
		if (size > SIZE_MAX / 2)
			return -ENOMEM;
		size *= 2;
	}
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	if (q->len > 0) {
		memcpy(buf, q->buf + q->start, first);
		memcpy(buf + first, q->buf, q->len - first);
	}
	free(q->buf);
	q->buf = buf;
	q->start = 0;
	q->size = size;
	return 0;
}

int queue_put(struct queue *q, const uint8_t *buf, size_t len)
{
	size_t end, first;

	if (len == 0)
		return 0;
	if (len > q->size - q->len) {
		int rc = len > SIZE_MAX - q->len ? -ENOMEM : grow(q, q->len + len);

		if (rc < 0)
			return rc;
	}
	end = (q->start + q->len) % q->size;
	first = min_size(len, q->size - end);
	memcpy(q->buf + end, buf, first);
	memcpy(q->buf, buf + first, len - first);
	q->len += len;
	return 0;
}

const uint8_t *queue_head(const struct queue *q, size_t *len)
{
	*len = min_size(q->len, q->size - q->start);
	return q->len > 0 ? q->buf + q->start : NULL;
}

void queue_drop(struct queue *q, size_t len)
{
	assert(len <= q->len);
	q->len -= len;
	if (q->len > 0)
		q->start = (q->start + len) % q->size;
	else if (q->size > USUAL_SIZE)
		queue_clear(q);
	else
		q->start = 0;
}

void queue_clear(struct queue *q)
{
	free(q->buf);
	*q = (struct queue) { .buf = NULL };
}
