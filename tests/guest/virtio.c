// SPDX-License-Identifier: Apache-2.0
// A driver for the pmem device, as bare-metal guest programs need it.
#include "virtio.h"

#include "pci.h"

#define VENDOR 0x1af4u
#define DEVICE_PMEM 0x105bu

// ---- finding it

static gpa_t structure(const struct virtio *dev, unsigned cap, uint32_t *len)
{
	unsigned bar = pci_read(dev->slot, cap + VIRTIO_PCI_CAP_BAR, 1);
	uint32_t off = pci_read(dev->slot, cap + VIRTIO_PCI_CAP_OFFSET, 4);

	*len = pci_read(dev->slot, cap + VIRTIO_PCI_CAP_LENGTH, 4);
	if (bar > 5)
		return 0;
	return (gpa_t)map(pci_bar(dev->slot, bar) + off, *len);
}

static void read_shm_cap(struct virtio *dev, unsigned cap)
{
	uint64_t off = pci_read(dev->slot, cap + VIRTIO_PCI_CAP_OFFSET, 4);
	uint64_t len = pci_read(dev->slot, cap + VIRTIO_PCI_CAP_LENGTH, 4);

	dev->shm.cap = cap;
	dev->shm.id = pci_read(dev->slot, cap + 5, 1);
	dev->shm.bar = pci_read(dev->slot, cap + VIRTIO_PCI_CAP_BAR, 1);
	dev->shm.off = off | (uint64_t)pci_read(dev->slot, cap + 16, 4) << 32;
	dev->shm.len = len | (uint64_t)pci_read(dev->slot, cap + 20, 4) << 32;
}

