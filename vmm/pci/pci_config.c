// SPDX-License-Identifier: Apache-2.0
/*
 * pci_config.c - a device's configuration space: header, capabilities, and the guest's reads and writes.
 *
 * An access is taken byte by byte, each byte under its own write mask, so any width at any offset is safe,
 * also across registers and across the end. Nothing here ever sets one of the status register's error
 * bits, so their write-1-to-clear has nothing to clear and the whole register is read-only.
 */
#include "pci_internal.h"

#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_WRITABLE (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

#define WIDTH_OK(width) ((width) == 1 || (width) == 2 || (width) == 4)

static void put(uint8_t *bytes, unsigned off, unsigned width, uint32_t val)
{
	assert(WIDTH_OK(width) && off <= PCI_CONFIG_SIZE - width);
	for (unsigned i = 0; i < width; i++)
		bytes[off + i] = (uint8_t)(val >> 8 * i);
}

uint32_t pci_config_get(const struct pci_device *dev, unsigned off, unsigned width)
{
	uint32_t val = 0;

	assert(WIDTH_OK(width) && off <= PCI_CONFIG_SIZE - width);
	for (unsigned i = 0; i < width; i++)
		val |= (uint32_t)dev->config[off + i] << 8 * i;
	return val;
}

void pci_config_set(struct pci_device *dev, unsigned off, unsigned width, uint32_t val)
{
	put(dev->config, off, width, val);
}

void pci_config_set_writable(struct pci_device *dev, unsigned off, unsigned width, uint32_t mask)
{
	put(dev->writable, off, width, mask);
}

int pci_device_create(const struct pci_device_desc *desc, struct pci_device **out)
{
	struct pci_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return -ENOMEM;
	dev->desc = *desc;
	dev->caps_end = PCI_STD_HEADER_SIZEOF;
	pci_config_set(dev, PCI_VENDOR_ID, 2, desc->vendor);
	pci_config_set(dev, PCI_DEVICE_ID, 2, desc->device);
	pci_config_set(dev, PCI_CLASS_REVISION, 4, desc->class_code << 8 | desc->revision);
	pci_config_set(dev, PCI_SUBSYSTEM_VENDOR_ID, 2, desc->subsystem_vendor);
	pci_config_set(dev, PCI_SUBSYSTEM_ID, 2, desc->subsystem);
	pci_config_set(dev, PCI_INTERRUPT_PIN, 1, desc->intx ? 1 : 0);
	pci_config_set_writable(dev, PCI_COMMAND, 2, COMMAND_WRITABLE);
	pci_config_set_writable(dev, PCI_CACHE_LINE_SIZE, 1, 0xff);
	pci_config_set_writable(dev, PCI_INTERRUPT_LINE, 1, 0xff);
	pci_bars_init(dev);
	*out = dev;
	return 0;
}

void pci_device_free(struct pci_device *dev)
{
	assert(!dev || !dev->bus);
	free(dev);
}

unsigned pci_capability_add(struct pci_device *dev, uint8_t id, unsigned len)
{
	unsigned off = dev->caps_end;

	assert(!dev->bus && len <= PCI_CONFIG_SIZE - off);
	dev->caps_end = off + (len + 3) / 4 * 4;
	pci_config_set(dev, off + PCI_CAP_LIST_ID, 1, id);
	pci_config_set(dev, dev->last_cap ? dev->last_cap + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, 1, off);
	pci_config_set(dev, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	dev->last_cap = off;
	return off;
}

void pci_config_reset(struct pci_device *dev)
{
	memcpy(dev->config, dev->reset_config, sizeof(dev->config));
}

static bool overlaps(unsigned off, unsigned width, unsigned first, unsigned end)
{
	return off < end && off + width > first;
}

static bool is_master(const struct pci_device *dev)
{
	return pci_config_get(dev, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

uint32_t pci_config_read(struct pci_bus *bus, unsigned slot, unsigned off, unsigned width)
{
	struct pci_device *dev = pci_bus_device(bus, slot);
	uint32_t val = 0;

	assert(WIDTH_OK(width));
	if (!dev)
		return UINT32_MAX >> (32 - 8 * width);
	if (dev->desc.ops->config_read && overlaps(off, width, PCI_STD_HEADER_SIZEOF, PCI_CONFIG_SIZE))
		dev->desc.ops->config_read(dev->desc.owner, off, width);
	for (unsigned i = 0; i < width && off + i < PCI_CONFIG_SIZE; i++) {
		uint32_t byte = dev->config[off + i];

		if (off + i == PCI_STATUS && pci_intx_pending(dev))
			byte |= PCI_STATUS_INTERRUPT;
		val |= byte << 8 * i;
	}
	return val;
}

void pci_config_write(struct pci_bus *bus, unsigned slot, unsigned off, unsigned width, uint32_t val)
{
	struct pci_device *dev = pci_bus_device(bus, slot);
	bool was_master;

	assert(WIDTH_OK(width));
	if (!dev)
		return;
	was_master = is_master(dev);
	for (unsigned i = 0; i < width && off + i < PCI_CONFIG_SIZE; i++) {
		uint8_t mask = dev->writable[off + i];
		uint8_t byte = (uint8_t)(val >> 8 * i);

		dev->config[off + i] = (uint8_t)((dev->config[off + i] & ~mask) | (byte & mask));
	}
	if (overlaps(off, width, PCI_COMMAND, PCI_STATUS))
		pci_intx_disable(dev, pci_config_get(dev, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	if (overlaps(off, width, PCI_COMMAND, PCI_STATUS) ||
	    overlaps(off, width, PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_5 + 4))
		pci_bars_update(bus);
	if (was_master && !is_master(dev) && dev->desc.ops->master_cleared)
		dev->desc.ops->master_cleared(dev->desc.owner);
	if (dev->desc.ops->config_written && overlaps(off, width, PCI_STD_HEADER_SIZEOF, PCI_CONFIG_SIZE))
		dev->desc.ops->config_written(dev->desc.owner, off, width);
}
