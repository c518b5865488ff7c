// SPDX-License-Identifier: Apache-2.0
/*
 * pci.c - the bus: its slots, the host bridge, reset.
 */
#include "log.h"
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
	.vendor = 0x1b36, .device = 0x0008,
	.subsystem_vendor = 0x1af4, .subsystem = 0x1100,
	.class_code = 0x060000,
	.ops = &host_bridge_ops,
};

int pci_bus_create(const struct pci_bus_config *cfg, struct pci_bus **out, struct vpmem_error *err)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));
	int rc;

	assert(cfg->intx_lines > 0 && cfg->intx_lines <= PCI_INTX_LINES_MAX);
	if (!bus)
		return error_set(err, -ENOMEM, "PCI: out of memory");
	bus->cfg = *cfg;
	pthread_mutex_init(&bus->intx_lock, NULL);
	rc = pci_device_create(&host_bridge_desc, &bus->host_bridge);
	if (rc) {
		error_set(err, rc, "PCI: out of memory");
		goto free_bus;
	}
	rc = pci_bus_plug(bus, bus->host_bridge, 0, err);
	if (rc)
		goto free_host_bridge;
	rc = pci_doors_add(bus, err);
	if (rc)
		goto unplug;
	*out = bus;
	return 0;

unplug:
	pci_bus_unplug(bus->host_bridge);
free_host_bridge:
	pci_device_free(bus->host_bridge);
free_bus:
	pthread_mutex_destroy(&bus->intx_lock);
	free(bus);
	return rc;
}

void pci_bus_destroy(struct pci_bus *bus)
{
	if (!bus)
		return;
	pci_doors_remove(bus);
	pci_bus_unplug(bus->host_bridge);
	pci_device_free(bus->host_bridge);
	for (unsigned slot = 0; slot < PCI_DEVICES_MAX; slot++)
		assert(!bus->devices[slot]);
	pthread_mutex_destroy(&bus->intx_lock);
	free(bus);
}

void pci_bus_reset(struct pci_bus *bus)
{
	bus->config_address = 0;
	for (unsigned slot = 0; slot < PCI_DEVICES_MAX; slot++)
		if (bus->devices[slot])
			pci_config_reset(bus->devices[slot]);
	/* The command registers are 0 now: this unmaps every BAR, before any device sees its reset. */
	pci_bars_update(bus);
	for (unsigned slot = 0; slot < PCI_DEVICES_MAX; slot++) {
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

/* ---- slots ---------------------------------------------------------------------------------------- */

static int choose_slot(const struct pci_bus *bus, const struct pci_device *dev, int slot,
                       struct vpmem_error *err)
{
	const struct pci_device *user;

	if (slot >= (int)PCI_DEVICES_MAX)
		return error_set(err, -EINVAL, "PCI: slot %d does not exist: the bus has slots 1 to %u", slot,
		                 PCI_DEVICES_MAX - 1);
	for (int i = 0; slot < 0 && i < (int)PCI_DEVICES_MAX; i++)
		if (!bus->devices[i])
			return i;
	if (slot < 0)
		return error_set(err, -ENOSPC, "PCI: no slot/function available for %s, all in use or reserved",
		                 dev->desc.name);
	user = bus->devices[slot];
	if (!user)
		return slot;
	return error_set(err, -EBUSY, "PCI: slot %d function 0 not available for %s, in use by %s%s%s", slot,
	                 dev->desc.name, user->desc.name, user->desc.id ? ",id=" : "",
	                 user->desc.id ? user->desc.id : "");
}

int pci_bus_plug(struct pci_bus *bus, struct pci_device *dev, int slot, struct vpmem_error *err)
{
	int rc = choose_slot(bus, dev, slot, err);

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
