// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_balloon_serve.c - the balloon device, from a request to the answer.
 *
 * Top down it is balloon_serve, turn, and then take and work; they stand here in the opposite order. All of it runs in the
 * device's worker, under the lock, which is released after each turn: a request of any length is served in turns of
 * bounded length, and a reset in between ends it.
 */
#include "guest_access.h"
#include "log.h"
#include "monotonic.h"
#include "virtio_balloon_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#define PFN_SIZE 4u
#define STAT_SIZE 10u      /* le16 tag, le64 value, without padding */
#define STATS_READ_MAX 64u /* of one report: several times what there are tags for */
#define MS 1000u

// ---- the answer

static bool is_current(struct virtio_balloon *b, unsigned queue_idx, uint64_t generation)
{
	const struct virtq *q = &b->queues[queue_idx];

	return q->generation == generation && virtio_queue_live(&b->dev.virtio, q);
}

static void push(struct virtio_balloon *b, unsigned queue_idx, uint16_t head)
{
	virtq_push(&b->queues[queue_idx], head, 0);
	if (virtq_publish(&b->queues[queue_idx]))
		virtio_pci_queue_interrupt(b->dev.pci, (uint16_t)queue_idx);
}

static void answer(struct virtio_balloon *b)
{
	b->request.taken = false;
	push(b, b->request.queue_idx, b->request.head);
	if (b->memory.error && !b->error_reported)
		log_warn("%s: the host does not take memory back: %s", b->dev.name, strerror(-b->memory.error));
	b->error_reported = b->memory.error != 0;
}

// ---- what the guest wrote

// The next len bytes, over the borders of buffers; false: there are not so many.
static bool read_bytes(struct balloon_request *req, uint8_t *out, unsigned len)
{
	while (len > 0 && req->buf_idx < req->nbufs) {
		if (req->buf_off == req->bufs[req->buf_idx].len) {
			req->buf_idx++;
			req->buf_off = 0;
			continue;
		}
		*out++ = guest_load8(req->bufs[req->buf_idx].hva + req->buf_off++);
		len--;
	}
	return len == 0;
}

static uint64_t little_endian(const uint8_t *bytes, unsigned len)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < len; i++)
		val |= (uint64_t)bytes[i] << (8 * i);
	return val;
}

// ---- pages: false when the request is done

static bool serve_pages(struct virtio_balloon *b)
{
	struct balloon_memory *memory = &b->memory;
	uint8_t pfn[PFN_SIZE];
	bool more = true;

	for (unsigned i = 0; i < BALLOON_TURN_PAGES && more; i++) {
		more = read_bytes(&b->request, pfn, sizeof(pfn));
		if (more && b->request.queue_idx == BALLOON_INFLATE)
			balloon_memory_give(memory, (uint32_t)little_endian(pfn, sizeof(pfn)));
		else if (more)
			balloon_memory_take(memory, (uint32_t)little_endian(pfn, sizeof(pfn)));
	}
	balloon_memory_flush(memory);
	if (!more)
		balloon_memory_end_request(memory);
	return more;
}

// As in QEMU, memory that the guest expects to keep a pattern stays as it is.
static bool serve_ranges(struct virtio_balloon *b)
{
	struct balloon_request *req = &b->request;
	uint32_t left;

	if (req->buf_idx == req->nbufs || b->poison_val)
		return false;
	left = req->bufs[req->buf_idx].len - req->buf_off;
	req->buf_off += (uint32_t)balloon_memory_return(&b->memory, req->bufs[req->buf_idx].hva + req->buf_off, left);
	if (req->buf_off == req->bufs[req->buf_idx].len) {
		req->buf_idx++;
		req->buf_off = 0;
	}
	return true;
}

// ---- statistics

static int64_t real_time_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

static void arm_stats(struct virtio_balloon *b)
{
	b->stats_due_ms = b->stats_interval_s > 0 ? monotonic_ms() + (uint64_t)b->stats_interval_s * MS : 0;
}

static void give_stats_back(struct virtio_balloon *b)
{
	if (b->stats_held && is_current(b, BALLOON_STATS, b->stats_generation))
		push(b, BALLOON_STATS, b->stats_head);
	b->stats_held = false;
}

