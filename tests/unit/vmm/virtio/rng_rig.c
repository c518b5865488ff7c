// SPDX-License-Identifier: Apache-2.0
// The entropy device without transport and thread.
#include "rng_rig.h"

#include "guest_access.h"
#include "monotonic.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>

#define BIT(n) (UINT64_C(1) << (n))

struct rng_rig *rng_rig;

// ---- what lies below

void virtio_pci_queue_interrupt(struct virtio_pci *vp, uint16_t queue_idx)
{
	(void)vp, (void)queue_idx;
	rng_rig->ninterrupts++;
}

uint64_t monotonic_ms(void)
{
	return rng_rig->now_ms;
}

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags)
{
	(void)flags;
	memset(buf, (int)++rng_rig->nrandom, len);
	return (ssize_t)len;
}

static void on_config_interrupt(void *opaque)
{
	((struct rng_rig *)opaque)->nconfig_interrupts++;
}

// ---- the device

void rng_rig_init(struct rng_rig *rig, int source_fd, uint64_t max_bytes, uint32_t period_ms)
{
	const struct virtio_config cfg = {
		.mem = &rig->mem,
		.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC) |
		            BIT(VIRTIO_F_RING_RESET),
		.queues = &rig->rng.queue,
		.nqueues = 1,
		.queue_size_max = RNG_QUEUE_SIZE_MAX,
		.callbacks = { .config_interrupt = on_config_interrupt, .opaque = rig },
	};

	memset(rig, 0, sizeof(*rig));
	rng_rig = rig;
	rig->now_ms = 1000;
	gmem_init(&rig->mem);
	(void)!gmem_add(&rig->mem, RIG_RAM_GPA, RIG_RAM_SIZE, rig->ram);
	fair_lock_init(&rig->rng.dev.lock);
	virtio_init(&rig->rng.dev.virtio, &cfg);
	rig->rng.dev.name = (char *)"rng0";
	rig->rng.source_fd = source_fd;
	rig->rng.max_bytes = rig->rng.quota = max_bytes;
	rig->rng.period_ms = period_ms;
}

void rng_rig_fini(struct rng_rig *rig)
{
	fair_lock_destroy(&rig->rng.dev.lock);
}

void rng_rig_start(struct rng_rig *rig)
{
	struct virtio *v = &rig->rng.dev.virtio;
	const struct virtq_regs regs = {
		.size = RNG_QUEUE_SIZE_MAX, .desc_gpa = RIG_DESC, .driver_gpa = RIG_AVAIL, .device_gpa = RIG_USED
	};

	memset(rig->ram, 0, RIG_DATA - RIG_RAM_GPA);
	rig->avail_idx = rig->used_idx = 0;
	virtio_set_status(v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	// Without EVENT_IDX, an interrupt follows each answer.
	virtio_set_driver_features(v, 0, UINT32_C(1) << VIRTIO_F_INDIRECT_DESC);
	virtio_set_driver_features(v, 1, 1u | UINT32_C(1) << (VIRTIO_F_RING_RESET - 32));
	virtio_set_status(v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
	virtio_queue_set(v, 0, &regs);
	virtio_queue_enable(v, 0);
	virtio_set_status(v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
	                             VIRTIO_STATUS_DRIVER_OK);
}

enum rng_wait rng_rig_serve(struct rng_rig *rig, int *timeout_ms)
{
	return rng_serve(&rig->rng, timeout_ms);
}

// ---- the driver

uint8_t *rng_rig_hva(struct rng_rig *rig, uint64_t gpa)
{
	return rig->ram + (gpa - RIG_RAM_GPA);
}

static void put(struct rng_rig *rig, uint64_t gpa, uint64_t val, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		rng_rig_hva(rig, gpa)[i] = (uint8_t)(val >> 8 * i);
}

static uint32_t get(struct rng_rig *rig, uint64_t gpa, unsigned width)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint32_t)rng_rig_hva(rig, gpa)[i] << 8 * i;
	return val;
}

void rng_rig_desc(struct rng_rig *rig, uint64_t table_gpa, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags,
                  unsigned next)
{
	uint64_t at = table_gpa + 16u * idx;

	put(rig, at, gpa, 8);
	put(rig, at + 8, len, 4);
	put(rig, at + 12, flags, 2);
	put(rig, at + 14, next, 2);
}

void rng_rig_offer(struct rng_rig *rig, uint16_t head)
{
	put(rig, RIG_AVAIL + 4 + 2u * (rig->avail_idx % RNG_QUEUE_SIZE_MAX), head, 2);
	rig->avail_idx++;
	put(rig, RIG_AVAIL + 2, rig->avail_idx, 2);
}

void rng_rig_request(struct rng_rig *rig, uint16_t head, uint32_t len)
{
	rng_rig_desc(rig, RIG_DESC, head, RIG_DATA + 0x1000u * head, len, RIG_WRITE, 0);
	rng_rig_offer(rig, head);
}

int64_t rng_rig_used(struct rng_rig *rig, uint16_t *head)
{
	uint64_t at = RIG_USED + 4 + 8u * (rig->used_idx % RNG_QUEUE_SIZE_MAX);

	if (rig->used_idx == get(rig, RIG_USED + 2, 2))
		return -1;
	rig->used_idx++;
	if (head)
		*head = (uint16_t)get(rig, at, 4);
	return get(rig, at + 4, 4);
}
