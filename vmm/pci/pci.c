// SPDX-License-Identifier: Apache-2.0
/*
 * pci.c - the buses and their devices: creation, slots, the host bridges, reset.
 */
#include "error.h"
#include "pci_internal.h"

#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

/* ---- bus ------------------------------------------------------------------------------------------ */

static const struct pci_device_ops host_bridge_ops = { .reset = NULL };

/* QEMU's generic PCI Express host bridge: no registers beyond the header, and no driver wants any. */
static const struct pci_device_desc host_bridge_desc = {
	.name = "host bridge",
	.vendor = 0x1b36,
	.device = 0x0008,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x060000,
	.ops = &host_bridge_ops,
};

static void remove_host_bridges(struct pci_bus *bus)
{
	for (unsigned nr = 0; nr < bus->cfg.nbuses; nr++) {
		struct pci_device *bridge = bus->host_bridges[nr];

		if (bridge && bridge->bus)
			pci_bus_unplug(bridge);
		pci_device_free(bridge);
	}
}

static int add_host_bridges(struct pci_bus *bus, struct vpmem_error *err)
{
	for (unsigned nr = 0; nr < bus->cfg.nbuses; nr++) {
		int rc = pci_device_create(&host_bridge_desc, &bus->host_bridges[nr]);

		if (rc)
			return error_set(err, rc, "PCI: out of memory");
		rc = pci_bus_plug(bus, bus->host_bridges[nr], (int)nr, 0, err);
		if (rc)
			return rc;
	}
	return 0;
}

int pci_bus_create(const struct pci_bus_config *cfg, struct pci_bus **out, struct vpmem_error *err)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));
	int rc;

	assert(cfg->nbuses > 0 && cfg->nbuses <= PCI_BUSES_MAX);
	assert(cfg->intx_lines > 0 && cfg->intx_lines <= PCI_INTX_LINES_MAX);
	if (!bus)
		return error_set(err, -ENOMEM, "PCI: out of memory");
	bus->cfg = *cfg;
	bus->nslots = cfg->nbuses * PCI_BUS_SLOTS;
	pthread_mutex_init(&bus->intx_lock, NULL);
	rc = add_host_bridges(bus, err);
	if (rc == 0)
		rc = pci_host_add(bus, err);
	if (rc) {
		remove_host_bridges(bus);
		pthread_mutex_destroy(&bus->intx_lock);
		free(bus);
		return rc;
	}
	*out = bus;
	return 0;
}

void pci_bus_destroy(struct pci_bus *bus)
{
	if (!bus)
		return;
	pci_host_remove(bus);
	remove_host_bridges(bus);
	for (unsigned slot = 0; slot < bus->nslots; slot++)
		assert(!bus->devices[slot]);
	pthread_mutex_destroy(&bus->intx_lock);
	free(bus);
}

void pci_bus_reset(struct pci_bus *bus)
{
	bus->config_address = 0;
	for (unsigned slot = 0; slot < bus->nslots; slot++)
		if (bus->devices[slot])
			pci_config_reset(bus->devices[slot]);
	/* The command registers are 0 now: this unmaps every BAR, before any device sees its reset. */
	pci_bars_update(bus);
	for (unsigned slot = 0; slot < bus->nslots; slot++) {
		struct pci_device *dev = bus->devices[slot];

		if (!dev)
			continue;
		if (dev->desc.ops->reset)
			dev->desc.ops->reset(dev->desc.owner);
		pci_intx_take(dev);
		pci_intx_block(dev, false);
		pci_intx_disable(dev, false);
	}
}

struct vm *pci_bus_vm(const struct pci_bus *bus)
{
	return bus->cfg.vm;
}

unsigned pci_bus_count(const struct pci_bus *bus)
{
	return bus->cfg.nbuses;
}

/* ---- devices ---------------------------------------------------------------------------------------- */

#define COMMAND_WRITABLE (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

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

/* ---- slots ---------------------------------------------------------------------------------------- */

