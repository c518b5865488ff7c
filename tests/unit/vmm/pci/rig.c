// SPDX-License-Identifier: Apache-2.0
// A PCI bus on a fake machine, and a guest's accesses to it.
#include "rig.h"

#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

void rig_init(struct rig *rig)
{
	rig_init_buses(rig, 1);
}

void rig_init_buses(struct rig *rig, unsigned nbuses)
{
	struct vpmem_error err = { .text = "" };

	memset(rig, 0, sizeof(*rig));
	fake_vm_init(&rig->fake);
	const struct pci_bus_config cfg = {
		.vm = &rig->fake.vm,
		.pio = &rig->pio,
		.mmio = &rig->mmio,
		.nbuses = nbuses,
		.ecam_gpa = RIG_ECAM,
		.windows = { .mem32_gpa = RIG_MEM32,
		             .mem32_size = RIG_MEM32_SIZE,
		             .mem64_gpa = RIG_MEM64,
		             .mem64_size = RIG_MEM64_SIZE,
		             .port = RIG_PORT,
		             .nports = RIG_NPORTS },
		.intx_gsi = RIG_INTX_GSI,
		.intx_lines = RIG_INTX_LINES,
	};
	assert_int_equal(pci_bus_create(&cfg, &rig->bus, &err), 0);
}

void rig_fini(struct rig *rig)
{
	pci_bus_destroy(rig->bus);
	assert_int_equal(rig->pio.nregions, 0);
	assert_int_equal(rig->mmio.nregions, 0);
	fake_vm_check_empty(&rig->fake);
}

static uint64_t ecam_gpa(unsigned slot, unsigned off)
{
	return RIG_ECAM + ((uint64_t)slot << 15) + off;
}

uint32_t ecam_read(struct rig *rig, unsigned slot, unsigned off, unsigned width)
{
	return (uint32_t)io_read(&rig->mmio, ecam_gpa(slot, off), width);
}

void ecam_write(struct rig *rig, unsigned slot, unsigned off, unsigned width, uint32_t val)
{
	io_write(&rig->mmio, ecam_gpa(slot, off), width, val);
}

static uint64_t port_select(struct rig *rig, unsigned slot, unsigned off)
{
	io_write(&rig->pio, 0xcf8, 4, 0x80000000u | slot << 11 | (off & 0xfc));
	return 0xcfc + (off & 3);
}

uint32_t port_read(struct rig *rig, unsigned slot, unsigned off, unsigned width)
{
	return (uint32_t)io_read(&rig->pio, port_select(rig, slot, off), width);
}

void port_write(struct rig *rig, unsigned slot, unsigned off, unsigned width, uint32_t val)
{
	io_write(&rig->pio, port_select(rig, slot, off), width, val);
}

uint64_t bar64_get(struct rig *rig, unsigned slot, unsigned bar)
{
	unsigned off = PCI_BASE_ADDRESS_0 + 4 * bar;

	return (ecam_read(rig, slot, off, 4) & ~UINT32_C(0xf)) | (uint64_t)ecam_read(rig, slot, off + 4, 4) << 32;
}

void bar64_set(struct rig *rig, unsigned slot, unsigned bar, uint64_t gpa)
{
	unsigned off = PCI_BASE_ADDRESS_0 + 4 * bar;

	ecam_write(rig, slot, off, 4, (uint32_t)gpa);
	ecam_write(rig, slot, off + 4, 4, (uint32_t)(gpa >> 32));
}

void command_set(struct rig *rig, unsigned slot, uint16_t command)
{
	ecam_write(rig, slot, PCI_COMMAND, 2, command);
}

unsigned capability_find(struct rig *rig, unsigned slot, uint8_t id, unsigned n)
{
	unsigned off = ecam_read(rig, slot, PCI_CAPABILITY_LIST, 1);

	for (unsigned i = 0; off && i < 48; i++) {
		if (ecam_read(rig, slot, off, 1) == id && n-- == 0)
			return off;
		off = ecam_read(rig, slot, off + 1, 1);
	}
	return 0;
}

unsigned virtio_capability_find(struct rig *rig, unsigned slot, uint8_t cfg_type)
{
	for (unsigned n = 0;; n++) {
		unsigned cap = capability_find(rig, slot, PCI_CAP_ID_VNDR, n);

		if (cap == 0 || ecam_read(rig, slot, cap + 3, 1) == cfg_type)
			return cap;
	}
}
