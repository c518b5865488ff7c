// SPDX-License-Identifier: Apache-2.0
// The schema is whole, it is the one that checks arguments, and every answer and event has the declared shape.
#include "schema.h"
#include "command.h"
#include "config.h"
#include "event.h"
#include "props.h"
#include "qmp_rig.h"
#include "unit_test.h"

#include <errno.h>
#include <stdlib.h>
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

static const char *str(struct json_object *obj, const char *key)
{
	struct json_object *val;

	assert_true(json_object_object_get_ex(obj, key, &val));
	assert_true(json_object_is_type(val, json_type_string));
	return json_object_get_string(val);
}

static struct json_object *find(struct json_object *list, const char *key, const char *value)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (!strcmp(str(json_object_array_get_idx(list, i), key), value))
			return json_object_array_get_idx(list, i);
	return NULL;
}

// ---- query-qmp-schema

static void expect_type(struct json_object *schema, const char *name, const char *meta_type)
{
	struct json_object *info = find(schema, "name", name);

	if (!info)
		fail_msg("type %s is referred to and does not exist", name);
	if (meta_type)
		assert_string_equal(str(info, "meta-type"), meta_type);
	else
		assert_true(strcmp(str(info, "meta-type"), "command") && strcmp(str(info, "meta-type"), "event"));
}

static void check_object(struct json_object *schema, struct json_object *info)
{
	struct json_object *members = json_object_object_get(info, "members");
	struct json_object *tag, *variants;

	for (size_t i = 0; i < json_object_array_length(members); i++) {
		struct json_object *member = json_object_array_get_idx(members, i);

		expect_type(schema, str(member, "type"), NULL);
		assert_ptr_equal(find(members, "name", str(member, "name")), member);
	}
	if (!json_object_object_get_ex(info, "tag", &tag))
		return;
	tag = find(members, "name", json_object_get_string(tag));
	assert_non_null(tag);
	expect_type(schema, str(tag, "type"), "enum");
	tag = find(schema, "name", str(tag, "type"));
	assert_true(json_object_object_get_ex(info, "variants", &variants));
	for (size_t i = 0; i < json_object_array_length(variants); i++) {
		struct json_object *variant = json_object_array_get_idx(variants, i);

		expect_type(schema, str(variant, "type"), "object");
		assert_non_null(find(json_object_object_get(tag, "members"), "name", str(variant, "case")));
	}
}

static void every_type_that_is_named_exists(void **state)
{
	struct json_object *schema = qmp_rig_run(*state, "query-qmp-schema", NULL);
	unsigned ncommands = 0, nevents = 0;

	assert_true(json_object_array_length(schema) > 50);
	for (size_t i = 0; i < json_object_array_length(schema); i++) {
		struct json_object *info = json_object_array_get_idx(schema, i);
		const char *meta_type = str(info, "meta-type");

		// Names are unique among types, commands and events.
		assert_ptr_equal(find(schema, "name", str(info, "name")), info);
		if (!strcmp(meta_type, "command")) {
			expect_type(schema, str(info, "arg-type"), "object");
			expect_type(schema, str(info, "ret-type"), NULL);
			ncommands++;
		} else if (!strcmp(meta_type, "event")) {
			expect_type(schema, str(info, "arg-type"), "object");
			nevents++;
		} else if (!strcmp(meta_type, "array")) {
			expect_type(schema, str(info, "element-type"), NULL);
		} else if (!strcmp(meta_type, "object")) {
			check_object(schema, info);
		} else if (!strcmp(meta_type, "enum")) {
			assert_true(json_object_array_length(json_object_object_get(info, "values")) > 0);
			assert_int_equal(json_object_array_length(json_object_object_get(info, "values")),
			                 json_object_array_length(json_object_object_get(info, "members")));
		} else {
			assert_string_equal(meta_type, "builtin");
		}
	}
	assert_int_equal(nevents, 18);
	assert_int_equal(nevents, event_count);
	assert_true(ncommands > 20);
	json_object_put(schema);
}

