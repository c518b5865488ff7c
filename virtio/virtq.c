// SPDX-License-Identifier: Apache-2.0
/*
 * virtq.c - a split virtqueue, seen from the device.
 */
#include "virtq.h"
#include "guest_access.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#define DESC_SIZE 16u
#define DESC_F_NEXT 1u
#define DESC_F_WRITE 2u
#define DESC_F_INDIRECT 4u

/* Available and used ring begin alike: le16 flags, le16 idx, then the entries, then the event index. */
#define RING_FLAGS_OFF 0u
#define RING_IDX_OFF 2u
#define RING_ENTRIES_OFF 4u
#define AVAIL_ENTRY_SIZE 2u
#define USED_ENTRY_SIZE 8u

#define AVAIL_F_NO_INTERRUPT 1u
#define USED_F_NO_NOTIFY 1u

/* A descriptor as it was when it was read. */
struct desc {
	gpa_t gpa;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

static int fault(struct virtq *q, int rc, const char *text)
{
	q->fault = text;
	return rc;
}

void virtq_init(struct virtq *q, uint16_t size_max)
{
	assert(size_max > 0 && size_max <= VIRTQ_SIZE_LIMIT && (size_max & (size_max - 1)) == 0);
	*q = (struct virtq) { .size_max = size_max };
	virtq_reset(q);
}

void virtq_reset(struct virtq *q)
{
	*q = (struct virtq) {
		.size_max = q->size_max,
		.regs.size = q->size_max,
		.generation = q->generation + 1,
	};
}

/* An area's pointer, or NULL: it must be aligned as the specification says and wholly in guest memory. */
static void *area(const struct gmem *mem, gpa_t gpa, uint64_t len, unsigned align)
{
	return gpa % align ? NULL : gmem_hva(mem, gpa, len);
}

int virtq_enable(struct virtq *q, const struct gmem *mem, bool event_idx, bool indirect)
{
	const struct virtq_regs *regs = &q->regs;
	unsigned event_len = event_idx ? 2 : 0;

	assert(!regs->enabled && regs->size > 0 && regs->size <= q->size_max);
	q->desc_hva = area(mem, regs->desc_gpa, regs->size * DESC_SIZE, 16);
	q->avail_hva = area(mem, regs->driver_gpa, RING_ENTRIES_OFF + regs->size * AVAIL_ENTRY_SIZE + event_len, 2);
	q->used_hva = area(mem, regs->device_gpa, RING_ENTRIES_OFF + regs->size * USED_ENTRY_SIZE + event_len, 4);
	if (!q->desc_hva || !q->avail_hva || !q->used_hva)
		return fault(q, -EPROTO, "a ring is misaligned or not in guest memory");
	q->mem = mem;
	q->event_idx = event_idx;
	q->indirect = indirect;
	q->regs.enabled = true;
	return 0;
}

static uint16_t used_event(const struct virtq *q)
{
	return guest_load16(q->avail_hva + RING_ENTRIES_OFF + q->regs.size * AVAIL_ENTRY_SIZE);
}

static void set_avail_event(struct virtq *q, uint16_t val)
{
	guest_store16(q->used_hva + RING_ENTRIES_OFF + q->regs.size * USED_ENTRY_SIZE, val);
}

int virtq_available(struct virtq *q)
{
	/*
	 * Acquire: pairs with the driver's write barrier between avail.idx and what is before it: the chain,
	 * and the stores that a flush is for.
	 */
	uint16_t nnew = (uint16_t)(guest_load16_acquire(q->avail_hva + RING_IDX_OFF) - q->avail_idx);

	if (nnew > q->regs.size)
		return fault(q, -EPROTO, "the available index is further ahead than the queue is long");
	return nnew;
}

int virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
	unsigned slot = q->avail_idx % q->regs.size;
	uint16_t head = guest_load16(q->avail_hva + RING_ENTRIES_OFF + slot * AVAIL_ENTRY_SIZE);

	if (head >= q->regs.size)
		return fault(q, -EPROTO, "the head of a chain is outside the descriptor table");
	q->avail_idx++;
	*chain = (struct virtq_chain) {
		.q = q,
		.head = head,
		.table_hva = q->desc_hva,
		.table_len = q->regs.size,
		.next_idx = head,
		.left = q->regs.size < VIRTQ_CHAIN_MAX ? q->regs.size : VIRTQ_CHAIN_MAX,
	};
	return 0;
}

/* The little-endian value of n bytes, each read once. */
static uint64_t load_bytes(const uint8_t *hva, unsigned n)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < n; i++)
		val |= (uint64_t)guest_load8(hva + i) << (8 * i);
	return val;
}

/* An indirect table may lie at any address, so a descriptor is read by bytes. */
static struct desc load_desc(const uint8_t *hva)
{
	return (struct desc) {
		.gpa = load_bytes(hva, 8),
		.len = (uint32_t)load_bytes(hva + 8, 4),
		.flags = (uint16_t)load_bytes(hva + 12, 2),
		.next = (uint16_t)load_bytes(hva + 14, 2),
	};
}