static int no_slot_free(const struct pci_bus *bus, const struct pci_device *dev, int nr, struct vpmem_error *err)
{
	error_set(err, -ENOSPC, "PCI: no slot/function available for %s, all in use or reserved", dev->desc.name);
	if (nr >= 0 && bus->cfg.nbuses > 1)
		error_hint(err, "pcie.%d is full: leave bus out, or name another one", nr);
	else if (bus->cfg.nbuses < PCI_BUSES_MAX)
		error_hint(err, "start the machine with -machine pci-buses=%u (at most %u): each bus takes %u devices",
		           bus->cfg.nbuses + 1, PCI_BUSES_MAX, PCI_BUS_SLOTS - 1);
	else
		error_hint(err, "device_del one first: there cannot be more than %u buses with %u devices each",
		           PCI_BUSES_MAX, PCI_BUS_SLOTS - 1);
	return -ENOSPC;
}

static int no_such_bus(const struct pci_bus *bus, int nr, struct vpmem_error *err)
{
	error_set(err, -ENODEV, "Bus 'pcie.%d' not found", nr);
	error_hint(err, "the last bus is pcie.%u; -machine pci-buses=%d would start the machine with enough of them",
	           bus->cfg.nbuses - 1, nr + 1);
	return -ENODEV;
}

static int slot_in_use(const struct pci_bus *bus, const struct pci_device *dev, unsigned slot, struct vpmem_error *err)
{
	const struct pci_device *user = bus->devices[slot];

	return error_set(err, -EBUSY, "PCI: slot %u function 0 not available for %s, in use by %s%s%s",
	                 slot % PCI_BUS_SLOTS, dev->desc.name, user->desc.name, user->desc.id ? ",id=" : "",
	                 user->desc.id ? user->desc.id : "");
}

/* Returns the slot or -errno. */
static int choose_slot(const struct pci_bus *bus, const struct pci_device *dev, int nr, int number,
                       struct vpmem_error *err)
{
	unsigned first = nr > 0 ? (unsigned)nr * PCI_BUS_SLOTS : 0;
	unsigned end = nr < 0 ? bus->nslots : first + PCI_BUS_SLOTS;

	if (nr >= (int)bus->cfg.nbuses)
		return no_such_bus(bus, nr, err);
	if (number >= (int)PCI_BUS_SLOTS)
		return error_set(err, -EINVAL, "PCI: slot %d does not exist: a bus has slots 1 to %u", number,
		                 PCI_BUS_SLOTS - 1);
	if (number >= 0 && bus->devices[first + (unsigned)number])
		return slot_in_use(bus, dev, first + (unsigned)number, err);
	if (number >= 0)
		return (int)first + number;
	for (unsigned slot = first; slot < end; slot++)
		if (!bus->devices[slot])
			return (int)slot;
	return no_slot_free(bus, dev, nr, err);
}

int pci_bus_plug(struct pci_bus *bus, struct pci_device *dev, int nr, int number, struct vpmem_error *err)
{
	int rc = choose_slot(bus, dev, nr, number, err);

	assert(!dev->bus);
	if (rc < 0)
		return rc;
	dev->bus = bus;
	dev->slot = (unsigned)rc;
	bus->devices[dev->slot] = dev;
	rc = pci_bars_assign(bus, dev, err);
	if (rc) {
		pci_bus_unplug(dev);
		return rc;
	}
	if (dev->desc.intx)
		pci_config_set(dev, PCI_INTERRUPT_LINE, 1, pci_device_gsi(dev));
	memcpy(dev->reset_config, dev->config, sizeof(dev->reset_config));
	return 0;
}

void pci_bus_unplug(struct pci_device *dev)
{
	struct pci_bus *bus = dev->bus;

	assert(bus);
	pci_bars_unmap(dev);
	pci_intx_take(dev);
	bus->devices[dev->slot] = NULL;
	dev->bus = NULL;
	for (unsigned i = 0; i < PCI_BARS_MAX; i++)
		dev->bars[i].assigned_gpa = 0;
	pci_bars_update(bus);
}

struct pci_device *pci_bus_device(const struct pci_bus *bus, unsigned slot)
{
	return slot < PCI_DEVICES_MAX ? bus->devices[slot] : NULL;
}

const struct pci_device_desc *pci_device_description(const struct pci_device *dev)
{
	return &dev->desc;
}

unsigned pci_device_slot(const struct pci_device *dev)
{
	return dev->slot;
}