static void commands_and_events_are_those_of_the_schema(void **state)
{
	static const struct {
		const char *query, *meta_type;
	} cases[] = { { "query-commands", "command" }, { "query-events", "event" } };
	struct json_object *schema = qmp_rig_run(*state, "query-qmp-schema", NULL);

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct json_object *list = qmp_rig_run(*state, cases[i].query, NULL);
		size_t n = 0;

		for (size_t j = 0; j < json_object_array_length(list); j++)
			expect_type(schema, str(json_object_array_get_idx(list, j), "name"), cases[i].meta_type);
		for (size_t j = 0; j < json_object_array_length(schema); j++)
			n += !strcmp(str(json_object_array_get_idx(schema, j), "meta-type"), cases[i].meta_type);
		assert_int_equal(n, json_object_array_length(list));
		json_object_put(list);
	}
	json_object_put(schema);
}

static void the_commands_that_tools_ask_for_are_there(void **state)
{
	static const char *const names[] = {
		"object-add",
		"object-del",
		"device_add",
		"device_del",
		"netdev_add",
		"netdev_del",
		"set_link",
		"balloon",
		"query-balloon",
		"stop",
		"cont",
		"quit",
		"system_reset",
		"system_powerdown",
		"query-version",
		"query-status",
		"query-name",
		"query-uuid",
		"query-kvm",
		"query-accelerators",
		"query-cpus-fast",
		"query-stats",
		"query-stats-schemas",
		"query-pci",
		"query-memory-devices",
		"query-memdev",
		"query-memory-size-summary",
		"query-commands",
		"query-qmp-schema",
		"query-events",
		"device-list-properties",
		"qom-list",
		"qom-get",
		"qom-set",
		"qmp_capabilities",
		"human-monitor-command",
		"query-pmem",
		"query-vhost-user",
		"query-net-clients",
		"query-rx-filter",
		"query-vm-generation-id",
		"query-sandbox",
		"pmem_clear_error",
		"query-chardev",
		"chardev-add",
		"chardev-remove",
		"ringbuf-read",
		"ringbuf-write",
	};
	struct json_object *list = qmp_rig_run(*state, "query-commands", NULL);

	for (unsigned i = 0; i < COUNT(names); i++)
		if (!find(list, "name", names[i]))
			fail_msg("%s is missing", names[i]);
	assert_int_equal(json_object_array_length(list), COUNT(names));
	json_object_put(list);
}

static void object_add_shows_the_table_of_properties(void **state)
{
	struct json_object *schema = qmp_rig_run(*state, "query-qmp-schema", NULL);
	struct json_object *info = find(schema, "name", str(find(schema, "name", "object-add"), "arg-type"));
	struct json_object *variant = json_object_array_get_idx(json_object_object_get(info, "variants"), 0), *members;

	assert_string_equal(str(info, "tag"), "qom-type");
	assert_string_equal(str(variant, "case"), "memory-backend-file");
	members = json_object_object_get(find(schema, "name", str(variant, "type")), "members");
	assert_int_equal(json_object_array_length(members),
	                 memory_backend_class.nprops + memory_backend_file_class.nprops - 2);
	assert_string_equal(str(find(members, "name", "share"), "type"), "bool");
	assert_string_equal(str(find(members, "name", "size"), "type"), "int");
	assert_string_equal(str(find(members, "name", "host-nodes"), "type"), "[int]");
	assert_string_equal(str(find(members, "name", "policy"), "type"), "HostMemPolicy");
	assert_true(json_object_object_get_ex(find(members, "name", "size"), "default", NULL));
	assert_false(json_object_object_get_ex(find(members, "name", "mem-path"), "default", NULL));
	json_object_put(schema);
}

/* One name, one list of words: that of the schema is also the property table's. */
static void words_of_the_schema_are_those_of_the_table(void **state)
{
	struct json_object *schema = qmp_rig_run(*state, "query-qmp-schema", NULL);

	const struct prop *prop;

	for (unsigned k = 0; (prop = props_at(&memory_backend_file_class, k)); k++) {
		struct json_object *words;
		unsigned n = 0;

		if (prop->type != PROP_WORD)
			continue;
		words = json_object_object_get(find(schema, "name", props_type_name(prop)), "members");
		for (; prop->words[n]; n++)
			assert_non_null(find(words, "name", prop->words[n]));
		assert_int_equal(json_object_array_length(words), n);
	}
	json_object_put(schema);
}

// ---- answers and events have their shape

