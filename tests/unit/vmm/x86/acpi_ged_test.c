// SPDX-License-Identifier: Apache-2.0
// Tests of the generic event device's register.
#include "acpi_ged.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "memory_map.h"

static struct io_space pio;
static struct acpi_ged ged;
static bool irq;

static void set_irq(void *owner, bool level)
{
	assert_ptr_equal(owner, &pio);
	assert_int_not_equal(level, irq);
	irq = level;
}

static int setup(void **state)
{
	(void)state;
	io_clear(&pio);
	ged = (struct acpi_ged) { .set_irq = set_irq, .owner = &pio };
	irq = false;
	return acpi_ged_attach(&ged, &pio);
}

static void event_raises_the_line_until_it_is_read(void **state)
{
	(void)state;
	acpi_ged_raise(&ged, ACPI_GED_POWER_BUTTON);
	assert_true(irq);
	assert_int_equal(io_read(&pio, GED_PORT, 1), 1);
	assert_false(irq);
	assert_int_equal(io_read(&pio, GED_PORT, 1), 0);
}

static void events_gather(void **state)
{
	(void)state;
	acpi_ged_raise(&ged, ACPI_GED_PCI_HOTPLUG);
	acpi_ged_raise(&ged, ACPI_GED_POWER_BUTTON);
	acpi_ged_raise(&ged, ACPI_GED_POWER_BUTTON);
	assert_true(irq);
	assert_int_equal(io_read(&pio, GED_PORT, 4), 3);
	assert_false(irq);
}

static void event_after_the_read_is_a_new_one(void **state)
{
	(void)state;
	acpi_ged_raise(&ged, ACPI_GED_POWER_BUTTON);
	io_read(&pio, GED_PORT, 1);
	acpi_ged_raise(&ged, ACPI_GED_PCI_HOTPLUG);
	assert_true(irq);
	assert_int_equal(io_read(&pio, GED_PORT, 1), 2);
}

static void only_the_first_byte_takes_events(void **state)
{
	(void)state;
	acpi_ged_raise(&ged, ACPI_GED_POWER_BUTTON);
	for (unsigned off = 1; off < GED_PORT_SIZE; off++)
		assert_int_equal(io_read(&pio, GED_PORT + off, 1), 0);
	io_write(&pio, GED_PORT, 4, 0xffffffff);
	assert_true(irq);
	assert_int_equal(io_read(&pio, GED_PORT, 1), 1);
}

static void reset_forgets(void **state)
{
	(void)state;
	acpi_ged_raise(&ged, ACPI_GED_POWER_BUTTON);
	acpi_ged_reset(&ged);
	assert_false(irq);
	assert_int_equal(io_read(&pio, GED_PORT, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(event_raises_the_line_until_it_is_read, setup),
		cmocka_unit_test_setup(events_gather, setup),
		cmocka_unit_test_setup(event_after_the_read_is_a_new_one, setup),
		cmocka_unit_test_setup(only_the_first_byte_takes_events, setup),
		cmocka_unit_test_setup(reset_forgets, setup),
	};

	return cmocka_run_group_tests_name("acpi_ged", tests, NULL, NULL);
}
