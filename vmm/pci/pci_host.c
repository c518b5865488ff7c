// SPDX-License-Identifier: Apache-2.0
/*
 * pci_host.c - the guest's accesses to configuration space: by the ports 0xcf8/0xcfc and by ECAM, which are two ways to
 * the same reads and writes.
 *
 * An access is taken byte by byte, each byte under its own write mask, so any width at any offset is safe,
 * also across registers and across the end. Nothing here ever sets one of the status register's error
 * bits, so their write-1-to-clear has nothing to clear and the whole register is read-only.
 */
#include "error.h"
#include "pci_internal.h"
#include "width.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <string.h>

/* Configuration mechanism #1 (PCI Local Bus Specification 3.0, section 3.2.2.3.2). */
#define CONFIG_DATA_PORT 0xcfcu
#define CONFIG_ADDRESS_ENABLE 0x80000000u
#define CONFIG_ADDRESS_BITS 0x80fffffcu /* enable, bus, device, function, register */

/* ECAM: 4 KiB for each of 8 functions of 32 devices, for each bus. */
#define ECAM_BUS_SIZE (UINT64_C(32) << 15)

/* ---- reads and writes --------------------------------------------------------------------------------- */

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

	assert(PCI_CONFIG_WIDTH_OK(width));
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

	assert(PCI_CONFIG_WIDTH_OK(width));
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

/* ---- ports and ECAM ------------------------------------------------------------------------------------ */

/* Bus, device and function as both ways encode them. Without the function it is the slot's number already. */
static bool decode(const struct pci_bus *bus, uint64_t bdf, unsigned *slot)
{
	*slot = (unsigned)(bdf >> 3);
	return bdf >> 3 < bus->nslots && (bdf & 7) == 0;
}

static uint64_t config_address_read(void *owner, uint64_t off, unsigned width)
{
	const struct pci_bus *bus = owner;

	return off == 0 && width == 4 ? bus->config_address : width_mask(width);
}

/* Only as a dword: port 0xcf9 is a reset register on some machines, and guests probe with byte writes. */
static void config_address_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct pci_bus *bus = owner;

	if (off == 0 && width == 4)
		bus->config_address = (uint32_t)val & CONFIG_ADDRESS_BITS;
}

/* Whether the address register selects a slot that exists, and which register of it. */
static bool config_address_decode(const struct pci_bus *bus, unsigned *slot, unsigned *reg)
{
	uint32_t addr = bus->config_address;

	*reg = addr & 0xfc;
	return addr & CONFIG_ADDRESS_ENABLE && decode(bus, (addr & ~CONFIG_ADDRESS_ENABLE) >> 8, slot);
}

static uint64_t config_data_read(void *owner, uint64_t off, unsigned width)
{
	struct pci_bus *bus = owner;
	unsigned slot, reg;

	if (!config_address_decode(bus, &slot, &reg))
		return width_mask(width);
	return pci_config_read(bus, slot, reg + (unsigned)off, width);
}

static void config_data_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct pci_bus *bus = owner;
	unsigned slot, reg;

	if (config_address_decode(bus, &slot, &reg))
		pci_config_write(bus, slot, reg + (unsigned)off, width, (uint32_t)val);
}

/* PCI Express allows up to a dword; an access of 8 bytes is two. */
static uint64_t ecam_read(void *owner, uint64_t off, unsigned width)
{
	struct pci_bus *bus = owner;
	unsigned slot, reg = off & 0xfff;

	if (!decode(bus, off >> 12, &slot))
		return width_mask(width);
	if (width < 8)
		return pci_config_read(bus, slot, reg, width);
	return pci_config_read(bus, slot, reg, 4) | (uint64_t)pci_config_read(bus, slot, reg + 4, 4) << 32;
}

static void ecam_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct pci_bus *bus = owner;
	unsigned slot, reg = off & 0xfff;

	if (!decode(bus, off >> 12, &slot))
		return;
	pci_config_write(bus, slot, reg, width < 8 ? width : 4, (uint32_t)val);
	if (width == 8)
		pci_config_write(bus, slot, reg + 4, 4, (uint32_t)(val >> 32));
}

int pci_host_add(struct pci_bus *bus, struct vpmem_error *err)
{
	const struct io_region address = {
		.name = "pci config address",
		.base = PCI_CONFIG_ADDRESS_PORT,
		.size = PCI_CONFIG_PORT_SIZE,
		.read = config_address_read,
		.write = config_address_write,
		.owner = bus,
	};
	const struct io_region data = {
		.name = "pci config data",
		.base = CONFIG_DATA_PORT,
		.size = PCI_CONFIG_PORT_SIZE,
		.read = config_data_read,
		.write = config_data_write,
		.owner = bus,
	};
	const struct io_region ecam = {
		.name = "pci ecam",
		.base = bus->cfg.ecam_gpa,
		.size = bus->cfg.nbuses * ECAM_BUS_SIZE,
		.read = ecam_read,
		.write = ecam_write,
		.owner = bus,
	};
	int rc = io_add(bus->cfg.pio, &address);

	if (rc)
		goto fail;
	rc = io_add(bus->cfg.pio, &data);
	if (rc)
		goto remove_address;
	rc = io_add(bus->cfg.mmio, &ecam);
	if (rc == 0)
		return 0;
	io_remove(bus->cfg.pio, CONFIG_DATA_PORT);
remove_address:
	io_remove(bus->cfg.pio, PCI_CONFIG_ADDRESS_PORT);
fail:
	return error_set(err, rc, "PCI: ports 0x%x and 0x%x or ECAM at 0x%" PRIx64 " not available: %s",
	                 PCI_CONFIG_ADDRESS_PORT, CONFIG_DATA_PORT, bus->cfg.ecam_gpa, strerror(-rc));
}

void pci_host_remove(struct pci_bus *bus)
{
	io_remove(bus->cfg.mmio, bus->cfg.ecam_gpa);
	io_remove(bus->cfg.pio, CONFIG_DATA_PORT);
	io_remove(bus->cfg.pio, PCI_CONFIG_ADDRESS_PORT);
}
