// SPDX-License-Identifier: Apache-2.0
// The table of all operations: each one fits a message, and is there once.
#include "machine_broker.h"
#include "unit_test.h"

#include <string.h>

static void test_each_operation_fits_a_message(void **state)
{
	(void)state;
	for (unsigned i = 0; i < machine_broker_nops; i++) {
		assert_true(machine_broker_ops[i]->in_size <= BROKER_DATA_MAX);
		assert_true(machine_broker_ops[i]->out_size <= BROKER_DATA_MAX);
		assert_non_null(machine_broker_ops[i]->serve);
	}
}

static void test_each_operation_is_there_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < machine_broker_nops; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(machine_broker_ops[i]->name, machine_broker_ops[j]->name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_operation_fits_a_message),
		cmocka_unit_test(test_each_operation_is_there_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
