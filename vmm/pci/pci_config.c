// SPDX-License-Identifier: Apache-2.0
/*
 * pci_config.c - a device's configuration space as the device itself sees it: its bytes, which of them the guest may
 * write, and its list of capabilities. The guest's reads and writes are in pci_host.c.
 */
#include "pci_internal.h"

#include <assert.h>
#include <linux/pci_regs.h>
#include <string.h>

static void put(uint8_t *bytes, unsigned off, unsigned width, uint32_t val)
{
	assert(PCI_CONFIG_WIDTH_OK(width) && off <= PCI_CONFIG_SIZE - width);
	for (unsigned i = 0; i < width; i++)
		bytes[off + i] = (uint8_t)(val >> 8 * i);
}

uint32_t pci_config_get(const struct pci_device *dev, unsigned off, unsigned width)
{
	uint32_t val = 0;

	assert(PCI_CONFIG_WIDTH_OK(width) && off <= PCI_CONFIG_SIZE - width);
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
