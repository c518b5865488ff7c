// SPDX-License-Identifier: Apache-2.0
// Tests of the dispatch of guest accesses: io.c.
#include "io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>

#include <cmocka.h>

static struct {
	unsigned nreads, nwrites, width;
	uint64_t off, val;
} seen;

static uint64_t on_read(void *owner, uint64_t off, unsigned width)
{
	seen.nreads++;
	seen.off = off;
	seen.width = width;
	return *(uint64_t *)owner;
}

static void on_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	(void)owner;
	seen.nwrites++;
	seen.off = off;
	seen.width = width;
	seen.val = val;
}

static uint64_t low_value = 0x1111222233334444, high_value = 0x5555666677778888;

static struct io_region region(uint64_t base, uint64_t size, uint64_t *value)
{
	return (struct io_region) {
		.name = "r", .base = base, .size = size, .read = on_read, .write = on_write, .owner = value
	};
}

static int setup(void **state)
{
	static struct io_space space;
	struct io_region low = region(0x100, 0x10, &low_value), high = region(0x110, 0x8, &high_value);

	io_clear(&space);
	space.nunclaimed = 0;
	seen.nreads = seen.nwrites = 0;
	// The higher one first: the array has to sort.
	assert_int_equal(io_add(&space, &high), 0);
	assert_int_equal(io_add(&space, &low), 0);
	*state = &space;
	return 0;
}

static void claims_by_address(void **state)
{
	struct io_space *space = *state;

	assert_int_equal(io_read(space, 0x100, 8), low_value);
	assert_int_equal(io_read(space, 0x110, 8), high_value);
	assert_int_equal(seen.off, 0);
	assert_int_equal(io_read(space, 0x10f, 1), low_value & 0xff);
	assert_int_equal(seen.off, 0xf);
	assert_int_equal(seen.width, 1);
}

static void cuts_values_to_the_width(void **state)
{
	struct io_space *space = *state;

	assert_int_equal(io_read(space, 0x100, 2), low_value & 0xffff);
	assert_int_equal(io_read(space, 0x100, 4), low_value & 0xffffffff);
	io_write(space, 0x102, 2, 0xabcd1234);
	assert_int_equal(seen.val, 0x1234);
	assert_int_equal(seen.off, 2);
}

static void unclaimed_reads_ones_and_drops_writes(void **state)
{
	struct io_space *space = *state;

	assert_int_equal(io_read(space, 0xff, 1), 0xff);
	assert_int_equal(io_read(space, 0x118, 4), 0xffffffff);
	assert_int_equal(io_read(space, UINT64_MAX, 8), UINT64_MAX);
	io_write(space, 0x118, 4, 1);
	assert_int_equal(seen.nreads + seen.nwrites, 0);
	assert_int_equal(space->nunclaimed, 4);
}

static void refuses_what_no_region_holds_wholly(void **state)
{
	struct io_space *space = *state;

	assert_int_equal(io_read(space, 0x10e, 4), 0xffffffff); // low into high
	assert_int_equal(io_read(space, 0x114, 8), UINT64_MAX); // beyond high
	assert_int_equal(io_read(space, 0xfe, 4), 0xffffffff);  // hole into low
	assert_int_equal(seen.nreads, 0);
}

static void refuses_odd_widths(void **state)
{
	struct io_space *space = *state;
	const unsigned widths[] = { 0, 3, 5, 6, 7, 16 };

	for (unsigned i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		io_read(space, 0x100, widths[i]);
		io_write(space, 0x100, widths[i], 0);
	}
	assert_int_equal(seen.nreads + seen.nwrites, 0);
}

static void refuses_overlap_and_wrap(void **state)
{
	struct io_space *space = *state;
	const struct {
		uint64_t base, size;
		int rc;
	} cases[] = {
		{ 0xf8, 9, -EEXIST },  { 0x108, 1, -EEXIST },      { 0x117, 4, -EEXIST }, { 0, UINT64_MAX, -EEXIST },
		{ 0x200, 0, -EINVAL }, { UINT64_MAX, 2, -EINVAL }, { 0xf8, 8, 0 },        { 0x118, 8, 0 },
		{ UINT64_MAX, 1, 0 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct io_region r = region(cases[i].base, cases[i].size, &low_value);

		assert_int_equal(io_add(space, &r), cases[i].rc);
	}
	assert_int_equal(io_read(space, UINT64_MAX, 1), low_value & 0xff);
}

static void removes(void **state)
{
	struct io_space *space = *state;

	assert_int_equal(io_remove(space, 0x104), -ENOENT);
	assert_int_equal(io_remove(space, 0x100), 0);
	assert_int_equal(io_read(space, 0x100, 1), 0xff);
	assert_int_equal(io_read(space, 0x110, 8), high_value);
	assert_int_equal(io_remove(space, 0x100), -ENOENT);
}

static void fills_up(void **state)
{
	struct io_space *space = *state;
	struct io_region r;

	for (unsigned i = space->nregions; i < IO_REGIONS_MAX; i++) {
		r = region(0x10000 - 2 * i, 1, &low_value);
		assert_int_equal(io_add(space, &r), 0);
	}
	r = region(0x20000, 1, &low_value);
	assert_int_equal(io_add(space, &r), -ENOSPC);
	// The last one in the array, and what lies behind it.
	assert_int_equal(io_read(space, 0x10000 - 4, 1), low_value & 0xff);
	assert_int_equal(io_read(space, 0x30000, 1), 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(claims_by_address, setup),
		cmocka_unit_test_setup(cuts_values_to_the_width, setup),
		cmocka_unit_test_setup(unclaimed_reads_ones_and_drops_writes, setup),
		cmocka_unit_test_setup(refuses_what_no_region_holds_wholly, setup),
		cmocka_unit_test_setup(refuses_odd_widths, setup),
		cmocka_unit_test_setup(refuses_overlap_and_wrap, setup),
		cmocka_unit_test_setup(removes, setup),
		cmocka_unit_test_setup(fills_up, setup),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
