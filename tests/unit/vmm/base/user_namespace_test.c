// SPDX-License-Identifier: Apache-2.0
// Maps of user namespaces, and that of this process.
#include "user_namespace.h"
#include "unit_test.h"

#include <string.h>
#include <unistd.h>

static FILE *map_of(const char *text)
{
	FILE *map = fmemopen((char *)text, strlen(text), "r");

	assert_non_null(map);
	return map;
}

static bool is_identity(const char *text)
{
	FILE *map = map_of(text);
	bool is = user_map_is_identity(map);

	fclose(map);
	return is;
}

static bool outside(const char *text, uint32_t inside, uint32_t *uid)
{
	FILE *map = map_of(text);
	bool found = user_map_outside(map, inside, uid);

	fclose(map);
	return found;
}

static void the_map_of_the_host_is_the_identity(void **state)
{
	(void)state;
	assert_true(is_identity("         0          0 4294967295\n"));
	assert_false(is_identity("         0       1000          1\n         1     100000      65536\n"));
	assert_false(is_identity("         0          0      65536\n"));
	assert_false(is_identity("         1          0 4294967295\n"));
	assert_false(is_identity("none\n"));
}

static void a_user_is_found_in_the_map(void **state)
{
	const char podman[] = "         0       1000          1\n         1     100000      65536\n";
	uint32_t uid = 7;

	(void)state;
	assert_true(outside(podman, 0, &uid));
	assert_int_equal(uid, 1000);
	assert_true(outside(podman, 1, &uid));
	assert_int_equal(uid, 100000);
	assert_true(outside(podman, 65536, &uid));
	assert_int_equal(uid, 165535);
	assert_false(outside(podman, 65537, &uid));
	assert_false(outside("x", 0, &uid));
	assert_int_equal(uid, 165535);
}

static void the_process_has_one(void **state)
{
	(void)state;
	if (user_namespace_is_initial())
		assert_int_equal(user_namespace_outer_uid(), geteuid());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_map_of_the_host_is_the_identity),
		cmocka_unit_test(a_user_is_found_in_the_map),
		cmocka_unit_test(the_process_has_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
