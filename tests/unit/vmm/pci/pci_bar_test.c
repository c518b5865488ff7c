// SPDX-License-Identifier: Apache-2.0
// BARs: sizing, assignment, moving, and every place where one must not be decoded.
#include "toy.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* A write of all ones reads back as the size, whether or not the BAR is being decoded. */
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

/* RAM, a pmem window, ECAM, the interrupt controllers, address 0 and the end of the address space. */
static void a_bar_outside_the_windows_is_not_decoded(void **state)
{
	static const uint64_t places[] = {
		0,
		0x10000,
		0xb0000000,
		RIG_MEM32 - 0x10000,
		RIG_ECAM,
		0xfec00000,
		0xfee00000,
		0xffff0000,
		0x100000000,
		RIG_MEM64 - 0x10000,
		RIG_MEM64 + RIG_MEM64_SIZE,
		UINT64_C(0xffffffffffff0000),
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

/* What was there first stays; the other waits until there is room. Also where one is a memory slot. */
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
		.name = "other",
		.base = RIG_MEM32 + 0x2000000,
		.size = 0x100,
		.read = toy_read,
		.write = toy_write,
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
	assert_int_equal(pci_bus_plug(rig->bus, big.pci, -1, 1, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no room for BAR 4 of toy"));
	pci_device_free(big.pci);
	assert_int_equal(rig->mmio.nregions, nregions);
	assert_int_equal(ecam_read(rig, 1, 0, 4), 0xffffffff);

	/* What the failed one had been given is free again; and the whole window can be had. */
	memset(&big, 0, sizeof(big));
	desc.bars[4].size = RIG_MEM64_SIZE;
	assert_int_equal(pci_device_create(&desc, &big.pci), 0);
	assert_int_equal(pci_bus_plug(rig->bus, big.pci, -1, 1, &err), 0);
	assert_int_equal(pci_device_bar(big.pci, 4, NULL), RIG_MEM64);
	assert_int_equal(pci_device_bar(big.pci, 0, NULL), RIG_MEM32);
	desc = toy_desc(&small);
	memset(&small, 0, sizeof(small));
	assert_int_equal(pci_device_create(&desc, &small.pci), 0);
	assert_int_equal(pci_bus_plug(rig->bus, small.pci, -1, -1, &err), -ENOSPC);
	pci_device_free(small.pci);
	toy_unplug(&big);
}

/* BAR 1, the only one that the toy has room for besides its memory. */
static void plug_ports(struct rig *rig, struct toy *toy, int slot)
{
	struct pci_device_desc desc;

	memset(toy, 0, sizeof(*toy));
	desc = toy_desc(toy);
	desc.bars[1] = (struct pci_bar_desc) { .size = 16, .io = true, .read = toy_read, .write = toy_write };
	assert_int_equal(pci_device_create(&desc, &toy->pci), 0);
	assert_int_equal(pci_bus_plug(rig->bus, toy->pci, -1, slot, NULL), 0);
}

static void ports_are_a_space_of_their_own(void **state)
{
	struct rig *rig = *state;
	struct toy a, b;
	bool mapped;

	plug_ports(rig, &a, 1);
	plug_ports(rig, &b, 2);
	assert_int_equal(ecam_read(rig, 1, PCI_BASE_ADDRESS_1, 4), RIG_PORT | PCI_BASE_ADDRESS_SPACE_IO);
	assert_int_equal(pci_device_bar(b.pci, 1, NULL), RIG_PORT + 16);
	ecam_write(rig, 1, PCI_BASE_ADDRESS_1, 4, 0xffffffff);
	assert_int_equal(ecam_read(rig, 1, PCI_BASE_ADDRESS_1, 4), 0xfffffff0 | PCI_BASE_ADDRESS_SPACE_IO);
	ecam_write(rig, 1, PCI_BASE_ADDRESS_1, 4, RIG_PORT);

	/* Decoded by a command bit of their own. */
	command_set(rig, 1, PCI_COMMAND_MEMORY);
	assert_int_equal(a.nmapped, 3);
	assert_int_equal(io_read(&rig->pio, RIG_PORT, 4), 0xffffffff);
	command_set(rig, 1, PCI_COMMAND_IO);
	assert_int_equal(a.nunmapped, 3);
	assert_int_equal(a.mapped_gpa[1], RIG_PORT);
	assert_int_equal(io_read(&rig->pio, RIG_PORT + 4, 2), 0x7004);
	io_write(&rig->pio, RIG_PORT + 8, 2, 0x77);
	assert_true(a.last_write == (UINT64_C(8) << 32 | 0x77));

	/* Onto the other's, out of the window, onto other ports (those of PCI itself are also outside of it). */
	command_set(rig, 2, PCI_COMMAND_IO);
	ecam_write(rig, 1, PCI_BASE_ADDRESS_1, 4, RIG_PORT + 16);
	pci_device_bar(a.pci, 1, &mapped);
	assert_false(mapped);
	ecam_write(rig, 1, PCI_BASE_ADDRESS_1, 4, RIG_PORT - 16);
	pci_device_bar(a.pci, 1, &mapped);
	assert_false(mapped);
	ecam_write(rig, 1, PCI_BASE_ADDRESS_1, 4, RIG_PORT + RIG_NPORTS - 16);
	assert_int_equal(a.mapped_gpa[1], RIG_PORT + RIG_NPORTS - 16);
	ecam_write(rig, 1, PCI_BASE_ADDRESS_1, 4, RIG_PORT + RIG_NPORTS);
	assert_int_equal(a.mapped_gpa[1], 0);

	/* A memory BAR at the same number is somewhere else. */
	ecam_write(rig, 1, PCI_BASE_ADDRESS_0, 4, RIG_MEM32 + 0x2000);
	ecam_write(rig, 1, PCI_BASE_ADDRESS_1, 4, RIG_PORT);
	command_set(rig, 1, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(a.mapped_gpa[0], RIG_MEM32 + 0x2000);
	assert_int_equal(a.mapped_gpa[1], RIG_PORT);
	toy_unplug(&a);
	toy_unplug(&b);
	assert_int_equal(rig->pio.nregions, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
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
		TEST(no_room_for_a_bar),
		TEST(ports_are_a_space_of_their_own),
	};

	return cmocka_run_group_tests_name("pci_bar", tests, NULL, NULL);
}
