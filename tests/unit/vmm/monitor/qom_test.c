// SPDX-License-Identifier: Apache-2.0
// The tree of objects: what is in it, what its properties are, and what is not there.
#include "config.h"
#include "props.h"
#include "qmp_rig.h"
#include "unit_test.h"

#include <stdio.h>
#include <string.h>

static int start(void **state)
{
	static struct qmp_rig rig;

	qmp_rig_start(&rig);
	json_object_put(qmp_rig_run(&rig, "object-add",
	                            "{\"qom-type\": \"memory-backend-file\", \"id\": \"m1\", \"mem-path\": \"p.img\", "
	                            "\"share\": true, \"host-nodes\": [1, 63], \"policy\": \"bind\"}"));
	json_object_put(
		qmp_rig_run(&rig, "object-add",
	                    "{\"qom-type\": \"memory-backend-file\", \"id\": \"m2\", \"mem-path\": \"q.img\"}"));
	json_object_put(qmp_rig_run(&rig, "device_add",
	                            "{\"driver\": \"virtio-pmem-pci\", \"id\": \"nv1\", \"memdev\": \"m1\"}"));
	json_object_put(qmp_rig_run(&rig, "device_add",
	                            "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m2\", \"event_idx\": \"off\"}"));
	*state = &rig;
	return 0;
}

static int end(void **state)
{
	qmp_rig_close(*state);
	return 0;
}

static struct json_object *list(struct qmp_rig *rig, const char *path)
{
	char args[256];

	snprintf(args, sizeof(args), "{\"path\": \"%s\"}", path);
	return qmp_rig_run(rig, "qom-list", args);
}

// "name:type " for each property, in order.
static void expect_list(struct qmp_rig *rig, const char *path, const char *expected)
{
	struct json_object *properties = list(rig, path);
	char text[1024] = "";

	for (size_t i = 0; i < json_object_array_length(properties); i++) {
		struct json_object *property = json_object_array_get_idx(properties, i);
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s:%s ",
		         json_object_get_string(json_object_object_get(property, "name")),
		         json_object_get_string(json_object_object_get(property, "type")));
		assert_false(json_object_object_get_ex(property, "value", NULL));
	}
	assert_string_equal(text, expected);
	json_object_put(properties);
}

static void expect_property(struct qmp_rig *rig, const char *path, const char *property, const char *expected)
{
	char args[256];
	struct json_object *val;

	snprintf(args, sizeof(args), "{\"path\": \"%s\", \"property\": \"%s\"}", path, property);
	val = qmp_rig_run(rig, "qom-get", args);
	assert_string_equal(
		json_object_to_json_string_ext(val, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), expected);
	json_object_put(val);
}

static void the_tree_has_these_branches(void **state)
{
	expect_list(*state, "/", "type:string objects:child<container> machine:child<pmvm-machine> ");
	expect_list(*state, "/objects", "type:string m1:child<memory-backend-file> m2:child<memory-backend-file> ");
	expect_list(*state, "/machine",
	            "type:string peripheral:child<container> peripheral-anon:child<container> "
	            "unattached:child<container> ");
	expect_list(*state, "/machine/peripheral", "type:string nv1:child<virtio-pmem-pci> ");
	expect_list(*state, "/machine/peripheral-anon", "type:string device[0]:child<virtio-pmem-pci> ");
	expect_list(*state, "/machine/unattached",
	            "type:string device[0]:child<host-x86_64-cpu> device[1]:child<host-x86_64-cpu> ");
	expect_list(*state, "/machine/unattached/device[1]", "type:string ");
	expect_list(*state, "/machine/peripheral/nv1/virtio-backend",
	            "type:string event_idx:bool indirect_desc:bool memaddr:uint64 memdev:link<memory-backend> "
	            "queue_reset:bool guest-stats:guest statistics realized:bool ");
}

/* From the root, every child that is listed can be listed, and every property read. */
static unsigned walk(struct qmp_rig *rig, const char *path)
{
	struct json_object *properties = list(rig, path);
	unsigned n = 1;

	for (size_t i = 0; i < json_object_array_length(properties); i++) {
		struct json_object *property = json_object_array_get_idx(properties, i), *val;
		const char *name = json_object_get_string(json_object_object_get(property, "name"));
		char args[256];

		snprintf(args, sizeof(args), "{\"path\": \"%s\", \"property\": \"%s\"}", path, name);
		val = qmp_rig_run(rig, "qom-get", args);
		assert_non_null(val);
		if (!strncmp(json_object_get_string(json_object_object_get(property, "type")), "child<", 6))
			n += walk(rig, json_object_get_string(val));
		json_object_put(val);
	}
	json_object_put(properties);
	return n;
}

