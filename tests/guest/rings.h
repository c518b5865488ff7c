// SPDX-License-Identifier: Apache-2.0
/*
 * rings.h - virtqueues of devices that have more than one, for bare-metal guest programs.
 *
 * The registers, features and vectors are those of virtio.h, whose own rings are not used. A ring belongs to one
 * queue of one device. It knows nothing of requests: the program writes the descriptors.
 */
#ifndef GUEST_RINGS_H
#define GUEST_RINGS_H

#include "virtio.h"

struct ring {
	const struct virtio *dev;
	uint16_t queue_idx;
	uint16_t size;
	uint16_t avail_idx; /* of the next chain, published or not */
	gpa_t notify;
	struct rings rings __attribute__((aligned(4096)));
};

/* Empties the rings, writes their addresses and the MSI-X entry into the registers, and enables the queue. */
bool ring_start(struct ring *ring, const struct virtio *dev, uint16_t queue_idx, uint16_t size, uint16_t entry);

void ring_desc(struct ring *ring, unsigned i, gpa_t gpa, uint32_t len, unsigned flags, unsigned next);
/* Puts a chain into the available ring; the device sees it after ring_publish. */
void ring_submit(struct ring *ring, unsigned head);
void ring_publish(struct ring *ring);
void ring_kick(const struct ring *ring);
/* A chain of one buffer, at descriptor 0, published with a kick. */
void ring_send(struct ring *ring, const void *buf, uint32_t len, unsigned flags);
/* Waits until everything published is used. */
bool ring_wait(const struct ring *ring);
/* The used entry of the last chain but `back`. */
struct used_elem ring_used(const struct ring *ring, unsigned back);

/* RING_RESET of this queue. False: the registers do not say so afterwards. */
bool ring_reset(const struct ring *ring);

#endif
