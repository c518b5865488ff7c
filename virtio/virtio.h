// SPDX-License-Identifier: Apache-2.0
/*
 * virtio.h - what every virtio device has: feature negotiation, device status, queues, faults.
 *
 * The states, as bits of device_status: the driver adds ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK in this
 * order, or FAILED; the device adds DEVICE_NEEDS_RESET. Bits go away only by reset (a write of 0).
 *
 * No lock: the caller holds the device's, except where a function says that it needs none.
 */
#ifndef VIRTIO_VIRTIO_H
#define VIRTIO_VIRTIO_H

#include "virtq.h"

#include <stdatomic.h>

#define VIRTIO_STATUS_ACKNOWLEDGE 0x01u
#define VIRTIO_STATUS_DRIVER 0x02u
#define VIRTIO_STATUS_DRIVER_OK 0x04u
#define VIRTIO_STATUS_FEATURES_OK 0x08u
#define VIRTIO_STATUS_NEEDS_RESET 0x40u
#define VIRTIO_STATUS_FAILED 0x80u

/* Feature bits, as numbers. */
#define VIRTIO_F_INDIRECT_DESC 28u
#define VIRTIO_F_EVENT_IDX 29u
#define VIRTIO_F_VERSION_1 32u
#define VIRTIO_F_RING_RESET 40u

/* Called with the device's lock held: they must be quick, must not block and must not change the device. */
struct virtio_callbacks {
	/* device_status or the configuration changed: notify the driver. */
	void (*config_interrupt)(void *opaque);
	/* The guest broke the specification, and the device has set DEVICE_NEEDS_RESET: `what` says how. May be NULL. */
	void (*guest_fault)(void *opaque, const char *what);
	void *opaque;
};

struct virtio_config {
	const struct gmem *mem; /* borrowed: rings and requests lie in it */
	uint64_t features;      /* the bits that are offered; VERSION_1 is one of them */
	struct virtq *queues;   /* borrowed: the device's own, nqueues of them */
	unsigned nqueues;       /* up to 65535 */
	uint16_t queue_size_max;
	struct virtio_callbacks callbacks;
};

struct virtio {
	const struct gmem *mem;
	struct virtio_callbacks callbacks;
	uint64_t offered, accepted; /* feature bits: the device's, the driver's */
	_Atomic uint8_t status;
	_Atomic uint8_t config_generation;
	unsigned nqueues;
	struct virtq *queues;
};

/* A device in its reset state. */
void virtio_init(struct virtio *v, const struct virtio_config *cfg);

/* Reset: everything as before the driver came, but for the config generation. */
void virtio_reset(struct virtio *v);

uint8_t virtio_status(const struct virtio *v); /* no lock */
/* The driver writes device_status. Returns whether it set DRIVER_OK just now. */
bool virtio_set_status(struct virtio *v, uint8_t val);

uint32_t virtio_features(const struct virtio *v, uint32_t word);
uint32_t virtio_driver_features(const struct virtio *v, uint32_t word);
void virtio_set_driver_features(struct virtio *v, uint32_t word, uint32_t bits);
/* Was this feature negotiated? Never before FEATURES_OK. */
bool virtio_has_feature(const struct virtio *v, unsigned bit);

/* The device configuration reads differently from now on. Sends no interrupt. */
void virtio_config_changed(struct virtio *v);
uint8_t virtio_config_generation(const struct virtio *v); /* no lock */

/* NULL if there is no such queue. */
struct virtq *virtio_queue(struct virtio *v, uint16_t queue_idx);
/* The registers of a queue; all 0 if there is no such queue. */
struct virtq_regs virtio_queue_get(const struct virtio *v, uint16_t queue_idx);
/*
 * Stores size and addresses, unless the queue is enabled; regs->enabled is ignored. A size that is 0, no power of two or
 * above the maximum is not stored.
 */
void virtio_queue_set(struct virtio *v, uint16_t queue_idx, const struct virtq_regs *regs);
/* Returns whether the queue may be used at once: it was enabled and the driver is already running. */
bool virtio_queue_enable(struct virtio *v, uint16_t queue_idx);
void virtio_queue_reset(struct virtio *v, uint16_t queue_idx);
/* Whether the device may access this queue's rings now. */
bool virtio_queue_live(const struct virtio *v, const struct virtq *q);

/*
 * The guest broke the specification: DEVICE_NEEDS_RESET, a configuration interrupt if the driver is
 * running, guest_fault. From here on no queue is live. Does nothing if that is so already.
 */
void virtio_guest_fault(struct virtio *v, const char *what);

#endif
