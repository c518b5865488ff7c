// SPDX-License-Identifier: Apache-2.0
// The sandbox of a pod and the containers that come into its machine.
#include "config.h"
#include "unit_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

static const struct guest_place fourth = { .number = 4, .pod_pid = 77, .pidns_pid = 78 };

static struct json_object *guest(struct bundle *bundle)
{
	struct json_object *config;

	config_load(bundle);
	config = bundle_guest_config(bundle, &fourth);
	assert_non_null(config);
	return config;
}

static void check(struct json_object *config, const char *path, const char *expected)
{
	const char *val = config_get(config, path);

	if (strcmp(val, expected) != 0)
		fail_msg("%s is %s, not %s", path, val, expected);
}

static void use_container(void)
{
	config_use("podman.json");
	config_set("annotations/io.kubernetes.cri.container-type", "\"container\"");
	config_set("annotations/io.kubernetes.cri.sandbox-id", "\"abc123\"");
	config_set("linux/namespaces/1/path", "\"/proc/5/ns/net\"");
}

static void a_sandbox_of_each_engine(void **state)
{
	static const char *const names[][2] = {
		{ "annotations/io.kubernetes.cri.container-type", "annotations/io.kubernetes.cri.sandbox-name" },
		{ "annotations/io.kubernetes.cri-o.ContainerType", "annotations/io.kubernetes.cri-o.SandboxName" },
	};
	struct bundle bundle;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		config_use("podman.json");
		config_set(names[i][0], "\"sandbox\"");
		config_set(names[i][1], "\"web-0\"");
		// What CRI-O makes on the host for the pod is empty, and nobody needs it.
		config_set("linux/namespaces/2/path", "\"/run/ipcns/1\"");
		config_load(&bundle);
		assert_int_equal(bundle.pod.role, POD_SANDBOX);
		assert_string_equal(bundle_pod_name(&bundle), "web-0");
		bundle_fini(&bundle);
	}
}

