// SPDX-License-Identifier: Apache-2.0
/*
 * gmem_test.c - the one way from a guest-physical address to a pointer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "gmem.h"

#define GPA UINT64_C(0x100000)
#define SIZE UINT64_C(0x2000)

static uint8_t ram[SIZE] __attribute__((aligned(4096)));

static int setup(void **state)
{
	static struct gmem mem;

	gmem_init(&mem);
	*state = &mem;
	return gmem_add(&mem, GPA, SIZE, ram) == 0 ? 0 : -1;
}

static void finds_first_and_last_byte(void **state)
{
	assert_ptr_equal(gmem_hva(*state, GPA, 1), ram);
	assert_ptr_equal(gmem_hva(*state, GPA, SIZE), ram);
	assert_ptr_equal(gmem_hva(*state, GPA + SIZE - 1, 1), ram + SIZE - 1);
	assert_ptr_equal(gmem_hva(*state, GPA + 100, SIZE - 100), ram + 100);
}

static void refuses_what_is_not_wholly_inside(void **state)
{
	static const struct {
		uint64_t gpa, len;
	} outside[] = {
		{ GPA - 1, 1 },
		{ GPA - 1, 2 },
		{ GPA + SIZE, 1 },
		{ GPA + SIZE - 1, 2 },
		{ GPA, SIZE + 1 },
		{ GPA + 1, SIZE },
		{ GPA, UINT64_MAX },
		{ GPA + 1, UINT64_MAX },
		{ GPA + 1, 0 - GPA },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX, 2 },
		{ UINT64_MAX, UINT64_MAX },
		{ 0, 1 },
		{ 0, UINT64_MAX },
		{ 0, GPA + 1 },
	};

	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		assert_null(gmem_hva(*state, outside[i].gpa, outside[i].len));
}

static void refuses_length_zero(void **state)
{
	assert_null(gmem_hva(*state, GPA, 0));
	assert_null(gmem_hva(*state, GPA + SIZE, 0));
}

static void refuses_a_buffer_over_two_regions(void **state)
{
	static uint8_t other[SIZE] __attribute__((aligned(4096)));

	assert_int_equal(gmem_add(*state, GPA + SIZE, SIZE, other), 0);
	assert_ptr_equal(gmem_hva(*state, GPA + SIZE, SIZE), other);
	assert_null(gmem_hva(*state, GPA + SIZE - 1, 2));
}

static void refuses_bad_regions(void **state)
{
	assert_int_equal(gmem_add(*state, 0, 0, ram), -EINVAL);
	assert_int_equal(gmem_add(*state, UINT64_MAX - 0xfff, 0x1001, ram), -EINVAL);
	assert_int_equal(gmem_add(*state, 0, 0x1000, NULL), -EINVAL);
	assert_int_equal(gmem_add(*state, 8, 0x1000, ram), -EINVAL);
}

static void accepts_a_region_at_the_end_of_the_address_space(void **state)
{
	assert_int_equal(gmem_add(*state, UINT64_MAX - 0xfff, 0x1000, ram), 0);
	assert_ptr_equal(gmem_hva(*state, UINT64_MAX, 1), ram + 0xfff);
	assert_null(gmem_hva(*state, UINT64_MAX, 2));
	assert_ptr_equal(gmem_hva(*state, GPA, 1), ram);
}

static void refuses_overlaps(void **state)
{
	assert_int_equal(gmem_add(*state, GPA, SIZE, ram), -EEXIST);
	assert_int_equal(gmem_add(*state, GPA + SIZE - 16, 16, ram), -EEXIST);
	assert_int_equal(gmem_add(*state, GPA - 16, 32, ram), -EEXIST);
	assert_int_equal(gmem_add(*state, 0, UINT64_MAX, ram), -EEXIST);
	assert_int_equal(gmem_add(*state, GPA - 16, 16, ram), 0);
	assert_int_equal(gmem_add(*state, GPA + SIZE, 16, ram), 0);
}

static void has_room_for_16_regions(void **state)
{
	for (unsigned i = 1; i < 16; i++)
		assert_int_equal(gmem_add(*state, GPA + i * SIZE, SIZE, ram), 0);
	assert_int_equal(gmem_add(*state, GPA + 16 * SIZE, SIZE, ram), -ENOSPC);
	assert_ptr_equal(gmem_hva(*state, GPA + 15 * SIZE, SIZE), ram);
}

static void its_regions_can_be_read_one_by_one(void **state)
{
	static uint8_t other[16] __attribute__((aligned(16)));
	const struct gmem_region *region = gmem_region_at(*state, 0);

	assert_int_equal(gmem_add(*state, 0x10, sizeof(other), other), 0);
	assert_int_equal(region->gpa, GPA);
	assert_int_equal(region->size, SIZE);
	assert_ptr_equal(region->hva, ram);
	region = gmem_region_at(*state, 1);
	assert_int_equal(region->gpa, 0x10);
	assert_int_equal(region->size, sizeof(other));
	assert_ptr_equal(region->hva, other);
	assert_null(gmem_region_at(*state, 2));
	assert_null(gmem_region_at(*state, UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(finds_first_and_last_byte, setup),
		cmocka_unit_test_setup(refuses_what_is_not_wholly_inside, setup),
		cmocka_unit_test_setup(refuses_length_zero, setup),
		cmocka_unit_test_setup(refuses_a_buffer_over_two_regions, setup),
		cmocka_unit_test_setup(refuses_bad_regions, setup),
		cmocka_unit_test_setup(accepts_a_region_at_the_end_of_the_address_space, setup),
		cmocka_unit_test_setup(refuses_overlaps, setup),
		cmocka_unit_test_setup(has_room_for_16_regions, setup),
		cmocka_unit_test_setup(its_regions_can_be_read_one_by_one, setup),
	};

	return cmocka_run_group_tests_name("gmem", tests, NULL, NULL);
}
