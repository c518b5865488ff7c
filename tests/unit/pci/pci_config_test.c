// SPDX-License-Identifier: Apache-2.0
// Configuration space, BARs, slots and interrupt lines, with a device of the test's own.
#include "rig.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A device with a 32-bit BAR 0 (4 KiB), a 64-bit BAR 2 (64 KiB), and a memory slot as BAR 4 (2 MiB). */
struct toy {
	struct pci_device *pci;
	unsigned nmapped, nunmapped, nresets, nconfig_reads, nconfig_writes;
	gpa_t mapped_gpa[PCI_BARS_MAX];  /* 0: not */
	int map_error;
	uint64_t last_write;
	unsigned cap;
};

static uint64_t toy_read(void *owner, uint64_t off, unsigned width)
{
	(void)owner;
	(void)width;
	return 0x7000 + off;
}

static void toy_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct toy *toy = owner;

	(void)width;
	toy->last_write = off << 32 | val;
}

static int toy_bar_mapped(void *owner, unsigned bar, gpa_t gpa)
{
	struct toy *toy = owner;

	if (toy->map_error)
		return toy->map_error;
	assert_int_equal(toy->mapped_gpa[bar], 0);
	toy->nmapped++;
	toy->mapped_gpa[bar] = gpa;
	return 0;
}

static void toy_bar_unmapped(void *owner, unsigned bar, gpa_t gpa)
{
	struct toy *toy = owner;

	assert_int_equal(toy->mapped_gpa[bar], gpa);
	toy->nunmapped++;
	toy->mapped_gpa[bar] = 0;
}

static void toy_config_read(void *owner, unsigned off, unsigned width)
{
	struct toy *toy = owner;

	(void)off;
	(void)width;
	toy->nconfig_reads++;
}

static void toy_config_written(void *owner, unsigned off, unsigned width)
{
	struct toy *toy = owner;

	(void)off;
	(void)width;
	toy->nconfig_writes++;
}

static void toy_reset(void *owner)
{
	struct toy *toy = owner;

	for (unsigned i = 0; i < PCI_BARS_MAX; i++)
		assert_int_equal(toy->mapped_gpa[i], 0);
	toy->nresets++;
}

static const struct pci_device_ops toy_ops = {
	.bar_mapped = toy_bar_mapped,
	.bar_unmapped = toy_bar_unmapped,
	.config_read = toy_config_read,
	.config_written = toy_config_written,
	.reset = toy_reset,
};

static struct pci_device_desc toy_desc(struct toy *toy)
{
	return (struct pci_device_desc){
		.name = "toy", .id = "t0",
		.vendor = 0x1234, .device = 0x5678, .subsystem_vendor = 0x9abc, .subsystem = 0xdef0,
		.revision = 3, .class_code = 0x058000, .intx = true,
		.bars[0] = { .size = 0x1000, .read = toy_read, .write = toy_write },
		.bars[2] = { .size = 0x10000, .is_64bit = true, .read = toy_read, .write = toy_write },
		.bars[4] = { .size = 0x200000, .is_64bit = true, .prefetchable = true },
		.ops = &toy_ops, .owner = toy,
	};
}

static void toy_plug(struct rig *rig, struct toy *toy, int slot)
{
	const struct pci_device_desc desc = toy_desc(toy);

	memset(toy, 0, sizeof(*toy));
	assert_int_equal(pci_device_create(&desc, &toy->pci), 0);
	toy->cap = pci_capability_add(toy->pci, PCI_CAP_ID_VNDR, 6);
	pci_config_set(toy->pci, toy->cap + 4, 2, 0xbeef);
	pci_config_set_writable(toy->pci, toy->cap + 4, 2, 0x0ff0);
	pci_capability_add(toy->pci, PCI_CAP_ID_MSIX, 12);
	assert_int_equal(pci_bus_plug(rig->bus, toy->pci, slot, NULL), 0);
}

static void toy_unplug(struct toy *toy)
{
	pci_bus_unplug(toy->pci);
	pci_device_free(toy->pci);
}

