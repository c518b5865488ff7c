// SPDX-License-Identifier: Apache-2.0
/* pci_hotplug.c - the registers behind the guest's ACPI methods for hotplug. */
#include "pci_hotplug.h"

#include "memory_map.h"
#include "pci.h"

#define REG_UP 0x00u
#define REG_DOWN 0x04u
#define REG_EJECT 0x08u
#define REG_OST 0x0cu

/* _OST, ACPI specification 6.3, table 6-41 ff.: the event that we sent, and what became of it. */
#define OST_EVENT_EJECT 3u
#define OST_SUCCESS 0u
#define OST_EJECT_IN_PROGRESS 0x84u

static uint32_t take(uint32_t *slots)
{
	uint32_t taken = *slots;

	*slots = 0;
	return taken;
}

static uint64_t hotplug_read(void *owner, uint64_t off, unsigned width)
{
	struct pci_hotplug *hp = owner;

	if (width != 4)
		return UINT64_MAX;
	switch (off) {
	case REG_UP:
		return take(&hp->up);
	case REG_DOWN:
		return take(&hp->down);
	default:
		return 0;
	}
}

static void status_written(struct pci_hotplug *hp, uint32_t val)
{
	unsigned slot = val & 0xff, event = val >> 8 & 0xff, status = val >> 16 & 0xff;

	if (slot < PCI_DEVICES_MAX && event == OST_EVENT_EJECT && status != OST_SUCCESS &&
	    status != OST_EJECT_IN_PROGRESS)
		hp->refused(hp->owner, slot);
}

static void hotplug_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct pci_hotplug *hp = owner;

	if (width != 4)
		return;
	if (off == REG_OST)
		status_written(hp, (uint32_t)val);
	for (unsigned slot = 1; off == REG_EJECT && slot < PCI_DEVICES_MAX; slot++)
		if (val & UINT64_C(1) << slot)
			hp->eject(hp->owner, slot);
}

int pci_hotplug_attach(struct pci_hotplug *hp, struct io_space *pio)
{
	const struct io_region region = {
		.name = "pci-hotplug",
		.base = PCI_HOTPLUG_PORT,
		.size = PCI_HOTPLUG_PORT_SIZE,
		.read = hotplug_read,
		.write = hotplug_write,
		.owner = hp,
	};

	return io_add(pio, &region);
}

void pci_hotplug_added(struct pci_hotplug *hp, unsigned slot)
{
	hp->up |= UINT32_C(1) << slot;
	hp->notify(hp->owner);
}

void pci_hotplug_request_removal(struct pci_hotplug *hp, unsigned slot)
{
	hp->down |= UINT32_C(1) << slot;
	hp->notify(hp->owner);
}

void pci_hotplug_forget(struct pci_hotplug *hp, unsigned slot)
{
	hp->up &= ~(UINT32_C(1) << slot);
	hp->down &= ~(UINT32_C(1) << slot);
}

void pci_hotplug_reset(struct pci_hotplug *hp)
{
	hp->up = hp->down = 0;
}
