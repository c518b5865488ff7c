// SPDX-License-Identifier: Apache-2.0
/*
 * pci_intx.c - interrupt pins and the lines that devices share.
 *
 * The machine drives a line by level, so the order of changes matters: the lock is held over irq_line.
 */
#include "pci_internal.h"

#include <assert.h>

unsigned pci_device_gsi(const struct pci_device *dev)
{
	const struct pci_bus_config *cfg = &dev->bus->cfg;

	return cfg->intx_gsi + dev->slot % PCI_BUS_SLOTS % cfg->intx_lines;
}

/* Interrupt status bit: a cause is set, whether or not INTX_DISABLE keeps the pin from showing it. */
static bool pending(const struct pci_device *dev)
{
	return dev->intx_causes && !dev->intx_blocked;
}

/* With intx_lock held, after a change of any of the device's intx fields. */
static void update(struct pci_device *dev)
{
	struct vm *vm = dev->bus->cfg.vm;
	unsigned gsi = pci_device_gsi(dev);
	unsigned *nasserted = &dev->bus->nasserted[gsi - dev->bus->cfg.intx_gsi];
	bool level = pending(dev) && !dev->intx_disabled;

	if (level == dev->intx_asserted)
		return;
	dev->intx_asserted = level;
	if (level && (*nasserted)++ == 0)
		vm->ops->irq_line(vm, gsi, true);
	else if (!level && --*nasserted == 0)
		vm->ops->irq_line(vm, gsi, false);
}

void pci_intx_raise(struct pci_device *dev, uint8_t causes)
{
	assert(dev->desc.intx && dev->bus);
	pthread_mutex_lock(&dev->bus->intx_lock);
	dev->intx_causes |= causes;
	update(dev);
	pthread_mutex_unlock(&dev->bus->intx_lock);
}

uint8_t pci_intx_take(struct pci_device *dev)
{
	assert(dev->bus);
	pthread_mutex_lock(&dev->bus->intx_lock);
	uint8_t causes = dev->intx_causes;
	dev->intx_causes = 0;
	update(dev);
	pthread_mutex_unlock(&dev->bus->intx_lock);
	return causes;
}

void pci_intx_block(struct pci_device *dev, bool blocked)
{
	assert(dev->bus);
	pthread_mutex_lock(&dev->bus->intx_lock);
	dev->intx_blocked = blocked;
	update(dev);
	pthread_mutex_unlock(&dev->bus->intx_lock);
}

void pci_intx_disable(struct pci_device *dev, bool disabled)
{
	pthread_mutex_lock(&dev->bus->intx_lock);
	dev->intx_disabled = disabled;
	update(dev);
	pthread_mutex_unlock(&dev->bus->intx_lock);
}

bool pci_intx_pending(struct pci_device *dev)
{
	pthread_mutex_lock(&dev->bus->intx_lock);
	bool is_pending = pending(dev);
	pthread_mutex_unlock(&dev->bus->intx_lock);
	return is_pending;
}
