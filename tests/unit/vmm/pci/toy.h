// SPDX-License-Identifier: Apache-2.0
/* toy.h - a PCI device that records the calls of its operations: 4 KiB of registers, 64 KiB of registers, a memory slot. */
#ifndef TOY_H
#define TOY_H

#include "rig.h"

/* A device with a 32-bit BAR 0 (4 KiB), a 64-bit BAR 2 (64 KiB), and a memory slot as BAR 4 (2 MiB). */
struct toy {
	struct pci_device *pci;
	unsigned nmapped, nunmapped, nresets, nconfig_reads, nconfig_writes;
	gpa_t mapped_gpa[PCI_BARS_MAX]; /* 0: not */
	int map_error;
	uint64_t last_write;
	unsigned cap;
};

/* What it is; a test may change it before pci_device_create. */
struct pci_device_desc toy_desc(struct toy *toy);
/* Creates it and plugs it in, with a capability of two writable bytes and one without. */
void toy_plug(struct rig *rig, struct toy *toy, int slot);
void toy_unplug(struct toy *toy);

/* Registers of a toy read as 0x7000 + their offset. */
uint64_t toy_read(void *owner, uint64_t off, unsigned width);
void toy_write(void *owner, uint64_t off, unsigned width, uint64_t val);

#endif
