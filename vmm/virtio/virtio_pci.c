// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci.c - the pmem device as a PCI function: identity, interrupts, BARs, and its life.
 */
#include "error.h"
#include "log.h"
#include "virtio_pci_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "virtio-pmem-pci"

/* ---- interrupts: any thread, with the device's lock held ------------------------------------------------ */

static void on_interrupt(void *opaque, enum vpmem_interrupt source)
{
	struct virtio_pci *vp = opaque;

	if (source == VPMEM_INTERRUPT_CONFIG) {
		/* The driver that is told reads why. */
		virtio_pci_page_set_status(vp);
		/* 4.1.4.5.1: the bit is set before the notification, with or without MSI-X. */
		pci_intx_raise(vp->pci, ISR_CONFIG);
		msix_raise(vp->msix, EVENT_CONFIG);
	} else if (!msix_raise(vp->msix, EVENT_QUEUE)) {
		pci_intx_raise(vp->pci, ISR_QUEUE);
	}
}

static void on_event(void *opaque, enum vpmem_event event, int error, const char *text)
{
	struct virtio_pci *vp = opaque;

	vp->callbacks.event(vp->callbacks.opaque, event, error, text);
}

/* ---- BARs ------------------------------------------------------------------------------------------------ */

/* Without an ioeventfd, a notification leaves the guest and arrives at virtio_pci_regs_write. */
static void notify_mapped(struct virtio_pci *vp, enum vm_space space, uint64_t addr)
{
	int rc = vp->vm->ops->ioeventfd_add(vp->vm, space, addr, vpmem_queue_kick_efd(vp->device, FLUSH_QUEUE));

	if (rc == 0)
		vp->ioeventfds[space] = addr;
	else
		log_guest("virtio-pci: %s: no ioeventfd for notifications: 0x%" PRIx64 ": %s", virtio_pci_name(vp),
		          addr, strerror(-rc));
}

static void notify_unmapped(struct virtio_pci *vp, enum vm_space space)
{
	if (vp->ioeventfds[space])
		vp->vm->ops->ioeventfd_del(vp->vm, space, vp->ioeventfds[space],
		                           vpmem_queue_kick_efd(vp->device, FLUSH_QUEUE));
	vp->ioeventfds[space] = 0;
}

/* A driver that did not negotiate SHMEM_REGION reads the address in the device's configuration. */
static void pmem_moved(struct virtio_pci *vp, gpa_t gpa)
{
	vp->pmem_gpa = gpa;
	vpmem_device_set_gpa(vp->device, gpa);
	virtio_pci_page_fill(vp);
}

static int pmem_map(struct virtio_pci *vp, gpa_t gpa)
{
	int rc;

	/* The BAR is a power of two; the window is what the backing has, from its start. */
	rc = vp->vm->ops->slot_add(vp->vm, gpa, vpmem_backing_size(vp->backing), vpmem_backing_hva(vp->backing),
	                           vpmem_backing_is_rom(vp->backing));
	if (rc == 0)
		pmem_moved(vp, gpa);
	return rc;
}

static int on_bar_mapped(void *owner, unsigned bar, gpa_t gpa)
{
	struct virtio_pci *vp = owner;

	switch (bar) {
	case REGS_BAR:
		notify_mapped(vp, VM_SPACE_MEMORY, gpa + NOTIFY_OFF);
		virtio_pci_page_map(vp, gpa);
		return 0;
	case NOTIFY_IO_BAR:
		notify_mapped(vp, VM_SPACE_PORTS, gpa);
		return 0;
	default:
		return pmem_map(vp, gpa);
	}
}

