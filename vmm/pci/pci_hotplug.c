// SPDX-License-Identifier: Apache-2.0
/* pci_hotplug.c - the registers behind the guest's ACPI methods for hotplug. */
#include "pci_hotplug.h"

#include <assert.h>
#include <string.h>

#define REG_UP 0x00u
#define REG_DOWN 0x04u
#define REG_EJECT 0x08u
#define REG_OST 0x0cu
static_assert(PCI_BUS_SLOTS <= 32, "a bit for each slot of a bus");

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
	switch (off % PCI_HOTPLUG_BANK_SIZE) {
	case REG_UP:
		return take(&hp->up[off / PCI_HOTPLUG_BANK_SIZE]);
	case REG_DOWN:
		return take(&hp->down[off / PCI_HOTPLUG_BANK_SIZE]);
	default:
		return 0;
	}
}

static void status_written(struct pci_hotplug *hp, unsigned bus, uint32_t val)
{
	unsigned number = val & 0xff, event = val >> 8 & 0xff, status = val >> 16 & 0xff;

	if (number < PCI_BUS_SLOTS && event == OST_EVENT_EJECT && status != OST_SUCCESS &&
	    status != OST_EJECT_IN_PROGRESS)
		hp->refused(hp->owner, bus * PCI_BUS_SLOTS + number);
}

static void hotplug_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct pci_hotplug *hp = owner;
	unsigned bus = (unsigned)(off / PCI_HOTPLUG_BANK_SIZE), reg = off % PCI_HOTPLUG_BANK_SIZE;

	if (width != 4)
		return;
	if (reg == REG_OST)
		status_written(hp, bus, (uint32_t)val);
	for (unsigned number = 1; reg == REG_EJECT && number < PCI_BUS_SLOTS; number++)
		if (val & UINT64_C(1) << number)
			hp->eject(hp->owner, bus * PCI_BUS_SLOTS + number);
}

int pci_hotplug_attach(struct pci_hotplug *hp, struct io_space *pio, uint64_t port)
{
	const struct io_region region = {
		.name = "pci-hotplug",
		.base = port,
		.size = PCI_HOTPLUG_BANKS_SIZE,
		.read = hotplug_read,
		.write = hotplug_write,
		.owner = hp,
	};

	return io_add(pio, &region);
}

static uint32_t bit(unsigned slot)
{
	return UINT32_C(1) << slot % PCI_BUS_SLOTS;
}

void pci_hotplug_added(struct pci_hotplug *hp, unsigned slot)
{
	hp->up[slot / PCI_BUS_SLOTS] |= bit(slot);
	hp->notify(hp->owner);
}

void pci_hotplug_request_removal(struct pci_hotplug *hp, unsigned slot)
{
	hp->down[slot / PCI_BUS_SLOTS] |= bit(slot);
	hp->notify(hp->owner);
}

void pci_hotplug_forget(struct pci_hotplug *hp, unsigned slot)
{
	hp->up[slot / PCI_BUS_SLOTS] &= ~bit(slot);
	hp->down[slot / PCI_BUS_SLOTS] &= ~bit(slot);
}

void pci_hotplug_reset(struct pci_hotplug *hp)
{
	memset(hp->up, 0, sizeof(hp->up));
	memset(hp->down, 0, sizeof(hp->down));
}
