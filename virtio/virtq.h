// SPDX-License-Identifier: Apache-2.0
/*
 * virtq.h - a split virtqueue, seen from the device (virtio specification, section "Split Virtqueues").
 *
 *   descriptor table (queue_desc)        available ring (queue_driver)      used ring (queue_device)
 *   16 bytes each, `size` of them        written by the driver              written by the device
 *   +------+-----+-------+------+        +-------+-----+-----------+----+   +-------+-----+-----------+----+
 *   | addr | len | flags | next |        | flags | idx | ring[size]| ue |   | flags | idx | ring[size]| ae |
 *   +------+-----+-------+------+        +-------+-----+-----------+----+   +-------+-----+-----------+----+
 *        a chain is linked by next          ring[]: heads of chains            ring[]: (head, bytes written)
 *
 *   ue, used_event:  the driver wants an interrupt when used.idx passes it    (with EVENT_IDX only,
 *   ae, avail_event: the device wants a kick when avail.idx passes it          otherwise the flags say so)
 *
 * Both indices run freely modulo 65536. All of this memory belongs to the guest, which may change any byte
 * at any time: every field is read once, into a local, and checked there.
 *
 * The queue has no lock: the caller holds the device's. None of these functions blocks or allocates, and each reads
 * at most two descriptors.
 *
 * Errors. -EPROTO: the driver broke a MUST of the specification, the device shall ask for a reset.
 * -EINVAL: this one request cannot be served. `fault` then says in words what was wrong.
 */
#ifndef VIRTIO_VIRTQ_H
#define VIRTIO_VIRTQ_H

#include "gmem.h"

#include <stdbool.h>

/* The specification's largest queue: a larger one would not fit the 16-bit indices. */
#define VIRTQ_SIZE_LIMIT 32768u

/*
 * The largest number of buffers in a chain. "The device MAY have a reasonable limit of descriptors it will allow in a
 * chain" (virtio specification, section 2.7.4.1). A longer chain breaks the queue as a loop does, from which it cannot be
 * known without a walk whose length the guest decides.
 */
#define VIRTQ_CHAIN_MAX 16u
/* So many descriptors are read for a chain at most: its buffers, and one that points to an indirect table. */
#define VIRTQ_CHAIN_DESCS_MAX (VIRTQ_CHAIN_MAX + 1)

/* A queue's registers as the driver sees them. */
struct virtq_regs {
	uint16_t size;    /* queue_size: the queue's maximum after reset */
	bool enabled;     /* queue_enable */
	gpa_t desc_gpa;   /* queue_desc */
	gpa_t driver_gpa; /* queue_driver: available ring */
	gpa_t device_gpa; /* queue_device: used ring */
};

struct virtq {
	uint16_t size_max; /* a power of two; fixed */

	/* The registers. They do not change while regs.enabled. */
	struct virtq_regs regs;

	/* Latched by virtq_enable. */
	const struct gmem *mem;
	bool event_idx, indirect; /* features that were negotiated */
	const uint8_t *desc_hva;
	const uint8_t *avail_hva;
	uint8_t *used_hva;

	uint16_t avail_idx;     /* the next entry of the available ring to take */
	uint16_t used_idx;      /* the next entry of the used ring to fill */
	uint16_t published_idx; /* used.idx as the driver sees it */

	/* Counts resets: what was popped in an earlier life must not be pushed. */
	uint64_t generation;

	const char *fault; /* of the last call that failed */
};

/* A place in a chain; holds no guest memory but what was checked. */
struct virtq_chain {
	struct virtq *q;
	uint16_t head;            /* the request's name: given back to virtq_push */
	const uint8_t *table_hva; /* the descriptor table, or an indirect one */
	uint32_t table_len;       /* entries */
	uint32_t next_idx;        /* the entry that follows */
	uint16_t left;            /* buffers it may still have */
	uint16_t ndescs;          /* descriptors read so far, up to VIRTQ_CHAIN_DESCS_MAX */
	bool in_indirect, ended;
};

/* One buffer of a chain, wholly inside guest memory; len > 0. */
struct virtq_buf {
	uint8_t *hva;
	uint32_t len;
	bool writable; /* by the device; else readable */
};

/* A queue as after device reset, of the device's maximum size: a power of two up to VIRTQ_SIZE_LIMIT. */
void virtq_init(struct virtq *q, uint16_t size_max);

/* All registers as after device reset, all positions 0; a new generation. */
void virtq_reset(struct virtq *q);

/*
 * Resolves the three areas to pointers and starts at index 0. -EPROTO: an area is misaligned or not wholly
 * inside guest memory; the queue stays disabled.
 */
int virtq_enable(struct virtq *q, const struct gmem *mem, bool event_idx, bool indirect);

/* How many chains are available now, 0 to size. -EPROTO: avail.idx is further ahead than the ring is long. */
int virtq_available(struct virtq *q);

/* Takes the next of the available chains. -EPROTO: its head is no entry of the table. */
int virtq_pop(struct virtq *q, struct virtq_chain *chain);

/*
 * For a queue whose drivers build longer chains than VIRTQ_CHAIN_MAX: this one may have nbufs buffers. Right after
 * virtq_pop. A chain is never longer than the queue.
 */
static inline void virtq_chain_allow(struct virtq_chain *chain, uint16_t nbufs)
{
	chain->left = chain->table_len < nbufs ? (uint16_t)chain->table_len : nbufs;
}

/* The chain's next buffer: 1, or 0 at its end, or -EPROTO or -EINVAL, after which the walk is over. */
int virtq_chain_next(struct virtq_chain *chain, struct virtq_buf *buf);

/* Returns a chain, with the bytes written to it; the driver does not see it before virtq_publish. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written_len);

/* Shows the driver all that was pushed. Returns whether it wants an interrupt for that. */
bool virtq_publish(struct virtq *q);

/*
 * Asks the driver for kicks, or suppresses them. After asking, the caller must call virtq_available once more:
 * what was made available just before came without a kick.
 */
void virtq_kicks_on(struct virtq *q);
void virtq_kicks_off(struct virtq *q);

#endif
