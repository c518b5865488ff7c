// SPDX-License-Identifier: Apache-2.0
// The port of the host, on the kernel's command line; the lines of a cgroup's file.
#include "agent_boot.h"
#include "agent_cgroup.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>

static void the_port_is_a_word(void **state)
{
	static const struct {
		const char *cmdline;
		int rc;
		unsigned port;
	} cases[] = {
		{ "pmvm.port=5", 0, 5 },
		{ "quiet pmvm.port=4294967294 x\n", 0, 4294967294u },
		{ "xpmvm.port=1 pmvm.port=2", 0, 2 },
		{ "", -EINVAL, 0 },
		{ "xpmvm.port=1", -EINVAL, 0 },
		{ "pmvm.port=", -EINVAL, 0 },
		{ "pmvm.port= 5", -EINVAL, 0 },
		{ "pmvm.port=-1", -EINVAL, 0 },
		{ "pmvm.port=4294967295", -EINVAL, 0 },
		{ "pmvm.port=99999999999999999999999", -EINVAL, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct vpmem_error err = { .text = "" };
		unsigned port = 0;

		assert_int_equal(boot_port_of(cases[i].cmdline, &port, &err), cases[i].rc);
		assert_int_equal(port, cases[i].port);
		assert_int_equal(err.text[0] != '\0', cases[i].rc != 0);
	}
}

static void lines_become_members(void **state)
{
	char text[] = "low 0\noom_kill 18446744073709551615\nmax max\nalone\n\nlast 7";
	struct json_object *obj = json_object_new_object();

	(void)state;
	cgroup_add_lines(obj, text);
	assert_string_equal(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN),
	                    "{\"low\":0,\"oom_kill\":18446744073709551615,\"last\":7}");
	json_object_put(obj);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_port_is_a_word),
		cmocka_unit_test(lines_become_members),
	};

	return cmocka_run_group_tests_name("oci_boot", tests, NULL, NULL);
}
