// SPDX-License-Identifier: Apache-2.0
// The protocol: greeting, negotiation, requests that are wrong, ids, events, the pretty form.
#include "event.h"
#include "qmp_rig.h"
#include "unit_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GREETING                                                                          \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 8}, " \
	"\"package\": \"pmvm " VPMEM_VERSION "\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define ERROR(class, desc) "{\"error\": {\"class\": \"" class "\", \"desc\": \"" desc "\"}}"
#define EXPECTING ERROR("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'")

static int open_rig(void **state)
{
	static struct qmp_rig rig;

	qmp_rig_open(&rig, &qmp_front_end);
	*state = &rig;
	return 0;
}

static int start_rig(void **state)
{
	static struct qmp_rig rig;

	qmp_rig_start(&rig);
	*state = &rig;
	return 0;
}

static int close_rig(void **state)
{
	qmp_rig_close(*state);
	return 0;
}

static void greets(void **state)
{
	assert_string_equal(qmp_rig_output(*state), GREETING);
}

static void nothing_runs_before_negotiation(void **state)
{
	struct qmp_rig *rig = *state;

	qmp_rig_expect(rig, "{\"execute\": \"stop\"}", EXPECTING);
	qmp_rig_expect(rig, "{\"execute\": \"no-such\"}", EXPECTING);
	assert_string_equal(rig->fake->calls, "");
	qmp_rig_expect(rig, "{}", ERROR("GenericError", "QMP input lacks member 'execute'"));
	qmp_rig_expect(rig, "{'execute': 'qmp_capabilities'}", "{\"return\": {}}");
	qmp_rig_expect(rig, "{'execute': 'stop'}", "{\"return\": {}}");
	assert_string_equal(rig->fake->calls, "stop;");
}

static void negotiates_once(void **state)
{
	struct qmp_rig *rig = *state;

	qmp_rig_expect(rig, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"magic\"]}}",
	               ERROR("GenericError", "Parameter 'enable[0]' does not accept value 'magic'"));
	qmp_rig_expect(rig, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": \"oob\"}}",
	               ERROR("GenericError", "Invalid parameter type for 'enable', expected: array"));
	qmp_rig_expect(rig, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [1]}}",
	               ERROR("GenericError", "Invalid parameter type for 'enable[0]', expected: string"));
	qmp_rig_expect(rig, "{\"execute\": \"stop\"}", EXPECTING);
	qmp_rig_expect(rig, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": []}}", "{\"return\": {}}");
	qmp_rig_expect(rig, "{\"execute\": \"qmp_capabilities\"}",
	               ERROR("CommandNotFound", "Capabilities negotiation is already complete, command ignored"));
	qmp_rig_expect(rig, "{\"exec-oob\": \"stop\"}",
	               ERROR("GenericError", "QMP input member 'exec-oob' is unexpected"));
}

static void oob_is_offered_but_no_command_takes_it(void **state)
{
	struct qmp_rig *rig = *state;

	qmp_rig_expect(rig, "{\"exec-oob\": \"qmp_capabilities\"}",
	               ERROR("GenericError", "QMP input member 'exec-oob' is unexpected"));
	qmp_rig_expect(rig, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}",
	               "{\"return\": {}}");
	qmp_rig_expect(rig, "{\"exec-oob\": \"query-status\", \"id\": 7}",
	               "{\"id\": 7, \"error\": {\"class\": \"GenericError\", "
	               "\"desc\": \"The command query-status does not support OOB\"}}");
	qmp_rig_expect(rig, "{\"exec-oob\": \"foo\"}", ERROR("CommandNotFound", "The command foo has not been found"));
	qmp_rig_expect(rig, "{\"exec-oob\": \"stop\", \"execute\": \"stop\"}",
	               ERROR("GenericError", "QMP input member 'execute' clashes with 'exec-oob'"));
	qmp_rig_expect(rig, "{\"exec-oob\": 1}", ERROR("GenericError", "QMP input member 'exec-oob' must be a string"));
	assert_string_equal(rig->fake->calls, "");
}

