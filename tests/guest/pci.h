// SPDX-License-Identifier: Apache-2.0
// pci.h - bus 0 as a bare-metal guest program sees it: configuration space by its ports, capabilities, BARs.
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include "lib.h"

#include <linux/pci_regs.h>

#define PCI_SLOTS 32u
#define PCI_CONFIG_LEN 256u

/* Width 1, 2 or 4, within one dword. */
uint32_t pci_read(unsigned slot, unsigned off, unsigned width);
void pci_write(unsigned slot, unsigned off, unsigned width, uint32_t val);

/* The address of a register in the memory-mapped configuration space. */
gpa_t pci_ecam(unsigned slot, unsigned off);

/* The nth function (from 0) with this identity. */
bool pci_find(uint16_t vendor, uint16_t device, unsigned nth, unsigned *slot);

/* The capability of this id after `after` (0: the first), or 0. */
unsigned pci_find_cap(unsigned slot, uint8_t id, unsigned after);

/* A memory BAR's address, an I/O BAR's port. */
gpa_t pci_bar(unsigned slot, unsigned bar);
bool pci_bar_is_io(unsigned slot, unsigned bar);
uint64_t pci_bar_size(unsigned slot, unsigned bar);
void pci_set_bar(unsigned slot, unsigned bar, gpa_t gpa);

/* Sets and clears bits of the command register. */
void pci_command(unsigned slot, uint16_t set, uint16_t clear);

/* The line of the I/O APIC that pin A is on. */
unsigned pci_gsi(unsigned slot);

#endif
