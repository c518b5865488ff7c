// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci_config.c - the transport's capabilities (virtio specification, section 4.1.4), and what the
 * guest's accesses to them do.
 */
#include "virtio_pci_internal.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

/* Sizes of the capabilities' structures, and the fields that <linux/virtio_pci.h> has no name for. */
#define CAP_SIZE 16u
#define CAP_ID_OFF 5u
#define NOTIFY_CAP_SIZE 20u
#define PCI_CFG_CAP_SIZE 20u
#define PCI_CFG_DATA_OFF 16u
#define CAP64_SIZE 24u
#define CAP64_OFFSET_HI_OFF 16u
#define CAP64_LENGTH_HI_OFF 20u

static unsigned virtio_cap_add(struct pci_device *pci, uint8_t cfg_type, unsigned cap_len, uint8_t bar, uint32_t off,
                               uint32_t len)
{
	unsigned cap = pci_capability_add(pci, PCI_CAP_ID_VNDR, cap_len);

	pci_config_set(pci, cap + VIRTIO_PCI_CAP_LEN, 1, cap_len);
	pci_config_set(pci, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1, cfg_type);
	pci_config_set(pci, cap + VIRTIO_PCI_CAP_BAR, 1, bar);
	pci_config_set(pci, cap + VIRTIO_PCI_CAP_OFFSET, 4, off);
	pci_config_set(pci, cap + VIRTIO_PCI_CAP_LENGTH, 4, len);
	return cap;
}

