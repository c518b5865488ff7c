// SPDX-License-Identifier: Apache-2.0
/*
 * virtio.h - what every virtio device has: feature negotiation, device status, queues, faults.
 *
 * The states, as bits of device_status: the driver adds ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK in this
 * order, or FAILED; the device adds DEVICE_NEEDS_RESET. Bits go away only by reset (a write of 0).
 *
 * No lock: the caller holds the device's, except that virtio_status may be read without it.
 */
#ifndef VPMEM_VIRTIO_H
#define VPMEM_VIRTIO_H

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

struct virtio {
	const char *name;              /* for messages; borrowed */
	const struct vpmem_gmem *gmem; /* borrowed */
	struct vpmem_callbacks callbacks;
	uint64_t offered, accepted; /* feature bits: the device's, the driver's */
	_Atomic uint8_t status;
	_Atomic uint8_t config_generation;
	struct virtq queues[VPMEM_QUEUE_COUNT];
};

/* Reset: everything as before the driver came, but for the config generation. */
void virtio_reset(struct virtio *v);

uint8_t virtio_status(const struct virtio *v);
/* The driver writes device_status. Returns whether it set DRIVER_OK just now. */
bool virtio_set_status(struct virtio *v, uint8_t val);

uint32_t virtio_features(const struct virtio *v, uint32_t word);
uint32_t virtio_driver_features(const struct virtio *v, uint32_t word);
void virtio_set_driver_features(struct virtio *v, uint32_t word, uint32_t bits);
/* Was this feature negotiated? Never before FEATURES_OK. */
bool virtio_has_feature(const struct virtio *v, unsigned bit);

/* The device configuration reads differently from now on. */
void virtio_config_changed(struct virtio *v);

/* NULL if there is no such queue. */
struct virtq *virtio_queue(struct virtio *v, uint16_t queue_idx);
void virtio_queue_set(struct virtio *v, uint16_t queue_idx, const struct vpmem_queue *regs);
/* Returns whether the queue may be used at once: it was enabled and the driver is already running. */
bool virtio_queue_enable(struct virtio *v, uint16_t queue_idx);
void virtio_queue_reset(struct virtio *v, uint16_t queue_idx);
/* May the device look at this queue's rings now? */
bool virtio_queue_live(const struct virtio *v, const struct virtq *q);

/*
 * The guest broke the specification: DEVICE_NEEDS_RESET, a configuration interrupt if the driver is
 * running, an event. From here on no queue is live.
 */
void virtio_guest_fault(struct virtio *v, const char *what);

#endif
