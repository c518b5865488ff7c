// SPDX-License-Identifier: Apache-2.0
// Configuration space, slots, reset and interrupt lines, with a device of the test's own.
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

/* Every width at every offset gives the same bytes, also across registers, by ECAM and by the ports. */
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

static void slots_are_refused_in_qemus_words(void **state)
{
	struct rig *rig = *state;
	struct vpmem_error err;
	struct toy toys[31], extra;
	const struct pci_device_desc desc = toy_desc(&extra);

	assert_int_equal(pci_device_create(&desc, &extra.pci), 0);
	toy_plug(rig, &toys[0], 5);
	assert_int_equal(pci_bus_plug(rig->bus, extra.pci, -1, 5, &err), -EBUSY);
	assert_string_equal(err.text, "PCI: slot 5 function 0 not available for toy, in use by toy,id=t0");
	assert_int_equal(pci_bus_plug(rig->bus, extra.pci, -1, 0, &err), -EBUSY);
	assert_string_equal(err.text, "PCI: slot 0 function 0 not available for toy, in use by host bridge");
	assert_int_equal(pci_bus_plug(rig->bus, extra.pci, -1, 32, &err), -EINVAL);
	for (int i = 1; i < 31; i++)
		toy_plug(rig, &toys[i], -1);
	assert_int_equal(pci_bus_plug(rig->bus, extra.pci, -1, -1, &err), -ENOSPC);
	assert_string_equal(err.text, "PCI: no slot/function available for toy, all in use or reserved");
	assert_ptr_equal(pci_bus_device(rig->bus, 5), toys[0].pci);
	assert_string_equal(pci_device_description(toys[0].pci)->id, "t0");
	assert_null(pci_bus_device(rig->bus, 32));
	for (int i = 0; i < 31; i++)
		toy_unplug(&toys[i]);
	pci_device_free(extra.pci);
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
		TEST(slots_are_refused_in_qemus_words),
		TEST(reset_puts_everything_back),
		TEST(the_pin_follows_causes_and_masks),
		TEST(a_shared_line_is_the_or_of_its_pins),
	};

	return cmocka_run_group_tests_name("pci_config", tests, NULL, NULL);
}