static void wrong_requests_are_named(void **state)
{
	static const struct {
		const char *request, *reply;
	} cases[] = {
		{ "null\n", ERROR("GenericError", "QMP input must be a JSON object") },
		{ "[]", ERROR("GenericError", "QMP input must be a JSON object") },
		{ "\"stop\"", ERROR("GenericError", "QMP input must be a JSON object") },
		{ "5 ", ERROR("GenericError", "QMP input must be a JSON object") },
		{ "{}", ERROR("GenericError", "QMP input lacks member 'execute'") },
		{ "{\"arguments\": {}}", ERROR("GenericError", "QMP input lacks member 'execute'") },
		{ "{\"execute\": true}", ERROR("GenericError", "QMP input member 'execute' must be a string") },
		{ "{\"execute\": null}", ERROR("GenericError", "QMP input member 'execute' must be a string") },
		{ "{\"execute\": \"stop\", \"arguments\": []}",
		  ERROR("GenericError", "QMP input member 'arguments' must be an object") },
		{ "{\"execute\": \"stop\", \"arguments\": null}",
		  ERROR("GenericError", "QMP input member 'arguments' must be an object") },
		{ "{\"execute\": \"stop\", \"extra\": true}",
		  ERROR("GenericError", "QMP input member 'extra' is unexpected") },
		{ "{\"execute\": \"stop\", \"exec-oob\": \"stop\"}",
		  ERROR("GenericError", "QMP input member 'exec-oob' is unexpected") },
		{ "{\"execute\": \"foo\"}", ERROR("CommandNotFound", "The command foo has not been found") },
		{ "{\"execute\": \"\"}", ERROR("CommandNotFound", "The command  has not been found") },
		{ "{\"execute\": \"help\"}", ERROR("CommandNotFound", "The command help has not been found") },
		{ "{\"execute\": \"stop\", \"execute\": \"stop\"}",
		  ERROR("GenericError", "JSON parse error, duplicate key") },
		{ "{\"execute\": \"stop\"]\n", ERROR("GenericError", "JSON parse error, expected separator in dict") },
	};
	struct qmp_rig *rig = *state;

	for (unsigned i = 0; i < COUNT(cases); i++)
		qmp_rig_expect(rig, cases[i].request, cases[i].reply);
	assert_string_equal(rig->fake->calls, "");
	assert_string_equal(qmp_rig_ask(rig, "}\n"), ERROR("GenericError", "JSON parse error, expecting value") "\r\n");
}

static void a_hint_follows_the_text(void **state)
{
	struct qmp_rig *rig = *state;

	qmp_rig_expect(rig, "{\"execute\": \"device_add\", \"arguments\": {}}",
	               ERROR("GenericError",
	                     "Parameter 'driver' is missing (hint: for example virtio-pmem-pci,memdev=mem1)"));
	// One without a next step is QEMU's text alone.
	qmp_rig_expect(rig, "{\"execute\": \"device_del\", \"arguments\": {}}",
	               ERROR("GenericError", "Parameter 'id' is missing"));
}

static void ids_come_back(void **state)
{
	static const char *const ids[] = {
		"1",    "\"libvirt-1\"",        "null",  "true", "{\"a\": [1, {\"b\": null}]}", "[]", "1.5", "-7",
		"\"\"", "18446744073709551615", "1e999",
	};
	struct qmp_rig *rig = *state;
	char request[256], reply[256];

	for (unsigned i = 0; i < COUNT(ids); i++) {
		snprintf(request, sizeof(request), "{\"execute\": \"stop\", \"id\": %s}", ids[i]);
		snprintf(reply, sizeof(reply), "{\"return\": {}, \"id\": %s}", ids[i]);
		qmp_rig_expect(rig, request, reply);
		snprintf(request, sizeof(request), "{\"id\": %s, \"execute\": \"foo\"}", ids[i]);
		snprintf(reply, sizeof(reply),
		         "{\"id\": %s, \"error\": {\"class\": \"CommandNotFound\", "
		         "\"desc\": \"The command foo has not been found\"}}",
		         ids[i]);
		qmp_rig_expect(rig, request, reply);
		snprintf(request, sizeof(request), "{\"id\": %s}", ids[i]);
		snprintf(reply, sizeof(reply),
		         "{\"id\": %s, \"error\": {\"class\": \"GenericError\", "
		         "\"desc\": \"QMP input lacks member 'execute'\"}}",
		         ids[i]);
		qmp_rig_expect(rig, request, reply);
	}
}

