// SPDX-License-Identifier: Apache-2.0
/*
 * pmem.h - the pmem device's state, shared by pmem.c (the flush path), registers.c (what the driver reads
 * and writes) and device.c (create and destroy).
 */
#ifndef VPMEM_PMEM_H
#define VPMEM_PMEM_H

#include "fair_lock.h"
#include "stats.h"
#include "virtio.h"

#include <vpmem.h>

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>

/* Feature bit, as a number. */
#define VIRTIO_PMEM_F_SHMEM_REGION 0u

#define PMEM_QUEUE 0u
#define PMEM_REQ_TYPE_FLUSH 0u
#define PMEM_STATUS_OK 0u
#define PMEM_STATUS_ERROR UINT32_MAX /* -1 */
#define PMEM_STATUS_LEN 4u
#define PMEM_TYPE_LEN 4u

/*
 * What a guest can make the worker do while it holds the device's lock. In one hold it reads at most
 * PMEM_HOLD_DESCRIPTORS descriptors, or it completes at most VPMEM_QUEUE_SIZE_MAX requests; then it hands the lock over
 * to threads that asked for it (fair_lock_hand_over). A full ring of flushes, each of 2 descriptors in an indirect table, is 384.
 */
#define PMEM_HOLD_DESCRIPTORS 512u
static_assert(PMEM_HOLD_DESCRIPTORS >= 3 * VPMEM_QUEUE_SIZE_MAX, "one sync answers a full ring of indirect flushes");

/*
 * After so many batches in a row without a flush in due form, the device asks for a reset: such requests cost the guest
 * nothing, because no sync slows it down. A driver sends none.
 */
#define PMEM_BAD_BATCHES_MAX 64u

/* A request between its pop and its completion. */
struct pmem_request {
	uint16_t head;
	bool flush; /* a flush in due form; anything else gets PMEM_STATUS_ERROR */
	uint8_t nsegs;
	uint8_t status_len; /* bytes of the status that have a place, 0 to PMEM_STATUS_LEN */
	/* Where the 4 bytes of the status go: a driver may spread them over descriptors as it likes. */
	struct {
		uint8_t *hva;
		uint8_t len;
	} segs[PMEM_STATUS_LEN];
};

/* All that one sync answers. Worker only. */
struct pmem_batch {
	uint64_t generation; /* the queue's, when the requests were popped */
	unsigned nrequests, nflushes;
	unsigned ndescs;   /* descriptors read for it */
	const char *fault; /* what breaks the specification, or NULL */
	struct pmem_request requests[VPMEM_QUEUE_SIZE_MAX];
};

struct vpmem_device {
	char *name;
	struct vpmem_backing *backing; /* borrowed */
	struct vpmem_callbacks callbacks;

	struct fair_lock lock; /* guards gpa, virtio, queues, stopping and held; never held over a sync */
	gpa_t gpa;             /* where the driver finds the memory: config's start */
	struct virtio virtio;
	struct virtq queues[VPMEM_QUEUE_COUNT];
	bool stopping;           /* the worker shall end */
	bool hold_on_error;      /* fixed */
	bool held;               /* the worker holds a batch whose sync failed; guarded by lock */
	pthread_cond_t released; /* held, stopping or the queue's generation changed */

	_Atomic int error;          /* sticky: 0, or the -errno of the sync that failed */
	_Atomic int64_t error_time; /* when that was; means nothing while error is 0 */
	struct pmem_stats stats;    /* written by the worker only */

	int kick_efd;
	pthread_t worker;
	sem_t started; /* start_rc is known; only with callbacks.worker_started */
	int start_rc;
	struct pmem_batch batch;
	unsigned nbad_batches; /* in a row, without a flush in due form, since the queue was reset; worker only */
};

/* What the device does with the reports of virtio.c. */
struct virtio_callbacks pmem_virtio_callbacks(struct vpmem_device *dev);

/* The work of the worker thread, until `stopping`: waits for a kick and serves the queue. */
void pmem_worker_main(struct vpmem_device *dev);
void pmem_serve_queue(struct vpmem_device *dev);
/* Makes the worker check the queue, and stopping. Any thread. */
void pmem_wake(struct vpmem_device *dev);

#endif
