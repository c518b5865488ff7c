// SPDX-License-Identifier: Apache-2.0
// Requests of the host: each gets one answer, and what is wrong gets an error that names the member.
#include "agent_request.h"
#include "fake_container.h"
#include "unit_test.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static struct agent agent;

static int serve(const char *text)
{
	struct json_object *message = json_tokener_parse(text);
	struct vpmem_error err = { .text = "" };
	int rc;

	assert_non_null(message);
	fake_container_clear();
	rc = request_serve(&agent, message, &err);
	json_object_put(message);
	if (rc)
		assert_true(err.text[0] != '\0');
	return rc;
}

static const char *sent(void)
{
	assert_int_equal(fake_container.nsent, 1);
	return json_object_to_json_string_ext(fake_container.sent, JSON_C_TO_STRING_PLAIN);
}

#define PMEM "{\"pci\":\"0000:00:05.0\"}"
#define LAYERS "\"kind\":\"layers\",\"layers\":[" PMEM "]"
#define CREATE(rest) "{\"id\":1,\"do\":\"create\",\"config\":{\"process\":{}}," rest "}"
#define ROOT(rest) CREATE("\"share\":\"s\",\"rootfs\":{" rest "}")

static void good_requests_are_passed_on(void **state)
{
	static const struct {
		const char *text, *call;
	} cases[] = {
		{ ROOT("\"kind\":\"share\",\"path\":\"root\""), "create" },
		{ ROOT(LAYERS ",\"upper\":{\"kind\":\"none\"},\"options\":[\"metacopy=on\"]"), "create" },
		{ ROOT(LAYERS ",\"upper\":{\"kind\":\"pmem\",\"pci\":\"0000:ff:1f.7\"}"), "create" },
		{ ROOT(LAYERS ",\"upper\":{\"kind\":\"share\",\"upper\":\"root/diff\",\"work\":\"root/work/pmvm\"}"),
		  "create" },
		{ CREATE("\"rootfs\":{" LAYERS ",\"upper\":{\"kind\":\"none\"}},"
		         "\"mounts\":[{\"pci\":\"0000:00:08.0\",\"filesystem\":\"ext4\",\"readonly\":true}]"),
		  "create" },
		{ "{\"id\":2,\"do\":\"start\"}", "start" },
		{ "{\"id\":2,\"do\":\"network\",\"interfaces\":[]}", "network" },
		{ "{\"id\":2,\"do\":\"exec\",\"process\":\"exec-12\",\"spec\":{}}", "exec" },
		{ "{\"id\":2,\"do\":\"signal\",\"process\":\"init\",\"signal\":9,\"all\":true}", "signal_all" },
		{ "{\"id\":2,\"do\":\"update\",\"resources\":{}}", "update" },
		{ "{\"id\":2,\"do\":\"pause\",\"container\":1}", "pause" },
		{ "{\"id\":2,\"do\":\"resume\",\"container\":1}", "resume" },
		{ "{\"id\":2,\"do\":\"shutdown\"}", "shutdown" },
		{ "{\"id\":2,\"do\":\"remove\",\"container\":99999999}", "remove" },
		{ CREATE("\"container\":7,\"rootfs\":{" LAYERS ",\"upper\":{\"kind\":\"none\"}},"
		         "\"memory\":[{\"name\":\"cache\",\"size\":0,\"mode\":511,\"uid\":0,\"gid\":1}]"),
		  "create" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(serve(cases[i].text), 0);
		assert_string_equal(fake_container.last, cases[i].call);
	}
}

static void a_request_is_about_one_container(void **state)
{
	static const char *const verbs[] = { "start", "update\",\"resources\":{},\"x\":\"",
		                             "exec\",\"process\":\"exec-1\",\"spec\":{},\"x\":\"",
		                             "signal\",\"signal\":9,\"all\":true,\"x\":\"" };
	char text[160];

	(void)state;
	for (unsigned i = 0; i < COUNT(verbs); i++) {
		snprintf(text, sizeof(text), "{\"id\":1,\"container\":3,\"do\":\"%s\"}", verbs[i]);
		assert_int_equal(serve(text), 0);
		assert_int_equal(fake_container.ncalls, 1);
		assert_int_equal(fake_container.number, 3);
	}
	assert_int_equal(serve("{\"id\":1,\"do\":\"start\"}"), 0);
	assert_int_equal(fake_container.number, 0);
}

static void exec_in_a_control_group(void **state)
{
	(void)state;
	assert_int_equal(serve("{\"id\":1,\"do\":\"exec\",\"process\":\"exec-1\",\"spec\":{},\"cgroup\":\"/group\"}"),
	                 0);
	assert_string_equal(fake_container.cgroup, "/group");
	assert_int_equal(serve("{\"id\":1,\"do\":\"exec\",\"process\":\"exec-1\",\"spec\":{}}"), 0);
	assert_string_equal(fake_container.cgroup, "");
}

static void wrong_requests_get_an_error(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "{\"id\":1,\"do\":\"x\"}", "there is no request 'x'" },
		{ "{\"id\":1,\"do\":\"create\"}", "'config' is missing" },
		{ "{\"id\":1,\"do\":\"create\",\"config\":{}}", "'process' is missing" },
		{ CREATE("\"rootfs\":[]"), "'rootfs' is not of the type object" },
		{ ROOT("\"kind\":\"x\""), "'kind' of 'rootfs' is not share or layers" },
		{ ROOT("\"kind\":\"share\",\"path\":\"/root\""), "'path' is no path below the share" },
		{ ROOT("\"kind\":\"share\",\"path\":\"a/../..\""), "'path' is no path below the share" },
		{ ROOT("\"kind\":\"share\",\"path\":\"a//b\""), "'path' is no path below the share" },
		{ ROOT("\"kind\":\"share\",\"path\":\"a/.\""), "'path' is no path below the share" },
		{ ROOT("\"kind\":\"share\",\"path\":\"a,lowerdir=b\""), "'path' is no path below the share" },
		{ ROOT("\"kind\":\"share\",\"path\":\"a\\u0000b\""), "'path' has a NUL" },
		{ CREATE("\"rootfs\":{\"kind\":\"share\",\"path\":\"root\"}"), "'share' is missing" },
		{ ROOT("\"kind\":\"layers\",\"layers\":[]"), "'layers' has 0 elements" },
		{ ROOT("\"kind\":\"layers\",\"layers\":[1]"), "an element of 'layers' is not of the type object" },
		{ ROOT("\"kind\":\"layers\",\"layers\":[{\"pci\":\"0000:00:05.8\"}]"), "'pci' is no PCI address" },
		{ ROOT("\"kind\":\"layers\",\"layers\":[{\"pci\":\"0000:00:05.0/\"}]"), "'pci' is no PCI address" },
		{ ROOT(LAYERS), "'upper' is missing" },
		{ ROOT(LAYERS ",\"upper\":{\"kind\":\"x\"}"), "'kind' of 'upper' is not" },
		{ ROOT(LAYERS ",\"upper\":{\"kind\":\"share\",\"upper\":\"a\",\"work\":\"b:c\"}"),
		  "'work' is no path" },
		{ ROOT(LAYERS ",\"upper\":{\"kind\":\"none\"},\"options\":[\"lowerdir=/\"]"),
		  "an element of 'options' is not" },
		{ ROOT(LAYERS ",\"upper\":{\"kind\":\"none\"},\"options\":[null]"), "an element of 'options' is not" },
		{ CREATE("\"rootfs\":{" LAYERS ",\"upper\":{\"kind\":\"none\"}},\"mounts\":"
		         "[{\"pci\":\"0000:00:08.0\",\"filesystem\":\"xfs\"}]"),
		  "'filesystem' is not ext4 or erofs" },
		{ "{\"id\":1,\"do\":\"exec\",\"process\":\"exec-\",\"spec\":{}}", "'process' is not exec-N" },
		{ "{\"id\":1,\"do\":\"exec\",\"process\":\"exec-1234567890\",\"spec\":{}}", "'process' is not exec-N" },
		{ "{\"id\":1,\"do\":\"signal\",\"process\":\"init-1\",\"signal\":9}",
		  "'process' is not init or exec-N" },
		{ "{\"id\":1,\"container\":2,\"do\":\"signal\",\"process\":\"init\",\"signal\":9}",
		  "the process 'init' does not run" },
		{ "{\"id\":1,\"do\":\"remove\"}", "the first container ends with the guest" },
		{ "{\"id\":1,\"do\":\"start\",\"container\":100000000}", "'container' is not from 0 to 99999999" },
		{ "{\"id\":1,\"do\":\"start\",\"container\":-1}", "'container' is not from 0" },
		{ "{\"id\":1,\"do\":\"start\",\"container\":\"1\"}", "'container' is not of the type int" },
		{ CREATE("\"rootfs\":{" LAYERS ",\"upper\":{\"kind\":\"none\"}},\"memory\":"
		         "[{\"name\":\"../x\",\"size\":0,\"mode\":0,\"uid\":0,\"gid\":0}]"),
		  "'name' is no name of a volume" },
		{ CREATE("\"rootfs\":{" LAYERS ",\"upper\":{\"kind\":\"none\"}},\"memory\":"
		         "[{\"name\":\"x\",\"size\":-1,\"mode\":0,\"uid\":0,\"gid\":0}]"),
		  "'size' is not from 0" },
		{ "{\"id\":1,\"do\":\"exec\",\"process\":\"init\",\"spec\":{}}", "'process' is not exec-N" },
		{ "{\"id\":1,\"do\":\"exec\",\"process\":\"exec-1\",\"spec\":1}", "'spec' is not of the type object" },
		{ "{\"id\":1,\"do\":\"exec\",\"process\":\"exec-1\",\"spec\":{},\"cgroup\":\"\"}",
		  "'cgroup' is empty" },
		{ "{\"id\":1,\"do\":\"exec\",\"process\":\"exec-1\",\"spec\":{},\"cgroup\":1}",
		  "'cgroup' is not of the type string" },
		{ "{\"id\":1,\"do\":\"signal\",\"process\":\"init\",\"signal\":0}", "'signal' is not from 1 to 64" },
		{ "{\"id\":1,\"do\":\"signal\",\"process\":\"init\",\"signal\":9}", "the process 'init' does not run" },
		{ "{\"id\":1,\"do\":\"resize\",\"process\":\"init\",\"rows\":1,\"columns\":65536}",
		  "'columns' is not from 0" },
		{ "{\"id\":1,\"do\":\"resize\",\"process\":\"init\",\"rows\":1,\"columns\":1}", "'init' does not run" },
		{ "{\"id\":1,\"do\":\"ps\"}", "crun says no" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(serve(cases[i].text), 0);
		assert_int_equal(fake_container.ncalls, 0);
		assert_non_null(strstr(sent(), "{\"id\":1,\"error\":\""));
		if (!strstr(sent(), cases[i].error))
			fail_msg("%s: %s", cases[i].text, sent());
	}
}