static void msix_cap_add(struct virtio_pci *vp)
{
	unsigned cap = pci_capability_add(vp->pci, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);

	/* The table's size is written as its last index. */
	pci_config_set(vp->pci, cap + PCI_MSIX_FLAGS, 2, vp->nvectors - 1);
	pci_config_set_writable(vp->pci, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_config_set(vp->pci, cap + PCI_MSIX_TABLE, 4, MSIX_TABLE_OFF | REGS_BAR);
	pci_config_set(vp->pci, cap + PCI_MSIX_PBA, 4, MSIX_PBA_OFF | REGS_BAR);
	vp->msix_cap_off = cap;
}

/* A window into the BARs, for firmware that cannot reach them: bar, offset, length and data are the guest's. */
static void pci_cfg_cap_add(struct virtio_pci *vp)
{
	unsigned cap = virtio_cap_add(vp->pci, VIRTIO_PCI_CAP_PCI_CFG, PCI_CFG_CAP_SIZE, 0, 0, 0);

	pci_config_set_writable(vp->pci, cap + VIRTIO_PCI_CAP_BAR, 1, 0xff);
	pci_config_set_writable(vp->pci, cap + VIRTIO_PCI_CAP_OFFSET, 4, UINT32_MAX);
	pci_config_set_writable(vp->pci, cap + VIRTIO_PCI_CAP_LENGTH, 4, UINT32_MAX);
	pci_config_set_writable(vp->pci, cap + PCI_CFG_DATA_OFF, 4, UINT32_MAX);
	vp->pci_cfg_cap_off = cap;
}

/* Section 4.1.4.7: struct virtio_pci_cap64, whose upper halves follow the capability. */
static void shmem_cap_add(struct virtio_pci *vp)
{
	uint64_t len = vp->window.size;
	unsigned cap =
		virtio_cap_add(vp->pci, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, CAP64_SIZE, SHMEM_BAR, 0, (uint32_t)len);

	pci_config_set(vp->pci, cap + CAP_ID_OFF, 1, vp->window.shmem_id);
	pci_config_set(vp->pci, cap + CAP64_OFFSET_HI_OFF, 4, 0);
	pci_config_set(vp->pci, cap + CAP64_LENGTH_HI_OFF, 4, (uint32_t)(len >> 32));
}

static void notify_cap_add(struct virtio_pci *vp, uint8_t bar, uint32_t off)
{
	unsigned cap = virtio_cap_add(vp->pci, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY_CAP_SIZE, bar, off,
	                              vp->nqueues * NOTIFY_MULTIPLIER);

	pci_config_set(vp->pci, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4, NOTIFY_MULTIPLIER);
}

void virtio_pci_capabilities_add(struct virtio_pci *vp)
{
	struct pci_device *pci = vp->pci;

	msix_cap_add(vp);
	virtio_cap_add(pci, VIRTIO_PCI_CAP_COMMON_CFG, CAP_SIZE, REGS_BAR, COMMON_CFG_OFF, COMMON_CFG_SIZE);
	virtio_cap_add(pci, VIRTIO_PCI_CAP_ISR_CFG, CAP_SIZE, REGS_BAR, ISR_OFF, 1);
	if (vp->ops->config_size)
		virtio_cap_add(pci, VIRTIO_PCI_CAP_DEVICE_CFG, CAP_SIZE, REGS_BAR, vp->device_cfg_off,
		               vp->ops->config_size);
	/* Section 4.1.4: of several, the first is what the device prefers. */
	if (vp->pio_notify)
		notify_cap_add(vp, NOTIFY_IO_BAR, 0);
	notify_cap_add(vp, REGS_BAR, NOTIFY_OFF);
	pci_cfg_cap_add(vp);
	if (vp->window.size)
		shmem_cap_add(vp);
}

/* ---- configuration space ---------------------------------------------------------------------------------- */

/* Whether the access touches [first, first + len). */
static bool touches(unsigned off, unsigned width, unsigned first, unsigned len)
{
	return off < first + len && off + width > first;
}

/*
 * What the window's registers select, all of it the guest's choice (section 4.1.4.9): a BAR that has registers, or
 * NULL. A length that is not 1, 2 or 4 and an offset that is no multiple of it are the driver's mistake. Where the
 * window leads nowhere, its data reads all ones and writes are dropped.
 */
static const struct pci_bar_desc *pci_cfg_target(const struct virtio_pci *vp, uint32_t *off, uint32_t *width)
{
	unsigned cap = vp->pci_cfg_cap_off;
	uint32_t idx = pci_config_get(vp->pci, cap + VIRTIO_PCI_CAP_BAR, 1);
	const struct pci_bar_desc *bar;

	*off = pci_config_get(vp->pci, cap + VIRTIO_PCI_CAP_OFFSET, 4);
	*width = pci_config_get(vp->pci, cap + VIRTIO_PCI_CAP_LENGTH, 4);
	if (idx >= PCI_BARS_MAX || (*width != 1 && *width != 2 && *width != 4) || *off % *width != 0)
		return NULL;
	bar = &pci_device_description(vp->pci)->bars[idx];
	return bar->read && *off <= bar->size - *width ? bar : NULL;
}

void virtio_pci_config_read(void *owner, unsigned off, unsigned width)
{
	struct virtio_pci *vp = owner;
	unsigned data = vp->pci_cfg_cap_off + PCI_CFG_DATA_OFF;
	uint32_t reg_off, reg_width, val = UINT32_MAX;
	const struct pci_bar_desc *bar;

	if (!touches(off, width, data, 4))
		return;
	bar = pci_cfg_target(vp, &reg_off, &reg_width);
	if (bar)
		val = (uint32_t)bar->read(vp, reg_off, reg_width);
	pci_config_set(vp->pci, data, 4, val);
}

void virtio_pci_config_written(void *owner, unsigned off, unsigned width)
{
	struct virtio_pci *vp = owner;
	unsigned data = vp->pci_cfg_cap_off + PCI_CFG_DATA_OFF;
	uint32_t reg_off, reg_width;
	const struct pci_bar_desc *bar;

	if (touches(off, width, vp->msix_cap_off + PCI_MSIX_FLAGS, 2)) {
		uint32_t flags = pci_config_get(vp->pci, vp->msix_cap_off + PCI_MSIX_FLAGS, 2);

		msix_set_control(vp->msix, flags & PCI_MSIX_FLAGS_ENABLE, flags & PCI_MSIX_FLAGS_MASKALL);
		pci_intx_block(vp->pci, flags & PCI_MSIX_FLAGS_ENABLE);
		virtio_pci_calls_update(vp);
	}
	if (!touches(off, width, data, 4))
		return;
	bar = pci_cfg_target(vp, &reg_off, &reg_width);
	if (bar)
		bar->write(vp, reg_off, reg_width,
		           pci_config_get(vp->pci, data, 4) & (UINT32_MAX >> (32 - 8 * reg_width)));
}
