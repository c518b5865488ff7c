// SPDX-License-Identifier: Apache-2.0
// Tests of the map of physical memory that the kernel gets.
#include "e820.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "memory_map.h"

static uint64_t ram_in(const struct e820_entry *map, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += map[i].type == E820_TYPE_RAM ? map[i].size : 0;
	return sum;
}

/* What is at an address: the entry that holds it, 0 if none. */
static unsigned type_at(const struct e820_entry *map, unsigned n, uint64_t gpa)
{
	for (unsigned i = 0; i < n; i++)
		if (gpa >= map[i].gpa && gpa - map[i].gpa < map[i].size)
			return map[i].type;
	return 0;
}

static const uint64_t sizes[] = { 128 * MIB, 3 * GIB - MIB, 3 * GIB, 3 * GIB + 2 * MIB, 5 * GIB, 100 * GIB };
#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

static void is_sorted_and_does_not_overlap(void **state)
{
	struct e820_entry map[E820_MAX];

	(void)state;
	for (unsigned s = 0; s < NSIZES; s++) {
		unsigned n = e820_build(sizes[s], map);

		assert_in_range(n, 1, E820_MAX);
		for (unsigned i = 0; i < n; i++)
			assert_true(map[i].size > 0);
		for (unsigned i = 1; i < n; i++)
			assert_true(map[i - 1].gpa + map[i - 1].size <= map[i].gpa);
	}
}

static void has_all_ram_but_the_bios_area(void **state)
{
	struct e820_entry map[E820_MAX];

	(void)state;
	for (unsigned s = 0; s < NSIZES; s++) {
		unsigned n = e820_build(sizes[s], map);

		assert_int_equal(ram_in(map, n), sizes[s] - (HIMEM_GPA - LOW_RAM_END));
	}
}

static void splits_ram_at_the_pci_hole(void **state)
{
	struct e820_entry map[E820_MAX];
	unsigned n = e820_build(3 * GIB, map);

	(void)state;
	assert_int_equal(type_at(map, n, RAM_LOW_MAX - 1), E820_TYPE_RAM);
	assert_int_equal(type_at(map, n, RAM_LOW_MAX), 0);
	assert_int_equal(type_at(map, n, RAM_HIGH_BASE), 0);
	n = e820_build(5 * GIB, map);
	assert_int_equal(type_at(map, n, RAM_LOW_MAX - 1), E820_TYPE_RAM);
	assert_int_equal(type_at(map, n, RAM_LOW_MAX), 0);
	assert_int_equal(type_at(map, n, RAM_HIGH_BASE), E820_TYPE_RAM);
	assert_int_equal(type_at(map, n, RAM_HIGH_BASE + 2 * GIB - 1), E820_TYPE_RAM);
	assert_int_equal(type_at(map, n, RAM_HIGH_BASE + 2 * GIB), 0);
}

static void reserves_what_is_not_for_the_kernel(void **state)
{
	struct e820_entry map[E820_MAX];
	unsigned n = e820_build(128 * MIB, map);

	(void)state;
	assert_int_equal(type_at(map, n, BOOT_PARAMS_GPA), E820_TYPE_RAM);
	assert_int_equal(type_at(map, n, LOW_RAM_END - 1), E820_TYPE_RAM);
	assert_int_equal(type_at(map, n, LOW_RAM_END), E820_TYPE_RESERVED);
	assert_int_equal(type_at(map, n, ACPI_GPA), E820_TYPE_RESERVED);
	assert_int_equal(type_at(map, n, RESET_VECTOR_GPA), E820_TYPE_RESERVED);
	assert_int_equal(type_at(map, n, HIMEM_GPA), E820_TYPE_RAM);
	assert_int_equal(type_at(map, n, PCI_ECAM_BASE), E820_TYPE_RESERVED);
	assert_int_equal(type_at(map, n, PCI_ECAM_BASE + PCI_ECAM_SIZE - 1), E820_TYPE_RESERVED);
	assert_int_equal(type_at(map, n, KVM_IDENTITY_MAP_GPA), E820_TYPE_RESERVED);
	assert_int_equal(type_at(map, n, KVM_TSS_GPA + KVM_TSS_SIZE - 1), E820_TYPE_RESERVED);
	assert_int_equal(type_at(map, n, PCI_MEM32_BASE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_sorted_and_does_not_overlap),
		cmocka_unit_test(has_all_ram_but_the_bios_area),
		cmocka_unit_test(splits_ram_at_the_pci_hole),
		cmocka_unit_test(reserves_what_is_not_for_the_kernel),
	};

	return cmocka_run_group_tests_name("e820", tests, NULL, NULL);
}
