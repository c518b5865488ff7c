// SPDX-License-Identifier: Apache-2.0
/* virtio_rng_internal.h - the entropy device, shared by its files and their tests. */
#ifndef PMVM_VIRTIO_RNG_INTERNAL_H
#define PMVM_VIRTIO_RNG_INTERNAL_H

#include "virtio_rng.h"
#include "worker_device.h"

#include <sys/types.h>

#define RNG_QUEUE_SIZE_MAX 8u /* as in QEMU: a driver has no use for more */
#define RNG_RETRY_MS 1000

/* The request that is being served. It belongs to the worker; only the driver's memory is shared. */
struct rng_request {
	bool taken;
	uint16_t head;
	uint64_t generation; /* of the queue: a reset forgets the request */
	uint32_t len;        /* bytes to fill, up to VIRTIO_RNG_CHUNK_SIZE */
	unsigned nbufs;
	struct {
		uint8_t *hva;
		uint32_t len;
	} bufs[VIRTQ_CHAIN_MAX];
};

struct virtio_rng {
	struct worker_device dev; /* the lock is never held while random bytes are read */
	struct virtq queue;

	/* The worker's. */
	int source_fd;
	bool source_failed; /* a line in the log said so */
	uint64_t max_bytes, quota;
	uint32_t period_ms;
	uint64_t period_end_ms; /* on the monotonic clock; 0: the next request begins a period */
	struct rng_request request;
	uint8_t chunk[VIRTIO_RNG_CHUNK_SIZE];
};

/* What the worker waits for. The end of the device ends each wait. */
enum rng_wait {
	RNG_WAIT_KICK,   /* kick_efd */
	RNG_WAIT_QUOTA,  /* the end of the period */
	RNG_WAIT_SOURCE, /* the file has bytes */
	RNG_WAIT_RETRY,  /* time, after a failed read */
};

/*
 * Serves requests until there is none, or until something else is missing: returns what, and in *timeout_ms how long
 * to wait at most, -1 without end. In the worker, without the lock. virtio_rng_serve.c
 */
enum rng_wait rng_serve(struct virtio_rng *rng, int *timeout_ms);

#endif
