// SPDX-License-Identifier: Apache-2.0
/* fake_vpmem.h - the device and backing of vpmem.h as plain records, for tests of the transport alone. */
#ifndef FAKE_VPMEM_H
#define FAKE_VPMEM_H

#include <pthread.h>
#include <vpmem.h>

struct vpmem_backing {
	uint64_t size;
	void *hva;
	bool rom;
};

struct vpmem_gmem {
	unsigned nregions;
};

struct vpmem_device {
	struct vpmem_device_options opts;
	pthread_mutex_t lock; /* as the real one: held over the callbacks */
	uint32_t features[2], driver_features[2];
	_Atomic uint8_t status;
	uint8_t generation;
	struct vpmem_queue queue;
	int kick_efd;
	uint8_t config[VPMEM_CONFIG_SIZE];
	/* Calls, and of those with a queue index, the ones whose index names no queue. */
	unsigned nsnapshots, nresets, nkicks, nenables, nqueue_resets, nqueue_sets, nbad_indices;
};

/* The next vpmem_device_create fails with this, and an error text. */
extern int fake_vpmem_create_error;
/* Called by a read of the status between the load and the return; NULL: nothing. */
extern void (*fake_vpmem_status_read)(struct vpmem_device *dev);
/* Devices that exist. */
extern unsigned fake_vpmem_ndevices;

/* What the worker does when it has something to report. Any thread. */
void fake_vpmem_interrupt(struct vpmem_device *dev, enum vpmem_interrupt source);

#endif
