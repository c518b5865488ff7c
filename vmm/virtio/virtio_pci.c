// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci.c - a virtio device as a PCI function: identity, interrupts, BARs, and its life.
 */
#include "error.h"
#include "log.h"
#include "virtio_pci_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

/* ---- interrupts: any thread, with the device's lock held ------------------------------------------------ */

void virtio_pci_config_interrupt(struct virtio_pci *vp)
{
	/* The driver reads the cause as soon as it gets the interrupt. */
	virtio_pci_page_set_status(vp);
	/* 4.1.4.5.1: the bit is set before the notification, with or without MSI-X. */
	pci_intx_raise(vp->pci, ISR_CONFIG);
	msix_raise(vp->msix, EVENT_CONFIG);
}

void virtio_pci_config_changed(struct virtio_pci *vp)
{
	if (vp->ops->status(vp->device) & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_pci_config_interrupt(vp);
	else
		virtio_pci_page_set_status(vp);
}

void virtio_pci_queue_interrupt(struct virtio_pci *vp, uint16_t queue_idx)
{
	if (!msix_raise(vp->msix, EVENT_QUEUE(queue_idx)))
		pci_intx_raise(vp->pci, ISR_QUEUE);
}

/* ---- BARs ------------------------------------------------------------------------------------------------ */

/* Every register that a write can change lies in the first page, or changes one that does. */
static void regs_bar_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	virtio_pci_regs_write(owner, off, width, val);
	virtio_pci_calls_update(owner);
	if (off < REGS_PAGE_SIZE)
		virtio_pci_page_fill(owner);
}

/* Without an ioeventfd, a notification leaves the guest and arrives at virtio_pci_notify_write. */
static void notify_mapped(struct virtio_pci *vp, enum vm_space space, uint64_t addr)
{
	vp->ioeventfds[space].addr = addr;
	for (unsigned i = 0; i < vp->nqueues; i++) {
		uint64_t queue_addr = addr + i * NOTIFY_MULTIPLIER;
		int efd = vp->ops->queue_kick_efd(vp->device, (uint16_t)i), rc;

		if (efd < 0)
			continue;
		rc = vp->vm->ops->ioeventfd_add(vp->vm, space, queue_addr, efd);
		if (rc == 0)
			vp->ioeventfds[space].queues |= UINT64_C(1) << i;
		else
			log_guest("virtio-pci: %s: no ioeventfd for notifications: 0x%" PRIx64 ": %s",
			          virtio_pci_name(vp), queue_addr, strerror(-rc));
	}
}

static void notify_unmapped(struct virtio_pci *vp, enum vm_space space)
{
	for (unsigned i = 0; i < vp->nqueues; i++)
		if (vp->ioeventfds[space].queues >> i & 1)
			vp->vm->ops->ioeventfd_del(vp->vm, space, vp->ioeventfds[space].addr + i * NOTIFY_MULTIPLIER,
			                           vp->ops->queue_kick_efd(vp->device, (uint16_t)i));
	vp->ioeventfds[space].queues = 0;
}

/* The device's registers may name the address. */
static void window_moved(struct virtio_pci *vp, gpa_t gpa)
{
	vp->ops->window_moved(vp->device, gpa);
	virtio_pci_page_fill(vp);
}

static int window_map(struct virtio_pci *vp, gpa_t gpa)
{
	const struct virtio_window *window = &vp->window;
	const struct vm_memory_region region = {
		.gpa = gpa, .size = window->size, .hva = window->hva, .fd = window->fd, .fd_off = window->fd_off
	};
	int rc = vm_memory_add_region(vp->vm, &region, window->readonly);

	if (rc == 0)
		window_moved(vp, gpa);
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
		return window_map(vp, gpa);
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
		vm_memory_del(vp->vm, gpa, vp->window.size);
		window_moved(vp, 0);
	}
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static void on_reset(void *owner)
{
	struct virtio_pci *vp = owner;

	virtio_pci_device_reset(vp);
	msix_reset(vp->msix);
	virtio_pci_calls_update(vp);
	virtio_pci_page_fill(vp);
}

/*
 * Linux clears the bit for kexec, and an old one leaves the device running: what is under way must not be written into
 * memory that belongs to the next kernel. No driver is known that takes the right away and gives it back without a reset
 * in between, so clearing it is a reset.
 */
static void on_master_cleared(void *owner)
{
	struct virtio_pci *vp = owner;

	virtio_pci_device_reset(vp);
	virtio_pci_calls_update(vp);
	virtio_pci_page_fill(vp);
}

