// SPDX-License-Identifier: Apache-2.0
// The commands of character devices: chardev-add in QMP's form, query-chardev, and the contents of ring buffers.
#include "qmp_rig.h"
#include "unit_test.h"

#include <stdio.h>
#include <string.h>

static int start(void **state)
{
	static struct qmp_rig rig;

	qmp_rig_start(&rig);
	*state = &rig;
	return 0;
}

static int end(void **state)
{
	qmp_rig_close(*state);
	return 0;
}

static void run(struct qmp_rig *rig, const char *command, const char *args, const char *expected)
{
	struct json_object *ret = qmp_rig_run(rig, command, args);
	struct text text = { 0 };

	json_text_add(&text, ret, false);
	text_add(&text, "", 1);
	assert_string_equal(text.buf, expected);
	text_free(&text);
	json_object_put(ret);
}

#define ADD(type, data) "{\"id\": \"c\", \"backend\": {\"type\": \"" type "\", \"data\": {" data "}}}"
#define SOCKET(type, addr, more) ADD("socket", "\"addr\": {\"type\": \"" type "\", \"data\": {" addr "}}" more)

static void backends_have_qmps_form(void **state)
{
	static const struct {
		const char *args, *calls;
	} cases[] = {
		{ ADD("null", ""), "0  0;" },
		{ ADD("stdio", ""), "1  flag 0;" },
		{ ADD("stdio", "\"signal\": false"), "1  0;" },
		{ ADD("file", "\"out\": \"f\", \"append\": true"), "2 f flag 0;" },
		{ ADD("pty", ""), "4  0;" },
		{ ADD("ringbuf", "\"size\": 4096"), "5  0;" },
		{ ADD("memory", ""), "5  0;" },
		// A socket listens, and nobody is awaited.
		{ SOCKET("unix", "\"path\": \"p\"", ""), "3 p server 0;" },
		{ SOCKET("unix", "\"path\": \"p\"", ", \"wait\": true"), "3 p server wait 0;" },
		{ SOCKET("unix", "\"path\": \"p\"", ", \"server\": false, \"reconnect\": 2"), "3 p 2000;" },
		{ SOCKET("inet", "\"host\": \"\", \"port\": \"12\"", ""), "3 12 server 0;" },
		{ SOCKET("fd", "\"str\": \"7\"", ", \"server\": false"), "3 7 0;" },
	};
	struct qmp_rig *rig = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig->fake->calls[0] = '\0';
		run(rig, "chardev-add", cases[i].args, "{}");
		assert_string_equal(rig->fake->calls, cases[i].calls);
		run(rig, "chardev-remove", "{\"id\": \"c\"}", "{}");
	}
}

static void errors_are_qemus(void **state)
{
	static const struct {
		const char *command, *args, *desc;
	} cases[] = {
		{ "chardev-add", "{}", "Parameter 'id' is missing" },
		{ "chardev-add", "{\"id\": \"c\"}", "Parameter 'backend' is missing" },
		{ "chardev-add", "{\"id\": \"c\", \"backend\": 1}",
		  "Invalid parameter type for 'backend', expected: object" },
		{ "chardev-add", "{\"id\": \"c\", \"backend\": {\"type\": \"foo\"}}",
		  "Parameter 'backend.type' does not accept value 'foo'" },
		{ "chardev-add", "{\"id\": \"c\", \"backend\": {\"type\": \"null\"}}",
		  "Parameter 'backend.data' is missing" },
		{ "chardev-add", ADD("null", "\"x\": 1"), "Parameter 'backend.data.x' is unexpected" },
		{ "chardev-add", ADD("file", ""), "Parameter 'backend.data.out' is missing" },
		{ "chardev-add", ADD("socket", ""), "Parameter 'backend.data.addr' is missing" },
		{ "chardev-add", SOCKET("unix", "\"path\": \"p\"", ", \"reconnect\": 1"),
		  "'reconnect' option is incompatible with socket in server listen mode" },
		{ "chardev-add", "{\"id\": \"c\", \"x\": 1, \"backend\": {\"type\": \"null\", \"data\": {}}}",
		  "Parameter 'x' is unexpected" },
		{ "chardev-remove", "{\"id\": \"nope\"}", "Chardev 'nope' not found" },
		{ "ringbuf-write", "{\"device\": \"nope\", \"data\": \"\"}", "Device 'nope' not found" },
		{ "ringbuf-read", "{\"device\": \"n\", \"size\": 1}", "n is not a ringbuf device" },
		{ "ringbuf-read", "{\"device\": \"r\", \"size\": 0}", "size must be greater than zero" },
		{ "ringbuf-write", "{\"device\": \"r\", \"data\": \"abc\", \"format\": \"base64\"}",
		  "Base64 data 'abc' is not valid" },
		{ "chardev-add", "{\"id\": \"n\", \"backend\": {\"type\": \"null\", \"data\": {}}}",
		  "attempt to add duplicate property 'n' to object (type 'container')" },
	};
	struct qmp_rig *rig = *state;

	run(rig, "chardev-add", "{\"id\": \"n\", \"backend\": {\"type\": \"null\", \"data\": {}}}", "{}");
	run(rig, "chardev-add", "{\"id\": \"r\", \"backend\": {\"type\": \"ringbuf\", \"data\": {}}}", "{}");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		qmp_rig_expect_error(rig, cases[i].command, cases[i].args, "GenericError", cases[i].desc);
}

static void a_ring_is_read_and_written(void **state)
{
	struct qmp_rig *rig = *state;

	run(rig, "chardev-add", ADD("ringbuf", "\"size\": 8"), "{}");
	run(rig, "ringbuf-read", "{\"device\": \"c\", \"size\": 100}", "\"\"");
	run(rig, "ringbuf-write", "{\"device\": \"c\", \"data\": \"abcdefghij\"}", "{}");
	run(rig, "ringbuf-read", "{\"device\": \"c\", \"size\": 2}", "\"cd\"");
	run(rig, "ringbuf-read", "{\"device\": \"c\", \"size\": 100, \"format\": \"base64\"}", "\"ZWZnaGlq\"");
	run(rig, "ringbuf-write", "{\"device\": \"c\", \"data\": \"YQD/\", \"format\": \"base64\"}", "{}");
	run(rig, "ringbuf-read", "{\"device\": \"c\", \"size\": 100, \"format\": \"base64\"}", "\"YQD/\"");
	// Bytes that are not UTF-8.
	run(rig, "ringbuf-write", "{\"device\": \"c\", \"data\": \"Yf9i\", \"format\": \"base64\"}", "{}");
	run(rig, "ringbuf-read", "{\"device\": \"c\", \"size\": 100, \"format\": \"utf8\"}", "\"a\\uFFFDb\"");
}

static void chardevs_are_listed(void **state)
{
	struct qmp_rig *rig = *state;

	run(rig, "query-chardev", NULL, "[]");
	run(rig, "chardev-add", ADD("ringbuf", ""), "{}");
	run(rig, "chardev-add", "{\"id\": \"d\", \"backend\": {\"type\": \"null\", \"data\": {}}}", "{}");
	run(rig, "query-chardev", NULL,
	    "[{\"frontend-open\": false, \"filename\": \"ringbuf\", \"label\": \"c\"}, "
	    "{\"frontend-open\": false, \"filename\": \"null\", \"label\": \"d\"}]");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		TEST(backends_have_qmps_form),
		TEST(errors_are_qemus),
		TEST(a_ring_is_read_and_written),
		TEST(chardevs_are_listed),
	};

	return cmocka_run_group_tests_name("commands of chardevs", tests, NULL, NULL);
}