static int setup(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	rig_init(rig);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

/* ---- configuration space ------------------------------------------------------------------------------ */

static void host_bridge_is_there(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(ecam_read(rig, 0, PCI_VENDOR_ID, 4), 0x00081b36);
	assert_int_equal(ecam_read(rig, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	assert_int_equal(ecam_read(rig, 0, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(ecam_read(rig, 0, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(ecam_read(rig, 0, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
}

static void absent_functions_read_all_ones(void **state)
{
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, 5);
	assert_int_equal(ecam_read(rig, 4, 0, 4), 0xffffffff);
	assert_int_equal(ecam_read(rig, 4, 0, 2), 0xffff);
	assert_int_equal(ecam_read(rig, 4, 0, 1), 0xff);
	assert_int_equal(port_read(rig, 31, 0, 4), 0xffffffff);
	/* Function 1 of a slot that is used. */
	assert_int_equal(io_read(&rig->mmio, RIG_ECAM + (5 << 15) + (1 << 12), 4), 0xffffffff);
	io_write(&rig->pio, 0xcf8, 4, 0x80000000u | 5 << 11 | 1 << 8);
	assert_int_equal(io_read(&rig->pio, 0xcfc, 4), 0xffffffff);
	/* Bus 1, and bus 0 without the enable bit. */
	io_write(&rig->pio, 0xcf8, 4, 0x80000000u | 1 << 16 | 5 << 11);
	assert_int_equal(io_read(&rig->pio, 0xcfc, 4), 0xffffffff);
	io_write(&rig->pio, 0xcf8, 4, 5 << 11);
	assert_int_equal(io_read(&rig->pio, 0xcfc, 2), 0xffff);
	io_write(&rig->pio, 0xcfc, 4, 0xffffffff);
	/* Writes to what is absent change nothing elsewhere. */
	ecam_write(rig, 4, PCI_COMMAND, 2, 0xffff);
	io_write(&rig->mmio, RIG_ECAM + (5 << 15) + (1 << 12) + PCI_COMMAND, 2, 0xffff);
	assert_int_equal(ecam_read(rig, 5, PCI_COMMAND, 2), 0);
	toy_unplug(&toy);
}

static void address_port_is_a_dword(void **state)
{
	struct rig *rig = *state;

	io_write(&rig->pio, 0xcf8, 4, 0xffffffff);
	assert_int_equal(io_read(&rig->pio, 0xcf8, 4), 0x80fffffc);
	/* Linux probes for the mechanism with a byte write to 0xcfb; others reset by 0xcf9. */
	io_write(&rig->pio, 0xcfb, 1, 0x01);
	io_write(&rig->pio, 0xcf9, 1, 0x06);
	io_write(&rig->pio, 0xcf8, 2, 0x1234);
	assert_int_equal(io_read(&rig->pio, 0xcf8, 4), 0x80fffffc);
	assert_int_equal(io_read(&rig->pio, 0xcf8, 2), 0xffff);
	assert_int_equal(io_read(&rig->pio, 0xcfb, 1), 0xff);
}

static void header_shows_the_identity(void **state)
{
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, -1);
	unsigned slot = pci_device_slot(toy.pci);
	assert_int_equal(slot, 1);
	assert_int_equal(ecam_read(rig, slot, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(ecam_read(rig, slot, PCI_CLASS_REVISION, 4), 0x05800003);
	assert_int_equal(ecam_read(rig, slot, PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
	assert_int_equal(ecam_read(rig, slot, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(ecam_read(rig, slot, PCI_INTERRUPT_LINE, 1), RIG_INTX_GSI + 1);
	assert_int_equal(ecam_read(rig, slot, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(capability_find(rig, slot, PCI_CAP_ID_VNDR, 0), toy.cap);
	assert_int_equal(capability_find(rig, slot, PCI_CAP_ID_MSIX, 0), toy.cap + 8);
	assert_int_equal(capability_find(rig, slot, PCI_CAP_ID_MSIX, 1), 0);
	toy_unplug(&toy);
}

static void write_masks_hold(void **state)
{
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, 1);
	for (unsigned off = 0; off < 4096; off += 4)
		ecam_write(rig, 1, off, 4, 0xffffffff);
	assert_int_equal(ecam_read(rig, 1, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(ecam_read(rig, 1, PCI_COMMAND, 2),
	                 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(ecam_read(rig, 1, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(ecam_read(rig, 1, PCI_HEADER_TYPE, 2), 0);
	assert_int_equal(ecam_read(rig, 1, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(ecam_read(rig, 1, PCI_CAPABILITY_LIST, 1), toy.cap);
	assert_int_equal(ecam_read(rig, 1, toy.cap + 4, 2), 0xbfff);
	assert_int_equal(ecam_read(rig, 1, PCI_INTERRUPT_LINE, 2), 0x01ff);
	for (unsigned off = 256; off < 4096; off += 4)
		assert_int_equal(ecam_read(rig, 1, off, 4), 0);
	for (unsigned off = 0; off < 4096; off += 4)
		ecam_write(rig, 1, off, 4, 0);
	assert_int_equal(ecam_read(rig, 1, toy.cap + 4, 2), 0xb00f);
	assert_int_equal(ecam_read(rig, 1, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	toy_unplug(&toy);
}

/* P7: every width at every offset gives the same bytes, also across registers, from both doors. */
static void every_width_at_every_offset(void **state)
{
	struct rig *rig = *state;
	struct toy toy;
	uint8_t bytes[4096];

	toy_plug(rig, &toy, 3);
	for (unsigned off = 0; off < sizeof(bytes); off++)
		bytes[off] = (uint8_t)ecam_read(rig, 3, off, 1);
	for (unsigned off = 0; off < sizeof(bytes); off++) {
		for (unsigned width = 1; width <= 8; width *= 2) {
			uint64_t want = 0;

			for (unsigned i = 0; i < width && off + i < sizeof(bytes); i++)
				want |= (uint64_t)bytes[off + i] << 8 * i;
			assert_true(io_read(&rig->mmio, RIG_ECAM + (3 << 15) + off, width) == want);
			if (off < 256 && (off & 3) + width <= 4)
				assert_int_equal(port_read(rig, 3, off, width), want);
		}
	}
	/* An access across the end of the data port is nobody's. */
	assert_int_equal(port_read(rig, 3, 2, 4), 0xffffffff);
	/* The last bytes of ECAM, and beyond. */
	assert_int_equal(io_read(&rig->mmio, RIG_ECAM + 0xffffc, 4), 0xffffffff);
	assert_true(io_read(&rig->mmio, RIG_ECAM + 0xffffc, 8) == UINT64_MAX);
	toy_unplug(&toy);
}

static void both_doors_lead_to_the_same_place(void **state)
{
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, 7);
	port_write(rig, 7, PCI_INTERRUPT_LINE, 1, 0x5a);
	assert_int_equal(ecam_read(rig, 7, PCI_INTERRUPT_LINE, 1), 0x5a);
	ecam_write(rig, 7, PCI_CACHE_LINE_SIZE, 1, 0x10);
	assert_int_equal(port_read(rig, 7, PCI_CACHE_LINE_SIZE, 1), 0x10);
	/* A byte at the second half of a word register. */
	port_write(rig, 7, PCI_COMMAND + 1, 1, PCI_COMMAND_INTX_DISABLE >> 8);
	assert_int_equal(ecam_read(rig, 7, PCI_COMMAND, 2), PCI_COMMAND_INTX_DISABLE);
	/* A misaligned word over command's second byte and status' first; 8 bytes are two dwords. */
	ecam_write(rig, 7, PCI_COMMAND + 1, 2, 0);
	assert_int_equal(port_read(rig, 7, PCI_COMMAND, 2), 0);
	io_write(&rig->mmio, RIG_ECAM + (7 << 15) + PCI_BASE_ADDRESS_2, 8, UINT64_C(0x12345678d0000000));
	assert_int_equal(port_read(rig, 7, PCI_BASE_ADDRESS_3, 4), 0x12345678);
	assert_int_equal(port_read(rig, 7, PCI_BASE_ADDRESS_2, 4), 0xd0000004);
	toy_unplug(&toy);
}

static void hooks_see_only_what_is_beyond_the_header(void **state)
{
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, 1);
	ecam_read(rig, 1, 0x3c, 4);
	ecam_write(rig, 1, 0x3c, 4, 0);
	ecam_read(rig, 1, 0x100, 4);
	ecam_write(rig, 1, 0xffc, 4, 0);
	assert_int_equal(toy.nconfig_reads + toy.nconfig_writes, 0);
	ecam_read(rig, 1, 0x3e, 4);
	ecam_write(rig, 1, 0xff, 4, 0);
	assert_int_equal(toy.nconfig_reads, 1);
	assert_int_equal(toy.nconfig_writes, 1);
	toy_unplug(&toy);
}

/* ---- BARs ----------------------------------------------------------------------------------------------- */

/* P6: a write of all ones reads back as the size, whether or not the BAR is being decoded. */
static void bars_tell_their_size(void **state)
{
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, 1);
	for (unsigned decode = 0; decode < 2; decode++) {
		command_set(rig, 1, decode ? PCI_COMMAND_MEMORY : 0);
		for (unsigned i = 0; i < PCI_BARS_MAX; i++)
			ecam_write(rig, 1, PCI_BASE_ADDRESS_0 + 4 * i, 4, 0xffffffff);
		assert_int_equal(ecam_read(rig, 1, PCI_BASE_ADDRESS_0, 4), 0xfffff000);
		assert_int_equal(ecam_read(rig, 1, PCI_BASE_ADDRESS_1, 4), 0);
		assert_int_equal(ecam_read(rig, 1, PCI_BASE_ADDRESS_2, 4), 0xffff0004);
		assert_int_equal(ecam_read(rig, 1, PCI_BASE_ADDRESS_3, 4), 0xffffffff);
		assert_int_equal(ecam_read(rig, 1, PCI_BASE_ADDRESS_4, 4), 0xffe0000c);
		assert_int_equal(ecam_read(rig, 1, PCI_BASE_ADDRESS_5, 4), 0xffffffff);
		assert_int_equal(toy.nmapped, toy.nunmapped);
	}
	toy_unplug(&toy);
}

static void bars_are_assigned_apart(void **state)
{
	struct rig *rig = *state;
	struct toy toys[8];
	uint64_t seen[8 * 3];
	unsigned n = 0;

	for (int i = 0; i < 8; i++) {
		toy_plug(rig, &toys[i], -1);
		command_set(rig, (unsigned)i + 1, PCI_COMMAND_MEMORY);
		/* All three decoded at once: no two overlap, or one would have been refused. */
		assert_int_equal(toys[i].nmapped, 3);
		seen[n++] = toys[i].mapped_gpa[0];
		seen[n++] = toys[i].mapped_gpa[2];
		seen[n++] = toys[i].mapped_gpa[4];
		assert_true(toys[i].mapped_gpa[0] >= RIG_MEM32 && toys[i].mapped_gpa[2] >= RIG_MEM32);
		assert_true(toys[i].mapped_gpa[0] < RIG_MEM32 + RIG_MEM32_SIZE);
		assert_true(toys[i].mapped_gpa[4] >= RIG_MEM64);
		assert_int_equal(toys[i].mapped_gpa[0] % 0x1000, 0);
		assert_int_equal(toys[i].mapped_gpa[2] % 0x10000, 0);
		assert_int_equal(toys[i].mapped_gpa[4] % 0x200000, 0);
		assert_int_equal(pci_device_bar(toys[i].pci, 4, NULL), toys[i].mapped_gpa[4]);
	}
	/* A slot that was given back is the next one's, BARs and all. */
	gpa_t bar0 = toys[3].mapped_gpa[0], bar4 = toys[3].mapped_gpa[4];
	toy_unplug(&toys[3]);
	toy_plug(rig, &toys[3], -1);
	assert_int_equal(pci_device_slot(toys[3].pci), 4);
	assert_int_equal(pci_device_bar(toys[3].pci, 0, NULL), bar0);
	assert_int_equal(pci_device_bar(toys[3].pci, 4, NULL), bar4);
	assert_int_equal(seen[9], bar0);
	for (int i = 0; i < 8; i++)
		toy_unplug(&toys[i]);
}

static void decoding_follows_the_command_register(void **state)
{
	struct rig *rig = *state;
	struct toy toy;
	bool mapped;

	toy_plug(rig, &toy, 1);
	gpa_t bar0 = pci_device_bar(toy.pci, 0, &mapped);
	assert_false(mapped);
	assert_int_equal(io_read(&rig->mmio, bar0, 4), 0xffffffff);
	command_set(rig, 1, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	assert_int_equal(toy.nmapped, 0);
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	assert_int_equal(toy.nmapped, 3);
	pci_device_bar(toy.pci, 0, &mapped);
	assert_true(mapped);
	assert_int_equal(io_read(&rig->mmio, bar0 + 0x10, 4), 0x7010);
	io_write(&rig->mmio, bar0 + 0x20, 4, 0x99);
	assert_true(toy.last_write == (UINT64_C(0x20) << 32 | 0x99));
	command_set(rig, 1, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(toy.nmapped, 3);
	command_set(rig, 1, 0);
	assert_int_equal(toy.nunmapped, 3);
	assert_int_equal(io_read(&rig->mmio, bar0 + 0x10, 4), 0xffffffff);
	toy_unplug(&toy);
	assert_int_equal(toy.nunmapped, 3);
}

static void a_bar_moves_while_decoded(void **state)
{
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, 1);
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	gpa_t old = toy.mapped_gpa[2];
	bar64_set(rig, 1, 2, RIG_MEM32 + 0x1000000);
	assert_int_equal(toy.mapped_gpa[2], RIG_MEM32 + 0x1000000);
	assert_int_equal(io_read(&rig->mmio, old, 4), 0xffffffff);
	assert_int_equal(io_read(&rig->mmio, RIG_MEM32 + 0x1000004, 4), 0x7004);
	/* Into the other window, by two writes with one foot in each. */
	bar64_set(rig, 1, 2, RIG_MEM64 + 0x1000000);
	assert_int_equal(toy.mapped_gpa[2], RIG_MEM64 + 0x1000000);
	assert_int_equal(io_read(&rig->mmio, RIG_MEM64 + 0x1000008, 4), 0x7008);
	assert_int_equal(bar64_get(rig, 1, 2), RIG_MEM64 + 0x1000000);
	toy_unplug(&toy);
}

/* P6: RAM, a pmem window, ECAM, the interrupt controllers, address 0 and the end of the address space. */
static void a_bar_outside_the_windows_is_not_decoded(void **state)
{
	static const uint64_t places[] = {
		0, 0x10000, 0xb0000000, RIG_MEM32 - 0x10000, RIG_ECAM, 0xfec00000, 0xfee00000, 0xffff0000,
		0x100000000, RIG_MEM64 - 0x10000, RIG_MEM64 + RIG_MEM64_SIZE, UINT64_C(0xffffffffffff0000),
		UINT64_C(0x8000000000000000),
	};
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, 1);
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		bar64_set(rig, 1, 2, places[i]);
		assert_int_equal(toy.mapped_gpa[2], 0);
		assert_true(bar64_get(rig, 1, 2) == places[i]);
	}
	/* The last place inside, at both ends of both windows. */
	bar64_set(rig, 1, 2, RIG_MEM64 + RIG_MEM64_SIZE - 0x10000);
	assert_int_equal(toy.mapped_gpa[2], RIG_MEM64 + RIG_MEM64_SIZE - 0x10000);
	bar64_set(rig, 1, 2, RIG_MEM32 + RIG_MEM32_SIZE - 0x10000);
	assert_int_equal(toy.mapped_gpa[2], RIG_MEM32 + RIG_MEM32_SIZE - 0x10000);
	toy_unplug(&toy);
}

/* P6: what was there first stays; the other waits until there is room. Also where one is a memory slot. */
static void overlapping_bars_are_refused(void **state)
{
	struct rig *rig = *state;
	struct toy a, b;

	toy_plug(rig, &a, 1);
	toy_plug(rig, &b, 2);
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	command_set(rig, 2, PCI_COMMAND_MEMORY);
	gpa_t a4 = a.mapped_gpa[4];

	bar64_set(rig, 2, 4, a4);
	assert_int_equal(a.mapped_gpa[4], a4);
	assert_int_equal(b.mapped_gpa[4], 0);
	/* A register BAR into the middle of the slot. */
	bar64_set(rig, 2, 2, a4 + 0x100000);
	assert_int_equal(b.mapped_gpa[2], 0);
	/* The slot over a register BAR. */
	bar64_set(rig, 1, 2, RIG_MEM64 + 0x10000000);
	bar64_set(rig, 2, 4, RIG_MEM64 + 0x10000000);
	assert_int_equal(b.mapped_gpa[4], 0);
	assert_int_equal(io_read(&rig->mmio, RIG_MEM64 + 0x10000000, 4), 0x7000);
	/* Over a BAR of its own. */
	ecam_write(rig, 1, PCI_BASE_ADDRESS_0, 4, (uint32_t)RIG_MEM32 + 0x4000000);
	bar64_set(rig, 1, 2, RIG_MEM32 + 0x4000000);
	assert_int_equal(a.mapped_gpa[2], 0);
	/* Room again: those that waited are decoded now. */
	command_set(rig, 1, 0);
	assert_int_equal(b.mapped_gpa[4], RIG_MEM64 + 0x10000000);
	assert_int_equal(b.mapped_gpa[2], a4 + 0x100000);
	toy_unplug(&b);
	toy_unplug(&a);
}

static void unplugging_makes_room(void **state)
{
	struct rig *rig = *state;
	struct toy a, b;

	toy_plug(rig, &a, 1);
	toy_plug(rig, &b, 2);
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	bar64_set(rig, 2, 2, a.mapped_gpa[2]);
	command_set(rig, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(b.mapped_gpa[2], 0);
	gpa_t gpa = a.mapped_gpa[2];
	toy_unplug(&a);
	assert_int_equal(b.mapped_gpa[2], gpa);
	assert_int_equal(ecam_read(rig, 1, 0, 4), 0xffffffff);
	toy_unplug(&b);
}

static void two_bars_change_places(void **state)
{
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, 1);
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	uint32_t bar0 = (uint32_t)toy.mapped_gpa[0];
	bar64_set(rig, 1, 2, RIG_MEM32 + 0x1000000);
	ecam_write(rig, 1, PCI_BASE_ADDRESS_0, 4, (uint32_t)RIG_MEM32 + 0x1000000);
	bar64_set(rig, 1, 2, bar0 & 0xffff0000);
	assert_int_equal(toy.mapped_gpa[0], RIG_MEM32 + 0x1000000);
	assert_int_equal(toy.mapped_gpa[2], bar0 & 0xffff0000);
	toy_unplug(&toy);
}

static void another_region_in_the_way(void **state)
{
	struct rig *rig = *state;
	const struct io_region other = {
		.name = "other", .base = RIG_MEM32 + 0x2000000, .size = 0x100, .read = toy_read, .write = toy_write,
	};
	struct toy toy;

	assert_int_equal(io_add(&rig->mmio, &other), 0);
	toy_plug(rig, &toy, 1);
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	bar64_set(rig, 1, 2, other.base);
	assert_int_equal(toy.mapped_gpa[2], 0);
	bar64_set(rig, 1, 2, RIG_MEM32 + 0x3000000);
	assert_int_equal(toy.mapped_gpa[2], RIG_MEM32 + 0x3000000);
	assert_int_equal(io_remove(&rig->mmio, other.base), 0);
	toy_unplug(&toy);
}

static void a_device_may_refuse_a_place(void **state)
{
	struct rig *rig = *state;
	struct toy toy;

	toy_plug(rig, &toy, 1);
	toy.map_error = -ENOMEM;
	unsigned nregions = rig->mmio.nregions;
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	assert_int_equal(rig->mmio.nregions, nregions);
	toy.map_error = 0;
	command_set(rig, 1, 0);
	assert_int_equal(toy.nunmapped, 0);
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	assert_int_equal(toy.nmapped, 3);
	toy_unplug(&toy);
}

/* ---- slots and reset ------------------------------------------------------------------------------------ */

static void slots_are_refused_in_qemus_words(void **state)
{
	struct rig *rig = *state;
	struct vpmem_error err;
	struct toy toys[31], extra;
	const struct pci_device_desc desc = toy_desc(&extra);

	assert_int_equal(pci_device_create(&desc, &extra.pci), 0);
	toy_plug(rig, &toys[0], 5);
	assert_int_equal(pci_bus_plug(rig->bus, extra.pci, 5, &err), -EBUSY);
	assert_string_equal(err.text, "PCI: slot 5 function 0 not available for toy, in use by toy,id=t0");
	assert_int_equal(pci_bus_plug(rig->bus, extra.pci, 0, &err), -EBUSY);
	assert_string_equal(err.text, "PCI: slot 0 function 0 not available for toy, in use by host bridge");
	assert_int_equal(pci_bus_plug(rig->bus, extra.pci, 32, &err), -EINVAL);
	for (int i = 1; i < 31; i++)
		toy_plug(rig, &toys[i], -1);
	assert_int_equal(pci_bus_plug(rig->bus, extra.pci, -1, &err), -ENOSPC);
	assert_string_equal(err.text, "PCI: no slot/function available for toy, all in use or reserved");
	assert_ptr_equal(pci_bus_device(rig->bus, 5), toys[0].pci);
	assert_string_equal(pci_device_description(toys[0].pci)->id, "t0");
	assert_null(pci_bus_device(rig->bus, 32));
	for (int i = 0; i < 31; i++)
		toy_unplug(&toys[i]);
	pci_device_free(extra.pci);
}

static void no_room_for_a_bar(void **state)
{
	struct rig *rig = *state;
	struct vpmem_error err;
	struct toy big, small;
	struct pci_device_desc desc = toy_desc(&big);

	memset(&big, 0, sizeof(big));
	desc.bars[4].size = RIG_MEM64_SIZE * 2;
	assert_int_equal(pci_device_create(&desc, &big.pci), 0);
	unsigned nregions = rig->mmio.nregions;
	assert_int_equal(pci_bus_plug(rig->bus, big.pci, 1, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no room for BAR 4 of toy"));
	pci_device_free(big.pci);
	assert_int_equal(rig->mmio.nregions, nregions);
	assert_int_equal(ecam_read(rig, 1, 0, 4), 0xffffffff);

	/* What the failed one had been given is free again; and the whole window can be had. */
	memset(&big, 0, sizeof(big));
	desc.bars[4].size = RIG_MEM64_SIZE;
	assert_int_equal(pci_device_create(&desc, &big.pci), 0);
	assert_int_equal(pci_bus_plug(rig->bus, big.pci, 1, &err), 0);
	assert_int_equal(pci_device_bar(big.pci, 4, NULL), RIG_MEM64);
	assert_int_equal(pci_device_bar(big.pci, 0, NULL), RIG_MEM32);
	desc = toy_desc(&small);
	memset(&small, 0, sizeof(small));
	assert_int_equal(pci_device_create(&desc, &small.pci), 0);
	assert_int_equal(pci_bus_plug(rig->bus, small.pci, -1, &err), -ENOSPC);
	pci_device_free(small.pci);
	toy_unplug(&big);
}

static void reset_puts_everything_back(void **state)
{
	struct rig *rig = *state;
	struct toy toy;
	uint8_t before[256];

	toy_plug(rig, &toy, 1);
	for (unsigned off = 0; off < 256; off++)
		before[off] = (uint8_t)ecam_read(rig, 1, off, 1);
	command_set(rig, 1, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	bar64_set(rig, 1, 2, RIG_MEM32 + 0x1000000);
	ecam_write(rig, 1, toy.cap + 4, 2, 0xffff);
	pci_intx_raise(toy.pci, 1);
	pci_intx_block(toy.pci, true);
	io_write(&rig->pio, 0xcf8, 4, 0x80000800);
	pci_bus_reset(rig->bus);
	assert_int_equal(toy.nresets, 1);
	assert_int_equal(io_read(&rig->pio, 0xcf8, 4), 0);
	for (unsigned off = 0; off < 256; off++)
		assert_int_equal(ecam_read(rig, 1, off, 1), before[off]);
	/* The pin too: nothing forbids it any more. */
	pci_intx_raise(toy.pci, 1);
	assert_true(fake_vm_line(&rig->fake, RIG_INTX_GSI + 1));
	toy_unplug(&toy);
}

/* ---- INTx ------------------------------------------------------------------------------------------------- */

static void the_pin_follows_causes_and_masks(void **state)
{
	struct rig *rig = *state;
	struct toy toy;
	unsigned gsi = RIG_INTX_GSI + 3;

	toy_plug(rig, &toy, 3);
	assert_int_equal(pci_device_gsi(toy.pci), gsi);
	pci_intx_raise(toy.pci, 1);
	assert_true(fake_vm_line(&rig->fake, gsi));
	pci_intx_raise(toy.pci, 2);
	assert_int_equal(rig->fake.nline_changes, 1);
	assert_int_equal(ecam_read(rig, 3, PCI_STATUS, 2), PCI_STATUS_CAP_LIST | PCI_STATUS_INTERRUPT);
	/* INTX_DISABLE holds the pin, not the status bit. */
	command_set(rig, 3, PCI_COMMAND_INTX_DISABLE);
	assert_false(fake_vm_line(&rig->fake, gsi));
	assert_int_equal(ecam_read(rig, 3, PCI_STATUS, 1), PCI_STATUS_CAP_LIST | PCI_STATUS_INTERRUPT);
	command_set(rig, 3, 0);
	assert_true(fake_vm_line(&rig->fake, gsi));
	/* MSI-X holds both. */
	pci_intx_block(toy.pci, true);
	assert_false(fake_vm_line(&rig->fake, gsi));
	assert_int_equal(ecam_read(rig, 3, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	pci_intx_block(toy.pci, false);
	assert_true(fake_vm_line(&rig->fake, gsi));
	assert_int_equal(pci_intx_take(toy.pci), 3);
	assert_false(fake_vm_line(&rig->fake, gsi));
	assert_int_equal(pci_intx_take(toy.pci), 0);
	toy_unplug(&toy);
}

static void a_shared_line_is_the_or_of_its_pins(void **state)
{
	struct rig *rig = *state;
	struct toy a, b, c;
	unsigned gsi = RIG_INTX_GSI + 2;

	toy_plug(rig, &a, 2);
	toy_plug(rig, &b, 2 + RIG_INTX_LINES);
	toy_plug(rig, &c, 3);
	pci_intx_raise(a.pci, 1);
	pci_intx_raise(b.pci, 1);
	assert_false(fake_vm_line(&rig->fake, gsi + 1));
	pci_intx_take(a.pci);
	assert_true(fake_vm_line(&rig->fake, gsi));
	pci_intx_raise(a.pci, 1);
	/* Going away takes its share of the line with it, and no more. */
	toy_unplug(&b);
	assert_true(fake_vm_line(&rig->fake, gsi));
	pci_intx_take(a.pci);
	assert_false(fake_vm_line(&rig->fake, gsi));
	toy_unplug(&c);
	toy_unplug(&a);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(host_bridge_is_there),
		TEST(absent_functions_read_all_ones),
		TEST(address_port_is_a_dword),
		TEST(header_shows_the_identity),
		TEST(write_masks_hold),
		TEST(every_width_at_every_offset),
		TEST(both_doors_lead_to_the_same_place),
		TEST(hooks_see_only_what_is_beyond_the_header),
		TEST(bars_tell_their_size),
		TEST(bars_are_assigned_apart),
		TEST(decoding_follows_the_command_register),
		TEST(a_bar_moves_while_decoded),
		TEST(a_bar_outside_the_windows_is_not_decoded),
		TEST(overlapping_bars_are_refused),
		TEST(unplugging_makes_room),
		TEST(two_bars_change_places),
		TEST(another_region_in_the_way),
		TEST(a_device_may_refuse_a_place),
		TEST(slots_are_refused_in_qemus_words),
		TEST(no_room_for_a_bar),
		TEST(reset_puts_everything_back),
		TEST(the_pin_follows_causes_and_masks),
		TEST(a_shared_line_is_the_or_of_its_pins),
	};

	return cmocka_run_group_tests_name("pci_config", tests, NULL, NULL);
}
