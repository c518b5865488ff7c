// SPDX-License-Identifier: Apache-2.0
/*
 * ringbuf.h - the last bytes that were written, in a ring of a fixed size: older ones are overwritten.
 */
#ifndef PMVM_RINGBUF_H
#define PMVM_RINGBUF_H

#include <stddef.h>
#include <stdint.h>

/* An all-zero struct has no room. */
struct ringbuf {
	uint8_t *buf;
	size_t size, start, len;
};

/* -ENOMEM. */
int ringbuf_init(struct ringbuf *ring, uint64_t size);
void ringbuf_fini(struct ringbuf *ring);
void ringbuf_write(struct ringbuf *ring, const uint8_t *buf, size_t len);
/* Removes the oldest bytes. Returns how many. */
size_t ringbuf_read(struct ringbuf *ring, uint8_t *buf, size_t len);

#endif
