// SPDX-License-Identifier: Apache-2.0
/*
 * pci_machine.h - a PCI bus with pmem devices for the target pci: the real bus, transport and device on a fake
 * machine. No thread: the device's worker is not started (linker option --wrap), pmem_serve_queue is called
 * where it would run, so that an input does the same every time.
 */
#ifndef PMVM_FUZZ_PCI_MACHINE_H
#define PMVM_FUZZ_PCI_MACHINE_H

#include "pmem.h"
#include "fuzz.h"
#include "pci_hotplug.h"
#include "rig.h"
#include "virtio_pci_internal.h"
#include "virtio_pmem.h"

#define NBUSES 3u
#define NSLOTS (NBUSES * PCI_BUS_SLOTS)

#define RAM_GPA UINT64_C(0x1000)
#define RAM_SIZE UINT64_C(0x4000)

struct vpmem_backing {
	uint64_t size;
	bool rom;
	int *sync_rc;
};

struct function {
	struct virtio_pci *vp; /* NULL: the slot is empty */
	struct vpmem_backing backing;
	unsigned first_cap;
};

struct pci_machine {
	struct rig rig;
	struct pci_hotplug hotplug;
	const struct gmem *mem;
	uint8_t *ram;
	int sync_rc;                                /* of the next syncs */
	struct function functions[PCI_DEVICES_MAX]; /* by slot; empty from NSLOTS on */
	unsigned nnotices, nrefusals;
};

void pci_machine_start(struct pci_machine *m);
void pci_machine_end(struct pci_machine *m);

/*
 * As device_add and a forced device_del. Into a slot that is taken: refused, and checked that it is. Of the kind,
 * 0x80 is a backing that cannot be written, 0x20 a device without register page, 0x10 one with notifications by ports,
 * the rest chooses a size.
 */
void pci_machine_plug(struct pci_machine *m, unsigned slot, bool shmem, unsigned size_kind);
void pci_machine_unplug(struct pci_machine *m, unsigned slot);

/* pci_checks.c: what holds after every step. */
void pci_machine_check(struct pci_machine *m);

#endif
