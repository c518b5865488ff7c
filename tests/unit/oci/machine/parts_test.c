// SPDX-License-Identifier: Apache-2.0
// What a machine gets of a root file system and of volumes.
#include "parts.h"

#include "bundle.h"
#include "json_parse.h"
#include "layers.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

struct json_object *bundle_guest_config(const struct bundle *bundle, const struct guest_place *place)
{
	(void)place;
	(void)bundle;
	return json_object_new_object();
}

static struct share shares[] = {
	{ .host = (char *)"/srv/data", .recursive = true },
	{ .host = (char *)"/etc/hosts", .readonly = true, .is_file = true },
};
static struct pmem_volume volumes[] = { { .file = (char *)"/srv/db.img", .target = (char *)"/db" } };
static struct layer layers[] = { { .path = (char *)"/cache/a", .fd = 7 }, { .path = (char *)"/cache/b", .fd = 8 } };

static const struct rootfs writable = {
	.layers = layers,
	.nlayers = 2,
	.upper = (char *)"/store/L/diff",
	.work = (char *)"/store/L/work",
	.writable_dir = (char *)"/store/L",
};

static void make(struct parts *parts, const struct bundle *bundle, const struct rootfs *rootfs)
{
	const struct machine_plan plan = { .state_dir = "/run/x", .bundle = bundle, .rootfs = rootfs };
	struct vpmem_error err = { 0 };

	if (parts_make(parts, &plan, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_create(const struct parts *parts, const char *expected)
{
	struct json_object *val;

	assert_int_equal(json_parse(expected, &val, NULL), 0);
	if (!json_object_equal(val, parts->create))
		fail_msg("%s", json_object_to_json_string(parts->create));
	json_object_put(val);
}

static void test_directory(void **state)
{
	const struct bundle bundle = { .shares = shares, .nshares = 2 };
	const struct rootfs rootfs = { .directory = (char *)"/srv/root" };
	struct parts parts = { 0 };

	(void)state;
	make(&parts, &bundle, &rootfs);
	assert_create(&parts,
	              "{'config': {}, 'rootfs': {'kind': 'share', 'path': 'root'}, 'mounts': [], 'share': 'share'}");
	assert_int_equal(parts.npmem, 0);
	assert_int_equal(parts.nshares, 3);
	assert_string_equal(parts.shares[0].source, "/srv/root");
	assert_string_equal(parts.shares[0].name, "root");
	assert_string_equal(parts.shares[1].source, "/srv/data");
	assert_string_equal(parts.shares[1].name, "0");
	assert_false(parts.shares[1].readonly);
	assert_true(parts.shares[0].recursive && parts.shares[1].recursive);
	assert_false(parts.shares[2].recursive);
	assert_string_equal(parts.shares[2].name, "1");
	assert_true(parts.shares[2].readonly);
	assert_int_equal(parts.nrules, 3);
	assert_string_equal(parts.rules[0].path, "root");
	assert_false(parts.rules[1].readonly);
	assert_true(parts.rules[2].readonly);
	parts_fini(&parts);
}

static void test_layers(void **state)
{
	const struct bundle bundle = { .pmem = volumes, .npmem = 1 };
	struct rootfs rootfs = writable;
	struct parts parts = { 0 };

	(void)state;
	rootfs.metacopy = true;
	make(&parts, &bundle, &rootfs);
	assert_create(&parts, "{'config': {}, 'share': 'share', 'rootfs': {'kind': 'layers',"
	                      "  'layers': [{'pci': '0000:00:0d.0'}, {'pci': '0000:00:0e.0'}],"
	                      "  'upper': {'kind': 'share', 'upper': 'root/diff', 'work': 'root/work/pmvm'},"
	                      "  'options': ['metacopy=on']},"
	                      " 'mounts': [{'pci': '0000:00:0f.0', 'filesystem': 'ext4', 'readonly': false}]}");
	assert_int_equal(parts.npmem, 3);
	assert_string_equal(parts.images[0].source, "/proc/self/fd/7");
	assert_true(parts.images[1].readonly);
	assert_true(parts.pmem[1].readonly);
	assert_string_equal(parts.pmem[2].path, "/run/x/images/2");
	assert_string_equal(parts.images[2].source, "/srv/db.img");
	assert_false(parts.images[2].readonly);
	// Of the engine's directory, only these two.
	assert_int_equal(parts.nshares, 1);
	assert_false(parts.shares[0].recursive);
	assert_int_equal(parts.nrules, 2);
	assert_string_equal(parts.rules[0].path, "root/diff");
	assert_string_equal(parts.rules[1].path, "root/work");
	parts_fini(&parts);
}

static void test_readonly_layers(void **state)
{
	const struct bundle bundle = { 0 };
	const struct rootfs rootfs = { .layers = layers, .nlayers = 1 };
	struct parts parts = { 0 };

	(void)state;
	make(&parts, &bundle, &rootfs);
	assert_create(&parts, "{'config': {}, 'mounts': [], 'rootfs': {'kind': 'layers',"
	                      "  'layers': [{'pci': '0000:00:0d.0'}], 'upper': {'kind': 'none'}, 'options': []}}");
	assert_int_equal(parts.nshares, 0);
	parts_fini(&parts);
}

// What the container writes goes to a file of its own, and nothing of the engine's directory is shared.
static void test_scratch(void **state)
{
	const struct bundle bundle = { .pmem = volumes, .npmem = 1, .upper = UPPER_PMEM };
	struct rootfs rootfs = writable;
	struct parts parts = { 0 };

	(void)state;
	rootfs.has_scratch = true;
	rootfs.scratch_fd = 9;
	make(&parts, &bundle, &rootfs);
	assert_create(&parts, "{'config': {}, 'rootfs': {'kind': 'layers',"
	                      "  'layers': [{'pci': '0000:00:0d.0'}, {'pci': '0000:00:0e.0'}],"
	                      "  'upper': {'kind': 'pmem', 'pci': '0000:00:0f.0'}, 'options': []},"
	                      " 'mounts': [{'pci': '0000:00:10.0', 'filesystem': 'ext4', 'readonly': false}]}");
	assert_int_equal(parts.npmem, 4);
	// Without a name it is no file that could be mounted.
	assert_string_equal(parts.pmem[2].path, "/proc/self/fd/9");
	assert_false(parts.pmem[2].readonly);
	assert_int_equal(parts.nimages, 3);
	assert_string_equal(parts.images[2].source, "/srv/db.img");
	assert_string_equal(parts.pmem[3].path, "/run/x/images/2");
	assert_int_equal(parts.nshares, 0);
	parts_fini(&parts);
}

static void test_refused(void **state)
{
	const struct bundle bundle = { .shares = shares, .nshares = SHARES_MAX };
	const struct rootfs rootfs = { 0 };
	const struct machine_plan plan = { .state_dir = "/run/x", .bundle = &bundle, .rootfs = &rootfs };
	struct parts parts = { 0 };
	struct vpmem_error err = { 0 };

	(void)state;
	assert_int_equal(parts_make(&parts, &plan, &err), -E2BIG);
	assert_non_null(strstr(err.text, "512 bind mounts"));
	parts_fini(&parts);
}

static void test_container_of_a_pod(void **state)
{
	static const char *const addresses[] = { "0000:00:1f.0", "0000:01:02.0", "0000:01:03.0" };
	struct memory_volume memory = { .name = (char *)"cache", .size = 4096, .mode = 01777, .uid = 1, .gid = 2 };
	const struct bundle bundle = { .memory = &memory, .nmemory = 1 };
	const struct machine_plan plan = { .state_dir = "/run/x",
		                           .bundle = &bundle,
		                           .rootfs = &writable,
		                           .place = { .number = 3, .pod_pid = 9 },
		                           .addresses = addresses };
	struct parts parts = { 0 };
	struct vpmem_error err = { 0 };

	(void)state;
	assert_int_equal(parts_make(&parts, &plan, &err), 0);
	assert_create(&parts, "{'config': {}, 'rootfs': {'kind': 'layers', 'layers': [{'pci': '0000:00:1f.0'}, "
	                      "{'pci': '0000:01:02.0'}], 'upper': {'kind': 'share', 'upper': 'root/diff', "
	                      "'work': 'root/work/pmvm'}, 'options': []}, 'mounts': [], 'memory': [{'name': 'cache', "
	                      "'size': 4096, 'mode': 1023, 'uid': 1, 'gid': 2}], 'container': 3, 'share': 'share-3'}");
	assert_int_equal(parts.nimages, 2);
	assert_string_equal(parts.images[1].source, "/proc/self/fd/8");
	parts_fini(&parts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container_of_a_pod),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_readonly_layers),
		cmocka_unit_test(test_scratch),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
