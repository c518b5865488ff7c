// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci_regs.c - the registers in BAR 0, and in the I/O BAR (virtio specification, section 4.1.4).
 *
 * The driver "MUST access each field using the natural width"; 64-bit fields also by their halves, which
 * are fields of their own here. A read of any other width gives the bytes that lie there; such a write
 * counts for each field that it covers wholly. No read in the common configuration has a side effect.
 * An access takes one snapshot of the device. The register page (virtio_pci_page.c) is filled by the same functions: the
 * two never differ.
 */
#include "log.h"
#include "virtio_pci_internal.h"
#include "width.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

const struct virtio_pci_field virtio_pci_common_fields[COMMON_FIELDS] = {
	{ VIRTIO_PCI_COMMON_DFSELECT, 4 },  { VIRTIO_PCI_COMMON_DF, 4 },
	{ VIRTIO_PCI_COMMON_GFSELECT, 4 },  { VIRTIO_PCI_COMMON_GF, 4 },
	{ VIRTIO_PCI_COMMON_MSIX, 2 },      { VIRTIO_PCI_COMMON_NUMQ, 2 },
	{ VIRTIO_PCI_COMMON_STATUS, 1 },    { VIRTIO_PCI_COMMON_CFGGENERATION, 1 },
	{ VIRTIO_PCI_COMMON_Q_SELECT, 2 },  { VIRTIO_PCI_COMMON_Q_SIZE, 2 },
	{ VIRTIO_PCI_COMMON_Q_MSIX, 2 },    { VIRTIO_PCI_COMMON_Q_ENABLE, 2 },
	{ VIRTIO_PCI_COMMON_Q_NOFF, 2 },    { VIRTIO_PCI_COMMON_Q_DESCLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_DESCHI, 4 },  { VIRTIO_PCI_COMMON_Q_AVAILLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_AVAILHI, 4 }, { VIRTIO_PCI_COMMON_Q_USEDLO, 4 },
	{ VIRTIO_PCI_COMMON_Q_USEDHI, 4 },  { VIRTIO_PCI_COMMON_Q_NDATA, 2 },
	{ VIRTIO_PCI_COMMON_Q_RESET, 2 },
};

/* ---- queue registers ---------------------------------------------------------------------------------- */

struct virtio_registers virtio_pci_registers(struct virtio_pci *vp)
{
	struct virtio_registers regs = { 0 };

	vp->ops->read(vp->device, &vp->select, &regs);
	return regs;
}

static bool queue_exists(const struct virtio_pci *vp)
{
	return vp->select.queue_idx < vp->nqueues;
}

/* Registers of a queue that does not exist read 0 ("0 means that the queue is unavailable"), its vector NO_VECTOR. */
static uint32_t queue_field(const struct virtio_pci *vp, const struct virtq_regs *queue, unsigned off)
{
	if (!queue_exists(vp))
		return off == VIRTIO_PCI_COMMON_Q_MSIX ? MSIX_NO_VECTOR : 0;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return msix_event_vector(vp->msix, EVENT_QUEUE(vp->select.queue_idx));
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return queue->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return vp->select.queue_idx;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return (uint32_t)queue->desc_gpa;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return (uint32_t)(queue->desc_gpa >> 32);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return (uint32_t)queue->driver_gpa;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return (uint32_t)(queue->driver_gpa >> 32);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return (uint32_t)queue->device_gpa;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return (uint32_t)(queue->device_gpa >> 32);
	default:
		/* queue_notif_config_data is not offered; queue_reset reads 0: a reset is over when its write is. */
		return 0;
	}
}

static void set_low(uint64_t *addr, uint32_t val)
{
	*addr = (*addr & ~(uint64_t)UINT32_MAX) | val;
}

static void set_high(uint64_t *addr, uint32_t val)
{
	*addr = (*addr & UINT32_MAX) | (uint64_t)val << 32;
}

/* Size and addresses: the device takes them only while the queue is not enabled. */
static void queue_layout_write(struct virtio_pci *vp, unsigned off, uint32_t val)
{
	struct virtq_regs queue = virtio_pci_registers(vp).queue;

	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		queue.size = (uint16_t)val;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		set_low(&queue.desc_gpa, val);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_high(&queue.desc_gpa, val);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		set_low(&queue.driver_gpa, val);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_high(&queue.driver_gpa, val);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		set_low(&queue.device_gpa, val);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_high(&queue.device_gpa, val);
		break;
	default:
		return;
	}
	vp->ops->queue_set(vp->device, vp->select.queue_idx, &queue);
}