// Of notify structures one may lie in ports; where it comes first, it is the one to use.
static void read_notify_cap(struct virtio *dev, unsigned cap)
{
	unsigned bar = pci_read(dev->slot, cap + VIRTIO_PCI_CAP_BAR, 1);

	dev->notify_multiplier = pci_read(dev->slot, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
	if (bar <= 5 && pci_bar_is_io(dev->slot, bar)) {
		if (dev->notify)
			return;
		pci_command(dev->slot, PCI_COMMAND_IO, 0);
		dev->notify_port =
			(uint16_t)(pci_bar(dev->slot, bar) + pci_read(dev->slot, cap + VIRTIO_PCI_CAP_OFFSET, 4));
	} else if (!dev->notify) {
		dev->notify = structure(dev, cap, &dev->notify_len);
	}
}

// Of several structures of one type, the first is the device's preference.
static void read_cap(struct virtio *dev, unsigned cap)
{
	switch (pci_read(dev->slot, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		if (!dev->common)
			dev->common = structure(dev, cap, &dev->common_len);
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		read_notify_cap(dev, cap);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		if (!dev->isr)
			dev->isr = structure(dev, cap, &dev->isr_len);
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		if (!dev->config)
			dev->config = structure(dev, cap, &dev->config_len);
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		dev->pci_cfg_cap = cap;
		break;
	case 8: // VIRTIO_PCI_CAP_SHARED_MEMORY_CFG
		read_shm_cap(dev, cap);
		break;
	default:
		break;
	}
}

static void read_msix_cap(struct virtio *dev)
{
	uint32_t table, pba;

	dev->msix_cap = pci_find_cap(dev->slot, PCI_CAP_ID_MSIX, 0);
	if (!dev->msix_cap)
		return;
	table = pci_read(dev->slot, dev->msix_cap + PCI_MSIX_TABLE, 4);
	pba = pci_read(dev->slot, dev->msix_cap + PCI_MSIX_PBA, 4);
	dev->msix_vectors = (pci_read(dev->slot, dev->msix_cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	dev->msix_table = (gpa_t)map(pci_bar(dev->slot, table & 7) + (table & ~7u), 16 * dev->msix_vectors);
	dev->msix_pba = (gpa_t)map(pci_bar(dev->slot, pba & 7) + (pba & ~7u), 8);
}

static bool open_nth(struct virtio *dev, uint16_t device_id, unsigned nth)
{
	memset(dev, 0, sizeof(*dev));
	if (!pci_find(VENDOR, device_id, nth, &dev->slot))
		return false;
	pci_command(dev->slot, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, PCI_COMMAND_INTX_DISABLE);
	for (unsigned cap = 0; (cap = pci_find_cap(dev->slot, PCI_CAP_ID_VNDR, cap)) != 0;)
		read_cap(dev, cap);
	read_msix_cap(dev);
	return dev->common && dev->notify && dev->isr;
}

bool virtio_open(struct virtio *dev, unsigned nth)
{
	return open_nth(dev, DEVICE_PMEM, nth) && dev->config;
}

bool virtio_open_device(struct virtio *dev, uint16_t device_id)
{
	return open_nth(dev, device_id, 0);
}

// ---- registers

uint64_t virtio_get(const struct virtio *dev, unsigned off, unsigned width)
{
	return mem_read(dev->common + off, width);
}

void virtio_set(const struct virtio *dev, unsigned off, unsigned width, uint64_t val)
{
	mem_write(dev->common + off, width, val);
}

uint8_t virtio_status(const struct virtio *dev)
{
	return (uint8_t)virtio_get(dev, VIRTIO_PCI_COMMON_STATUS, 1);
}

void virtio_set_status(const struct virtio *dev, uint8_t status)
{
	virtio_set(dev, VIRTIO_PCI_COMMON_STATUS, 1, status);
}

uint64_t virtio_features(const struct virtio *dev)
{
	uint64_t low;

	virtio_set(dev, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	low = virtio_get(dev, VIRTIO_PCI_COMMON_DF, 4);
	virtio_set(dev, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return low | virtio_get(dev, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

// The configuration does not change under us: the generation need not be read.
uint64_t virtio_config64(const struct virtio *dev, unsigned off)
{
	return mem_read(dev->config + off, 4) | mem_read(dev->config + off + 4, 4) << 32;
}

bool virtio_wait_status(const struct virtio *dev, uint8_t bits)
{
	for (uint64_t end = wait_end(); (virtio_status(dev) & bits) != bits && wait_on(end);)
		;
	return (virtio_status(dev) & bits) == bits;
}

// ---- initialisation

bool virtio_negotiate(struct virtio *dev, uint64_t features)
{
	virtio_set_status(dev, 0);
	for (uint64_t end = wait_end(); virtio_status(dev) && wait_on(end);)
		;
	virtio_set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (unsigned word = 0; word < 2; word++) {
		virtio_set(dev, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		virtio_set(dev, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * word));
	}
	virtio_set_status(dev, STATUS_NEGOTIATED);
	dev->features = features;
	return virtio_status(dev) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void set_address(const struct virtio *dev, unsigned off, gpa_t gpa)
{
	virtio_set(dev, off, 4, (uint32_t)gpa);
	virtio_set(dev, off + 4, 4, (uint32_t)(gpa >> 32));
}

void virtio_queue_addresses(const struct virtio *dev, gpa_t desc, gpa_t avail, gpa_t used)
{
	set_address(dev, VIRTIO_PCI_COMMON_Q_DESCLO, desc);
	set_address(dev, VIRTIO_PCI_COMMON_Q_AVAILLO, avail);
	set_address(dev, VIRTIO_PCI_COMMON_Q_USEDLO, used);
}

void virtio_queue_setup(struct virtio *dev, uint16_t size)
{
	memset(&dev->rings, 0, sizeof(dev->rings));
	dev->avail_idx = 0;
	dev->size = size;
	virtio_set(dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	virtio_set(dev, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	virtio_queue_addresses(dev, (gpa_t)dev->rings.desc, (gpa_t)&dev->rings.avail, (gpa_t)&dev->rings.used);
}

bool virtio_queue_enable(const struct virtio *dev)
{
	virtio_set(dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	return virtio_get(dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 1;
}

bool virtio_start(struct virtio *dev, uint64_t features, uint16_t size)
{
	if (!virtio_negotiate(dev, features))
		return false;
	virtio_queue_setup(dev, size);
	if (!virtio_queue_enable(dev))
		return false;
	virtio_set_status(dev, STATUS_RUNNING);
	return virtio_status(dev) == STATUS_RUNNING;
}

// ---- requests

static void fill(struct desc desc[2], uint16_t next, struct request *req, uint32_t type)
{
	req->type = type;
	req->status = FLUSH_UNANSWERED;
	desc[0] = (struct desc) { .gpa = (gpa_t)&req->type, .len = 4, .flags = DESC_NEXT, .next = next };
	desc[1] = (struct desc) { .gpa = (gpa_t)&req->status, .len = 4, .flags = DESC_WRITE };
}

uint16_t virtio_prepare(struct virtio *dev, unsigned i, uint32_t type)
{
	uint16_t head = (uint16_t)(2 * i);

	fill(&dev->rings.desc[head], (uint16_t)(head + 1), &dev->requests[i], type);
	return head;
}

uint16_t virtio_prepare_indirect(struct virtio *dev, unsigned i, uint32_t type)
{
	fill(dev->tables[i], 1, &dev->requests[i], type);
	dev->rings.desc[i] = (struct desc) {
		.gpa = (gpa_t)dev->tables[i],
		.len = sizeof(dev->tables[i]),
		.flags = DESC_INDIRECT,
	};
	return (uint16_t)i;
}

void virtio_submit(struct virtio *dev, uint16_t head)
{
	dev->rings.avail.ring[dev->avail_idx % dev->size] = head;
	dev->avail_idx++;
}

void virtio_publish(struct virtio *dev)
{
	order_barrier();
	dev->rings.avail.idx = dev->avail_idx;
	full_barrier();
}

void virtio_kick(const struct virtio *dev)
{
	if (dev->notify_port)
		outw(dev->notify_port, 0);
	else
		mem_write(dev->notify, 2, 0);
}

bool virtio_wait(const struct virtio *dev)
{
	for (uint64_t end = wait_end(); dev->rings.used.idx != dev->avail_idx && wait_on(end);)
		;
	order_barrier();
	return dev->rings.used.idx == dev->avail_idx;
}

struct used_elem virtio_used(const struct virtio *dev, unsigned back)
{
	const volatile struct used_elem *elem =
		&dev->rings.used.ring[(uint16_t)(dev->avail_idx - 1 - back) % dev->size];

	return (struct used_elem) { .id = elem->id, .len = elem->len };
}

uint32_t virtio_request(struct virtio *dev, uint32_t type)
{
	virtio_submit(dev, virtio_prepare(dev, 0, type));
	virtio_publish(dev);
	virtio_kick(dev);
	return virtio_wait(dev) ? dev->requests[0].status : FLUSH_UNANSWERED;
}

uint32_t virtio_flush(struct virtio *dev)
{
	return virtio_request(dev, REQUEST_FLUSH);
}

bool virtio_flush_many(struct virtio *dev, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		virtio_submit(dev, virtio_prepare_indirect(dev, i, REQUEST_FLUSH));
	virtio_publish(dev);
	virtio_kick(dev);
	if (!virtio_wait(dev))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (dev->requests[i].status != FLUSH_OK || virtio_used(dev, i).len != 4)
			return false;
	return true;
}

// ---- MSI-X

void msix_control(const struct virtio *dev, bool enabled, bool masked)
{
	pci_write(dev->slot, dev->msix_cap + PCI_MSIX_FLAGS, 2,
	          (enabled ? PCI_MSIX_FLAGS_ENABLE : 0) | (masked ? PCI_MSIX_FLAGS_MASKALL : 0));
}

// The address of the first local APIC.
#define MESSAGE_ADDRESS 0xfee00000u

void msix_set_entry(const struct virtio *dev, unsigned entry, unsigned vector, bool masked)
{
	gpa_t at = dev->msix_table + entry * PCI_MSIX_ENTRY_SIZE;

	mem_write(at + PCI_MSIX_ENTRY_LOWER_ADDR, 4, MESSAGE_ADDRESS);
	mem_write(at + PCI_MSIX_ENTRY_UPPER_ADDR, 4, 0);
	mem_write(at + PCI_MSIX_ENTRY_DATA, 4, vector);
	msix_mask(dev, entry, masked);
}

void msix_mask(const struct virtio *dev, unsigned entry, bool masked)
{
	mem_write(dev->msix_table + entry * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, masked);
}

bool msix_pending(const struct virtio *dev, unsigned entry)
{
	return mem_read(dev->msix_pba, 8) >> entry & 1;
}

uint16_t msix_map(const struct virtio *dev, uint16_t config_entry, uint16_t queue_entry)
{
	virtio_set(dev, VIRTIO_PCI_COMMON_MSIX, 2, config_entry);
	virtio_set(dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	virtio_set(dev, VIRTIO_PCI_COMMON_Q_MSIX, 2, queue_entry);
	return (uint16_t)virtio_get(dev, VIRTIO_PCI_COMMON_Q_MSIX, 2);
}
