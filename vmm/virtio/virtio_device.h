// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_device.h - what a virtio device is to its transport: one const table of operations.
 *
 * A device owns its queues, its status and its configuration, and knows no bus. The transport (virtio_pci.h) maps the
 * registers of its bus onto the operations below, binds eventfds to notifications, and delivers interrupts.
 *
 * Threads. The transport calls every operation under the machine lock, except `status` and `config_generation`: those
 * also from virtio_pci_config_interrupt and virtio_pci_config_changed, that is, from any thread with the device's own
 * lock held. They must take no lock.
 * No operation may raise an interrupt for a device that has not reached DRIVER_OK, or after set_status(0) returned.
 *
 * Nothing that a guest chooses reaches a device unchecked: queue_idx is below nqueues(), a write of the configuration
 * lies inside config_size. What the registers of a queue contain is for the device to check, as virtio/virtio.h does.
 */
#ifndef PMVM_VIRTIO_DEVICE_H
#define PMVM_VIRTIO_DEVICE_H

#include "gmem.h"
#include "virtio.h"

#include <stdbool.h>
#include <stdint.h>

/* The feature bits of any device that are about its virtqueues, and VERSION_1. */
static inline uint64_t virtio_ring_features(bool no_event_idx, bool no_indirect_desc, bool no_ring_reset)
{
	const uint64_t one = 1;

	return one << VIRTIO_F_VERSION_1 | (no_event_idx ? 0 : one << VIRTIO_F_EVENT_IDX) |
	       (no_indirect_desc ? 0 : one << VIRTIO_F_INDIRECT_DESC) |
	       (no_ring_reset ? 0 : one << VIRTIO_F_RING_RESET);
}

#define VIRTIO_DEVICE_QUEUES_MAX 64u
#define VIRTIO_DEVICE_CONFIG_MAX 256u

/* What a driver selects before it reads: words of 32 feature bits, and a queue. */
struct virtio_select {
	uint32_t device_feature_word, driver_feature_word;
	uint16_t queue_idx;
};

/* The registers of a device at one moment, as its driver reads them. */
struct virtio_registers {
	uint32_t features, driver_features; /* the selected words; 0 beyond word 1 */
	struct virtq_regs queue;            /* the selected queue; all 0 if there is none */
	uint8_t config[VIRTIO_DEVICE_CONFIG_MAX];
};

struct virtio_device_ops {
	const char *model;    /* QEMU's name, for messages: "virtio-pmem-pci" */
	uint16_t device_id;   /* of the virtio specification, chapter 5 */
	uint32_t class_code;  /* PCI's, 24 bits */
	uint32_t config_size; /* bytes of the device configuration, up to VIRTIO_DEVICE_CONFIG_MAX; may be 0 */
	/*
	 * The configuration may change other than by the driver's own accesses; the device then calls
	 * virtio_pci_config_changed. Reads of it are always trapped: in memory, a change and its generation could not be
	 * shown at once.
	 */
	bool config_changes;
	/* MSI-X vectors; 0: one for the configuration and one for each queue. With fewer, a driver lets queues share one. */
	unsigned nvectors;

	unsigned (*nqueues)(const void *device); /* 1 to VIRTIO_DEVICE_QUEUES_MAX; fixed */

	/* Fills out (all 0 before) from one moment: the device takes its lock once. */
	void (*read)(void *device, const struct virtio_select *select, struct virtio_registers *out);
	uint8_t (*status)(const void *device);            /* device_status; no lock */
	uint8_t (*config_generation)(const void *device); /* no lock */

	void (*set_driver_features)(void *device, uint32_t word, uint32_t bits);
	/*
	 * The driver writes device_status. 0 resets: when the call returns, the device does not touch guest memory and
	 * raises no interrupt until it is initialised again.
	 */
	void (*set_status)(void *device, uint8_t status);
	/* NULL: the driver cannot write the configuration. */
	void (*config_write)(void *device, uint32_t off, const uint8_t *bytes, uint32_t len);

	/* Size and addresses; the device ignores them while the queue is enabled. */
	void (*queue_set)(void *device, uint16_t queue_idx, const struct virtq_regs *regs);
	void (*queue_enable)(void *device, uint16_t queue_idx);
	void (*queue_reset)(void *device, uint16_t queue_idx); /* only called if RING_RESET was negotiated */
	void (*queue_kick)(void *device, uint16_t queue_idx);
	/* An eventfd with the effect of queue_kick, owned by the device; -1: every notification is trapped. */
	int (*queue_kick_efd)(const void *device, uint16_t queue_idx);
	/*
	 * An eventfd, non-blocking and owned by the device, to which somebody else writes when buffers of the queue were used:
	 * the kernel's vhost, another process. The transport binds it to the interrupt that the driver chose, so that no
	 * thread of ours is on the way. -1: the device calls virtio_pci_queue_interrupt. NULL: it does so for each queue.
	 * With set_status(0) the device reads away what it counted.
	 */
	int (*queue_call_efd)(const void *device, uint16_t queue_idx);

	/* The shared memory window (virtio_pci.h) is mapped at gpa; 0: nowhere. NULL for a device without one. */
	void (*window_moved)(void *device, gpa_t gpa);

	/*
	 * The machine stops, and goes on: in between, the device does not access guest memory. It may be reset meanwhile. NULL:
	 * it only does so while it serves what the guest asked for before.
	 */
	void (*set_paused)(void *device, bool paused);

	/*
	 * The device is out of the bus, and was reset: what it has of the machine (sources of the event loop, listeners) goes.
	 * destroy follows, perhaps without the machine lock. NULL: it has nothing.
	 */
	void (*unplug)(void *device);

	/* Ends the device; may wait for what is under way. Returns 0, or the -errno of data that it lost. */
	int (*destroy)(void *device);
};

#endif
