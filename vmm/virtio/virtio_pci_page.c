// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci_page.c - the register page: the first page of BAR 0 (common and device configuration) as memory
 * that the guest reads without an exit; Linux reads device_status before each flush.
 *
 * The page is a read-only memory slot over the BAR: a write still leaves the guest and is served by virtio_pci_regs.c like
 * any other; the BAR's handler then fills the page anew, before the vCPU goes on. All registers come from one snapshot
 * of the device and each is stored whole, so a vCPU that reads at any moment finds one of its values.
 *
 * Registers change under the machine lock, in a register write, with a BAR that moves or in a reset; the code that
 * changes them fills the page. Two are different: a device may set DEVICE_NEEDS_RESET in device_status at any time, and
 * some devices count config_generation up. Both sides read and store those two under page_lock, so the later store has
 * the later value. The configuration of such a device is not in the page (virtio_device.h: config_changes).
 */
#include "log.h"
#include "virtio_pci_internal.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/mman.h>

/* The vCPUs that read it are the other side: one store for each register, after those before it. */
static void store(struct virtio_pci *vp, unsigned off, unsigned width, uint64_t val)
{
	uint8_t *reg = vp->page + off;

	switch (width) {
	case 1:
		__atomic_store_n(reg, (uint8_t)val, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((uint16_t *)(void *)reg, htole16((uint16_t)val), __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((uint32_t *)(void *)reg, htole32((uint32_t)val), __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((uint64_t *)(void *)reg, htole64(val), __ATOMIC_RELEASE);
	}
}

void virtio_pci_page_set_status(struct virtio_pci *vp)
{
	if (!vp->page)
		return;
	pthread_mutex_lock(&vp->page_lock);
	store(vp, COMMON_CFG_OFF + VIRTIO_PCI_COMMON_CFGGENERATION, 1, vp->ops->config_generation(vp->device));
	store(vp, COMMON_CFG_OFF + VIRTIO_PCI_COMMON_STATUS, 1, vp->ops->status(vp->device));
	pthread_mutex_unlock(&vp->page_lock);
}

static bool is_stored_with_status(unsigned off)
{
	return off == VIRTIO_PCI_COMMON_STATUS || off == VIRTIO_PCI_COMMON_CFGGENERATION;
}

/* By words of 8 bytes: no field of a configuration is wider, and what follows the last one is 0. */
static void store_device_cfg(struct virtio_pci *vp, const struct virtio_registers *regs)
{
	if (vp->ops->config_changes)
		return;
	for (unsigned off = 0; off < vp->ops->config_size; off += 8) {
		uint64_t val_le;

		memcpy(&val_le, regs->config + off, sizeof(val_le));
		store(vp, DEVICE_CFG_OFF + off, 8, le64toh(val_le));
	}
}

void virtio_pci_page_fill(struct virtio_pci *vp)
{
	struct virtio_registers regs;

	if (!vp->page)
		return;
	regs = virtio_pci_registers(vp);
	/*
	 * The fields of the device configuration change together only by what the driver does: it does not read them
	 * meanwhile. Their generation comes after them.
	 */
	store_device_cfg(vp, &regs);
	for (unsigned i = 0; i < COMMON_FIELDS; i++) {
		const struct virtio_pci_field *field = &virtio_pci_common_fields[i];

		if (!is_stored_with_status(field->off))
			store(vp, COMMON_CFG_OFF + field->off, field->width,
			      virtio_pci_common_field(vp, &regs, field->off));
	}
	/* Last: a driver that reads that a reset is over, or that features are accepted, finds the rest to match. */
	virtio_pci_page_set_status(vp);
}

/* Without a slot all reads are trapped: slower, and otherwise the same. */
void virtio_pci_page_map(struct virtio_pci *vp, gpa_t gpa)
{
	int rc;

	if (!vp->page)
		return;
	virtio_pci_page_fill(vp);
	rc = vp->vm->ops->slot_add(vp->vm, gpa, REGS_PAGE_SIZE, vp->page, true);
	vp->page_mapped = rc == 0;
	if (rc)
		log_guest("virtio-pci: %s: no memory slot for registers: 0x%" PRIx64 ": %s", virtio_pci_name(vp), gpa,
		          strerror(-rc));
}

void virtio_pci_page_unmap(struct virtio_pci *vp, gpa_t gpa)
{
	if (vp->page_mapped)
		vp->vm->ops->slot_del(vp->vm, gpa, REGS_PAGE_SIZE);
	vp->page_mapped = false;
}

/* Its own mapping: the guest can read all of it, so nothing else may lie there. */
int virtio_pci_page_create(struct virtio_pci *vp)
{
	void *page = mmap(NULL, REGS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	vp->page = page;
	return 0;
}

void virtio_pci_page_destroy(struct virtio_pci *vp)
{
	if (vp->page)
		munmap(vp->page, REGS_PAGE_SIZE);
	vp->page = NULL;
}
