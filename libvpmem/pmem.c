// SPDX-License-Identifier: Apache-2.0
/*
 * pmem.c - the flush path of the pmem device, from a kick to the answer.
 *
 * Top down it is pmem_worker_main, pmem_serve_queue, and then for each batch batch_take, batch_sync and
 * batch_complete; they stand here in the opposite order. The rule that they keep: one sync answers exactly
 * the requests that were visible before it began. docs/flush-path.md explains why.
 */
#include "pmem.h"
#include "guest_access.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Notes where the next bytes of the status go. A status is 4 bytes; what is writable beyond is not used. */
static void request_add_status(struct pmem_request *req, const struct virtq_buf *buf)
{
	uint32_t missing = PMEM_STATUS_LEN - req->status_len;
	uint8_t len = (uint8_t)(buf->len < missing ? buf->len : missing);

	if (len == 0)
		return;
	req->segs[req->nsegs].hva = buf->hva;
	req->segs[req->nsegs].len = len;
	req->nsegs++;
	req->status_len = (uint8_t)(req->status_len + len);
}

/*
 * Reads a request: le32 type for the device, then room for a le32 status. A driver may split both into
 * descriptors as it likes (a device MUST NOT assume a framing), so this goes by bytes.
 * Returns 0, or -EPROTO or -EINVAL of the chain; the request is complete enough to be answered in any case.
 */
static int request_parse(struct pmem_request *req, struct virtq_chain *chain)
{
	uint32_t type = 0;
	uint64_t type_len = 0;
	bool ordered = true;
	struct virtq_buf buf;
	int rc;

	*req = (struct pmem_request) { .head = chain->head };
	while ((rc = virtq_chain_next(chain, &buf)) > 0) {
		if (buf.writable) {
			request_add_status(req, &buf);
			continue;
		}
		/* A driver MUST place what the device reads before what it writes. */
		ordered = ordered && req->nsegs == 0;
		for (uint32_t i = 0; i < buf.len && type_len + i < PMEM_TYPE_LEN; i++)
			type |= (uint32_t)guest_load8(buf.hva + i) << (8 * (type_len + i));
		type_len += buf.len;
	}
	req->flush = rc == 0 && ordered && type_len == PMEM_TYPE_LEN && type == PMEM_REQ_TYPE_FLUSH &&
	             req->status_len == PMEM_STATUS_LEN;
	return rc;
}

/* Writes the status and returns the chain. Without room for a whole status nothing is written. */
static void request_complete(struct vpmem_device *dev, const struct pmem_request *req, uint32_t status)
{
	bool writable = req->status_len == PMEM_STATUS_LEN;

	if (writable) {
		for (unsigned i = 0, byte = 0; i < req->nsegs; i++) {
			for (unsigned j = 0; j < req->segs[i].len; j++, byte++)
				guest_store8(req->segs[i].hva + j, (uint8_t)(status >> (8 * byte)));
		}
	}
	virtq_push(virtio_queue(&dev->virtio, PMEM_QUEUE), req->head, writable ? PMEM_STATUS_LEN : 0);
	stats_count(&dev->stats.completed);
	if (status != PMEM_STATUS_OK)
		stats_count(&dev->stats.failed);
}

/* Whether one more chain of the largest size keeps the work of this hold bounded. */
static bool batch_has_room(const struct pmem_batch *batch)
{
	return batch->ndescs + VIRTQ_CHAIN_DESCS_MAX <= PMEM_HOLD_DESCRIPTORS;
}

/* Pops one request into the batch. Under the lock. */
static int batch_add(struct vpmem_device *dev, struct pmem_batch *batch, struct virtq *q)
{
	struct pmem_request *req = &batch->requests[batch->nrequests];
	struct virtq_chain chain;
	int rc = virtq_pop(q, &chain);

	if (rc == 0) {
		rc = request_parse(req, &chain);
		batch->nrequests++;
		batch->nflushes += req->flush;
		batch->ndescs += chain.ndescs;
		stats_count(&dev->stats.requests);
		/* The request is answered; what else is in the ring is served. */
		if (rc == -EPROTO && !batch->fault)
			batch->fault = q->fault;
		return 0;
	}
	batch->fault = q->fault;
	return rc;
}

/*
 * Pops the requests that are visible now, no later ones, into the batch; what does not fit into one hold of the lock
 * stays in the ring for the next batch. Under the lock.
 */
static void batch_take(struct vpmem_device *dev, struct pmem_batch *batch)
{
	struct virtq *q = virtio_queue(&dev->virtio, PMEM_QUEUE);
	int navail;

	if (batch->generation != q->generation)
		dev->nbad_batches = 0;
	batch->generation = q->generation;
	batch->nrequests = batch->nflushes = batch->ndescs = 0;
	batch->fault = NULL;
	/* A device MUST NOT consume buffers before DRIVER_OK. */
	if (dev->stopping || !virtio_queue_live(&dev->virtio, q))
		return;
	navail = virtq_available(q);
	if (navail == 0) {
		virtq_kicks_on(q);
		navail = virtq_available(q);
	}
	if (navail < 0)
		batch->fault = q->fault;
	if (navail > 0)
		virtq_kicks_off(q);
	for (int i = 0; i < navail && batch_has_room(batch); i++)
		if (batch_add(dev, batch, q))
			return;
}

