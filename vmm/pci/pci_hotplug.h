// SPDX-License-Identifier: Apache-2.0
/*
 * pci_hotplug.h - the registers by which the guest's ACPI code reads which devices were added or should be removed, and
 * ejects them. pci_bus.asl is the only user of these ports.
 *
 *   +0x00 read: slots with a new device, a bit each; reading clears them
 *   +0x04 read: slots whose device should go; reading clears them
 *   +0x08 write: eject the slots with a bit set (_EJ0)
 *   +0x0c write: what the guest made of it (_OST): slot, event << 8, status << 16
 *
 * These are the registers of bus 0 and its 32 slots; those of bus 1 follow at +0x10, and so on. The functions below count
 * slots through all buses, as pci.h does.
 *
 * All of it runs under the machine lock.
 */
#ifndef PMVM_PCI_HOTPLUG_H
#define PMVM_PCI_HOTPLUG_H

#include "io.h"
#include "vm_limits.h"

#include <stdbool.h>
#include <stdint.h>

struct pci_hotplug {
	/* Interrupts the guest, which then reads the registers: the generic event device. */
	void (*notify)(void *owner);
	/* The guest ejects the device in a slot, asked or not. */
	void (*eject)(void *owner, unsigned slot);
	/* The guest could not let the device go. */
	void (*refused)(void *owner, unsigned slot);
	void *owner;
	uint32_t up[PCI_BUSES_MAX], down[PCI_BUSES_MAX]; /* a bit for each slot of a bus */
};

/* The registers of one bus, and of all buses that there can be. */
#define PCI_HOTPLUG_BANK_SIZE 0x10u
#define PCI_HOTPLUG_BANKS_SIZE (PCI_BUSES_MAX * PCI_HOTPLUG_BANK_SIZE)

/* Registers [port, port + PCI_HOTPLUG_BANKS_SIZE). -EEXIST: a port is taken. */
int pci_hotplug_attach(struct pci_hotplug *hp, struct io_space *pio, uint64_t port);
/* A device came into this slot: the guest is notified. */
void pci_hotplug_added(struct pci_hotplug *hp, unsigned slot);
/* The guest is asked to let this slot's device go. */
void pci_hotplug_request_removal(struct pci_hotplug *hp, unsigned slot);
/* The slot is empty, or the request is withdrawn. */
void pci_hotplug_forget(struct pci_hotplug *hp, unsigned slot);
void pci_hotplug_reset(struct pci_hotplug *hp);

#endif
