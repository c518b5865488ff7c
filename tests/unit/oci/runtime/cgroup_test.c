// SPDX-License-Identifier: Apache-2.0
// The control group of a container: its path, and its limits as the files of version 2. A directory stands for the group.
#include "cgroup.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

static const char *v2_at; // where version 2 is mounted; NULL: nowhere
static struct vpmem_error err;
static char dir[64];

static const char *const files[] = { "memory.max", "memory.swap.max", "memory.low",  "cpu.max",
	                             "cpu.weight", "cpuset.cpus",     "cpuset.mems", "cgroup.procs" };

int __wrap_statfs64(const char *path, struct statfs *fs);
int __wrap_statfs64(const char *path, struct statfs *fs)
{
	*fs = (struct statfs) { .f_type = v2_at && strcmp(path, v2_at) == 0 ? CGROUP2_SUPER_MAGIC : TMPFS_MAGIC };
	return 0;
}

static void path_is(const char *cgroups_path, bool is_systemd, const char *wanted)
{
	char *path;

	assert_int_equal(cgroup_path(cgroups_path, is_systemd, "c1", &path, &err), 0);
	assert_string_equal(path, wanted);
	free(path);
}

static void a_path_is_below_the_root(void **state)
{
	(void)state;
	v2_at = "/sys/fs/cgroup";
	path_is("/libpod_parent/libpod-1", false, "/sys/fs/cgroup/libpod_parent/libpod-1");
	path_is("k8s.io/x", false, "/sys/fs/cgroup/k8s.io/x");
	path_is(NULL, false, "/sys/fs/cgroup/pmvm-oci-c1");
	path_is("", true, "/sys/fs/cgroup/system.slice/pmvm-oci-c1.scope");
	path_is(NULL, true, "/sys/fs/cgroup/system.slice/pmvm-oci-c1.scope");
	v2_at = "/sys/fs/cgroup/unified";
	path_is("/a", false, "/sys/fs/cgroup/unified/a");
}

static void slices_are_inside_each_other(void **state)
{
	(void)state;
	v2_at = "/sys/fs/cgroup";
	path_is("machine.slice:libpod:1", true, "/sys/fs/cgroup/machine.slice/libpod-1.scope");
	path_is("a-b-c.slice:cri:1", true, "/sys/fs/cgroup/a.slice/a-b.slice/a-b-c.slice/cri-1.scope");
	path_is(":crio:1", true, "/sys/fs/cgroup/system.slice/crio-1.scope");
	path_is("a.slice::1", true, "/sys/fs/cgroup/a.slice/1.scope");
	path_is("-.slice:cri:1", true, "/sys/fs/cgroup/cri-1.scope");
}

static void other_paths_are_refused(void **state)
{
	const char *const wrong[] = { "/", "//", "..", "/a/../b", "a/..", "/../a" };
	const char *const wrong_for_systemd[] = { "/a/b",         "a.slice",        "a.slice:b",      "a.slice:b:",
		                                  "a:b:c",        ".slice:b:c",     "a.slice:../x:c", "../a.slice:b:c",
		                                  "-a.slice:b:c", "a--b.slice:b:c", "a-.slice:b:c" };
	char *path;

	(void)state;
	v2_at = "/sys/fs/cgroup";
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(cgroup_path(wrong[i], false, "c", &path, &err), -EINVAL);
		assert_null(path);
		assert_non_null(strstr(err.text, wrong[i]));
	}
	for (size_t i = 0; i < COUNT(wrong_for_systemd); i++)
		assert_int_equal(cgroup_path(wrong_for_systemd[i], true, "c", &path, &err), -EINVAL);
}

static void there_is_no_group_without_version_2(void **state)
{
	char *path;

	(void)state;
	v2_at = NULL;
	assert_int_equal(cgroup_path("/a", false, "c", &path, &err), 0);
	assert_null(path);
	assert_int_equal(cgroup_make(path, &err), 0);
	assert_int_equal(cgroup_enter(path, &err), 0);
	cgroup_kill(path);
	assert_int_equal(cgroup_remove(path, &err), 0);
}

static void put(const char *file, const char *text)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/pmvm-cgroup-XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < COUNT(files); i++)
		put(files[i], "");
	return 0;
}