static void expect_shape(const struct schema_type *type, struct json_object *val, const char *what)
{
	struct vpmem_error err = { "", "" };

	if (schema_check(type, val, "", &err) < 0)
		fail_msg("%s: %s", what, err.text);
}

static const char *args_for(const struct command *cmd)
{
	static const struct {
		const char *name, *args;
	} cases[] = {
		{ "human-monitor-command", "{\"command-line\": \"x\"}" },
		{ "qom-list", "{\"path\": \"/\"}" },
		{ "qom-get", "{\"path\": \"/\", \"property\": \"type\"}" },
		{ "device-list-properties", "{\"typename\": \"virtio-pmem-pci\"}" },
		{ "chardev-add", "{\"id\": \"r\", \"backend\": {\"type\": \"ringbuf\", \"data\": {}}}" },
		{ "ringbuf-read", "{\"device\": \"r\", \"size\": 1}" },
		{ "query-rx-filter", "{}" },
		{ "query-stats", "{\"target\": \"vcpu\"}" },
		{ "query-stats-schemas", "{}" },
	};

	for (unsigned i = 0; i < COUNT(cases); i++)
		if (!strcmp(cases[i].name, cmd->name))
			return cases[i].args;
	assert_null(cmd->args);
	return NULL;
}

static void every_answer_has_the_declared_shape(void **state)
{
	struct qmp_rig *rig = *state;
	unsigned nchecked = 0;

	rig->fake->has_balloon = true;
	rig->fake->net = (struct net_info) { .netdev = "n0", .npairs = 1 };
	strcpy(rig->fake->m.vm_generation_id, "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87");
	json_object_put(qmp_rig_run(rig, "object-add",
	                            "{\"qom-type\": \"memory-backend-file\", \"id\": \"m1\", \"mem-path\": \"p\"}"));
	json_object_put(qmp_rig_run(rig, "object-add",
	                            "{\"qom-type\": \"memory-backend-file\", \"id\": \"m2\", \"mem-path\": \"p\"}"));
	json_object_put(qmp_rig_run(rig, "device_add", "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m1\"}"));
	json_object_put(qmp_rig_run(rig, "device_add",
	                            "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m2\", \"id\": \"nv1\"}"));
	// Everything that is optional is there in one of the two rounds.
	for (unsigned round = 0; round < 2; round++) {
		if (round == 1)
			rig->fake->stats = (struct vpmem_stats) { .error = -EIO, .sync_started_ns = 1 };
		for (unsigned i = 0; i < command_count; i++) {
			const struct command *cmd = command_table[i];
			struct json_object *ret;

			if (!cmd->ret)
				continue;
			ret = qmp_rig_run(rig, cmd->name, args_for(cmd));
			expect_shape(cmd->ret, ret, cmd->name);
			json_object_put(ret);
			nchecked++;
		}
		json_object_put(qmp_rig_run(rig, "chardev-remove", "{\"id\": \"r\"}"));
	}
	assert_true(nchecked >= 2 * 15);
}

/* Their id is not optional. */
static bool is_netdev(unsigned kind)
{
	return kind >= MACHINE_EVENT_NETDEV_STREAM_CONNECTED && kind <= MACHINE_EVENT_NETDEV_VHOST_USER_DISCONNECTED;
}

static void every_event_has_the_declared_shape(void **state)
{
	struct netdev_address addr = { .type = (char[]) { "unix" }, .path = (char[]) { "p" } };

	(void)state;
	for (unsigned i = 0; i < event_count; i++) {
		for (enum machine_cause cause = CAUSE_GUEST_RESET; cause <= CAUSE_HOST_ERROR; cause++) {
			struct machine_event event = { .kind = (enum machine_event_kind)i,
				                       .cause = cause,
				                       .path = "/p",
				                       .message = cause % 2 ? "why" : "",
				                       .device = cause % 2 || is_netdev(i) ? "d" : NULL,
				                       .chardev = "c",
				                       .address = &addr };
			struct json_object *json, *data;

			// A port without an id has no event.
			if (i == MACHINE_EVENT_VSERPORT_CHANGE)
				event.device = "p";
			json = monitor_event_json(&event);
			assert_string_equal(str(json, "event"), event_table[i].name);
			assert_true(json_object_object_get_ex(json, "data", &data) == !!event_table[i].data);
			if (event_table[i].data)
				expect_shape(event_table[i].data, data, event_table[i].name);
			json_object_put(json);
		}
	}
}

