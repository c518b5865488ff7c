// SPDX-License-Identifier: Apache-2.0
// Tests of the ports for power-off and reset.
#include "acpi_pm.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "memory_map.h"

#define SLEEP_CONTROL (ACPI_PORT + ACPI_SLEEP_CONTROL_OFF)
#define SLEEP_STATUS (ACPI_PORT + ACPI_SLEEP_STATUS_OFF)
#define RESET (ACPI_PORT + ACPI_RESET_OFF)
#define SLP_EN 0x20u

static struct io_space pio;
static struct acpi_pm pm;
static unsigned noffs, nresets;

static void power_off(void *owner)
{
	assert_ptr_equal(owner, &pio);
	noffs++;
}

static void reset(void *owner)
{
	assert_ptr_equal(owner, &pio);
	nresets++;
}

static int setup(void **state)
{
	(void)state;
	io_clear(&pio);
	pm = (struct acpi_pm) { .power_off = power_off, .reset = reset, .owner = &pio };
	noffs = nresets = 0;
	return acpi_pm_attach(&pm, &pio);
}

static void sleep_state_5_powers_off(void **state)
{
	(void)state;
	io_write(&pio, SLEEP_CONTROL, 1, ACPI_SLP_TYP_S5 << 2 | SLP_EN);
	assert_int_equal(noffs, 1);
	assert_int_equal(nresets, 0);
}

static void nothing_else_powers_off(void **state)
{
	(void)state;
	for (unsigned val = 0; val < 256; val++)
		if ((val & SLP_EN) == 0 || (val >> 2 & 7) != ACPI_SLP_TYP_S5)
			io_write(&pio, SLEEP_CONTROL, 1, val);
	io_write(&pio, SLEEP_STATUS, 1, ACPI_SLP_TYP_S5 << 2 | SLP_EN);
	io_write(&pio, ACPI_PORT + 3, 1, ACPI_SLP_TYP_S5 << 2 | SLP_EN);
	assert_int_equal(noffs, 0);
	assert_int_equal(nresets, 0);
}

static void reset_register_resets(void **state)
{
	(void)state;
	for (unsigned val = 0; val < 256; val++)
		io_write(&pio, RESET, 1, val);
	assert_int_equal(nresets, 1);
	io_write(&pio, RESET, 1, ACPI_RESET_VALUE);
	assert_int_equal(nresets, 2);
	assert_int_equal(noffs, 0);
}

static void wide_writes_reach_each_register(void **state)
{
	(void)state;
	io_write(&pio, ACPI_PORT, 4, (uint64_t)ACPI_RESET_VALUE << 16);
	assert_int_equal(nresets, 1);
	io_write(&pio, ACPI_PORT, 2, ACPI_SLP_TYP_S5 << 2 | SLP_EN);
	assert_int_equal(noffs, 1);
}

static void keyboard_controller_resets(void **state)
{
	(void)state;
	for (unsigned val = 0; val < 256; val++)
		io_write(&pio, I8042_PORT, 1, val);
	assert_int_equal(nresets, 1);
	assert_int_equal(noffs, 0);
}

static void registers_read_as_idle_and_the_keyboard_controller_as_absent(void **state)
{
	(void)state;
	assert_int_equal(io_read(&pio, ACPI_PORT, 4), 0);
	assert_int_equal(io_read(&pio, I8042_PORT, 1), 0xff);
	assert_int_equal(io_read(&pio, 0x60, 1), 0xff);
	assert_int_equal(noffs + nresets, 0);
}

static void attaches_wholly_or_not_at_all(void **state)
{
	struct io_region squatter = { .name = "x", .base = I8042_PORT, .size = 1 };

	(void)state;
	io_clear(&pio);
	assert_int_equal(io_add(&pio, &squatter), 0);
	assert_int_equal(acpi_pm_attach(&pm, &pio), -EEXIST);
	assert_int_equal(pio.nregions, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sleep_state_5_powers_off, setup),
		cmocka_unit_test_setup(nothing_else_powers_off, setup),
		cmocka_unit_test_setup(reset_register_resets, setup),
		cmocka_unit_test_setup(wide_writes_reach_each_register, setup),
		cmocka_unit_test_setup(keyboard_controller_resets, setup),
		cmocka_unit_test_setup(registers_read_as_idle_and_the_keyboard_controller_as_absent, setup),
		cmocka_unit_test_setup(attaches_wholly_or_not_at_all, setup),
	};

	return cmocka_run_group_tests_name("acpi_pm", tests, NULL, NULL);
}
