// SPDX-License-Identifier: Apache-2.0
/*
 * registers.c - the pmem device's registers: what a transport calls, each under the device's lock.
 */
#include "pmem.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* struct virtio_pmem_config of the specification. */
struct config_space {
	uint64_t start_le;
	uint64_t size_le;
};
static_assert(sizeof(struct config_space) == VPMEM_CONFIG_SIZE, "layout of the specification");

/* With SHMEM_REGION the address is in the shared memory region, and start and size SHOULD read 0. */
static bool config_is_zero(const struct vpmem_device *dev)
{
	return virtio_has_feature(&dev->virtio, VIRTIO_PMEM_F_SHMEM_REGION);
}

/* Under the lock. */
static struct config_space config_now(const struct vpmem_device *dev)
{
	if (config_is_zero(dev))
		return (struct config_space) { 0 };
	return (struct config_space) {
		.start_le = htole64(dev->gpa),
		.size_le = htole64(vpmem_backing_size(dev->backing)),
	};
}

uint32_t vpmem_device_features(const struct vpmem_device *dev, uint32_t word)
{
	return virtio_features(&dev->virtio, word);
}

uint32_t vpmem_device_driver_features(struct vpmem_device *dev, uint32_t word)
{
	uint32_t bits;

	fair_lock_take(&dev->lock);
	bits = virtio_driver_features(&dev->virtio, word);
	fair_lock_release(&dev->lock);
	return bits;
}

void vpmem_device_set_driver_features(struct vpmem_device *dev, uint32_t word, uint32_t bits)
{
	fair_lock_take(&dev->lock);
	virtio_set_driver_features(&dev->virtio, word, bits);
	fair_lock_release(&dev->lock);
}

uint8_t vpmem_device_status(const struct vpmem_device *dev)
{
	return virtio_status(&dev->virtio);
}

void vpmem_device_set_status(struct vpmem_device *dev, uint8_t status)
{
	bool was_zero, driver_ok;

	fair_lock_take(&dev->lock);
	was_zero = config_is_zero(dev);
	driver_ok = virtio_set_status(&dev->virtio, status);
	if (config_is_zero(dev) != was_zero)
		virtio_config_changed(&dev->virtio);
	pthread_cond_broadcast(&dev->released);
	fair_lock_release(&dev->lock);
	/*
	 * A driver may have made requests available, and kicked, before DRIVER_OK. The worker has then
	 * looked, was not allowed to see them, and sleeps again.
	 */
	if (driver_ok)
		pmem_wake(dev);
}

void vpmem_device_set_gpa(struct vpmem_device *dev, uint64_t gpa)
{
	fair_lock_take(&dev->lock);
	if (dev->gpa != gpa && !config_is_zero(dev))
		virtio_config_changed(&dev->virtio);
	dev->gpa = gpa;
	fair_lock_release(&dev->lock);
}

uint8_t vpmem_device_config_generation(const struct vpmem_device *dev)
{
	return virtio_config_generation(&dev->virtio);
}

void vpmem_device_config_read(struct vpmem_device *dev, uint32_t off, void *buf, uint32_t len)
{
	struct config_space config;
	uint32_t have;

	fair_lock_take(&dev->lock);
	config = config_now(dev);
	fair_lock_release(&dev->lock);
	memset(buf, 0, len);
	if (off >= sizeof(config))
		return;
	have = (uint32_t)sizeof(config) - off;
	memcpy(buf, (const uint8_t *)&config + off, len < have ? len : have);
}

/* Under the lock. */
static struct vpmem_queue queue_now(const struct vpmem_device *dev, uint16_t queue_idx)
{
	const struct virtq_regs regs = virtio_queue_get(&dev->virtio, queue_idx);

	return (struct vpmem_queue) {
		.size = regs.size,
		.enabled = regs.enabled,
		.desc_gpa = regs.desc_gpa,
		.driver_gpa = regs.driver_gpa,
		.device_gpa = regs.device_gpa,
	};
}

struct vpmem_queue vpmem_queue_get(struct vpmem_device *dev, uint16_t queue_idx)
{
	struct vpmem_queue regs;

	fair_lock_take(&dev->lock);
	regs = queue_now(dev, queue_idx);
	fair_lock_release(&dev->lock);
	return regs;
}

void vpmem_device_snapshot(struct vpmem_device *dev, const struct vpmem_select *select, struct vpmem_snapshot *out)
{
	struct config_space config;

	fair_lock_take(&dev->lock);
	out->features = virtio_features(&dev->virtio, select->device_feature_word);
	out->driver_features = virtio_driver_features(&dev->virtio, select->driver_feature_word);
	out->status = virtio_status(&dev->virtio);
	out->config_generation = virtio_config_generation(&dev->virtio);
	out->queue = queue_now(dev, select->queue_idx);
	config = config_now(dev);
	fair_lock_release(&dev->lock);
	memcpy(out->config, &config, sizeof(config));
}

void vpmem_queue_set(struct vpmem_device *dev, uint16_t queue_idx, const struct vpmem_queue *regs)
{
	const struct virtq_regs queue = {
		.size = regs->size,
		.desc_gpa = regs->desc_gpa,
		.driver_gpa = regs->driver_gpa,
		.device_gpa = regs->device_gpa,
	};

	fair_lock_take(&dev->lock);
	virtio_queue_set(&dev->virtio, queue_idx, &queue);
	fair_lock_release(&dev->lock);
}

void vpmem_queue_enable(struct vpmem_device *dev, uint16_t queue_idx)
{
	bool live;

	fair_lock_take(&dev->lock);
	live = virtio_queue_enable(&dev->virtio, queue_idx);
	fair_lock_release(&dev->lock);
	/* After a queue reset this comes after DRIVER_OK: as there, a kick may have come too early. */
	if (live)
		pmem_wake(dev);
}

void vpmem_queue_reset(struct vpmem_device *dev, uint16_t queue_idx)
{
	fair_lock_take(&dev->lock);
	virtio_queue_reset(&dev->virtio, queue_idx);
	pthread_cond_broadcast(&dev->released);
	fair_lock_release(&dev->lock);
}

void vpmem_queue_kick(struct vpmem_device *dev, uint16_t queue_idx)
{
	if (queue_idx < VPMEM_QUEUE_COUNT)
		pmem_wake(dev);
}

int vpmem_queue_kick_efd(const struct vpmem_device *dev, uint16_t queue_idx)
{
	return queue_idx < VPMEM_QUEUE_COUNT ? dev->kick_efd : -1;
}
