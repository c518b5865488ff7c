// SPDX-License-Identifier: Apache-2.0
// Tests of the hotplug registers that the guest's ACPI code uses.
#include "pci_hotplug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "memory_map.h"

#define UP (PCI_HOTPLUG_PORT + 0)
#define DOWN (PCI_HOTPLUG_PORT + 4)
#define EJECT (PCI_HOTPLUG_PORT + 8)
#define OST (PCI_HOTPLUG_PORT + 12)
#define BUS(nr) ((nr)*PCI_HOTPLUG_BUS_SIZE)

static struct io_space pio;
static struct pci_hotplug hp;
static unsigned nnotified, nrefused, last_refused;
static uint32_t ejected[PCI_BUSES_MAX];

static void notify(void *owner)
{
	assert_ptr_equal(owner, &pio);
	nnotified++;
}

static void eject(void *owner, unsigned slot)
{
	assert_ptr_equal(owner, &pio);
	assert_in_range(slot, 1, PCI_DEVICES_MAX - 1);
	assert_int_not_equal(slot % 32, 0);
	assert_false(ejected[slot / 32] & UINT32_C(1) << slot % 32);
	ejected[slot / 32] |= UINT32_C(1) << slot % 32;
}

static void refused(void *owner, unsigned slot)
{
	assert_ptr_equal(owner, &pio);
	nrefused++;
	last_refused = slot;
}

static int setup(void **state)
{
	(void)state;
	io_clear(&pio);
	hp = (struct pci_hotplug) { .notify = notify, .eject = eject, .refused = refused, .owner = &pio };
	nnotified = nrefused = 0;
	memset(ejected, 0, sizeof(ejected));
	return pci_hotplug_attach(&hp, &pio, PCI_HOTPLUG_PORT);
}

static void news_are_read_once(void **state)
{
	(void)state;
	pci_hotplug_added(&hp, 1);
	pci_hotplug_added(&hp, 31);
	pci_hotplug_request_removal(&hp, 5);
	assert_int_equal(nnotified, 3);
	assert_int_equal(io_read(&pio, UP, 4), UINT32_C(1) << 31 | 2);
	assert_int_equal(io_read(&pio, UP, 4), 0);
	assert_int_equal(io_read(&pio, DOWN, 4), 1 << 5);
	assert_int_equal(io_read(&pio, DOWN, 4), 0);
}

static void a_withdrawn_request_is_not_seen(void **state)
{
	(void)state;
	pci_hotplug_request_removal(&hp, 5);
	pci_hotplug_request_removal(&hp, 6);
	pci_hotplug_added(&hp, 5);
	pci_hotplug_forget(&hp, 5);
	assert_int_equal(io_read(&pio, DOWN, 4), 1 << 6);
	assert_int_equal(io_read(&pio, UP, 4), 0);
}

static void each_slot_in_the_mask_is_ejected_but_the_host_bridge(void **state)
{
	(void)state;
	io_write(&pio, EJECT, 4, 1u << 7 | 1u << 31 | 1);
	assert_int_equal(ejected[0], UINT32_C(1) << 7 | UINT32_C(1) << 31);
}

static void a_failure_in_ost_is_a_refusal(void **state)
{
	(void)state;
	io_write(&pio, OST, 4, 9 | 3 << 8 | 0x82 << 16);
	assert_int_equal(nrefused, 1);
	assert_int_equal(last_refused, 9);
	/* Success, "in progress", another event than an eject, and a slot that does not exist are none. */
	io_write(&pio, OST, 4, 9 | 3 << 8);
	io_write(&pio, OST, 4, 9 | 3 << 8 | 0x84 << 16);
	io_write(&pio, OST, 4, 9 | 1 << 8 | 0x82 << 16);
	io_write(&pio, OST, 4, 32 | 3 << 8 | 0x82 << 16);
	assert_int_equal(nrefused, 1);
}

static void each_bus_has_its_own_registers(void **state)
{
	(void)state;
	pci_hotplug_added(&hp, 3 * 32 + 4);
	pci_hotplug_request_removal(&hp, 7 * 32 + 31);
	pci_hotplug_request_removal(&hp, 5);
	for (unsigned nr = 0; nr < PCI_BUSES_MAX; nr++) {
		assert_int_equal(io_read(&pio, UP + BUS(nr), 4), nr == 3 ? 1 << 4 : 0);
		assert_int_equal(io_read(&pio, DOWN + BUS(nr), 4), nr == 7 ? UINT32_C(1) << 31 : nr == 0 ? 1 << 5 : 0);
	}
	pci_hotplug_request_removal(&hp, 2 * 32 + 5);
	pci_hotplug_request_removal(&hp, 5);
	pci_hotplug_forget(&hp, 2 * 32 + 5);
	assert_int_equal(io_read(&pio, DOWN + BUS(2), 4), 0);
	assert_int_equal(io_read(&pio, DOWN, 4), 1 << 5);
	io_write(&pio, EJECT + BUS(7), 4, UINT32_C(1) << 31 | 1);
	assert_int_equal(ejected[7], UINT32_C(1) << 31);
	assert_int_equal(ejected[0], 0);
	io_write(&pio, OST + BUS(2), 4, 9 | 3 << 8 | 0x82 << 16);
	assert_int_equal(last_refused, 2 * 32 + 9);
	/* Behind the last one there is none. */
	assert_int_equal(io_read(&pio, PCI_HOTPLUG_PORT + BUS(PCI_BUSES_MAX), 4), UINT32_MAX);
}

static void odd_accesses_do_nothing(void **state)
{
	(void)state;
	pci_hotplug_request_removal(&hp, 5);
	assert_int_equal(io_read(&pio, DOWN, 1), 0xff);
	assert_int_equal(io_read(&pio, DOWN, 2), 0xffff);
	assert_int_equal(io_read(&pio, EJECT, 4), 0);
	io_write(&pio, EJECT, 1, 0xff);
	io_write(&pio, OST, 2, 9 | 3 << 8);
	io_write(&pio, UP, 4, UINT32_MAX);
	io_write(&pio, UP + BUS(1), 4, UINT32_MAX);
	io_write(&pio, EJECT + 2, 4, UINT32_MAX);
	assert_int_equal(ejected[0] | ejected[1], 0);
	assert_int_equal(nrefused, 0);
	assert_int_equal(io_read(&pio, DOWN, 4), 1 << 5);
}

static void reset_forgets(void **state)
{
	(void)state;
	pci_hotplug_request_removal(&hp, 5);
	pci_hotplug_added(&hp, 6);
	pci_hotplug_reset(&hp);
	assert_int_equal(io_read(&pio, DOWN, 4), 0);
	assert_int_equal(io_read(&pio, UP, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(news_are_read_once, setup),
		cmocka_unit_test_setup(a_withdrawn_request_is_not_seen, setup),
		cmocka_unit_test_setup(each_slot_in_the_mask_is_ejected_but_the_host_bridge, setup),
		cmocka_unit_test_setup(a_failure_in_ost_is_a_refusal, setup),
		cmocka_unit_test_setup(each_bus_has_its_own_registers, setup),
		cmocka_unit_test_setup(odd_accesses_do_nothing, setup),
		cmocka_unit_test_setup(reset_forgets, setup),
	};

	return cmocka_run_group_tests_name("pci_hotplug", tests, NULL, NULL);
}
