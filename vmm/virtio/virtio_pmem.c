// SPDX-License-Identifier: Apache-2.0
// virtio-pmem-pci: the device of libvpmem as a virtio device behind a transport.
#include "virtio_pmem.h"

#include "error.h"
#include "thread.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "virtio-pmem-pci"

struct virtio_pmem {
	struct virtio_pci *pci; /* the transport; it owns this device once it is plugged */
	struct vpmem_gmem *gmem;
	struct vpmem_device *device;
	struct vpmem_callbacks callbacks; /* the machine's */
	gpa_t gpa;                        /* where the window is; 0: nowhere (shmem, BAR not decoded) */
};

/* ---- registers --------------------------------------------------------------------------------------- */

static struct vpmem_device *device_of(const void *opaque)
{
	return ((const struct virtio_pmem *)opaque)->device;
}

static unsigned pmem_nqueues(const void *opaque)
{
	(void)opaque;
	return VPMEM_QUEUE_COUNT;
}

static void pmem_read(void *opaque, const struct virtio_select *select, struct virtio_registers *out)
{
	const struct vpmem_select what = {
		.device_feature_word = select->device_feature_word,
		.driver_feature_word = select->driver_feature_word,
		.queue_idx = select->queue_idx,
	};
	struct vpmem_snapshot now;

	vpmem_device_snapshot(device_of(opaque), &what, &now);
	out->features = now.features;
	out->driver_features = now.driver_features;
	out->queue = (struct virtq_regs) {
		.size = now.queue.size,
		.enabled = now.queue.enabled,
		.desc_gpa = now.queue.desc_gpa,
		.driver_gpa = now.queue.driver_gpa,
		.device_gpa = now.queue.device_gpa,
	};
	static_assert(sizeof(now.config) <= sizeof(out->config), "the configuration has room");
	memcpy(out->config, now.config, sizeof(now.config));
}

static uint8_t pmem_status(const void *opaque)
{
	return vpmem_device_status(device_of(opaque));
}

static uint8_t pmem_config_generation(const void *opaque)
{
	return vpmem_device_config_generation(device_of(opaque));
}

static void pmem_set_driver_features(void *opaque, uint32_t word, uint32_t bits)
{
	vpmem_device_set_driver_features(device_of(opaque), word, bits);
}

static void pmem_set_status(void *opaque, uint8_t status)
{
	vpmem_device_set_status(device_of(opaque), status);
}

static void pmem_queue_set(void *opaque, uint16_t queue_idx, const struct virtq_regs *regs)
{
	const struct vpmem_queue queue = {
		.size = regs->size,
		.desc_gpa = regs->desc_gpa,
		.driver_gpa = regs->driver_gpa,
		.device_gpa = regs->device_gpa,
	};

	vpmem_queue_set(device_of(opaque), queue_idx, &queue);
}

static void pmem_queue_enable(void *opaque, uint16_t queue_idx)
{
	vpmem_queue_enable(device_of(opaque), queue_idx);
}

static void pmem_queue_reset(void *opaque, uint16_t queue_idx)
{
	vpmem_queue_reset(device_of(opaque), queue_idx);
}

static void pmem_queue_kick(void *opaque, uint16_t queue_idx)
{
	vpmem_queue_kick(device_of(opaque), queue_idx);
}

static int pmem_queue_kick_efd(const void *opaque, uint16_t queue_idx)
{
	return vpmem_queue_kick_efd(device_of(opaque), queue_idx);
}

/* A driver that did not negotiate SHMEM_REGION reads the address in the device's configuration. */
static void pmem_window_moved(void *opaque, gpa_t gpa)
{
	struct virtio_pmem *pm = opaque;

	pm->gpa = gpa;
	vpmem_device_set_gpa(pm->device, gpa);
}

/* ---- life -------------------------------------------------------------------------------------------- */

static int pmem_destroy(void *opaque)
{
	struct virtio_pmem *pm = opaque;
	int error = vpmem_device_destroy(pm->device);

	vpmem_gmem_destroy(pm->gmem);
	free(pm);
	return error;
}

