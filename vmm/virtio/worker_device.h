// SPDX-License-Identifier: Apache-2.0
/*
 * worker_device.h - a virtio device that a thread of its own serves.
 *
 * One eventfd wakes the thread for all queues. It gets what the driver made available before DRIVER_OK, or before a queue
 * was enabled, as well. The lock guards the virtio state and the queues, and whatever else the device puts under it; the
 * thread takes it for bounded pieces of work only (fair_lock.h).
 *
 * A device embeds struct worker_device as its first member and puts WORKER_DEVICE_OPS into its table of operations: these
 * take the device as a struct worker_device.
 */
#ifndef PMVM_WORKER_DEVICE_H
#define PMVM_WORKER_DEVICE_H

#include "fair_lock.h"
#include "thread.h"
#include "virtio.h"
#include "virtio_pci.h"

struct worker_device {
	struct virtio_pci *pci; /* the transport; it owns this device once it is plugged */
	char *name;             /* for messages */
	struct fair_lock lock;
	struct virtio virtio;
	int kick_efd, stop_efd;
	/* Serves what there is and waits for more, in the thread. False: worker_device_wait did so, the device ends. */
	bool (*turn)(struct worker_device *dev);
	const char *kind; /* the thread is "kind/name" */
	struct thread worker;
	bool has_worker;
};

/* What a device says of itself. */
struct worker_device_options {
	const char *kind; /* of the thread: "rng"; borrowed for the life of the device */
	bool (*turn)(struct worker_device *dev);
	const struct gmem *mem; /* guest memory; borrowed for the life of the device */
	uint64_t features;      /* its own and those of virtio_ring_features */
	struct virtq *queues;   /* its own */
	unsigned nqueues;
	uint16_t queue_size_max;
};

/*
 * Sets up everything but the thread. `name` is copied. Returns 0 or -errno; worker_device_fini is due in both cases. All 0
 * before.
 */
int worker_device_init(struct worker_device *dev, const char *name, const struct worker_device_options *opts);

/*
 * Starts the thread and plugs the device in; ops->destroy ends it if that fails. There is no interrupt before the driver has come, which is after dev->pci is set.
 */
int worker_device_plug(struct worker_device *dev, const struct virtio_pci_config *pci,
                       const struct virtio_device_ops *ops, struct virtio_pci **out, struct vpmem_error *err);

/* Resets the device, waits for the thread to end, and frees what init made. */
void worker_device_fini(struct worker_device *dev);

/* The thread looks for requests. Any thread. */
void worker_device_kick(const struct worker_device *dev);

/*
 * In the thread: waits until fd can be read, for timeout_ms at most; -1: without end. fd may be kick_efd, or -1 for time
 * alone. Returns false when the device ends.
 */
bool worker_device_wait(const struct worker_device *dev, int fd, int timeout_ms);

/* The part of the operation `read` that is the same for all. Under the lock. */
void worker_device_registers(const struct worker_device *dev, const struct virtio_select *select,
                             struct virtio_registers *out);

/* ---- operations (virtio_device.h) */

unsigned worker_device_nqueues(const void *opaque);
void worker_device_read(void *opaque, const struct virtio_select *select, struct virtio_registers *out);
uint8_t worker_device_status(const void *opaque);
uint8_t worker_device_config_generation(const void *opaque);
void worker_device_set_driver_features(void *opaque, uint32_t word, uint32_t bits);
void worker_device_set_status(void *opaque, uint8_t status);
void worker_device_queue_set(void *opaque, uint16_t queue_idx, const struct virtq_regs *regs);
void worker_device_queue_enable(void *opaque, uint16_t queue_idx);
void worker_device_queue_reset(void *opaque, uint16_t queue_idx);
void worker_device_queue_kick(void *opaque, uint16_t queue_idx);
int worker_device_queue_kick_efd(const void *opaque, uint16_t queue_idx);

/* All but read, set_status and destroy, which many devices have their own of. */
#define WORKER_DEVICE_OPS                                                                               \
	.nqueues = worker_device_nqueues, .status = worker_device_status,                               \
	.config_generation = worker_device_config_generation,                                           \
	.set_driver_features = worker_device_set_driver_features, .queue_set = worker_device_queue_set, \
	.queue_enable = worker_device_queue_enable, .queue_reset = worker_device_queue_reset,           \
	.queue_kick = worker_device_queue_kick, .queue_kick_efd = worker_device_queue_kick_efd

#endif