static void every_path_that_is_given_leads_somewhere(void **state)
{
	// 6 fixed ones, 2 backends, 2 devices, 2 virtio devices, 2 vCPUs
	assert_int_equal(walk(*state, "/"), 14);
}

static void a_backend_has_its_properties(void **state)
{
	struct json_object *properties = list(*state, "/objects/m1");

	// "type", and what the table has but for the two that name the object.
	assert_int_equal(json_object_array_length(properties),
	                 1 + memory_backend_class.nprops + memory_backend_file_class.nprops - 2);
	json_object_put(properties);
	expect_property(*state, "/objects/m1", "type", "\"memory-backend-file\"");
	expect_property(*state, "/objects/m1", "mem-path", "\"p.img\"");
	expect_property(*state, "/objects/m1", "share", "true");
	expect_property(*state, "/objects/m2", "share", "false");
	expect_property(*state, "/objects/m1", "host-nodes", "[1,63]");
	expect_property(*state, "/objects/m1", "policy", "\"bind\"");
	expect_property(*state, "/objects/m1", "rom", "\"auto\"");
	expect_property(*state, "/objects/m1", "prealloc-threads", "1");
	expect_property(*state, "/objects/m1", "prealloc-context", "\"\"");
	expect_property(*state, "/objects/m1", "pmem", "false");
	// It was not given: it is the file's.
	assert_int_equal(((struct qmp_rig *)*state)->fake->m.memdevs[0]->cfg->backing.size, 0);
	expect_property(*state, "/objects/m1", "size", "33554432");
}

static void a_device_has_its_properties(void **state)
{
	static const char nv1[] = "/machine/peripheral/nv1", anon[] = "/machine/peripheral-anon/device[0]";

	expect_property(*state, nv1, "type", "\"virtio-pmem-pci\"");
	expect_property(*state, nv1, "memdev", "\"/objects/m1\"");
	expect_property(*state, nv1, "memaddr", "5368709120");
	expect_property(*state, nv1, "addr", "8");
	expect_property(*state, nv1, "event_idx", "true");
	expect_property(*state, nv1, "packed", "false");
	expect_property(*state, nv1, "romsize", "4294967295");
	expect_property(*state, nv1, "disable-legacy", "\"auto\"");
	expect_property(*state, nv1, "realized", "true");
	expect_property(*state, nv1, "virtio-backend", "\"/machine/peripheral/nv1/virtio-backend\"");
	expect_property(*state, anon, "memdev", "\"/objects/m2\"");
	expect_property(*state, anon, "addr", "16");
	expect_property(*state, anon, "event_idx", "false");
	expect_property(*state, "/machine/peripheral/nv1/virtio-backend", "type", "\"virtio-pmem\"");
	expect_property(*state, "/machine/peripheral/nv1/virtio-backend", "memaddr", "5368709120");
	expect_property(*state, "/machine/peripheral-anon/device[0]/virtio-backend", "memdev", "\"/objects/m2\"");
}

static void what_is_not_there_is_not_found(void **state)
{
	static const char *const paths[] = {
		"",
		"/obj",
		"/objects/",
		"/objects/m3",
		"/objects/m11",
		"/machine/peripheral/nv",
		"/machine/peripheral/nv11",
		"/machine/peripheral/nv1/virtio",
		"/machine/peripheral/nv1/virtio-backend/x",
		"/machine/peripheral-anon/device[1]",
		"/machine/unattached/device[2]",
		"objects",
		"//",
	};
	char args[256], desc[256];

	for (unsigned i = 0; i < COUNT(paths); i++) {
		snprintf(args, sizeof(args), "{\"path\": \"%s\"}", paths[i]);
		snprintf(desc, sizeof(desc), "Device '%s' not found", paths[i]);
		qmp_rig_expect_error(*state, "qom-list", args, "DeviceNotFound", desc);
		snprintf(args, sizeof(args), "{\"path\": \"%s\", \"property\": \"type\"}", paths[i]);
		qmp_rig_expect_error(*state, "qom-get", args, "DeviceNotFound", desc);
	}
	qmp_rig_expect_error(*state, "qom-get", "{\"path\": \"/\", \"property\": \"x\"}", "GenericError",
	                     "Property 'container.x' not found");
	qmp_rig_expect_error(*state, "qom-get", "{\"path\": \"/machine/peripheral/nv1\", \"property\": \"driver\"}",
	                     "GenericError", "Property 'virtio-pmem-pci.driver' not found");
	qmp_rig_expect_error(*state, "qom-get", "{\"path\": \"/objects/m1\", \"property\": \"\"}", "GenericError",
	                     "Property 'memory-backend-file.' not found");
}

