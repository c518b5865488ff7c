// SPDX-License-Identifier: Apache-2.0
// Bus 0 as a bare-metal guest program sees it.
#include "pci.h"

#include "memory_map.h"

#define ADDRESS_PORT 0xcf8u
#define DATA_PORT 0xcfcu

static uint16_t select(unsigned slot, unsigned off)
{
	outl(ADDRESS_PORT, 0x80000000u | slot << 11 | (off & 0xfc));
	return (uint16_t)(DATA_PORT + (off & 3));
}

uint32_t pci_read(unsigned slot, unsigned off, unsigned width)
{
	uint16_t port = select(slot, off);

	return width == 1 ? inb(port) : width == 2 ? inw(port) : inl(port);
}

void pci_write(unsigned slot, unsigned off, unsigned width, uint32_t val)
{
	uint16_t port = select(slot, off);

	if (width == 1)
		outb(port, (uint8_t)val);
	else if (width == 2)
		outw(port, (uint16_t)val);
	else
		outl(port, val);
}

gpa_t pci_ecam(unsigned slot, unsigned off)
{
	return PCI_ECAM_BASE + (slot << 15) + off;
}

bool pci_find(uint16_t vendor, uint16_t device, unsigned nth, unsigned *slot)
{
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		if (pci_read(i, PCI_VENDOR_ID, 4) != ((uint32_t)device << 16 | vendor) || nth-- > 0)
			continue;
		*slot = i;
		return true;
	}
	return false;
}

unsigned pci_find_cap(unsigned slot, uint8_t id, unsigned after)
{
	unsigned cap = pci_read(slot, after ? after + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, 1) & 0xfc;

	// A list cannot be longer than the configuration space.
	for (unsigned i = 0; cap && i < PCI_CONFIG_LEN / 4; i++) {
		if (pci_read(slot, cap + PCI_CAP_LIST_ID, 1) == id)
			return cap;
		cap = pci_read(slot, cap + PCI_CAP_LIST_NEXT, 1) & 0xfc;
	}
	return 0;
}

static unsigned bar_off(unsigned bar)
{
	return PCI_BASE_ADDRESS_0 + 4 * bar;
}

static bool is_64bit(unsigned slot, unsigned bar)
{
	return (pci_read(slot, bar_off(bar), 4) & 7) == PCI_BASE_ADDRESS_MEM_TYPE_64;
}

bool pci_bar_is_io(unsigned slot, unsigned bar)
{
	return pci_read(slot, bar_off(bar), 4) & PCI_BASE_ADDRESS_SPACE_IO;
}

gpa_t pci_bar(unsigned slot, unsigned bar)
{
	gpa_t gpa = pci_read(slot, bar_off(bar), 4) & ~0xfu;

	return is_64bit(slot, bar) ? gpa | (gpa_t)pci_read(slot, bar_off(bar + 1), 4) << 32 : gpa;
}

void pci_set_bar(unsigned slot, unsigned bar, gpa_t gpa)
{
	pci_write(slot, bar_off(bar), 4, (uint32_t)gpa);
	if (is_64bit(slot, bar))
		pci_write(slot, bar_off(bar + 1), 4, (uint32_t)(gpa >> 32));
}

uint64_t pci_bar_size(unsigned slot, unsigned bar)
{
	uint16_t command = (uint16_t)pci_read(slot, PCI_COMMAND, 2);
	gpa_t gpa = pci_bar(slot, bar);
	uint64_t mask;

	pci_command(slot, 0, PCI_COMMAND_MEMORY);
	pci_set_bar(slot, bar, UINT64_MAX);
	mask = pci_bar(slot, bar);
	if (!is_64bit(slot, bar))
		mask |= ~(uint64_t)UINT32_MAX;
	pci_set_bar(slot, bar, gpa);
	pci_write(slot, PCI_COMMAND, 2, command);
	return -mask;
}

void pci_command(unsigned slot, uint16_t set, uint16_t clear)
{
	pci_write(slot, PCI_COMMAND, 2, (pci_read(slot, PCI_COMMAND, 2) & (uint16_t)~clear) | set);
}

unsigned pci_gsi(unsigned slot)
{
	unsigned pin = pci_read(slot, PCI_INTERRUPT_PIN, 1) - 1;

	return PCI_INTX_GSI + (slot + pin) % PCI_INTX_LINES;
}