static const struct pci_device_ops pci_ops = {
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

static struct pci_bar_desc notify_io_bar(const struct virtio_pci *vp)
{
	uint64_t size = power_of_two_from(vp->nqueues * NOTIFY_MULTIPLIER);

	return (struct pci_bar_desc) {
		.size = size < NOTIFY_IO_BAR_SIZE_MIN ? NOTIFY_IO_BAR_SIZE_MIN : size,
		.io = true,
		.read = virtio_pci_notify_read,
		.write = virtio_pci_notify_write,
	};
}

static int pci_function_create(struct virtio_pci *vp)
{
	struct pci_device_desc desc = {
		.name = vp->ops->model, .id = vp->id,
		.vendor = 0x1af4, .device = (uint16_t)(0x1040 + vp->ops->device_id),
		.subsystem_vendor = 0x1af4, .subsystem = 0x1100,
		.revision = 1,
		.class_code = vp->ops->class_code,
		.intx = true,
		.bars[REGS_BAR] = {
			.size = REGS_BAR_SIZE, .is_64bit = true,
			.read = virtio_pci_regs_read, .write = regs_bar_write,
		},
		.ops = &pci_ops, .owner = vp,
	};
	int rc;

	if (vp->window.size)
		desc.bars[SHMEM_BAR] = (struct pci_bar_desc) {
			.size = power_of_two_from(vp->window.size),
			.is_64bit = true,
			.prefetchable = true,
		};
	if (vp->pio_notify)
		desc.bars[NOTIFY_IO_BAR] = notify_io_bar(vp);
	rc = pci_device_create(&desc, &vp->pci);
	if (rc == 0)
		virtio_pci_capabilities_add(vp);
	return rc;
}

/* Everything but the device, which is not the transport's yet or no more. */
static void transport_free(struct virtio_pci *vp)
{
	msix_destroy(vp->msix);
	virtio_pci_calls_destroy(vp);
	pci_device_free(vp->pci);
	virtio_pci_page_destroy(vp);
	pthread_mutex_destroy(&vp->page_lock);
	free(vp->id);
	free(vp);
}

static int transport_create(const struct virtio_pci_config *cfg, struct virtio_pci **out)
{
	struct virtio_pci *vp = calloc(1, sizeof(*vp));
	int rc = 0;

	if (!vp)
		return -ENOMEM;
	pthread_mutex_init(&vp->page_lock, NULL);
	vp->vm = pci_bus_vm(cfg->bus);
	vp->ops = cfg->ops;
	vp->device = cfg->device;
	vp->nqueues = cfg->ops->nqueues(cfg->device);
	vp->nvectors = cfg->ops->nvectors ? cfg->ops->nvectors : vp->nqueues + 1;
	vp->loop = cfg->loop;
	vp->window = cfg->window;
	vp->pio_notify = cfg->pio_notify;
	vp->device_cfg_off = cfg->ops->config_changes ? DEVICE_CFG_TRAPPED_OFF : DEVICE_CFG_OFF;
	if (cfg->id)
		vp->id = strdup(cfg->id);
	if (cfg->id && !vp->id)
		rc = -ENOMEM;
	if (rc == 0 && cfg->register_page)
		rc = virtio_pci_page_create(vp);
	if (rc == 0)
		rc = msix_create(vp->vm, vp->nvectors, vp->nqueues + 1, &vp->msix);
	if (rc == 0)
		rc = virtio_pci_calls_create(vp);
	if (rc == 0)
		rc = pci_function_create(vp);
	if (rc)
		transport_free(vp);
	else
		*out = vp;
	return rc;
}

int virtio_pci_create(const struct virtio_pci_config *cfg, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pci *vp;
	unsigned nqueues = cfg->ops->nqueues(cfg->device);
	int rc;

	(void)nqueues;
	assert(nqueues > 0 && nqueues <= VIRTIO_DEVICE_QUEUES_MAX && cfg->ops->config_size <= VIRTIO_DEVICE_CONFIG_MAX);
	assert(cfg->window.size == 0 || cfg->ops->window_moved);
	rc = transport_create(cfg, &vp);
	if (rc)
		return error_set(err, rc, "%s: %s: %s", cfg->ops->model, cfg->id ? cfg->id : "(no id)", strerror(-rc));
	*out = vp;
	rc = pci_bus_plug(cfg->bus, vp->pci, cfg->bus_nr, cfg->slot, err);
	if (rc) {
		*out = NULL;
		transport_free(vp);
		return rc;
	}
	vp->plugged = true;
	return 0;
}

void virtio_pci_unplug(struct virtio_pci *vp)
{
	if (!vp->plugged)
		return;
	/* First the device, so that no interrupt finds the function gone. */
	virtio_pci_device_reset(vp);
	pci_bus_unplug(vp->pci);
	vp->plugged = false;
	virtio_pci_calls_update(vp);
	msix_destroy(vp->msix);
	vp->msix = NULL;
	if (vp->ops->unplug)
		vp->ops->unplug(vp->device);
}

int virtio_pci_destroy(struct virtio_pci *vp)
{
	int error;

	if (!vp)
		return 0;
	virtio_pci_unplug(vp);
	error = vp->ops->destroy(vp->device);
	transport_free(vp);
	return error;
}

void virtio_pci_set_paused(struct virtio_pci *vp, bool paused)
{
	if (vp->plugged && vp->ops->set_paused)
		vp->ops->set_paused(vp->device, paused);
}

void *virtio_pci_device(const struct virtio_pci *vp, const struct virtio_device_ops *ops)
{
	(void)ops;
	assert(vp->ops == ops);
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