static void on_bar_unmapped(void *owner, unsigned bar, gpa_t gpa)
{
	struct virtio_pci *vp = owner;

	switch (bar) {
	case REGS_BAR:
		virtio_pci_page_unmap(vp, gpa);
		notify_unmapped(vp, VM_SPACE_MEMORY);
		break;
	case NOTIFY_IO_BAR:
		notify_unmapped(vp, VM_SPACE_PORTS);
		break;
	default:
		vp->vm->ops->slot_del(vp->vm, gpa, vpmem_backing_size(vp->backing));
		pmem_moved(vp, 0);
	}
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static void on_reset(void *owner)
{
	struct virtio_pci *vp = owner;

	virtio_pci_device_reset(vp);
	msix_reset(vp->msix);
	virtio_pci_page_fill(vp);
}

/*
 * Linux does so for kexec, and an old one leaves the device running: what is under way must not be written into memory
 * that belongs to the next kernel. That a driver takes the right away and gives it back is not known to happen
 * without a reset in between, so it is one.
 */
static void on_master_cleared(void *owner)
{
	struct virtio_pci *vp = owner;

	virtio_pci_device_reset(vp);
	virtio_pci_page_fill(vp);
}

static const struct pci_device_ops ops = {
	.bar_mapped = on_bar_mapped,
	.bar_unmapped = on_bar_unmapped,
	.config_read = virtio_pci_config_read,
	.config_written = virtio_pci_config_written,
	.master_cleared = on_master_cleared,
	.reset = on_reset,
};

static uint64_t power_of_two_from(uint64_t size)
{
	uint64_t power = 1;

	while (power < size && power < UINT64_C(1) << 63)
		power <<= 1;
	return power;
}

static int pci_function_create(struct virtio_pci *vp)
{
	struct pci_device_desc desc = {
		.name = MODEL, .id = vp->id,
		.vendor = 0x1af4, .device = 0x1040 + VPMEM_VIRTIO_ID,
		.subsystem_vendor = 0x1af4, .subsystem = 0x1100,
		.revision = 1,
		.class_code = 0x00ff00,
		.intx = true,
		.bars[REGS_BAR] = {
			.size = REGS_BAR_SIZE, .is_64bit = true,
			.read = virtio_pci_regs_read, .write = virtio_pci_regs_write,
		},
		.ops = &ops, .owner = vp,
	};
	int rc;

	if (vp->shmem)
		desc.bars[SHMEM_BAR] = (struct pci_bar_desc) {
			.size = power_of_two_from(vpmem_backing_size(vp->backing)),
			.is_64bit = true,
			.prefetchable = true,
		};
	if (vp->pio_notify)
		desc.bars[NOTIFY_IO_BAR] = (struct pci_bar_desc) {
			.size = NOTIFY_IO_BAR_SIZE,
			.io = true,
			.read = virtio_pci_notify_read,
			.write = virtio_pci_notify_write,
		};
	rc = pci_device_create(&desc, &vp->pci);
	if (rc == 0)
		virtio_pci_capabilities_add(vp);
	return rc;
}

static int gmem_create(struct virtio_pci *vp, const struct gmem *mem)
{
	const struct gmem_region *region;
	int rc = 0;

	vp->gmem = vpmem_gmem_create();
	if (!vp->gmem)
		return -ENOMEM;
	for (unsigned i = 0; rc == 0 && (region = gmem_region_at(mem, i)); i++)
		rc = vpmem_gmem_add(vp->gmem, region->gpa, region->size, region->hva);
	return rc;
}

static int device_create(struct virtio_pci *vp, const struct virtio_pci_config *cfg, struct vpmem_error *err)
{
	struct vpmem_device_options opts = cfg->device;

	if (gmem_create(vp, cfg->mem))
		return error_set(err, -ENOMEM, MODEL ": out of memory");
	opts.gmem = vp->gmem;
	opts.callbacks.interrupt = on_interrupt;
	opts.callbacks.event = vp->callbacks.event ? on_event : NULL;
	opts.callbacks.opaque = vp;
	return vpmem_device_create(&opts, &vp->device, err);
}

int virtio_pci_create(const struct virtio_pci_config *cfg, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pci *vp = calloc(1, sizeof(*vp));
	int rc;

	if (!vp)
		return error_set(err, -ENOMEM, MODEL ": out of memory");
	pthread_mutex_init(&vp->page_lock, NULL);
	vp->vm = pci_bus_vm(cfg->bus);
	vp->backing = cfg->device.backing;
	vp->callbacks = cfg->device.callbacks;
	vp->shmem = cfg->device.shmem;
	vp->pio_notify = cfg->pio_notify;
	vp->pmem_gpa = vp->shmem ? 0 : cfg->device.gpa;
	if (cfg->id) {
		vp->id = strdup(cfg->id);
		if (!vp->id) {
			rc = error_set(err, -ENOMEM, MODEL ": out of memory");
			goto fail;
		}
	}
	if (cfg->register_page && virtio_pci_page_create(vp)) {
		rc = error_set(err, -ENOMEM, MODEL ": out of memory");
		goto fail;
	}
	rc = device_create(vp, cfg, err);
	if (rc)
		goto fail;
	rc = msix_create(vp->vm, &vp->msix);
	if (rc == 0)
		rc = pci_function_create(vp);
	if (rc) {
		error_set(err, rc, MODEL ": %s: %s", virtio_pci_name(vp), strerror(-rc));
		goto fail;
	}
	rc = pci_bus_plug(cfg->bus, vp->pci, cfg->bus_nr, cfg->slot, err);
	if (rc)
		goto fail;
	vp->plugged = true;
	*out = vp;
	return 0;

fail:
	virtio_pci_destroy(vp);
	return rc;
}

void virtio_pci_unplug(struct virtio_pci *vp)
{
	if (!vp->plugged)
		return;
	/* First the device, so that no interrupt finds the function gone. */
	virtio_pci_device_reset(vp);
	pci_bus_unplug(vp->pci);
	vp->plugged = false;
	msix_destroy(vp->msix);
	vp->msix = NULL;
}

int virtio_pci_destroy(struct virtio_pci *vp)
{
	int error;

	if (!vp)
		return 0;
	virtio_pci_unplug(vp);
	error = vpmem_device_destroy(vp->device);
	vpmem_gmem_destroy(vp->gmem);
	msix_destroy(vp->msix);
	pci_device_free(vp->pci);
	virtio_pci_page_destroy(vp);
	pthread_mutex_destroy(&vp->page_lock);
	free(vp->id);
	free(vp);
	return error;
}

struct vpmem_device *virtio_pci_device(struct virtio_pci *vp)
{
	return vp->device;
}

const char *virtio_pci_name(const struct virtio_pci *vp)
{
	return vp->id ? vp->id : "(no id)";
}

int virtio_pci_slot(const struct virtio_pci *vp)
{
	return (int)pci_device_slot(vp->pci);
}

uint64_t virtio_pci_pmem_gpa(const struct virtio_pci *vp)
{
	return vp->pmem_gpa;
}
