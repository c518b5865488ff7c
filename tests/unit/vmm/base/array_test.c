// SPDX-License-Identifier: Apache-2.0
// Arrays that grow: the room is there whatever was added and removed before. The sanitizer sees a lack of it.
#include "array.h"
#include "unit_test.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

struct numbers {
	uint64_t *items;
	unsigned n;
};

static void add(struct numbers *numbers, uint64_t number)
{
	assert_int_equal(array_room(&numbers->items, numbers->n, sizeof(numbers->items[0])), 0);
	assert_true(malloc_usable_size(numbers->items) >= (numbers->n + 1) * sizeof(numbers->items[0]));
	numbers->items[numbers->n++] = number;
}

static void remove_at(struct numbers *numbers, unsigned idx)
{
	array_remove(numbers->items, &numbers->n, sizeof(numbers->items[0]), idx);
}

static void keeps_what_was_added(void **state)
{
	struct numbers numbers = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		add(&numbers, i);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(numbers.items[i], i);
	assert_true(malloc_usable_size(numbers.items) < 2 * 1024 * sizeof(numbers.items[0]));
	free(numbers.items);
}

static void keeps_the_order_of_the_others(void **state)
{
	struct numbers numbers = { 0 };

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		add(&numbers, i);
	remove_at(&numbers, 4);
	remove_at(&numbers, 0);
	remove_at(&numbers, 1);
	assert_int_equal(numbers.n, 2);
	assert_int_equal(numbers.items[0], 1);
	assert_int_equal(numbers.items[1], 3);
	free(numbers.items);
}

// Down to each count, and up again over the next powers of two.
static void grows_again_after_it_shrank(void **state)
{
	struct numbers numbers = { 0 };

	(void)state;
	for (unsigned least = 20; least-- > 0;) {
		while (numbers.n < 40)
			add(&numbers, numbers.n);
		while (numbers.n > least)
			remove_at(&numbers, numbers.n - 1);
	}
	for (unsigned i = 0; i < 40; i++)
		add(&numbers, i);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(numbers.items[i], i);
	free(numbers.items);
}

// The sanitizers would end the program where realloc returns NULL.
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

static void refuses_what_no_memory_can_hold(void **state)
{
	struct numbers numbers = { 0 };

	(void)state;
	add(&numbers, 7);
	assert_int_equal(array_room(&numbers.items, 1u << 31, SIZE_MAX / 2), -ENOMEM);
	assert_int_equal(numbers.items[0], 7);
	free(numbers.items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_was_added),
		cmocka_unit_test(keeps_the_order_of_the_others),
		cmocka_unit_test(grows_again_after_it_shrank),
		cmocka_unit_test(refuses_what_no_memory_can_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
