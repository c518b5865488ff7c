// SPDX-License-Identifier: Apache-2.0
// The device of vpmem.h as plain records: no rings, no worker; the test says when it interrupts.
#include "fake_vpmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int fake_vpmem_create_error;
void (*fake_vpmem_status_read)(struct vpmem_device *dev);
unsigned fake_vpmem_ndevices;

static void queue_reset(struct vpmem_device *dev)
{
	dev->queue = (struct vpmem_queue) { .size = VPMEM_QUEUE_SIZE_MAX };
}

int vpmem_device_create(const struct vpmem_device_options *opts, struct vpmem_device **out, struct vpmem_error *err)
{
	if (fake_vpmem_create_error) {
		if (err)
			snprintf(err->text, sizeof(err->text), "the fake device refuses");
		return fake_vpmem_create_error;
	}
	struct vpmem_device *dev = calloc(1, sizeof(*dev));
	dev->opts = *opts;
	pthread_mutex_init(&dev->lock, NULL);
	dev->features[0] = 0x11223344;
	dev->features[1] = 0x101; /* VERSION_1, RING_RESET */
	dev->kick_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned i = 0; i < VPMEM_CONFIG_SIZE; i++)
		dev->config[i] = (uint8_t)(0xa0 + i);
	queue_reset(dev);
	fake_vpmem_ndevices++;
	*out = dev;
	return 0;
}

int vpmem_device_destroy(struct vpmem_device *dev)
{
	if (!dev)
		return 0;
	close(dev->kick_efd);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
	fake_vpmem_ndevices--;
	return 0;
}

uint32_t vpmem_device_features(const struct vpmem_device *dev, uint32_t word)
{
	return word < 2 ? dev->features[word] : 0;
}

uint32_t vpmem_device_driver_features(struct vpmem_device *dev, uint32_t word)
{
	pthread_mutex_lock(&dev->lock);
	uint32_t bits = word < 2 ? dev->driver_features[word] : 0;
	pthread_mutex_unlock(&dev->lock);
	return bits;
}

void vpmem_device_set_driver_features(struct vpmem_device *dev, uint32_t word, uint32_t bits)
{
	pthread_mutex_lock(&dev->lock);
	if (word < 2)
		dev->driver_features[word] = bits;
	pthread_mutex_unlock(&dev->lock);
}

uint8_t vpmem_device_status(const struct vpmem_device *dev)
{
	uint8_t status = dev->status;

	if (fake_vpmem_status_read)
		fake_vpmem_status_read((struct vpmem_device *)(uintptr_t)dev);
	return status;
}

void vpmem_device_set_status(struct vpmem_device *dev, uint8_t status)
{
	pthread_mutex_lock(&dev->lock);
	dev->status = status;
	if (status == 0) {
		dev->nresets++;
		memset(dev->driver_features, 0, sizeof(dev->driver_features));
		queue_reset(dev);
	}
	pthread_mutex_unlock(&dev->lock);
}

void vpmem_device_set_gpa(struct vpmem_device *dev, uint64_t gpa)
{
	dev->opts.gpa = gpa;
}

uint8_t vpmem_device_config_generation(const struct vpmem_device *dev)
{
	return dev->generation;
}

void vpmem_device_config_read(struct vpmem_device *dev, uint32_t off, void *buf, uint32_t len)
{
	uint8_t *bytes = buf;

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = off < VPMEM_CONFIG_SIZE && i < VPMEM_CONFIG_SIZE - off ? dev->config[off + i] : 0;
}

static bool index_ok(struct vpmem_device *dev, uint16_t queue_idx)
{
	if (queue_idx < VPMEM_QUEUE_COUNT)
		return true;
	dev->nbad_indices++;
	return false;
}

struct vpmem_queue vpmem_queue_get(struct vpmem_device *dev, uint16_t queue_idx)
{
	struct vpmem_queue queue = { .size = 0 };

