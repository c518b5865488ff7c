// SPDX-License-Identifier: Apache-2.0
// The texts of sizes, times and rates, and that a line fits into every width.
#include "top_lines.h"
#include "unit_test.h"

#include <stdio.h>
#include <string.h>

static void expect_size(uint64_t bytes, const char *text)
{
	char buf[8];

	top_size(bytes, buf);
	assert_string_equal(buf, text);
	assert_true(strlen(buf) <= 5);
}

static void sizes(void **state)
{
	(void)state;
	expect_size(0, "0B");
	expect_size(999, "999B");
	expect_size(1000, "1.0K");
	expect_size(4096, "4.0K");
	expect_size(64 << 20, "64M");
	expect_size(UINT64_C(999) << 20, "999M");
	expect_size(UINT64_C(1000) << 20, "1.0G");
	expect_size(UINT64_C(1536) << 30, "1.5T");
	expect_size(TOP_UNKNOWN, "-");
	expect_size(TOP_UNKNOWN - 1, "16E");
}

static void expect_duration(double seconds, const char *text)
{
	char buf[16];

	top_duration(seconds, buf);
	assert_string_equal(buf, text);
	assert_true(strlen(buf) <= 6);
}

static void durations(void **state)
{
	(void)state;
	expect_duration(-1, "-");
	expect_duration(0, "0s");
	expect_duration(512e-9, "512ns");
	expect_duration(1.5e-6, "1.5us");
	expect_duration(0.0123, "12ms");
	expect_duration(0.9994, "999ms");
	expect_duration(0.9999, "1.0s");
	expect_duration(17.2, "17s");
	expect_duration(1e6, ">9999s");
}

static void expect_rate(double per_s, const char *text)
{
	char buf[16];

	top_rate(per_s, buf);
	assert_string_equal(buf, text);
	assert_true(strlen(buf) <= 7);
}

static void rates(void **state)
{
	(void)state;
	expect_rate(-1, "-");
	expect_rate(0, "0.0");
	expect_rate(9.94, "9.9");
	expect_rate(12345, "12345");
	expect_rate(123456, "123k");
	expect_rate(1e12, ">99999k");
}

static void lines_fit(void **state)
{
	struct top_device device = { .state = "internal-error!", .size = 1, .resident = TOP_UNKNOWN - 1 };
	struct top_machine machine = { .is_up = true, .cpu = 1e30, .memory = TOP_UNKNOWN - 1, .nvcpus = UINT32_MAX };
	const struct top_row rows[] = { { &machine, NULL }, { &machine, &device } };
	char line[TOP_WIDTH_MAX + 1];

	(void)state;
	memset(device.name, 'x', sizeof(device.name) - 1);
	memset(machine.name, 'x', sizeof(machine.name) - 1);
	device.allocated = TOP_UNKNOWN;
	device.flushes_per_s = device.p50_s = device.p99_s = 1e30;
	device.sync_errors = UINT64_MAX;
	for (unsigned width = 1; width <= TOP_WIDTH_MAX; width++) {
		for (unsigned i = 0; i < 2; i++) {
			top_line(&rows[i], width, line);
			assert_true(strlen(line) <= width);
			// The columns of a device add up.
			if (i == 1 && width <= 80)
				assert_int_equal(strlen(line), width);
		}
		top_title(width, line);
		assert_true(strlen(line) <= width);
	}
}

static void rows_of_a_view(void **state)
{
	struct top_device devices[3] = { { .is_hidden = false }, { .is_hidden = true }, { .is_hidden = false } };
	struct top_machine machines[] = { { .is_hidden = true, .devices = devices, .ndevices = 3 },
		                          { .devices = devices, .ndevices = 3 },
		                          { .is_hidden = false } };
	const struct top_view view = { .machines = machines, .n = 3 };
	struct top_row rows[8];
	unsigned total;

	(void)state;
	assert_int_equal(top_rows(&view, 0, rows, 8, &total), 4);
	assert_int_equal(total, 4);
	assert_ptr_equal(rows[0].machine, &machines[1]);
	assert_null(rows[0].device);
	assert_ptr_equal(rows[2].device, &devices[2]);
	assert_ptr_equal(rows[3].machine, &machines[2]);
	assert_int_equal(top_rows(&view, 1, rows, 2, &total), 2);
	assert_ptr_equal(rows[0].device, &devices[0]);
	assert_int_equal(total, 4);
	assert_int_equal(top_rows(&view, 4, rows, 2, &total), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),     cmocka_unit_test(durations),      cmocka_unit_test(rates),
		cmocka_unit_test(lines_fit), cmocka_unit_test(rows_of_a_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