static int remove_dir(void **state)
{
	char path[96];

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static void file_is(const char *file, const char *wanted)
{
	char path[96], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	close(fd);
	assert_string_equal(text, wanted);
}

static int limit_as(const char *resources, bool is_running)
{
	struct json_object *json = json_tokener_parse(resources);
	int rc;

	assert_non_null(json);
	rc = cgroup_limit(dir, json, 1000, is_running, &err);
	json_object_put(json);
	return rc;
}

static int limit(const char *resources)
{
	return limit_as(resources, false);
}

static void limits_become_files(void **state)
{
	(void)state;
	assert_int_equal(limit("{\"memory\": {\"limit\": 5000, \"swap\": 8000, \"reservation\": 100},"
	                       "\"cpu\": {\"quota\": 50000, \"period\": 200000, \"shares\": 1024, \"cpus\": \"0-1\","
	                       "\"mems\": \"0\"}, \"pids\": {\"limit\": 5}}"),
	                 0);
	file_is("memory.max", "6000");
	file_is("memory.swap.max", "3000");
	file_is("memory.low", "1100");
	file_is("cpu.max", "50000 200000");
	file_is("cpu.weight", "39");
	file_is("cpuset.cpus", "0-1");
	file_is("cpuset.mems", "0");
}

static void property_is(const struct scope_limit *property, const char *name, uint64_t val)
{
	assert_string_equal(property->name, name);
	assert_int_equal(property->val, val);
	assert_null(property->list);
}

static size_t properties_of(const char *resources, struct json_object **json, struct scope_limit *properties)
{
	*json = json_tokener_parse(resources);
	assert_non_null(*json);
	return cgroup_properties(dir, *json, 1000, true, properties);
}

static void limits_become_properties_of_a_unit(void **state)
{
	struct scope_limit properties[CGROUP_LIMITS_MAX];
	struct json_object *json;

	(void)state;
	put("memory.max", "6000\n");
	assert_int_equal(properties_of("{\"memory\": {\"limit\": 7000, \"swap\": 8000, \"reservation\": 100},"
	                               "\"cpu\": {\"quota\": 50001, \"period\": 200000, \"shares\": 1024,"
	                               "\"cpus\": \"0-1\", \"mems\": \"0\"}, \"pids\": {\"limit\": 5}}",
	                               &json, properties),
	                 8);
	property_is(&properties[0], "MemoryMax", 8000);
	property_is(&properties[1], "MemorySwapMax", 1000);
	property_is(&properties[2], "MemoryLow", 1100);
	property_is(&properties[3], "CPUQuotaPerSecUSec", 260000); // 250005, rounded up
	property_is(&properties[4], "CPUQuotaPeriodUSec", 200000);
	property_is(&properties[5], "CPUWeight", 39);
	assert_string_equal(properties[6].name, "AllowedCPUs");
	assert_string_equal(properties[6].list, "0-1");
	assert_string_equal(properties[7].name, "AllowedMemoryNodes");
	json_object_put(json);
	// As for the files: the machine has this memory.
	assert_int_equal(properties_of("{\"memory\": {\"limit\": 10}, \"cpu\": {\"quota\": -1}}", &json, properties),
	                 2);
	property_is(&properties[0], "CPUQuotaPerSecUSec", SCOPE_NO_LIMIT);
	property_is(&properties[1], "CPUQuotaPeriodUSec", 100000);
	json_object_put(json);
}

static void no_limit_is_max_and_nothing_is_left_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(limit("{\"memory\": {\"limit\": -1, \"swap\": -1}, \"cpu\": {\"quota\": -1, \"shares\": 0}}"),
	                 0);
	file_is("memory.max", "max");
	file_is("memory.swap.max", "max");
	file_is("cpu.max", "max 100000");
	file_is("cpu.weight", "");
	assert_int_equal(limit("{\"memory\": \"odd\", \"cpu\": {\"quota\": \"odd\"}}"), 0);
	file_is("memory.max", "max");
}

static void the_memory_of_a_running_machine_is_never_lowered(void **state)
{
	(void)state;
	put("memory.max", "6000\n");
	assert_int_equal(limit_as("{\"memory\": {\"limit\": 4999}, \"cpu\": {\"quota\": 7}}", true), 0);
	file_is("memory.max", "6000\n");
	file_is("cpu.max", "7 100000");
	assert_int_equal(limit_as("{\"memory\": {\"limit\": 7000}}", true), 0);
	file_is("memory.max", "8000\n");
	// A container without a limit has the RAM of the settings.
	put("memory.max", "max\n");
	assert_int_equal(limit_as("{\"memory\": {\"limit\": 5000}}", true), 0);
	file_is("memory.max", "max\n");
	put("memory.max", "6000\n");
	assert_int_equal(limit_as("{\"memory\": {\"limit\": -1}}", true), 0);
	file_is("memory.max", "max0\n");
}