/*
 * Goes on in an indirect table. It ends the chain (a driver MUST NOT set INDIRECT together with NEXT), may
 * follow other descriptors, and the table's own WRITE flag means nothing.
 */
static int enter_indirect(struct virtq_chain *chain, const struct desc *desc)
{
	struct virtq *q = chain->q;

	if (!q->indirect)
		return fault(q, -EPROTO, "an indirect descriptor, but INDIRECT_DESC was not negotiated");
	if (chain->in_indirect)
		return fault(q, -EPROTO, "an indirect descriptor inside an indirect table");
	if (desc->flags & DESC_F_NEXT)
		return fault(q, -EPROTO, "a descriptor with both INDIRECT and NEXT");
	if (desc->len % DESC_SIZE)
		return fault(q, -EPROTO, "the length of an indirect table is no multiple of 16");
	/* Also NULL for length 0. */
	chain->table_hva = gmem_hva(q->mem, desc->gpa, desc->len);
	if (!chain->table_hva)
		return fault(q, -EPROTO, "an indirect table that is empty or outside guest memory");
	chain->table_len = desc->len / DESC_SIZE;
	chain->next_idx = 0;
	chain->in_indirect = true;
	return 0;
}

/* Reads the entry that follows, entering an indirect table if it is one. */
static int next_desc(struct virtq_chain *chain, struct desc *desc)
{
	/* At most one pass more: inside an indirect table enter_indirect refuses. */
	for (;;) {
		int rc;

		if (chain->next_idx >= chain->table_len)
			return fault(chain->q, -EPROTO, "the next field is outside the descriptor table");
		chain->ndescs++;
		*desc = load_desc(chain->table_hva + (uint64_t)chain->next_idx * DESC_SIZE);
		if (!(desc->flags & DESC_F_INDIRECT))
			return 0;
		rc = enter_indirect(chain, desc);
		if (rc)
			return rc;
	}
}

int virtq_chain_next(struct virtq_chain *chain, struct virtq_buf *buf)
{
	struct virtq *q = chain->q;
	struct desc desc;
	int rc;

	if (chain->ended)
		return 0;
	/* Whatever happens below, a walk that failed does not go on. */
	chain->ended = true;
	/* A chain of exactly that many buffers is legal. A loop has no end, so it also gets here. */
	if (chain->left-- == 0)
		return fault(q, -EPROTO, "a chain has too many buffers, is longer than the queue, or is a loop");
	rc = next_desc(chain, &desc);
	if (rc)
		return rc;
	if (desc.len == 0)
		return fault(q, -EINVAL, "a buffer of length 0");
	buf->hva = gmem_hva(q->mem, desc.gpa, desc.len);
	if (!buf->hva)
		return fault(q, -EPROTO, "a buffer outside guest memory");
	buf->len = desc.len;
	buf->writable = desc.flags & DESC_F_WRITE;
	chain->next_idx = desc.next;
	chain->ended = !(desc.flags & DESC_F_NEXT);
	return 1;
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written_len)
{
	uint8_t *entry = q->used_hva + RING_ENTRIES_OFF + (q->used_idx % q->regs.size) * USED_ENTRY_SIZE;

	guest_store32(entry, head);
	guest_store32(entry + 4, written_len);
	q->used_idx++;
}

bool virtq_publish(struct virtq *q)
{
	uint16_t old_idx = q->published_idx, new_idx = q->used_idx;

	q->published_idx = new_idx;
	/* Release: pairs with the driver's read barrier between used.idx and the entries that it covers. */
	guest_store16_release(q->used_hva + RING_IDX_OFF, new_idx);
	/*
	 * Pairs with the driver's full barrier between its write of used_event (or of avail.flags) and its
	 * last load of used.idx: one of the two sees the other's write, so no interrupt is lost.
	 */
	guest_full_barrier();
	if (!q->event_idx)
		return !(guest_load16(q->avail_hva + RING_FLAGS_OFF) & AVAIL_F_NO_INTERRUPT);
	/* Did the index pass used_event with this step? Modulo 65536. */
	return (uint16_t)(new_idx - used_event(q) - 1) < (uint16_t)(new_idx - old_idx);
}

void virtq_kicks_on(struct virtq *q)
{
	if (q->event_idx)
		set_avail_event(q, q->avail_idx);
	else
		guest_store16(q->used_hva + RING_FLAGS_OFF, 0);
	/*
	 * Pairs with the driver's full barrier between its write of avail.idx and its load of avail_event (or
	 * used.flags): either it kicks, or the caller's next load of avail.idx sees its chain.
	 */
	guest_full_barrier();
}

void virtq_kicks_off(struct virtq *q)
{
	/* With EVENT_IDX an avail_event that avail.idx has already passed means the same. */
	if (!q->event_idx)
		guest_store16(q->used_hva + RING_FLAGS_OFF, USED_F_NO_NOTIFY);
}