/* A cause or a state that is new in the machine must be in the schema. */
static void all_states_are_declared(void **state)
{
	struct qmp_rig *rig = *state;

	for (enum run_state s = RUN_STATE_PRELAUNCH; s <= RUN_STATE_SHUTDOWN; s++) {
		struct json_object *ret;

		rig->fake->m.run_state = s;
		ret = qmp_rig_run(rig, "query-status", NULL);
		expect_shape(command_find("query-status")->ret, ret, "query-status");
		json_object_put(ret);
	}
}

// ---- the check itself

static void values_are_compared_with_their_types(void **state)
{
	const struct schema_type *status = command_find("query-status")->ret;
	const struct schema_type *commands = command_find("query-commands")->ret;
	const struct schema_type *memory_devices = command_find("query-memory-devices")->ret;
	const struct schema_type *memory_size = command_find("query-memory-size-summary")->ret;
	const struct schema_type *device_add = command_find("device_add")->args;
	const struct {
		const struct schema_type *type;
		const char *val, *error;
	} cases[] = {
		{ &schema_str, "\"x\"", NULL },
		{ &schema_str, "1", "Invalid parameter type for 'v', expected: string" },
		{ &schema_str, "\"a\\u0000b\"", "Parameter 'v' expects a string without NUL" },
		{ &schema_any, "[{}]", NULL },
		{ &schema_any, "null", NULL },
		{ status, "{\"running\": true, \"status\": \"paused\"}", NULL },
		{ status, "{\"running\": 1, \"status\": \"paused\"}",
		  "Invalid parameter type for 'v.running', expected: boolean" },
		{ status, "{\"running\": true}", "Parameter 'v.status' is missing" },
		{ status, "{\"running\": true, \"status\": \"lost\"}",
		  "Parameter 'v.status' does not accept value 'lost'" },
		{ status, "{\"running\": true, \"status\": 7}",
		  "Invalid parameter type for 'v.status', expected: string" },
		{ status, "{\"running\": true, \"status\": \"paused\", \"x\": 1}", "Parameter 'v.x' is unexpected" },
		{ status, "[]", "Invalid parameter type for 'v', expected: object" },
		{ commands, "[{\"name\": \"x\"}, {}]", "Parameter 'v[1].name' is missing" },
		{ commands, "{}", "Invalid parameter type for 'v', expected: array" },
		{ memory_devices, "[{\"type\": \"virtio-pmem\"}]", "Parameter 'v[0].data' is missing" },
		{ memory_devices, "[{\"data\": {}}]", "Parameter 'v[0].type' is missing" },
		{ memory_devices,
		  "[{\"type\": \"virtio-pmem\", \"data\": {\"memaddr\": 1, \"size\": 2, \"memdev\": \"m\"}, \"z\": 1}]",
		  "Parameter 'v[0].z' is unexpected" },
		{ memory_size, "{\"base-memory\": 1.5}",
		  "Invalid parameter type for 'v.base-memory', expected: integer" },
		{ device_add, "{\"driver\": \"x\", \"anything\": []}", NULL },
		{ device_add, "{\"anything\": []}", "Parameter 'v.driver' is missing" },
		{ &schema_empty, "{\"a\": null}", "Parameter 'v.a' is unexpected" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct json_object *val = json_tokener_parse(cases[i].val);
		struct vpmem_error err = { "", "" };
		int rc = schema_check(cases[i].type, val, "v", &err);

		assert_int_equal(rc, cases[i].error ? -EINVAL : 0);
		assert_string_equal(err.text, cases[i].error ? cases[i].error : "");
		json_object_put(val);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		TEST(every_type_that_is_named_exists),
		TEST(commands_and_events_are_those_of_the_schema),
		TEST(the_commands_that_tools_ask_for_are_there),
		TEST(object_add_shows_the_table_of_properties),
		TEST(words_of_the_schema_are_those_of_the_table),
		TEST(every_answer_has_the_declared_shape),
		TEST(every_event_has_the_declared_shape),
		TEST(all_states_are_declared),
		cmocka_unit_test(values_are_compared_with_their_types),
	};

	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