static void requests_may_come_together_or_in_pieces(void **state)
{
	struct qmp_rig *rig = *state;
	const char *two = "{\"execute\":\"stop\",\"id\":1}{\"execute\":\"cont\",\"id\":2}\r\n";
	const char *replies = "{\"return\": {}, \"id\": 1}\r\n{\"return\": {}, \"id\": 2}\r\n";

	assert_string_equal(qmp_rig_ask(rig, two), replies);
	for (size_t i = 0; i < strlen(two); i++)
		rig->front_end->input(rig->state, (const uint8_t *)two + i, 1);
	assert_string_equal(qmp_rig_output(rig), replies);
	assert_string_equal(rig->fake->calls, "stop;cont;stop;cont;");
}

static void half_a_request_at_the_end_is_dropped(void **state)
{
	struct qmp_rig *rig = *state;

	assert_string_equal(qmp_rig_ask(rig, "{\"execute\": \"quit\""), "");
	assert_string_equal(rig->fake->calls, "");
}

// ---- events

static void send_event(struct qmp_rig *rig, const struct machine_event *event)
{
	struct json_object *json = monitor_event_json(event);
	struct text text = { 0 };

	assert_non_null(json);
	json_text_add(&text, json, false);
	text_add(&text, "", 1);
	rig->front_end->event(rig->state, text.buf);
	text_free(&text);
	json_object_put(json);
}

// What follows the timestamp, which is now.
static const char *after_timestamp(const char *text)
{
	long long seconds, microseconds;
	int len = 0;

	assert_int_equal(sscanf(text, "{\"timestamp\": {\"seconds\": %lld, \"microseconds\": %lld}, %n", &seconds,
	                        &microseconds, &len),
	                 2);
	assert_true(llabs(seconds - (long long)time(NULL)) < 3600);
	assert_in_range(microseconds, 0, 999999);
	return text + len;
}

static void events_are_sent(void **state)
{
	static const struct {
		struct machine_event event;
		const char *text;
	} cases[] = {
		{ { .kind = MACHINE_EVENT_STOP }, "\"event\": \"STOP\"}\r\n" },
		{ { .kind = MACHINE_EVENT_RESUME }, "\"event\": \"RESUME\"}\r\n" },
		{ { .kind = MACHINE_EVENT_POWERDOWN }, "\"event\": \"POWERDOWN\"}\r\n" },
		{ { .kind = MACHINE_EVENT_RESET, .cause = CAUSE_GUEST_RESET },
		  "\"event\": \"RESET\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n" },
		{ { .kind = MACHINE_EVENT_SHUTDOWN, .cause = CAUSE_HOST_QMP_QUIT },
		  "\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-quit\"}}\r\n" },
		{ { .kind = MACHINE_EVENT_BALLOON_CHANGE, .size = UINT64_C(5) << 30 },
		  "\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 5368709120}}\r\n" },
		{ { .kind = MACHINE_EVENT_DEVICE_DELETED, .path = "/machine/peripheral/nv1/virtio-backend" },
		  "\"event\": \"DEVICE_DELETED\", \"data\": "
		  "{\"path\": \"/machine/peripheral/nv1/virtio-backend\"}}\r\n" },
		{ { .kind = MACHINE_EVENT_DEVICE_DELETED, .device = "nv1", .path = "/machine/peripheral/nv1" },
		  "\"event\": \"DEVICE_DELETED\", \"data\": "
		  "{\"device\": \"nv1\", \"path\": \"/machine/peripheral/nv1\"}}\r\n" },
		{ { .kind = MACHINE_EVENT_NIC_RX_FILTER_CHANGED, .device = "net0", .path = "/machine/p" },
		  "\"event\": \"NIC_RX_FILTER_CHANGED\", \"data\": "
		  "{\"name\": \"net0\", \"path\": \"/machine/p\"}}\r\n" },
		{ { .kind = MACHINE_EVENT_DEVICE_UNPLUG_GUEST_ERROR,
		    .device = "nv1",
		    .path = "/machine/peripheral/nv1" },
		  "\"event\": \"DEVICE_UNPLUG_GUEST_ERROR\", \"data\": "
		  "{\"device\": \"nv1\", \"path\": \"/machine/peripheral/nv1\"}}\r\n" },
	};
	struct qmp_rig *rig = *state;

	for (unsigned i = 0; i < COUNT(cases); i++) {
		send_event(rig, &cases[i].event);
		assert_string_equal(after_timestamp(qmp_rig_output(rig)), cases[i].text);
	}
}

