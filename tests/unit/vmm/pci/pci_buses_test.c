// SPDX-License-Identifier: Apache-2.0
// Several root buses side by side.
#include "toy.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NBUSES 3u
#define SLOT(nr, number) ((nr)*PCI_BUS_SLOTS + (number))

static int setup(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	rig_init_buses(rig, NBUSES);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

/* As toy_plug, on a bus. */
static int plug_on(struct rig *rig, struct toy *toy, int nr, int number, struct vpmem_error *err)
{
	const struct pci_device_desc desc = toy_desc(toy);
	int rc;

	memset(toy, 0, sizeof(*toy));
	assert_int_equal(pci_device_create(&desc, &toy->pci), 0);
	rc = pci_bus_plug(rig->bus, toy->pci, nr, number, err);
	if (rc)
		pci_device_free(toy->pci);
	return rc;
}

static void every_bus_has_its_host_bridge(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(pci_bus_count(rig->bus), NBUSES);
	for (unsigned slot = 0; slot < PCI_DEVICES_MAX; slot++) {
		bool there = slot < SLOT(NBUSES, 0) && slot % PCI_BUS_SLOTS == 0;

		assert_int_equal(ecam_read(rig, slot, PCI_VENDOR_ID, 4), there ? 0x00081b36 : 0xffffffff);
		assert_int_equal(port_read(rig, slot, PCI_VENDOR_ID, 4), there ? 0x00081b36 : 0xffffffff);
	}
	/* The ports reach bus 255. */
	io_write(&rig->pio, 0xcf8, 4, 0x80000000u | 0xff << 16);
	assert_int_equal(io_read(&rig->pio, 0xcfc, 4), 0xffffffff);
}

static void both_doors_lead_to_the_bus(void **state)
{
	struct rig *rig = *state;
	struct toy toy, other;

	assert_int_equal(plug_on(rig, &toy, 2, 5, NULL), 0);
	assert_int_equal(plug_on(rig, &other, 0, 5, NULL), 0);
	assert_int_equal(pci_device_slot(toy.pci), SLOT(2, 5));
	assert_ptr_equal(pci_bus_device(rig->bus, SLOT(2, 5)), toy.pci);
	assert_null(pci_bus_device(rig->bus, SLOT(1, 5)));
	ecam_write(rig, SLOT(2, 5), PCI_INTERRUPT_LINE, 1, 0x42);
	assert_int_equal(port_read(rig, SLOT(2, 5), PCI_INTERRUPT_LINE, 1), 0x42);
	assert_int_equal(ecam_read(rig, 5, PCI_INTERRUPT_LINE, 1), RIG_INTX_GSI + 5);
	assert_int_equal(ecam_read(rig, SLOT(1, 5), PCI_VENDOR_ID, 4), 0xffffffff);
	toy_unplug(&toy);
	toy_unplug(&other);
}

static bool inside(gpa_t gpa, uint64_t size, gpa_t window, uint64_t window_size)
{
	return gpa >= window && gpa - window + size <= window_size;
}

/* Linux ignores a host bridge's window that is part of another one's. */
static void shares_of_the_windows_do_not_overlap(void **state)
{
	struct rig *rig = *state;
	gpa_t mem32_end = RIG_MEM32, mem64_end = RIG_MEM64;

	for (unsigned nr = 0; nr < NBUSES; nr++) {
		struct pci_windows share = pci_bus_windows(rig->bus, nr);
		struct toy toy;

		assert_true(share.mem32_gpa >= mem32_end && share.mem64_gpa >= mem64_end);
		assert_true(share.mem32_size > RIG_MEM32_SIZE / 4 && share.mem64_size > RIG_MEM64_SIZE / 4);
		mem32_end = share.mem32_gpa + share.mem32_size;
		mem64_end = share.mem64_gpa + share.mem64_size;
		assert_int_equal(plug_on(rig, &toy, (int)nr, 1, NULL), 0);
		assert_true(inside(pci_device_bar(toy.pci, 0, NULL), 0x1000, share.mem32_gpa, share.mem32_size));
		assert_true(inside(pci_device_bar(toy.pci, 2, NULL), 0x10000, share.mem32_gpa, share.mem32_size));
		assert_true(inside(pci_device_bar(toy.pci, 4, NULL), 0x200000, share.mem64_gpa, share.mem64_size));
		command_set(rig, SLOT(nr, 1), PCI_COMMAND_MEMORY);
		assert_int_equal(toy.nmapped, 3);
		toy_unplug(&toy);
	}
	assert_true(mem32_end <= RIG_MEM32 + RIG_MEM32_SIZE);
	assert_true(mem64_end <= RIG_MEM64 + RIG_MEM64_SIZE);
}

static void one_bus_has_the_whole_windows(void **state)
{
	struct pci_windows share;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	share = pci_bus_windows(rig.bus, 0);
	assert_int_equal(share.mem32_gpa, RIG_MEM32);
	assert_int_equal(share.mem32_size, RIG_MEM32_SIZE);
	assert_int_equal(share.mem64_gpa, RIG_MEM64);
	assert_int_equal(share.mem64_size, RIG_MEM64_SIZE);
	rig_fini(&rig);
}

static void a_bar_too_large_for_a_share(void **state)
{
	struct rig *rig = *state;
	struct vpmem_error err;
	struct toy toy = { 0 };
	struct pci_device_desc desc = toy_desc(&toy);

	desc.bars[4].size = RIG_MEM64_SIZE / 2;
	assert_int_equal(pci_device_create(&desc, &toy.pci), 0);
	assert_int_equal(pci_bus_plug(rig->bus, toy.pci, 1, -1, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no room for BAR 4 of toy"));
	assert_non_null(strstr(err.hint, "pcie.1"));
	pci_device_free(toy.pci);
}

/* Two host bridges cannot have the same ports, and one of them has PCI's own. */
static void ports_are_those_of_bus_0(void **state)
{
	struct rig *rig = *state;
	struct vpmem_error err;
	struct toy toy = { 0 };
	struct pci_device_desc desc = toy_desc(&toy);

	desc.bars[1] = (struct pci_bar_desc) { .size = 16, .io = true, .read = toy_read, .write = toy_write };
	assert_int_equal(pci_device_create(&desc, &toy.pci), 0);
	assert_int_equal(pci_bus_plug(rig->bus, toy.pci, 1, -1, &err), -ENOSPC);
	assert_string_equal(err.text, "PCI: no room for BAR 1 of toy: it needs 16 ports");
	assert_string_equal(err.hint, "only bus pcie.0 has I/O ports");
	assert_int_equal(pci_bus_plug(rig->bus, toy.pci, 0, -1, &err), 0);
	assert_int_equal(pci_device_bar(toy.pci, 1, NULL), RIG_PORT);
	toy_unplug(&toy);
}

static void devices_fill_bus_after_bus(void **state)
{
	static struct toy toys[NBUSES * 31], extra;
	struct rig *rig = *state;
	struct vpmem_error err;

	for (unsigned i = 0; i < NBUSES * 31; i++) {
		assert_int_equal(plug_on(rig, &toys[i], -1, -1, NULL), 0);
		assert_int_equal(pci_device_slot(toys[i].pci), SLOT(i / 31, 1 + i % 31));
		assert_int_equal(pci_device_gsi(toys[i].pci), RIG_INTX_GSI + (1 + i % 31) % RIG_INTX_LINES);
	}
	assert_int_equal(plug_on(rig, &extra, -1, -1, &err), -ENOSPC);
	assert_string_equal(err.text, "PCI: no slot/function available for toy, all in use or reserved");
	assert_non_null(strstr(err.hint, "-machine pci-buses=4"));
	toy_unplug(&toys[40]);
	assert_int_equal(plug_on(rig, &extra, 2, -1, &err), -ENOSPC);
	assert_non_null(strstr(err.hint, "pcie.2 is full"));
	assert_int_equal(plug_on(rig, &toys[40], -1, -1, &err), 0);
	assert_int_equal(pci_device_slot(toys[40].pci), SLOT(1, 10));
	for (unsigned i = 0; i < NBUSES * 31; i++)
		toy_unplug(&toys[i]);
}

/* As many buses as there can be: another one is no next step. */
static void all_buses_are_full(void **state)
{
	static struct toy toys[PCI_BUSES_MAX * 31], extra;
	struct vpmem_error err;
	struct rig *rig = malloc(sizeof(*rig));

	(void)state;
	rig_init_buses(rig, PCI_BUSES_MAX);
	for (unsigned i = 0; i < PCI_BUSES_MAX * 31; i++)
		assert_int_equal(plug_on(rig, &toys[i], -1, -1, NULL), 0);
	assert_int_equal(plug_on(rig, &extra, -1, -1, &err), -ENOSPC);
	assert_string_equal(err.hint, "device_del one first: there cannot be more than 8 buses with 31 devices each");
	for (unsigned i = 0; i < PCI_BUSES_MAX * 31; i++)
		toy_unplug(&toys[i]);
	rig_fini(rig);
	free(rig);
}

/* With one bus there is no other to name. */
static void the_only_bus_is_full(void **state)
{
	static struct toy toys[31], extra;
	struct vpmem_error err;
	struct rig *rig = malloc(sizeof(*rig));

	(void)state;
	rig_init(rig);
	for (unsigned i = 0; i < 31; i++)
		assert_int_equal(plug_on(rig, &toys[i], -1, -1, NULL), 0);
	assert_int_equal(plug_on(rig, &extra, 0, -1, &err), -ENOSPC);
	assert_non_null(strstr(err.hint, "-machine pci-buses=2"));
	assert_null(pci_bus_device(rig->bus, PCI_DEVICES_MAX));
	for (unsigned i = 0; i < 31; i++)
		toy_unplug(&toys[i]);
	rig_fini(rig);
	free(rig);
}

static void places_that_do_not_exist(void **state)
{
	struct rig *rig = *state;
	struct vpmem_error err;
	struct toy toy, other;

	assert_int_equal(plug_on(rig, &toy, 3, -1, &err), -ENODEV);
	assert_string_equal(err.text, "Bus 'pcie.3' not found");
	assert_non_null(strstr(err.hint, "-machine pci-buses=4"));
	assert_int_equal(plug_on(rig, &toy, 2, 32, &err), -EINVAL);
	assert_int_equal(plug_on(rig, &toy, 2, 0, &err), -EBUSY);
	assert_string_equal(err.text, "PCI: slot 0 function 0 not available for toy, in use by host bridge");
	/* A number without a bus is on the first one. */
	assert_int_equal(plug_on(rig, &toy, -1, 7, &err), 0);
	assert_int_equal(pci_device_slot(toy.pci), 7);
	assert_int_equal(plug_on(rig, &other, 0, 7, &err), -EBUSY);
	assert_int_equal(plug_on(rig, &other, 1, 7, &err), 0);
	toy_unplug(&toy);
	toy_unplug(&other);
}

static void buses_share_lines(void **state)
{
	struct rig *rig = *state;
	struct toy a, b;

	assert_int_equal(plug_on(rig, &a, 0, 3, NULL), 0);
	assert_int_equal(plug_on(rig, &b, 2, 3, NULL), 0);
	pci_intx_raise(a.pci, 1);
	pci_intx_raise(b.pci, 1);
	pci_intx_take(a.pci);
	assert_true(fake_vm_line(&rig->fake, RIG_INTX_GSI + 3));
	pci_bus_reset(rig->bus);
	assert_false(fake_vm_line(&rig->fake, RIG_INTX_GSI + 3));
	assert_int_equal(a.nresets, 1);
	assert_int_equal(b.nresets, 1);
	toy_unplug(&a);
	toy_unplug(&b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_bus_has_its_host_bridge),
		TEST(both_doors_lead_to_the_bus),
		TEST(shares_of_the_windows_do_not_overlap),
		cmocka_unit_test(one_bus_has_the_whole_windows),
		TEST(a_bar_too_large_for_a_share),
		TEST(ports_are_those_of_bus_0),
		TEST(devices_fill_bus_after_bus),
		TEST(all_buses_are_full),
		TEST(the_only_bus_is_full),
		TEST(places_that_do_not_exist),
		TEST(buses_share_lines),
	};

	return cmocka_run_group_tests_name("pci_buses", tests, NULL, NULL);
}