	pthread_mutex_lock(&dev->lock);
	if (index_ok(dev, queue_idx))
		queue = dev->queue;
	pthread_mutex_unlock(&dev->lock);
	return queue;
}

void vpmem_device_snapshot(struct vpmem_device *dev, const struct vpmem_select *select, struct vpmem_snapshot *out)
{
	out->features = vpmem_device_features(dev, select->device_feature_word);
	out->status = dev->status;
	out->config_generation = dev->generation;
	vpmem_device_config_read(dev, 0, out->config, VPMEM_CONFIG_SIZE);
	pthread_mutex_lock(&dev->lock);
	dev->nsnapshots++;
	out->driver_features = select->driver_feature_word < 2 ? dev->driver_features[select->driver_feature_word] : 0;
	out->queue = select->queue_idx < VPMEM_QUEUE_COUNT ? dev->queue : (struct vpmem_queue) { .size = 0 };
	pthread_mutex_unlock(&dev->lock);
}

void vpmem_queue_set(struct vpmem_device *dev, uint16_t queue_idx, const struct vpmem_queue *regs)
{
	pthread_mutex_lock(&dev->lock);
	dev->nqueue_sets++;
	if (index_ok(dev, queue_idx) && !dev->queue.enabled) {
		uint16_t size = regs->size, old = dev->queue.size;

		dev->queue = *regs;
		dev->queue.enabled = false;
		if (size == 0 || (size & (size - 1)) || size > VPMEM_QUEUE_SIZE_MAX)
			dev->queue.size = old;
	}
	pthread_mutex_unlock(&dev->lock);
}

void vpmem_queue_enable(struct vpmem_device *dev, uint16_t queue_idx)
{
	pthread_mutex_lock(&dev->lock);
	dev->nenables++;
	if (index_ok(dev, queue_idx))
		dev->queue.enabled = true;
	pthread_mutex_unlock(&dev->lock);
}

void vpmem_queue_reset(struct vpmem_device *dev, uint16_t queue_idx)
{
	pthread_mutex_lock(&dev->lock);
	dev->nqueue_resets++;
	if (index_ok(dev, queue_idx))
		queue_reset(dev);
	pthread_mutex_unlock(&dev->lock);
}

void vpmem_queue_kick(struct vpmem_device *dev, uint16_t queue_idx)
{
	pthread_mutex_lock(&dev->lock);
	if (index_ok(dev, queue_idx))
		dev->nkicks++;
	pthread_mutex_unlock(&dev->lock);
}

int vpmem_queue_kick_efd(const struct vpmem_device *dev, uint16_t queue_idx)
{
	return queue_idx < VPMEM_QUEUE_COUNT ? dev->kick_efd : -1;
}

void fake_vpmem_interrupt(struct vpmem_device *dev, enum vpmem_interrupt source)
{
	pthread_mutex_lock(&dev->lock);
	dev->opts.callbacks.interrupt(dev->opts.callbacks.opaque, source);
	pthread_mutex_unlock(&dev->lock);
}

struct vpmem_gmem *vpmem_gmem_create(void)
{
	return calloc(1, sizeof(struct vpmem_gmem));
}

void vpmem_gmem_destroy(struct vpmem_gmem *gmem)
{
	free(gmem);
}

int vpmem_gmem_add(struct vpmem_gmem *gmem, uint64_t gpa, uint64_t size, void *hva)
{
	(void)gpa;
	(void)size;
	(void)hva;
	gmem->nregions++;
	return 0;
}

void *vpmem_backing_hva(const struct vpmem_backing *backing)
{
	return backing->hva;
}

uint64_t vpmem_backing_size(const struct vpmem_backing *backing)
{
	return backing->size;
}

int vpmem_backing_fd(const struct vpmem_backing *backing, uint64_t *off)
{
	(void)backing;
	*off = 4096;
	return 7;
}

bool vpmem_backing_is_rom(const struct vpmem_backing *backing)
{
	return backing->rom;
}