static void other_limits_by_the_names_of_their_files(void **state)
{
	(void)state;
	// memory.high and foo.bar are for the guest, which refuses what it does not have.
	assert_int_equal(
		limit("{\"unified\": {\"memory.swap.max\": \"7\", \"cpuset.cpus\": \"0\", \"memory.high\": \"9\","
	              "\"foo.bar\": \"1\"}}"),
		0);
	file_is("memory.swap.max", "7");
	file_is("cpuset.cpus", "0");
	assert_int_equal(limit("{\"unified\": {\"hugetlb.2MB.max\": \"0\"}}"), -ENOENT);
	assert_non_null(strstr(err.text, "No such file or directory"));
	assert_int_equal(limit("{\"unified\": {\"cpuset./../memory.max\": \"0\"}}"), -EINVAL);
	assert_int_equal(limit("{\"unified\": {\"cpuset.cpus\": 1}}"), -EINVAL);
	assert_int_equal(limit("{\"unified\": \"odd\"}"), 0);
	file_is("memory.max", "");
}

static void a_group_with_processes_is_refused(void **state)
{
	(void)state;
	v2_at = "/sys/fs/cgroup";
	assert_int_equal(cgroup_make(dir, &err), 0);
	put("cgroup.procs", "1\n");
	assert_int_equal(cgroup_make(dir, &err), -EEXIST);
	assert_non_null(strstr(err.text, "in use"));
}

static int refuse(const char *text)
{
	struct json_object *resources = json_tokener_parse(text);
	int rc = cgroup_refuse_limits(resources, "no rights", &err);

	json_object_put(resources);
	return rc;
}

static void a_limit_without_a_group_is_refused(void **state)
{
	(void)state;
	assert_int_equal(cgroup_refuse_limits(NULL, "no rights", &err), 0);
	assert_int_equal(
		refuse("{\"pids\": {\"limit\": 2048}, \"devices\": [{\"allow\": false}], \"memory\": {\"limit\": -1},"
	               "\"cpu\": {\"quota\": -1, \"period\": 100000, \"cpus\": \"\"}}"),
		0);
	assert_int_equal(refuse("{\"memory\": {\"limit\": 4096}}"), -EPERM);
	assert_non_null(strstr(err.text, "memory.max = 4096"));
	assert_non_null(strstr(err.text, "no rights"));
	assert_int_equal(refuse("{\"cpu\": {\"quota\": 50000}}"), -EPERM);
	assert_int_equal(refuse("{\"cpu\": {\"cpus\": \"0\"}}"), -EPERM);
}

static void no_group_is_needed_without_limits(void **state)
{
	struct json_object *resources = json_tokener_parse("{\"memory\": {\"limit\": 4096}}");
	char *path = NULL;

	(void)state;
	assert_int_equal(cgroup_make_rootless(&path, NULL, &err), 0);
	assert_null(path);
	assert_int_equal(cgroup_make_rootless(&path, resources, &err), -EPERM);
	json_object_put(resources);
}

static void a_number_is_read(void **state)
{
	uint64_t val = 0;

	(void)state;
	put("memory.low", "42\n");
	put("memory.max", "max\n");
	assert_true(cgroup_read(dir, "memory.low", &val));
	assert_int_equal(val, 42);
	assert_false(cgroup_read(dir, "memory.max", &val));
	assert_false(cgroup_read(dir, "none", &val));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_below_the_root),
		cmocka_unit_test(slices_are_inside_each_other),
		cmocka_unit_test(other_paths_are_refused),
		cmocka_unit_test(there_is_no_group_without_version_2),
		cmocka_unit_test_setup_teardown(limits_become_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(other_limits_by_the_names_of_their_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(limits_become_properties_of_a_unit, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(no_limit_is_max_and_nothing_is_left_as_it_is, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_memory_of_a_running_machine_is_never_lowered, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_group_with_processes_is_refused, make_dir, remove_dir),
		cmocka_unit_test(a_limit_without_a_group_is_refused),
		cmocka_unit_test(no_group_is_needed_without_limits),
		cmocka_unit_test_setup_teardown(a_number_is_read, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