static bool ring_reset_negotiated(struct virtio_pci *vp)
{
	const struct virtio_select select = { .driver_feature_word = 1 };
	struct virtio_registers regs = { 0 };

	vp->ops->read(vp->device, &select, &regs);
	return vp->ops->status(vp->device) & VIRTIO_CONFIG_S_FEATURES_OK &&
	       regs.driver_features & UINT32_C(1) << (VIRTIO_F_RING_RESET - 32);
}

static void queue_write(struct virtio_pci *vp, unsigned off, uint32_t val)
{
	uint16_t queue_idx = vp->select.queue_idx;

	if (!queue_exists(vp))
		return;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_MSIX:
		msix_map_event(vp->msix, EVENT_QUEUE(queue_idx), (uint16_t)val);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (val == 1) /* "the driver MUST NOT write a 0" */
			vp->ops->queue_enable(vp->device, queue_idx);
		break;
	case VIRTIO_PCI_COMMON_Q_RESET:
		if (val != 1 || !ring_reset_negotiated(vp))
			break;
		vp->ops->queue_reset(vp->device, queue_idx);
		msix_map_event(vp->msix, EVENT_QUEUE(queue_idx), MSIX_NO_VECTOR);
		break;
	default:
		queue_layout_write(vp, off, val);
	}
}

/* ---- common configuration ------------------------------------------------------------------------------ */

void virtio_pci_device_reset(struct virtio_pci *vp)
{
	/* First the device: after that it raises no interrupt, and what it raised before is taken back. */
	vp->ops->set_status(vp->device, 0);
	msix_unmap_events(vp->msix);
	pci_intx_take(vp->pci);
	vp->select = (struct virtio_select) { 0 };
}

uint32_t virtio_pci_common_field(const struct virtio_pci *vp, const struct virtio_registers *regs, unsigned off)
{
	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return vp->select.device_feature_word;
	case VIRTIO_PCI_COMMON_DF:
		return regs->features;
	case VIRTIO_PCI_COMMON_GFSELECT:
		return vp->select.driver_feature_word;
	case VIRTIO_PCI_COMMON_GF:
		return regs->driver_features;
	case VIRTIO_PCI_COMMON_MSIX:
		return msix_event_vector(vp->msix, EVENT_CONFIG);
	case VIRTIO_PCI_COMMON_NUMQ:
		return vp->nqueues;
	case VIRTIO_PCI_COMMON_STATUS:
		return vp->ops->status(vp->device);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return vp->ops->config_generation(vp->device);
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return vp->select.queue_idx;
	default:
		return queue_field(vp, &regs->queue, off);
	}
}

static void common_field_write(struct virtio_pci *vp, unsigned off, uint32_t val)
{
	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vp->select.device_feature_word = val;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vp->select.driver_feature_word = val;
		break;
	case VIRTIO_PCI_COMMON_GF:
		vp->ops->set_driver_features(vp->device, vp->select.driver_feature_word, val);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		msix_map_event(vp->msix, EVENT_CONFIG, (uint16_t)val);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		if (val == 0)
			virtio_pci_device_reset(vp);
		else
			vp->ops->set_status(vp->device, (uint8_t)val);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vp->select.queue_idx = (uint16_t)val;
		break;
	case VIRTIO_PCI_COMMON_DF:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		break; /* read-only */
	default:
		queue_write(vp, off, val);
	}
}

static uint64_t common_read(const struct virtio_pci *vp, const struct virtio_registers *regs, uint64_t off,
                            unsigned width)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < COMMON_FIELDS; i++) {
		const struct virtio_pci_field *f = &virtio_pci_common_fields[i];

		if (f->off >= off + width || off >= (uint64_t)f->off + f->width)
			continue;
		uint64_t field_val = virtio_pci_common_field(vp, regs, f->off);
		val |= f->off >= off ? field_val << 8 * (f->off - off) : field_val >> 8 * (off - f->off);
	}
	return val & width_mask(width);
}

static void common_write(struct virtio_pci *vp, uint64_t off, unsigned width, uint64_t val)
{
	for (unsigned i = 0; i < COMMON_FIELDS; i++) {
		const struct virtio_pci_field *f = &virtio_pci_common_fields[i];

		if (f->off >= off && f->off + f->width <= off + width)
			common_field_write(vp, f->off, (uint32_t)(val >> 8 * (f->off - off) & width_mask(f->width)));
	}
}