// It has a file system of its own like any other container.
static void a_container_has_persistent_memory(void **state)
{
	struct bundle bundle;
	struct json_object *config;
	FILE *image = fopen(bundle_file("image"), "w");

	(void)state;
	assert_non_null(image);
	fclose(image);
	use_container();
	config_set("annotations/io.pmvm.upper", "\"pmem,size=64M\"");
	config_set("annotations/io.pmvm.pmem", "\"@DIR@/image:/db\"");
	config = guest(&bundle);
	assert_int_equal(bundle.upper, UPPER_PMEM);
	assert_int_equal(bundle.npmem, 1);
	assert_non_null(
		strstr(json_object_to_json_string_ext(config, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
	               "/run/oci/4/pmem/0"));
	json_object_put(config);
	bundle_fini(&bundle);
}

static void the_limits_of_a_sandbox(void **state)
{
	struct bundle bundle;

	(void)state;
	config_set("annotations/io.kubernetes.cri.container-type", "\"sandbox\"");
	config_set("annotations/io.kubernetes.cri.sandbox-memory", "\"268435456\"");
	config_set("annotations/io.kubernetes.cri.sandbox-cpu-quota", "\"50000\"");
	config_set("annotations/io.kubernetes.cri.sandbox-cpu-period", "\"100000\"");
	config_load(&bundle);
	assert_int_equal(bundle.pod.memory, 268435456);
	assert_int_equal(bundle.pod.cpus, 1);
	bundle_fini(&bundle);
	config_set("annotations/io.kubernetes.cri.sandbox-cpu-quota", "\"-1\"");
	config_load(&bundle);
	assert_int_equal(bundle.pod.cpus, 0);
	bundle_fini(&bundle);
}

static void a_container_has_namespaces_of_its_own(void **state)
{
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	use_container();
	config = guest(&bundle);
	assert_int_equal(bundle.pod.role, POD_CONTAINER);
	assert_string_equal(bundle.pod.sandbox_id, "abc123");
	assert_string_equal(bundle_pod_name(&bundle), "abc123");
	assert_null(bundle.pod.pidns_path);
	check(config, "linux/namespaces/0/type", "pid");
	check(config, "linux/namespaces/0/path", "");
	check(config, "linux/namespaces/1/path", "");
	check(config, "linux/namespaces/5/path", "/proc/1/ns/net");
	check(config, "linux/cgroupsPath", "/container-4");
	check(config, "root/path", "/run/oci/4/rootfs");
	check(config, "mounts/0/source", "/run/oci/4/share/0");
	assert_true(config_get(config, "hostname")[0] != '\0');
	json_object_put(config);
	bundle_fini(&bundle);
}

static void a_container_shares_those_of_the_sandbox(void **state)
{
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	use_container();
	config_set("linux/namespaces/0/path", "\"/proc/5/ns/pid\"");
	config_set("linux/namespaces/2/path", "\"/proc/5/ns/ipc\"");
	config_set("linux/namespaces/3/path", "\"/proc/5/ns/uts\"");
	config = guest(&bundle);
	assert_string_equal(bundle.pod.pidns_path, "/proc/5/ns/pid");
	check(config, "linux/namespaces/0/path", "/proc/78/ns/pid");
	check(config, "linux/namespaces/1/path", "/proc/77/ns/ipc");
	check(config, "linux/namespaces/2/path", "/proc/77/ns/uts");
	check(config, "linux/namespaces/3/path", "");
	// The pod has set it.
	check(config, "hostname", "");
	json_object_put(config);
	bundle_fini(&bundle);
}

static void shared_memory_is_that_of_the_guest(void **state)
{
	struct bundle bundle;
	struct json_object *config;
	struct statfs st;

	(void)state;
	if (statfs("/dev/shm", &st) < 0 || st.f_type != TMPFS_MAGIC) {
		print_message("skipped: /dev/shm is no tmpfs\n");
		skip();
	}
	use_container();
	config_set("mounts/8/source", "\"/dev/shm\"");
	config = guest(&bundle);
	check(config, "mounts/8/destination", "/dev/shm");
	check(config, "mounts/8/type", "bind");
	check(config, "mounts/8/source", "/dev/shm");
	json_object_put(config);
	bundle_fini(&bundle);
}

static void an_empty_directory_in_memory(void **state)
{
	struct bundle bundle;
	struct json_object *config;
	char path[256], json[300];

	(void)state;
	assert_int_equal(mkdir(bundle_file("kubernetes.io~empty-dir"), 0755), 0);
	snprintf(path, sizeof(path), "%s", bundle_file("kubernetes.io~empty-dir/cache"));
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(json, sizeof(json), "\"%s\"", path);
	use_container();
	config_set("mounts/0/source", json);
	config = guest(&bundle);
	// On a disk it is a share.
	check(config, "mounts/0/source", "/run/oci/4/share/0");
	assert_int_equal(bundle.nmemory, 0);
	json_object_put(config);
	bundle_fini(&bundle);
	if (mount("cache", path, "tmpfs", 0, "size=8m,mode=1771") < 0) {
		print_message("skipped: only root can mount a tmpfs\n");
		skip();
	}
	config = guest(&bundle);
	assert_int_equal(umount(path), 0);
	check(config, "mounts/0/type", "bind");
	check(config, "mounts/0/source", "/run/oci/memory/cache");
	assert_int_equal(bundle.nmemory, 1);
	assert_string_equal(bundle.memory[0].name, "cache");
	assert_int_equal(bundle.memory[0].size, 8 << 20);
	assert_int_equal(bundle.memory[0].mode, 01771);
	json_object_put(config);
	bundle_fini(&bundle);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bundle_make, bundle_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sandbox_of_each_engine),
		TEST(a_container_has_persistent_memory),
		TEST(the_limits_of_a_sandbox),
		TEST(a_container_has_namespaces_of_its_own),
		TEST(a_container_shares_those_of_the_sandbox),
		TEST(shared_memory_is_that_of_the_guest),
		TEST(an_empty_directory_in_memory),
	};

	return cmocka_run_group_tests_name("bundle_pod", tests, NULL, NULL);
}
