// SPDX-License-Identifier: Apache-2.0
/*
 * virtio.h - a driver for the pmem device, as bare-metal guest programs need it: each step by itself, so that
 * a program can do it in another order, twice, or wrongly. rings.h has the queues of other devices.
 *
 * A device brings its rings and requests along. Every request has a head of the descriptor table of its own:
 * request i begins at descriptor i (indirect), or at 2 * i (direct: type, status).
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "lib.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#ifndef VIRTIO_F_RING_RESET
#define VIRTIO_F_RING_RESET 40
#endif
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX 29
#define VIRTIO_PMEM_F_SHMEM_REGION 0
#define FEATURE(bit) (UINT64_C(1) << (bit))

#define STATUS_NEGOTIATED (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define STATUS_RUNNING (STATUS_NEGOTIATED | VIRTIO_CONFIG_S_DRIVER_OK)

#define QUEUE_SIZE_MAX 128u
#define CHAIN_MAX 16u // buffers in one chain
#define NO_VECTOR 0xffffu

#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u

#define REQUEST_FLUSH 0u
#define FLUSH_OK 0u
#define FLUSH_FAILED UINT32_MAX
#define FLUSH_UNANSWERED 0xdeadbeefu /* the status before the device wrote one */

struct desc {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags, next;
};

struct used_elem {
	uint32_t id, len;
};

/* With a queue shorter than the maximum, the event index comes right after the last entry. */
struct rings {
	struct desc desc[QUEUE_SIZE_MAX];
	struct {
		volatile uint16_t flags, idx, ring[QUEUE_SIZE_MAX + 1];
	} avail;
	struct {
		_Alignas(4) volatile uint16_t flags;
		volatile uint16_t idx;
		volatile struct used_elem ring[QUEUE_SIZE_MAX];
		volatile uint16_t avail_event;
	} used;
};

_Static_assert(offsetof(struct rings, avail) == 2048 && offsetof(struct rings, used.ring) == 2312 + 4, "layout");

struct request {
	uint32_t type;
	volatile uint32_t status;
};

struct virtio {
	unsigned slot;
	/* Guest-physical addresses of the structures that the capabilities name, and their lengths. */
	gpa_t common, notify, isr, config;
	uint32_t common_len, notify_len, isr_len, config_len;
	uint32_t notify_multiplier;
	uint16_t notify_port; /* where the device prefers notifications; 0: at notify */
	unsigned pci_cfg_cap;
	unsigned msix_cap, msix_vectors;
	gpa_t msix_table, msix_pba;
	struct {
		unsigned cap, id, bar;
		uint64_t off, len;
	} shm;

	uint64_t features;  /* negotiated */
	uint16_t size;      /* of the queue */
	uint16_t avail_idx; /* of the next request, published or not */
	struct rings rings __attribute__((aligned(4096)));
	struct request requests[QUEUE_SIZE_MAX];
	struct desc tables[QUEUE_SIZE_MAX][2];
};

/* The nth pmem device: finds it, switches decoding and bus mastering on, reads its capabilities. */
bool virtio_open(struct virtio *dev, unsigned nth);
/* The same for the first device with this PCI device ID. */
bool virtio_open_device(struct virtio *dev, uint16_t device_id);

/* ---- registers ------------------------------------------------------------------------------------- */

uint64_t virtio_get(const struct virtio *dev, unsigned off, unsigned width);
void virtio_set(const struct virtio *dev, unsigned off, unsigned width, uint64_t val);
uint8_t virtio_status(const struct virtio *dev);
void virtio_set_status(const struct virtio *dev, uint8_t status);
uint64_t virtio_features(const struct virtio *dev);
/* The 64-bit field at `off` of the device's configuration: 0 start, 8 size. */
uint64_t virtio_config64(const struct virtio *dev, unsigned off);
/* Waits until all these bits of the status are set. */
bool virtio_wait_status(const struct virtio *dev, uint8_t bits);

/* ---- initialisation -------------------------------------------------------------------------------- */

/* Reset up to FEATURES_OK with exactly these features. False: the device refused them. */
bool virtio_negotiate(struct virtio *dev, uint64_t features);
/* Empties the rings and writes their addresses into the registers; then enables the queue. */
void virtio_queue_setup(struct virtio *dev, uint16_t size);
void virtio_queue_addresses(const struct virtio *dev, gpa_t desc, gpa_t avail, gpa_t used);
bool virtio_queue_enable(const struct virtio *dev);
/* All of it up to DRIVER_OK. */
bool virtio_start(struct virtio *dev, uint64_t features, uint16_t size);

/* ---- requests -------------------------------------------------------------------------------------- */

/* Makes request i: a chain of two descriptors, or one that is indirect. Returns its head. */
uint16_t virtio_prepare(struct virtio *dev, unsigned i, uint32_t type);
uint16_t virtio_prepare_indirect(struct virtio *dev, unsigned i, uint32_t type);
/* Puts a chain into the available ring; the device sees it after virtio_publish. */
void virtio_submit(struct virtio *dev, uint16_t head);
void virtio_publish(struct virtio *dev);
void virtio_kick(const struct virtio *dev);
/* Waits until everything published is used. */
bool virtio_wait(const struct virtio *dev);
/* The used entry of the last request but `back`. */
struct used_elem virtio_used(const struct virtio *dev, unsigned back);
/* One request from beginning to end: its status. */
uint32_t virtio_request(struct virtio *dev, uint32_t type);
uint32_t virtio_flush(struct virtio *dev);
/* n flushes (at most the queue's size) with one kick; true if all were answered with 0. */
bool virtio_flush_many(struct virtio *dev, unsigned n);

static inline volatile uint16_t *used_event(struct virtio *dev)
{
	return &dev->rings.avail.ring[dev->size];
}

static inline uint16_t avail_event(const struct virtio *dev)
{
	return *(const volatile uint16_t *)&dev->rings.used.ring[dev->size];
}

/* ---- MSI-X ----------------------------------------------------------------------------------------- */

void msix_control(const struct virtio *dev, bool enabled, bool masked);
void msix_set_entry(const struct virtio *dev, unsigned entry, unsigned vector, bool masked);
void msix_mask(const struct virtio *dev, unsigned entry, bool masked);
bool msix_pending(const struct virtio *dev, unsigned entry);
/* Maps the configuration change and the queue; returns what the device made of the queue's. */
uint16_t msix_map(const struct virtio *dev, uint16_t config_entry, uint16_t queue_entry);

#endif
