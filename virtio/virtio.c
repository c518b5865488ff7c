// SPDX-License-Identifier: Apache-2.0
/*
 * virtio.c - feature negotiation, device status, queue registers and faults of a virtio device.
 */
#include "virtio.h"

#include <assert.h>
#include <stddef.h>

/* What a driver can set; the rest of device_status is the device's or reserved. */
#define DRIVER_STATUS_BITS                                                                                        \
	(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK | \
	 VIRTIO_STATUS_FAILED)

uint8_t virtio_status(const struct virtio *v)
{
	return atomic_load_explicit(&v->status, memory_order_acquire);
}

/* Only under the lock, so that there is one writer. */
static void store_status(struct virtio *v, unsigned val)
{
	atomic_store_explicit(&v->status, (uint8_t)val, memory_order_release);
}

void virtio_init(struct virtio *v, const struct virtio_config *cfg)
{
	assert(cfg->features & UINT64_C(1) << VIRTIO_F_VERSION_1 && cfg->nqueues <= UINT16_MAX);
	*v = (struct virtio) {
		.mem = cfg->mem,
		.callbacks = cfg->callbacks,
		.offered = cfg->features,
		.nqueues = cfg->nqueues,
		.queues = cfg->queues,
	};
	for (unsigned i = 0; i < v->nqueues; i++)
		virtq_init(&v->queues[i], cfg->queue_size_max);
}

void virtio_reset(struct virtio *v)
{
	for (unsigned i = 0; i < v->nqueues; i++)
		virtq_reset(&v->queues[i]);
	v->accepted = 0;
	store_status(v, 0);
}

/* The device accepts any subset of what it offered that contains VERSION_1: there is no legacy interface. */
static bool features_acceptable(const struct virtio *v)
{
	return !(v->accepted & ~v->offered) && (v->accepted & UINT64_C(1) << VIRTIO_F_VERSION_1);
}

bool virtio_set_status(struct virtio *v, uint8_t val)
{
	unsigned old = virtio_status(v);
	unsigned next = old | (val & DRIVER_STATUS_BITS);

	if (val == 0) {
		virtio_reset(v);
		return false;
	}
	if (!(old & VIRTIO_STATUS_FEATURES_OK) && !features_acceptable(v))
		next &= ~VIRTIO_STATUS_FEATURES_OK;
	if (!(next & VIRTIO_STATUS_FEATURES_OK))
		next &= ~VIRTIO_STATUS_DRIVER_OK;
	store_status(v, next);
	return next & ~old & VIRTIO_STATUS_DRIVER_OK;
}

uint32_t virtio_features(const struct virtio *v, uint32_t word)
{
	return word > 1 ? 0 : (uint32_t)(v->offered >> (32 * word));
}

uint32_t virtio_driver_features(const struct virtio *v, uint32_t word)
{
	return word > 1 ? 0 : (uint32_t)(v->accepted >> (32 * word));
}

void virtio_set_driver_features(struct virtio *v, uint32_t word, uint32_t bits)
{
	if (word > 1 || virtio_status(v) & VIRTIO_STATUS_FEATURES_OK)
		return;
	v->accepted &= ~((uint64_t)UINT32_MAX << (32 * word));
	v->accepted |= (uint64_t)bits << (32 * word);
}

bool virtio_has_feature(const struct virtio *v, unsigned bit)
{
	return virtio_status(v) & VIRTIO_STATUS_FEATURES_OK && v->accepted >> bit & 1;
}

void virtio_config_changed(struct virtio *v)
{
	atomic_fetch_add_explicit(&v->config_generation, 1, memory_order_release);
}

uint8_t virtio_config_generation(const struct virtio *v)
{
	return atomic_load_explicit(&v->config_generation, memory_order_acquire);
}

struct virtq *virtio_queue(struct virtio *v, uint16_t queue_idx)
{
	return queue_idx < v->nqueues ? &v->queues[queue_idx] : NULL;
}

struct virtq_regs virtio_queue_get(const struct virtio *v, uint16_t queue_idx)
{
	return queue_idx < v->nqueues ? v->queues[queue_idx].regs : (struct virtq_regs) { .size = 0 };
}

static bool size_valid(const struct virtq *q, uint16_t size)
{
	return size > 0 && size <= q->size_max && (size & (size - 1)) == 0;
}

void virtio_queue_set(struct virtio *v, uint16_t queue_idx, const struct virtq_regs *regs)
{
	struct virtq *q = virtio_queue(v, queue_idx);

	if (!q || q->regs.enabled)
		return;
	if (size_valid(q, regs->size))
		q->regs.size = regs->size;
	q->regs.desc_gpa = regs->desc_gpa;
	q->regs.driver_gpa = regs->driver_gpa;
	q->regs.device_gpa = regs->device_gpa;
}

bool virtio_queue_enable(struct virtio *v, uint16_t queue_idx)
{
	struct virtq *q = virtio_queue(v, queue_idx);

	if (!q || q->regs.enabled || !(virtio_status(v) & VIRTIO_STATUS_FEATURES_OK))
		return false;
	if (virtq_enable(q, v->mem, virtio_has_feature(v, VIRTIO_F_EVENT_IDX),
	                 virtio_has_feature(v, VIRTIO_F_INDIRECT_DESC))) {
		virtio_guest_fault(v, q->fault);
		return false;
	}
	return virtio_queue_live(v, q);
}

void virtio_queue_reset(struct virtio *v, uint16_t queue_idx)
{
	struct virtq *q = virtio_queue(v, queue_idx);

	if (q && virtio_has_feature(v, VIRTIO_F_RING_RESET))
		virtq_reset(q);
}

bool virtio_queue_live(const struct virtio *v, const struct virtq *q)
{
	unsigned status = virtio_status(v);

	return q->regs.enabled && status & VIRTIO_STATUS_DRIVER_OK && !(status & VIRTIO_STATUS_NEEDS_RESET);
}

void virtio_guest_fault(struct virtio *v, const char *what)
{
	const struct virtio_callbacks *cb = &v->callbacks;
	unsigned status = virtio_status(v);

	if (status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	store_status(v, status | VIRTIO_STATUS_NEEDS_RESET);
	if (status & VIRTIO_STATUS_DRIVER_OK)
		cb->config_interrupt(cb->opaque);
	if (cb->guest_fault)
		cb->guest_fault(cb->opaque, what);
}
