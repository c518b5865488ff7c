// SPDX-License-Identifier: Apache-2.0
// Text that grows: any bytes, and one flag for "out of memory".
#include "text.h"
#include "unit_test.h"

#include <string.h>

static void appends_in_order(void **state)
{
	struct text text = { 0 };

	(void)state;
	assert_string_equal(text_str(&text), "");
	text_add(&text, "a\0b", 3);
	text_add_str(&text, "7-c");
	assert_int_equal(text.len, 6);
	assert_memory_equal(text_str(&text), "a\0b7-c", 7);
	assert_int_equal(text.len, 6);
	assert_false(text.failed);
	text_free(&text);
	assert_null(text.buf);
}

static void grows(void **state)
{
	struct text text = { 0 };
	char line[1000];

	(void)state;
	memset(line, 'x', sizeof(line));
	for (unsigned i = 0; i < 1000; i++)
		text_add(&text, line, sizeof(line));
	assert_int_equal(text.len, 1000 * sizeof(line));
	assert_int_equal(strlen(text_str(&text)), text.len);
	text_free(&text);
}

// The sanitizers would end the program where malloc returns NULL.
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

// What comes later is refused even if it would fit: there is no gap.
static void without_memory_it_takes_nothing_more(void **state)
{
	struct text text = { 0 };

	(void)state;
	text_add(&text, "kept", 4);
	text_add(&text, "", SIZE_MAX / 4);
	assert_true(text.failed);
	text_add(&text, "late", 4);
	assert_int_equal(text.len, 4);
	assert_null(text_str(&text));
	text_free(&text);
	assert_false(text.failed);
}

/* The days of leap years and around them, and the first and the last second of a day. */
static void a_time_is_a_date_in_utc(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000007Z " },          { 951782399, "2000-02-28T23:59:59.000007Z " },
		{ 951782400, "2000-02-29T00:00:00.000007Z " },  { 951868800, "2000-03-01T00:00:00.000007Z " },
		{ 1709164800, "2024-02-29T00:00:00.000007Z " }, { 1735689599, "2024-12-31T23:59:59.000007Z " },
		{ 1735689600, "2025-01-01T00:00:00.000007Z " }, { 4107542400, "2100-03-01T00:00:00.000007Z " },
	};
	char buf[40];

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(text_utc(buf, sizeof(buf), cases[i].seconds, 7), strlen(cases[i].text));
		assert_string_equal(buf, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_in_order),
		cmocka_unit_test(grows),
		cmocka_unit_test(without_memory_it_takes_nothing_more),
		cmocka_unit_test(a_time_is_a_date_in_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