// The buffer stays here until the device wants the next report. A driver that has two of them gets the older one back.
static void take_stats(struct virtio_balloon *b)
{
	struct balloon_request *req = &b->request;
	uint8_t stat[STAT_SIZE];

	give_stats_back(b);
	memset(b->stats.vals, 0xff, sizeof(b->stats.vals));
	for (unsigned i = 0; i < STATS_READ_MAX && read_bytes(req, stat, sizeof(stat)); i++) {
		uint64_t tag = little_endian(stat, 2);

		if (tag < BALLOON_STATS_MAX)
			b->stats.vals[tag] = little_endian(stat + 2, 8);
	}
	b->stats.updated_s = real_time_s();
	b->stats_held = true;
	b->stats_head = req->head;
	b->stats_generation = req->generation;
	req->taken = false;
	arm_stats(b);
}

// Asks for a report when it is time. Returns the milliseconds until the next time, or -1.
static int ask_for_stats(struct virtio_balloon *b)
{
	uint64_t now;

	if (b->stats_due_ms == 0 || b->paused)
		return -1;
	now = monotonic_ms();
	if (now >= b->stats_due_ms) {
		give_stats_back(b);
		arm_stats(b);
	}
	return b->stats_due_ms - now < INT_MAX ? (int)(b->stats_due_ms - now) : INT_MAX;
}

// ---- the request

// Arrays of pages and statistics are readable, ranges are writable buffers; the others are not for us.
static int parse(struct virtio_balloon *b, unsigned queue_idx, struct virtq_chain *chain)
{
	struct balloon_request *req = &b->request;
	struct virtq_buf buf;
	int rc;

	*req = (struct balloon_request) { .taken = true,
		                          .queue_idx = queue_idx,
		                          .head = chain->head,
		                          .generation = b->queues[queue_idx].generation };
	while ((rc = virtq_chain_next(chain, &buf)) > 0) {
		if (buf.writable != (queue_idx == BALLOON_REPORTS))
			continue;
		req->bufs[req->nbufs].hva = buf.hva;
		req->bufs[req->nbufs++].len = buf.len;
	}
	return rc;
}

// The chains that are available; 0 asks the driver for a kick.
static int available(struct virtq *q)
{
	int navail = virtq_available(q);

	if (navail == 0) {
		virtq_kicks_on(q);
		navail = virtq_available(q);
	}
	if (navail > 0)
		virtq_kicks_off(q);
	return navail;
}

// Takes the next request of this queue. One that cannot be served is given back at once. False: there is none.
static bool take_from(struct virtio_balloon *b, unsigned queue_idx)
{
	struct virtq *q = &b->queues[queue_idx];
	struct virtq_chain chain;
	int rc;

	if (!virtio_queue_live(&b->dev.virtio, q))
		return false;
	rc = available(q);
	if (rc == 0)
		return false;
	if (rc > 0)
		rc = virtq_pop(q, &chain);
	if (rc == 0) {
		virtq_chain_allow(&chain, BALLOON_CHAIN_MAX);
		rc = parse(b, queue_idx, &chain);
		if (rc < 0)
			b->request.taken = false;
		if (rc == -EINVAL)
			push(b, queue_idx, chain.head);
	}
	if (rc == -EPROTO)
		virtio_guest_fault(&b->dev.virtio, q->fault);
	return true;
}

// In turns, so that no queue waits for ever for another one.
static bool take(struct virtio_balloon *b)
{
	for (unsigned i = 0; i < b->dev.virtio.nqueues; i++) {
		unsigned queue_idx = b->next_queue;

		b->next_queue = (b->next_queue + 1) % b->dev.virtio.nqueues;
		if (take_from(b, queue_idx))
			return true;
	}
	return false;
}

static void work(struct virtio_balloon *b)
{
	struct balloon_request *req = &b->request;

	b->memory.tracks = virtio_has_feature(&b->dev.virtio, BALLOON_F_MUST_TELL_HOST);
	if (req->queue_idx == BALLOON_STATS)
		take_stats(b);
	else if (!(req->queue_idx == BALLOON_REPORTS ? serve_ranges(b) : serve_pages(b)))
		answer(b);
}

// A bounded piece of work. False: there is nothing to do.
static bool turn(struct virtio_balloon *b)
{
	if (b->paused)
		return false;
	if (b->request.taken && !is_current(b, b->request.queue_idx, b->request.generation)) {
		b->request.taken = false;
		balloon_memory_end_request(&b->memory);
	}
	if (!b->request.taken && !take(b))
		return false;
	if (b->request.taken)
		work(b);
	return true;
}

int balloon_serve(struct virtio_balloon *b)
{
	int timeout_ms = 0;
	bool more;

	do {
		fair_lock_worker_take(&b->dev.lock);
		more = turn(b);
		if (!more)
			timeout_ms = ask_for_stats(b);
		fair_lock_worker_release(&b->dev.lock);
	} while (more);
	return timeout_ms;
}