static void what_can_be_answered_at_once(void **state)
{
	(void)state;
	assert_int_equal(serve("{\"id\":7,\"do\":\"network\"}"), 0);
	assert_string_equal(sent(), "{\"id\":7,\"ok\":{}}");
	assert_int_equal(serve("{\"id\":9223372036854775807,\"do\":\"stats\"}"), 0);
	assert_non_null(strstr(sent(), "{\"id\":9223372036854775807,\"ok\":{\"memory\":{"));
}

static void what_is_no_request_ends_the_connection(void **state)
{
	static const char *const cases[] = { "{}",
		                             "{\"id\":1}",
		                             "{\"do\":\"start\"}",
		                             "{\"id\":-1,\"do\":\"start\"}",
		                             "{\"id\":\"1\",\"do\":\"start\"}",
		                             "{\"id\":1,\"do\":2}" };

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(serve(cases[i]), -EBADMSG);
		assert_int_equal(fake_container.nsent, 0);
	}
}

static int clear(void **state)
{
	(void)state;
	fake_container_clear();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_requests_are_passed_on),
		cmocka_unit_test(a_request_is_about_one_container),
		cmocka_unit_test(exec_in_a_control_group),
		cmocka_unit_test(wrong_requests_get_an_error),
		cmocka_unit_test(what_can_be_answered_at_once),
		cmocka_unit_test(what_is_no_request_ends_the_connection),
	};

	return cmocka_run_group_tests_name("oci_request", tests, NULL, clear);
}