#define SET(path, name, val) "{\"path\": \"" path "\", \"property\": \"" name "\", \"value\": " val "}"
#define NV1 "/machine/peripheral/nv1"

static void a_property_may_be_set(void **state)
{
	static const struct {
		const char *args, *error;
	} cases[] = {
		{ SET(NV1, "memaddr", "-1"), "timer value must be greater than zero" },
		{ SET(NV1, "memaddr", "\"1\""), "Invalid parameter type for 'memaddr', expected: integer" },
		{ SET(NV1, "nope", "1"), "Property 'virtio-pmem-pci.nope' not found" },
		{ SET(NV1, "guest-stats", "{}"), "Property 'virtio-pmem-pci.guest-stats' is not writable" },
		{ SET(NV1, "addr", "3"),
		  "Attempt to set property 'addr' on device 'nv1' (type 'virtio-pmem-pci') after it was realized" },
		{ SET(NV1 "/virtio-backend", "event_idx", "true"),
		  "Attempt to set property 'event_idx' on anonymous device (type 'virtio-pmem') after it was realized" },
		{ SET("/objects/m1", "size", "3"), "Property 'memory-backend-file.size' is not writable" },
		{ SET("/machine", "type", "3"), "Property 'pmvm-machine.type' is not writable" },
		{ "{\"path\": \"/machine\", \"property\": \"type\"}", "Parameter 'value' is missing" },
	};
	struct qmp_rig *rig = *state;
	struct json_object *stats;

	rig->fake->calls[0] = '\0';
	json_object_put(qmp_rig_run(rig, "qom-set", SET(NV1, "memaddr", "5")));
	assert_string_equal(rig->fake->calls, "set 5;");
	for (unsigned i = 0; i < COUNT(cases); i++)
		qmp_rig_expect_error(rig, "qom-set", cases[i].args, "GenericError", cases[i].error);
	qmp_rig_expect_error(rig, "qom-set", SET("/nope", "x", "1"), "DeviceNotFound", "Device '/nope' not found");
	assert_string_equal(rig->fake->calls, "set 5;");
	stats = qmp_rig_run(rig, "qom-get", "{\"path\": \"" NV1 "\", \"property\": \"guest-stats\"}");
	assert_string_equal(json_object_to_json_string_ext(stats, JSON_C_TO_STRING_PLAIN),
	                    "{\"stats\":{\"stat-swap-in\":18446744073709551615},\"last-update\":9}");
	json_object_put(stats);
}

static struct json_object *find(struct json_object *properties, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(properties); i++) {
		struct json_object *property = json_object_array_get_idx(properties, i);

		if (!strcmp(json_object_get_string(json_object_object_get(property, "name")), name))
			return property;
	}
	return NULL;
}

static void the_properties_of_a_driver_are_listed(void **state)
{
	struct json_object *properties =
		qmp_rig_run(*state, "device-list-properties", "{\"typename\": \"virtio-pmem-pci\"}");

	assert_string_equal(
		json_object_to_json_string_ext(find(properties, "event_idx"),
	                                       JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
		"{\"name\":\"event_idx\",\"type\":\"bool\",\"description\":\"on/off\",\"default-value\":true}");
	assert_string_equal(json_object_to_json_string_ext(find(properties, "memdev"), JSON_C_TO_STRING_PLAIN),
	                    "{\"name\":\"memdev\",\"type\":\"link<memory-backend>\"}");
	assert_int_equal(json_object_get_int(json_object_object_get(find(properties, "addr"), "default-value")), -1);
	assert_int_equal(json_object_get_int64(json_object_object_get(find(properties, "romsize"), "default-value")),
	                 4294967295);
	assert_null(find(properties, "driver"));
	json_object_put(properties);
	qmp_rig_expect_error(*state, "device-list-properties", "{\"typename\": \"e1000\"}", "DeviceNotFound",
	                     "Device 'e1000' not found");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		TEST(the_tree_has_these_branches),
		TEST(every_path_that_is_given_leads_somewhere),
		TEST(a_backend_has_its_properties),
		TEST(a_device_has_its_properties),
		TEST(a_property_may_be_set),
		TEST(what_is_not_there_is_not_found),
		TEST(the_properties_of_a_driver_are_listed),
	};

	return cmocka_run_group_tests_name("qom", tests, NULL, NULL);
}