static void events_wait_for_negotiation(void **state)
{
	struct qmp_rig *rig = *state;

	qmp_rig_output(rig);
	send_event(rig, &(struct machine_event) { .kind = MACHINE_EVENT_STOP });
	assert_string_equal(qmp_rig_output(rig), "");
}

// ---- -qmp-pretty

static void pretty_is_the_same_on_many_lines(void **state)
{
	struct qmp_rig rig;

	(void)state;
	qmp_rig_open(&rig, &qmp_pretty_front_end);
	assert_string_equal(qmp_rig_output(&rig), "{\n"
	                                          "    \"QMP\": {\n"
	                                          "        \"version\": {\n"
	                                          "            \"qemu\": {\n"
	                                          "                \"micro\": 0,\n"
	                                          "                \"minor\": 2,\n"
	                                          "                \"major\": 8\n"
	                                          "            },\n"
	                                          "            \"package\": \"pmvm " VPMEM_VERSION "\"\n"
	                                          "        },\n"
	                                          "        \"capabilities\": [\n"
	                                          "            \"oob\"\n"
	                                          "        ]\n"
	                                          "    }\n"
	                                          "}\r\n");
	qmp_rig_expect(&rig, "{'execute': 'qmp_capabilities'}", "{\n    \"return\": {}\n}");
	rig.front_end->event(rig.state, "{\"event\": \"STOP\"}");
	assert_string_equal(qmp_rig_output(&rig), "{\n    \"event\": \"STOP\"\n}\r\n");
	qmp_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(greets, open_rig, close_rig),
		cmocka_unit_test_setup_teardown(events_wait_for_negotiation, open_rig, close_rig),
		cmocka_unit_test_setup_teardown(wrong_requests_are_named, start_rig, close_rig),
		cmocka_unit_test_setup_teardown(a_hint_follows_the_text, start_rig, close_rig),
		cmocka_unit_test_setup_teardown(ids_come_back, start_rig, close_rig),
		cmocka_unit_test_setup_teardown(requests_may_come_together_or_in_pieces, start_rig, close_rig),
		cmocka_unit_test_setup_teardown(half_a_request_at_the_end_is_dropped, start_rig, close_rig),
		cmocka_unit_test_setup_teardown(events_are_sent, start_rig, close_rig),
		cmocka_unit_test(pretty_is_the_same_on_many_lines),
	};
	const struct CMUnitTest negotiation[] = {
		cmocka_unit_test_setup_teardown(nothing_runs_before_negotiation, open_rig, close_rig),
		cmocka_unit_test_setup_teardown(negotiates_once, open_rig, close_rig),
		cmocka_unit_test_setup_teardown(oob_is_offered_but_no_command_takes_it, open_rig, close_rig),
	};
	int rc = cmocka_run_group_tests_name("qmp", tests, NULL, NULL);

	return rc ? rc : cmocka_run_group_tests_name("qmp negotiation", negotiation, NULL, NULL);
}
