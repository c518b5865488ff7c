// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_rng_serve.c - the entropy device, from a request to the answer.
 *
 * Top down it is rng_serve, and then for each request take, read_source and answer; they stand here in the opposite order.
 * All of it runs in the device's worker. The lock is free while bytes are read, so that neither a reset nor any other
 * access of the guest waits for a slow file.
 */
#include "guest_access.h"
#include "log.h"
#include "monotonic.h"
#include "virtio_rng_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

// ---- the answer

static void publish(struct virtio_rng *rng)
{
	if (virtq_publish(&rng->queue))
		virtio_pci_queue_interrupt(rng->dev.pci, 0);
}

static bool is_current(const struct virtio_rng *rng)
{
	return rng->request.generation == rng->queue.generation && virtio_queue_live(&rng->dev.virtio, &rng->queue);
}

// Gives the request back with the first len bytes of the chunk. Under the lock.
static void answer(struct virtio_rng *rng, uint32_t len)
{
	struct rng_request *req = &rng->request;
	uint32_t done = 0;

	req->taken = false;
	if (!is_current(rng))
		return;
	for (unsigned i = 0; i < req->nbufs; i++)
		for (uint32_t j = 0; j < req->bufs[i].len && done < len; j++)
			guest_store8(req->bufs[i].hva + j, rng->chunk[done++]);
	rng->quota -= len;
	virtq_push(&rng->queue, req->head, len);
	publish(rng);
}

// ---- random bytes

// Returns their number in the chunk, or 0 with what to wait for. Without the lock.
static uint32_t read_source(struct virtio_rng *rng, enum rng_wait *wait, int *timeout_ms)
{
	size_t len = rng->request.len;
	ssize_t n;

	do
		n = rng->source_fd < 0 ? getrandom(rng->chunk, len, 0) : read(rng->source_fd, rng->chunk, len);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		rng->source_failed = false;
		return (uint32_t)n;
	}
	*wait = n < 0 && errno == EAGAIN ? RNG_WAIT_SOURCE : RNG_WAIT_RETRY;
	if (*wait == RNG_WAIT_SOURCE)
		return 0;
	*timeout_ms = RNG_RETRY_MS;
	if (!rng->source_failed)
		log_warn("%s: no random bytes: %s: the guest waits for them", rng->dev.name,
		         n < 0 ? strerror(errno) : "end of file");
	rng->source_failed = true;
	return 0;
}

// ---- the request

// Returns the milliseconds until the quota is renewed, or 0: there is some left. Begins a period where none runs.
static uint64_t check_quota(struct virtio_rng *rng)
{
	uint64_t now = monotonic_ms();

	if (rng->period_end_ms != 0 && now >= rng->period_end_ms) {
		rng->quota = rng->max_bytes;
		rng->period_end_ms = 0;
	}
	if (rng->period_end_ms == 0)
		rng->period_end_ms = now + rng->period_ms;
	return rng->quota > 0 ? 0 : rng->period_end_ms - now;
}

// What is readable is not for us: "the driver MUST NOT place device-readable buffers".
static int parse(struct virtio_rng *rng, struct virtq_chain *chain)
{
	uint64_t max = rng->quota < sizeof(rng->chunk) ? rng->quota : sizeof(rng->chunk);
	struct rng_request *req = &rng->request;
	struct virtq_buf buf;
	int rc;

	*req = (struct rng_request) { .taken = true, .head = chain->head, .generation = rng->queue.generation };
	while ((rc = virtq_chain_next(chain, &buf)) > 0) {
		uint32_t left = (uint32_t)max - req->len, len = buf.len < left ? buf.len : left;

		if (!buf.writable || len == 0)
			continue;
		req->bufs[req->nbufs].hva = buf.hva;
		req->bufs[req->nbufs++].len = len;
		req->len += len;
	}
	return rc;
}

// Takes the next request. One without room, or one that cannot be served, is given back at once. Under the lock.
static void take(struct virtio_rng *rng)
{
	struct virtq_chain chain;
	int rc = virtq_pop(&rng->queue, &chain);

	if (rc == 0) {
		rc = parse(rng, &chain);
		if (rc < 0)
			rng->request.len = 0;
		if (rng->request.len == 0)
			answer(rng, 0);
	}
	if (rc == -EPROTO)
		virtio_guest_fault(&rng->dev.virtio, rng->queue.fault);
}

// The chains that are available; 0 asks the driver for a kick. Under the lock.
static int available(struct virtio_rng *rng)
{
	int navail = virtq_available(&rng->queue);

	if (navail == 0) {
		virtq_kicks_on(&rng->queue);
		navail = virtq_available(&rng->queue);
	}
	if (navail < 0)
		virtio_guest_fault(&rng->dev.virtio, rng->queue.fault);
	if (navail > 0)
		virtq_kicks_off(&rng->queue);
	return navail;
}

// One request from the ring, which may be gone again afterwards. False: see *wait. Under the lock.
static bool next(struct virtio_rng *rng, enum rng_wait *wait, int *timeout_ms)
{
	uint64_t pause_ms;

	*wait = RNG_WAIT_KICK;
	*timeout_ms = -1;
	if (rng->request.taken && is_current(rng)) {
		// Its bytes belong to the period in which they come; it asks for no more than was left when it was taken.
		(void)check_quota(rng);
		return true;
	}
	rng->request.taken = false;
	if (!virtio_queue_live(&rng->dev.virtio, &rng->queue) || available(rng) <= 0)
		return false;
	pause_ms = check_quota(rng);
	if (pause_ms > 0) {
		*wait = RNG_WAIT_QUOTA;
		*timeout_ms = pause_ms < INT_MAX ? (int)pause_ms : INT_MAX;
		return false;
	}
	take(rng);
	return true;
}

enum rng_wait rng_serve(struct virtio_rng *rng, int *timeout_ms)
{
	enum rng_wait wait;
	uint32_t len;
	bool more;

	for (;;) {
		fair_lock_worker_take(&rng->dev.lock);
		more = next(rng, &wait, timeout_ms);
		fair_lock_worker_release(&rng->dev.lock);
		if (!more)
			return wait;
		if (!rng->request.taken)
			continue;
		len = read_source(rng, &wait, timeout_ms);
		if (len == 0)
			return wait;
		fair_lock_worker_take(&rng->dev.lock);
		answer(rng, len);
		fair_lock_worker_release(&rng->dev.lock);
		// Nobody else is to find what the guest may use as a key.
		explicit_bzero(rng->chunk, len);
	}
}