/* A guest that sends nothing but bad requests would keep the worker busy for ever, at no cost of its own. */
static void batch_judge(struct vpmem_device *dev, struct pmem_batch *batch)
{
	dev->nbad_batches = batch->nflushes > 0 ? 0 : dev->nbad_batches + 1;
	if (dev->nbad_batches >= PMEM_BAD_BATCHES_MAX && !batch->fault)
		batch->fault = "too many requests in a row, and no flush in due form among them";
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * The one sync that answers the batch's flushes: 0 or -errno. After a failure there is none until an operator
 * clears the error: the kernel reports a lost write once, so a second sync would succeed without the data.
 */
static int batch_sync(struct vpmem_device *dev, const struct pmem_batch *batch, bool *failed_now)
{
	int rc = vpmem_device_error(dev);

	*failed_now = false;
	if (rc || batch->nflushes == 0)
		return rc;
	stats_sync_began(&dev->stats, monotonic_ns());
	rc = vpmem_backing_sync(dev->backing);
	stats_sync_ended(&dev->stats, monotonic_ns(), rc);
	*failed_now = rc != 0;
	return rc;
}

/* The data of some flush is not durable: every later flush also fails. Under the lock. */
static void sync_failed(struct vpmem_device *dev, int rc)
{
	const struct vpmem_callbacks *cb = &dev->callbacks;
	char text[512];

	vpmem_device_set_error(dev, rc);
	if (!cb->event)
		return;
	errno = -rc;
	snprintf(text, sizeof(text), "pmem: %s: sync failed: %s: %m", dev->name, vpmem_backing_path(dev->backing));
	cb->event(cb->opaque, VPMEM_EVENT_SYNC_FAILED, rc, text);
}

/*
 * With hold_on_error: waits until an operator decides. True: the error is cleared, another sync may answer.
 * A reset or the device's end also end the wait. Under the lock, which is free meanwhile.
 */
static bool batch_hold(struct vpmem_device *dev, const struct pmem_batch *batch)
{
	const struct virtq *q = virtio_queue(&dev->virtio, PMEM_QUEUE);

	dev->held = dev->hold_on_error;
	while (dev->held && !dev->stopping && batch->generation == q->generation)
		pthread_cond_wait(&dev->released, &dev->lock.mutex);
	dev->held = false;
	return dev->hold_on_error && !dev->stopping && batch->generation == q->generation &&
	       vpmem_device_error(dev) == 0;
}

/* Answers the requests of the batch, unless they were forgotten by a reset meanwhile. Under the lock. */
static void batch_complete(struct vpmem_device *dev, struct pmem_batch *batch, int sync_rc)
{
	const struct vpmem_callbacks *cb = &dev->callbacks;
	struct virtq *q = virtio_queue(&dev->virtio, PMEM_QUEUE);

	if (batch->generation != q->generation)
		return;
	for (unsigned i = 0; i < batch->nrequests; i++) {
		const struct pmem_request *req = &batch->requests[i];

		request_complete(dev, req, req->flush && sync_rc == 0 ? PMEM_STATUS_OK : PMEM_STATUS_ERROR);
	}
	if (batch->nrequests > 0 && virtq_publish(q)) {
		stats_count(&dev->stats.interrupts);
		cb->interrupt(cb->opaque, VPMEM_INTERRUPT_QUEUE);
	}
	batch_judge(dev, batch);
	if (batch->fault)
		virtio_guest_fault(&dev->virtio, batch->fault);
}

/*
 * Serves the queue until it is empty. The lock is free during a sync, so that a reset never waits for one, and is handed
 * over between taking and completing a batch, so that a guest cannot keep others waiting for longer than one of the two.
 */
void pmem_serve_queue(struct vpmem_device *dev)
{
	struct pmem_batch *batch = &dev->batch;
	bool failed_now;
	int rc;

	fair_lock_worker_take(&dev->lock);
	for (;;) {
		batch_take(dev, batch);
		if (batch->nrequests == 0 && !batch->fault)
			break;
		do {
			fair_lock_worker_release(&dev->lock);
			rc = batch_sync(dev, batch, &failed_now);
			fair_lock_worker_take(&dev->lock);
			if (failed_now)
				sync_failed(dev, rc);
		} while (failed_now && batch_hold(dev, batch));
		/* A monitor may have found meanwhile that data is lost. */
		batch_complete(dev, batch, rc ? rc : vpmem_device_error(dev));
		fair_lock_hand_over(&dev->lock);
	}
	fair_lock_worker_release(&dev->lock);
}

void pmem_worker_main(struct vpmem_device *dev)
{
	bool stopping = false;
	uint64_t nkicks;

	while (!stopping) {
		/* Blocks until there is a kick. The result does not matter: an extra check is harmless. */
		(void)!read(dev->kick_efd, &nkicks, sizeof(nkicks));
		pmem_serve_queue(dev);
		fair_lock_worker_take(&dev->lock);
		stopping = dev->stopping;
		fair_lock_worker_release(&dev->lock);
	}
}

static void on_config_interrupt(void *opaque)
{
	const struct vpmem_callbacks *cb = &((struct vpmem_device *)opaque)->callbacks;

	cb->interrupt(cb->opaque, VPMEM_INTERRUPT_CONFIG);
}

static void on_guest_fault(void *opaque, const char *what)
{
	const struct vpmem_device *dev = opaque;
	const struct vpmem_callbacks *cb = &dev->callbacks;
	char text[256];

	if (!cb->event)
		return;
	snprintf(text, sizeof(text), "pmem: %s: guest fault, device needs reset: %s", dev->name, what);
	cb->event(cb->opaque, VPMEM_EVENT_GUEST_FAULT, 0, text);
}

struct virtio_callbacks pmem_virtio_callbacks(struct vpmem_device *dev)
{
	return (struct virtio_callbacks) {
		.config_interrupt = on_config_interrupt,
		.guest_fault = on_guest_fault,
		.opaque = dev,
	};
}

void pmem_wake(struct vpmem_device *dev)
{
	uint64_t one = 1;

	/* Cannot fail or block: nobody can kick 2^64 times before the worker reads. */
	while (write(dev->kick_efd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}
