// SPDX-License-Identifier: Apache-2.0
// Watches the flush path from between pmem.c and virtq.c: see flush_rig.h.
#include "flush_rig.h"

#include <string.h>

#define F_NEXT 1u
#define F_WRITE 2u
#define F_INDIRECT 4u

int __real_virtq_pop(struct virtq *q, struct virtq_chain *chain);
int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain);
void __real_virtq_push(struct virtq *q, uint16_t head, uint32_t written_len);
void __wrap_virtq_push(struct virtq *q, uint16_t head, uint32_t written_len);
bool __real_virtq_publish(struct virtq *q);
bool __wrap_virtq_publish(struct virtq *q);

/* What the specification makes of a chain. */
struct expected {
	uint16_t head;
	bool flush; /* in due form */
	bool room;  /* for a whole status */
};

static struct flush_rig *rig;
static struct expected batch[VPMEM_QUEUE_SIZE_MAX];
static unsigned npopped, npushed;
static bool synced;           /* a sync began and succeeded after the last pop */
static uint64_t ngood_before; /* requests answered with 0 when the batch began */

struct desc {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags, next;
};

static uint64_t number(const uint8_t *bytes, unsigned width)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint64_t)bytes[i] << (8 * i);
	return val;
}

static bool read_desc(uint64_t table_gpa, uint64_t n, uint64_t idx, struct desc *desc)
{
	const uint8_t *hva = idx < n ? flush_rig_ram(table_gpa + 16 * idx, 16) : NULL;

	if (!hva)
		return false;
	*desc = (struct desc) {
		.gpa = number(hva, 8),
		.len = (uint32_t)number(hva + 8, 4),
		.flags = (uint16_t)number(hva + 12, 2),
		.next = (uint16_t)number(hva + 14, 2),
	};
	return true;
}

/* The next buffer of a walk, or NULL where the walk has to end. */
struct walk {
	uint64_t table_gpa, n, idx;
	bool in_table;
	unsigned nbufs;
};

static const uint8_t *walk_next(const struct virtq *q, struct walk *walk, struct desc *desc)
{
	if (walk->nbufs++ >= (q->regs.size < VIRTQ_CHAIN_MAX ? q->regs.size : VIRTQ_CHAIN_MAX) ||
	    !read_desc(walk->table_gpa, walk->n, walk->idx, desc))
		return NULL;
	if (desc->flags & F_INDIRECT) {
		if (!q->indirect || walk->in_table || desc->flags & F_NEXT || desc->len % 16 ||
		    !flush_rig_ram(desc->gpa, desc->len))
			return NULL;
		walk->table_gpa = desc->gpa;
		walk->n = desc->len / 16;
		walk->in_table = true;
		if (!read_desc(walk->table_gpa, walk->n, 0, desc) || desc->flags & F_INDIRECT)
			return NULL;
	}
	walk->idx = desc->next;
	return flush_rig_ram(desc->gpa, desc->len);
}

static struct expected expect(const struct virtq *q, uint16_t head)
{
	struct walk walk = { .table_gpa = q->regs.desc_gpa, .n = q->regs.size, .idx = head };
	struct expected e = { .head = head };
	uint64_t nread = 0, nwritable = 0;
	bool due = true;
	uint32_t type = 0;
	struct desc desc = { .flags = F_NEXT };

	while (desc.flags & F_NEXT) {
		const uint8_t *hva = walk_next(q, &walk, &desc);

		if (!hva) {
			due = false;
			break;
		}
		if (desc.flags & F_WRITE) {
			nwritable += desc.len;
			continue;
		}
		due = due && nwritable == 0;
		for (uint64_t i = 0; i < desc.len && nread + i < 4; i++)
			type |= (uint32_t)hva[i] << (8 * (nread + i));
		nread += desc.len;
	}
	e.flush = due && nread == 4 && type == 0 && nwritable >= 4;
	e.room = nwritable >= 4;
	return e;
}

/* ---- the path, step by step ------------------------------------------------------------------------- */

void oracle_start(struct flush_rig *new_rig)
{
	rig = new_rig;
	oracle_forget();
}

void oracle_forget(void)
{
	npopped = npushed = 0;
	synced = false;
}

void oracle_sync_done(int rc)
{
	CHECK(npopped > 0 && npushed == 0);
	synced = rc == 0;
}

static uint64_t ngood(void)
{
	return rig->dev.stats.completed - rig->dev.stats.failed;
}

int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
	int rc = __real_virtq_pop(q, chain);

	if (rc)
		return rc;
	CHECK(npopped < q->regs.size && npushed == 0);
	/* One hold of the device's lock is bounded. */
	CHECK(npopped == 0 || rig->dev.batch.ndescs + VIRTQ_CHAIN_DESCS_MAX <= PMEM_HOLD_DESCRIPTORS);
	CHECK(chain->head < q->regs.size);
	if (npopped == 0)
		ngood_before = ngood();
	batch[npopped] = (struct expected) { .head = chain->head };
	if (rig->exact)
		batch[npopped] = expect(q, chain->head);
	npopped++;
	/* A sync of before does not cover this request. */
	synced = false;
	return 0;
}

/* The status that stands in guest memory for the n-th request of the batch. */
static uint32_t status_of(unsigned n)
{
	const struct pmem_request *req = &rig->dev.batch.requests[n];
	uint32_t status = 0;
	unsigned len = 0;

	for (unsigned i = 0; i < req->nsegs; i++)
		for (unsigned j = 0; j < req->segs[i].len; j++, len++)
			status |= (uint32_t)req->segs[i].hva[j] << (8 * len);
	CHECK(len == PMEM_STATUS_LEN);
	return status;
}

void __wrap_virtq_push(struct virtq *q, uint16_t head, uint32_t written_len)
{
	const struct expected *e = &batch[npushed];
	bool durable = e->flush && synced && rig->dev.error == 0;

	CHECK(npushed < npopped && head == e->head);
	CHECK(written_len == 0 || written_len == PMEM_STATUS_LEN);
	if (rig->exact) {
		CHECK(written_len == (e->room ? PMEM_STATUS_LEN : 0));
		if (e->room)
			CHECK(status_of(npushed) == (durable ? PMEM_STATUS_OK : PMEM_STATUS_ERROR));
	}
	npushed++;
	__real_virtq_push(q, head, written_len);
}

bool __wrap_virtq_publish(struct virtq *q)
{
	bool interrupt = __real_virtq_publish(q);

	CHECK(npushed == npopped);
	CHECK(synced || ngood() == ngood_before);
	CHECK(q->published_idx == q->used_idx);
	oracle_forget();
	return interrupt;
}
