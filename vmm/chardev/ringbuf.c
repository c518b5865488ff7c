// SPDX-License-Identifier: Apache-2.0
// The last bytes that were written.
#include "ringbuf.h"

#include <errno.h>
#include <stdlib.h>

int ringbuf_init(struct ringbuf *ring, uint64_t size)
{
	uint8_t *buf = size > 0 && size <= SIZE_MAX / 2 ? calloc(1, size) : NULL;

	if (!buf)
		return -ENOMEM;
	*ring = (struct ringbuf) { .buf = buf, .size = size };
	return 0;
}

void ringbuf_fini(struct ringbuf *ring)
{
	free(ring->buf);
	*ring = (struct ringbuf) { .buf = NULL };
}

void ringbuf_write(struct ringbuf *ring, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		ring->buf[(ring->start + ring->len) % ring->size] = buf[i];
		if (ring->len < ring->size)
			ring->len++;
		else
			ring->start = (ring->start + 1) % ring->size;
	}
}

size_t ringbuf_read(struct ringbuf *ring, uint8_t *buf, size_t len)
{
	size_t n = len < ring->len ? len : ring->len;

	for (size_t i = 0; i < n; i++)
		buf[i] = ring->buf[(ring->start + i) % ring->size];
	if (n > 0)
		ring->start = (ring->start + n) % ring->size;
	ring->len -= n;
	return n;
}
