// SPDX-License-Identifier: Apache-2.0
/* rig.h - a PCI bus on a fake machine, and a guest's accesses to it. */
#ifndef RIG_H
#define RIG_H

#include "fake_vm.h"
#include "io.h"
#include "pci.h"

#define RIG_ECAM UINT64_C(0xe0000000)
#define RIG_MEM32 UINT64_C(0xc0000000)
#define RIG_MEM32_SIZE UINT64_C(0x20000000)
#define RIG_MEM64 UINT64_C(0x4000000000)
#define RIG_MEM64_SIZE UINT64_C(0x400000000)
#define RIG_PORT 0x1000u
#define RIG_NPORTS 0xf000u
#define RIG_INTX_GSI 16u
#define RIG_INTX_LINES 8u

struct rig {
	struct fake_vm fake;
	struct io_space pio, mmio;
	struct pci_bus *bus;
};

void rig_init(struct rig *rig); /* one bus */
void rig_init_buses(struct rig *rig, unsigned nbuses);
void rig_fini(struct rig *rig);

/* Configuration space through ECAM, and through the ports. Slots count through all buses. */
uint32_t ecam_read(struct rig *rig, unsigned slot, unsigned off, unsigned width);
void ecam_write(struct rig *rig, unsigned slot, unsigned off, unsigned width, uint32_t val);
uint32_t port_read(struct rig *rig, unsigned slot, unsigned off, unsigned width);
void port_write(struct rig *rig, unsigned slot, unsigned off, unsigned width, uint32_t val);

/* A 64-bit BAR's address as its registers say, written by halves. */
uint64_t bar64_get(struct rig *rig, unsigned slot, unsigned bar);
void bar64_set(struct rig *rig, unsigned slot, unsigned bar, uint64_t gpa);
void command_set(struct rig *rig, unsigned slot, uint16_t command);

/* The offset of the n-th capability with this id, or 0. */
unsigned capability_find(struct rig *rig, unsigned slot, uint8_t id, unsigned n);
/* The offset of the virtio capability of this type, or 0. */
unsigned virtio_capability_find(struct rig *rig, unsigned slot, uint8_t cfg_type);

#endif