static const struct virtio_device_ops pmem_ops = {
	.model = MODEL,
	.device_id = VPMEM_VIRTIO_ID,
	.class_code = 0x00ff00, /* unclassified, as QEMU has it */
	.config_size = VPMEM_CONFIG_SIZE,
	/* Start and size change with a BAR that the driver moves and with features that it accepts: its own accesses. */
	.config_changes = false,
	.nqueues = pmem_nqueues,
	.read = pmem_read,
	.status = pmem_status,
	.config_generation = pmem_config_generation,
	.set_driver_features = pmem_set_driver_features,
	.set_status = pmem_set_status,
	.queue_set = pmem_queue_set,
	.queue_enable = pmem_queue_enable,
	.queue_reset = pmem_queue_reset,
	.queue_kick = pmem_queue_kick,
	.queue_kick_efd = pmem_queue_kick_efd,
	.window_moved = pmem_window_moved,
	.destroy = pmem_destroy,
};

static void on_interrupt(void *opaque, enum vpmem_interrupt source)
{
	struct virtio_pmem *pm = opaque;

	if (source == VPMEM_INTERRUPT_CONFIG)
		virtio_pci_config_interrupt(pm->pci);
	else
		virtio_pci_queue_interrupt(pm->pci, 0);
}

static void on_event(void *opaque, enum vpmem_event event, int error, const char *text)
{
	struct virtio_pmem *pm = opaque;

	pm->callbacks.event(pm->callbacks.opaque, event, error, text);
}

static int on_worker_started(void *opaque)
{
	(void)opaque;
	return thread_get_confine()(THREAD_FLUSH);
}

static int gmem_create(const struct gmem *mem, struct vpmem_gmem **out)
{
	const struct gmem_region *region;
	int rc = 0;

	*out = vpmem_gmem_create();
	if (!*out)
		return -ENOMEM;
	for (unsigned i = 0; rc == 0 && (region = gmem_region_at(mem, i)); i++)
		rc = vpmem_gmem_add(*out, region->gpa, region->size, region->hva);
	return rc;
}

static int device_create(struct virtio_pmem *pm, const struct virtio_pmem_options *cfg, struct vpmem_error *err)
{
	struct vpmem_device_options opts = cfg->device;

	opts.gmem = pm->gmem;
	opts.callbacks.interrupt = on_interrupt;
	opts.callbacks.event = pm->callbacks.event ? on_event : NULL;
	opts.callbacks.worker_started = thread_get_confine() ? on_worker_started : NULL;
	opts.callbacks.opaque = pm;
	return vpmem_device_create(&opts, &pm->device, err);
}

static int plug(struct virtio_pmem *pm, const struct virtio_pmem_options *cfg, struct vpmem_error *err)
{
	const struct vpmem_backing *backing = cfg->device.backing;
	struct virtio_pci_config pci = cfg->pci;

	pci.ops = &pmem_ops;
	pci.device = pm;
	if (cfg->device.shmem) {
		pci.window = (struct virtio_window) {
			.hva = vpmem_backing_hva(backing),
			.size = vpmem_backing_size(backing),
			.readonly = vpmem_backing_is_rom(backing),
			.shmem_id = VPMEM_SHMEM_ID,
		};
		pci.window.fd = vpmem_backing_fd(backing, &pci.window.fd_off);
	}
	return virtio_pci_create(&pci, &pm->pci, err);
}

int virtio_pmem_create(const struct virtio_pmem_options *cfg, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pmem *pm = calloc(1, sizeof(*pm));
	int rc;

	if (!pm)
		return error_set(err, -ENOMEM, MODEL ": out of memory");
	pm->callbacks = cfg->device.callbacks;
	pm->gpa = cfg->device.shmem ? 0 : cfg->device.gpa;
	rc = gmem_create(cfg->mem, &pm->gmem);
	if (rc)
		error_set(err, rc, MODEL ": guest memory: %s", strerror(-rc));
	if (rc == 0)
		rc = device_create(pm, cfg, err);
	if (rc == 0)
		rc = plug(pm, cfg, err);
	if (rc) {
		pmem_destroy(pm);
		return rc;
	}
	*out = pm->pci;
	return 0;
}

struct vpmem_device *virtio_pmem_device(const struct virtio_pci *vp)
{
	return device_of(virtio_pci_device(vp, &pmem_ops));
}

gpa_t virtio_pmem_gpa(const struct virtio_pci *vp)
{
	const struct virtio_pmem *pm = virtio_pci_device(vp, &pmem_ops);

	return pm->gpa;
}
