// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_rng.h - virtio-rng-pci: the entropy device of the virtio specification (section 5.4), in this process.
 *
 * The guest gives buffers, and a worker thread of the device fills each with random bytes, from getrandom(2) or from a
 * file. One request is served at a time, with at most VIRTIO_RNG_CHUNK_SIZE bytes, which is what a driver may expect: "the
 * device MUST place one or more random bytes into the buffer, but it MAY use less than the entire buffer length".
 *
 * The quota is QEMU's: max_bytes in each period of period_ms milliseconds. A period begins with the first request after the
 * last period ended; a request that comes when the quota is used up waits for the end of the period.
 *
 * A file is read without blocking. While it has no bytes, requests wait for them. At its end, or when a read fails, a line
 * goes to the log, and the read is tried again every second.
 */
#ifndef PMVM_VIRTIO_RNG_H
#define PMVM_VIRTIO_RNG_H

#include "virtio_pci.h"

#define VIRTIO_RNG_CHUNK_SIZE 4096u

struct virtio_rng_options {
	struct virtio_pci_config pci; /* where and how it is plugged; ops, device and window are filled here */
	const struct gmem *mem;       /* guest memory; borrowed for the life of the device */
	int source_fd;                /* a file of random bytes, not blocking; duplicated. -1: getrandom(2) */
	uint64_t max_bytes;           /* in each period */
	uint32_t period_ms;           /* not 0 */
	bool no_event_idx, no_indirect_desc, no_ring_reset;
};

/* Creates the device and plugs it in. On failure nothing is left behind. */
int virtio_rng_create(const struct virtio_rng_options *cfg, struct virtio_pci **out, struct vpmem_error *err);

#endif