/* ---- device configuration ------------------------------------------------------------------------------- */

/* Whether a byte of the BAR is one of the configuration's, and which. */
static bool device_cfg_at(const struct virtio_pci *vp, uint64_t off, uint32_t *cfg_off)
{
	*cfg_off = (uint32_t)(off - vp->device_cfg_off);
	return off >= vp->device_cfg_off && off - vp->device_cfg_off < vp->ops->config_size;
}

static uint64_t device_cfg_read(const struct virtio_pci *vp, const struct virtio_registers *regs, uint64_t off,
                                unsigned width)
{
	uint64_t val = 0;
	uint32_t cfg_off;

	for (unsigned i = 0; i < width; i++)
		if (device_cfg_at(vp, off + i, &cfg_off))
			val |= (uint64_t)regs->config[cfg_off] << 8 * i;
	return val;
}

/* What lies inside the configuration; a write that begins before it is none of a driver. */
static void device_cfg_write(struct virtio_pci *vp, uint64_t off, unsigned width, uint64_t val)
{
	uint8_t bytes[8];
	uint32_t cfg_off, len;

	if (!vp->ops->config_write || !device_cfg_at(vp, off, &cfg_off))
		return;
	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(val >> 8 * i);
	len = vp->ops->config_size - cfg_off;
	vp->ops->config_write(vp->device, cfg_off, bytes, width < len ? width : len);
}

/* ---- BAR 0 ---------------------------------------------------------------------------------------------- */

/*
 * The address says which queue, as it does for an ioeventfd; the value must name the same one. Without
 * VIRTIO_F_NOTIFICATION_DATA it is the 16-bit queue index.
 */
void virtio_pci_notify_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct virtio_pci *vp = owner;
	uint64_t queue_idx = off / NOTIFY_MULTIPLIER;

	(void)width;
	if (off % NOTIFY_MULTIPLIER || queue_idx >= vp->nqueues || (uint16_t)val != queue_idx) {
		log_guest("virtio-pci: %s: notification of no queue: offset 0x%x value 0x%x", virtio_pci_name(vp),
		          (unsigned)off, (unsigned)val);
		return;
	}
	vp->ops->queue_kick(vp->device, (uint16_t)queue_idx);
}

uint64_t virtio_pci_notify_read(void *owner, uint64_t off, unsigned width)
{
	(void)owner;
	(void)off;
	(void)width;
	return 0;
}

/* No two of the registers lie in the same byte. */
static uint64_t device_regs_read(struct virtio_pci *vp, uint64_t off, unsigned width)
{
	struct virtio_registers regs;

	/* Without a register page a driver reads it before every request: not under the device's lock. */
	if (off == VIRTIO_PCI_COMMON_STATUS && width == 1)
		return vp->ops->status(vp->device);
	regs = virtio_pci_registers(vp);
	return (off < DEVICE_CFG_OFF ? common_read(vp, &regs, off, width) : 0) | device_cfg_read(vp, &regs, off, width);
}

uint64_t virtio_pci_regs_read(void *owner, uint64_t off, unsigned width)
{
	struct virtio_pci *vp = owner;

	if (off < REGS_PAGE_SIZE || off >= DEVICE_CFG_TRAPPED_OFF)
		return device_regs_read(vp, off, width);
	if (off == ISR_OFF)
		return pci_intx_take(vp->pci); /* "reading clears": and the pin goes down */
	if (off >= MSIX_TABLE_OFF && off < MSIX_PBA_OFF)
		return msix_table_read(vp->msix, off - MSIX_TABLE_OFF, width);
	if (off >= MSIX_PBA_OFF)
		return msix_pba_read(vp->msix, off - MSIX_PBA_OFF, width);
	return 0;
}

void virtio_pci_regs_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct virtio_pci *vp = owner;

	if (off < DEVICE_CFG_OFF)
		common_write(vp, off, width, val);
	else if (off < REGS_PAGE_SIZE || off >= DEVICE_CFG_TRAPPED_OFF)
		device_cfg_write(vp, off, width, val);
	else if (off >= NOTIFY_OFF && off < MSIX_TABLE_OFF)
		virtio_pci_notify_write(vp, off - NOTIFY_OFF, width, val);
	else if (off >= MSIX_TABLE_OFF && off < MSIX_PBA_OFF)
		msix_table_write(vp->msix, off - MSIX_TABLE_OFF, width, val);
	/* The ISR and the pending bits are read-only. */
}
