// SPDX-License-Identifier: Apache-2.0
// What the runtime inside the guest gets.
#include "config.h"
#include "unit_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

static const struct guest_place first = { 0 };

static struct json_object *guest(struct bundle *bundle)
{
	struct json_object *config;

	config_load(bundle);
	config = bundle_guest_config(bundle, &first);
	assert_non_null(config);
	return config;
}

static void check(struct json_object *config, const char *path, const char *expected)
{
	const char *val = config_get(config, path);

	if (strcmp(val, expected) != 0)
		fail_msg("%s is %s, not %s", path, val, expected);
}

static void mounts_of_shares(void **state)
{
	struct bundle bundle;
	struct json_object *config;
	char expected[64];

	(void)state;
	config_set("mounts/0/options",
	           "[\"rbind\", \"z\", \"U\", \"copy\", \"nosuid\", \"rprivate\", \"ro\", \"notmpcopyup\"]");
	config = guest(&bundle);
	check(config, "mounts/0/destination", "/data");
	check(config, "mounts/0/type", "bind");
	check(config, "mounts/0/source", "/run/oci/0/share/0");
	check(config, "mounts/0/options", "[ \"rbind\", \"nosuid\", \"rprivate\", \"ro\" ]");
	check(config, "mounts/7/destination", "/etc/hosts");
	check(config, "mounts/7/source", "/run/oci/0/share/1");
	snprintf(expected, sizeof(expected), "/run/oci/0/share/%zu", bundle.nshares - 1);
	check(config, "mounts/10/destination", "/etc/hostname");
	check(config, "mounts/10/source", expected);
	json_object_put(config);
	bundle_fini(&bundle);
}

static void other_mounts_pass_through(void **state)
{
	struct bundle bundle;
	struct json_object *config = guest(&bundle);

	(void)state;
	check(config, "mounts/1/type", "tmpfs");
	check(config, "mounts/1/options",
	      "[ \"size=1m\", \"rw\", \"rprivate\", \"nosuid\", \"nodev\", \"tmpcopyup\" ]");
	check(config, "mounts/2/type", "proc");
	check(config, "mounts/5/options",
	      "[ \"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\", \"gid=5\" ]");
	check(config, "mounts/11/type", "cgroup");
	check(config, "mounts/11/source", "cgroup");
	check(config, "mounts/12", "");
	json_object_put(config);
	bundle_fini(&bundle);
}

static void bind_by_its_type_alone(void **state)
{
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	config_use("containerd.json");
	config_set("mounts/6", "{\"destination\": \"/a\", \"type\": \"bind\", \"source\": \"data\"}");
	config_set(
		"mounts/7",
		"{\"destination\": \"/b\", \"type\": \"none\", \"source\": \"hosts\", \"options\": [\"bind\", \"rro\"]}");
	config = guest(&bundle);
	check(config, "mounts/6/options", "[ \"rbind\" ]");
	check(config, "mounts/7/type", "bind");
	assert_int_equal(bundle.nshares, 2);
	assert_string_equal(bundle.shares[0].host, bundle_file("data")); // relative to the bundle
	assert_true(!bundle.shares[0].is_file && !bundle.shares[0].readonly);
	assert_true(bundle.shares[1].is_file && bundle.shares[1].readonly);
	json_object_put(config);
	bundle_fini(&bundle);
}

static void shared_memory_is_the_guests(void **state)
{
	struct json_object *config;
	struct bundle bundle;
	struct statfs st;

	(void)state;
	if (statfs("/dev/shm", &st) < 0 || st.f_type != TMPFS_MAGIC) {
		print_message("skipped: /dev/shm is no tmpfs\n");
		skip();
	}
	config_set("mounts/8/source", "\"/dev/shm\"");
	config = guest(&bundle);
	check(config, "mounts/8/destination", "/dev/shm");
	check(config, "mounts/8/type", "tmpfs");
	check(config, "mounts/8/source", "shm");
	assert_non_null(strstr(config_get(config, "mounts/8/options"), "\"mode=1777\""));
	if (st.f_blocks > 0)
		assert_non_null(strstr(config_get(config, "mounts/8/options"), "\"size="));
	check(config, "mounts/9/source", "/run/oci/0/share/2"); // the number that it would have had
	json_object_put(config);
	bundle_fini(&bundle);
}

static void volumes_of_pmem(void **state)
{
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	config_set("annotations/io.pmvm.pmem", "\"@DIR@/image:/db:ro\"");
	config = guest(&bundle);
	check(config, "mounts/12/destination", "/db");
	check(config, "mounts/12/type", "bind");
	check(config, "mounts/12/source", "/run/oci/0/pmem/0");
	check(config, "mounts/12/options", "[ \"rbind\", \"ro\" ]");
	json_object_put(config);
	bundle_fini(&bundle);
}

static void namespaces_are_new(void **state)
{
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	config_set("linux/namespaces/1/path", "\"/run/netns/x\"");
	config_set("linux/namespaces/5", "{\"type\": \"user\"}"); // instead of cgroup, which comes anyway
	config = guest(&bundle);
	check(config, "linux/namespaces",
	      "[ { \"type\": \"pid\" }, { \"type\": \"ipc\" }, { \"type\": \"uts\" }, { \"type\": \"mount\" }, "
	      "{ \"type\": \"cgroup\" }, { \"type\": \"network\", \"path\": \"\\/proc\\/1\\/ns\\/net\" }, { \"type\": \"user\" } ]");
	json_object_put(config);
	bundle_fini(&bundle);
}

static void a_user_namespace_has_the_sysfs_of_the_guest(void **state)
{
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	config_set("linux/namespaces/5", "{\"type\": \"user\"}");
	config = guest(&bundle);
	check(config, "mounts/4/destination", "/sys");
	check(config, "mounts/4/type", "bind");
	check(config, "mounts/4/source", "/sys");
	check(config, "mounts/4/options", "[ \"nosuid\", \"noexec\", \"nodev\", \"ro\", \"rbind\" ]");
	check(config, "linux/maskedPaths", config_get(bundle.config, "linux/maskedPaths"));
	json_object_put(config);
	bundle_fini(&bundle);

	// Without a mount for its control group it would see those of the guest.
	config_set("mounts/11", "-");
	config_set("linux/maskedPaths", "[]");
	config = guest(&bundle);
	check(config, "linux/maskedPaths", "[ \"\\/sys\\/fs\\/cgroup\" ]");
	json_object_put(config);
	bundle_fini(&bundle);
}

static void what_belongs_to_the_host_is_left_out(void **state)
{
	static const char *const gone[] = {
		"annotations",
		"hooks",
		"process/apparmorProfile",
		"process/selinuxLabel",
		"linux/mountLabel",
		"linux/resources/memory/swap",
		"linux/resources/blockIO",
		"linux/resources/cpu/cpus",
		"linux/resources/unified/io.max",
		"linux/resources/network",
	};
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	config_set("hooks", "{\"poststop\": [{\"path\": \"/bin/true\"}]}");
	config_set("linux/resources/blockIO", "{\"weight\": 10}");
	config_set("linux/resources/network", "{\"classID\": 10}");
	config_set("linux/resources/cpu/cpus", "\"0-1\"");
	config_set("linux/resources/unified",
	           "{\"io.max\": \"8:0 rbps=1\", \"memory.high\": \"1000\", \"foo.bar\": \"x\"}");
	config_load(&bundle);
	for (unsigned i = 0; i < COUNT(gone); i++)
		assert_string_not_equal(config_get(bundle.config, gone[i]), ""); // it is there on the host
	config = bundle_guest_config(&bundle, &first);
	for (unsigned i = 0; i < COUNT(gone); i++)
		check(config, gone[i], "");
	check(config, "linux/resources/unified", "{ \"memory.high\": \"1000\", \"foo.bar\": \"x\" }");
	json_object_put(config);
	bundle_fini(&bundle);
}

static void a_later_version_is_one_that_the_guest_knows(void **state)
{
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	config_set("ociVersion", "\"1.2.0\"");
	config = guest(&bundle);
	check(config, "ociVersion", "1.0.2");
	json_object_put(config);
	bundle_fini(&bundle);
}

static void the_rest_is_kept(void **state)
{
	static const char *const kept[] = {
		"hostname",
		"process/args",
		"process/env",
		"process/user",
		"process/capabilities",
		"process/rlimits",
		"linux/sysctl",
		"linux/seccomp",
		"linux/maskedPaths",
		"linux/readonlyPaths",
		"linux/resources/devices",
		"linux/resources/memory/limit",
		"linux/resources/cpu/quota",
		"linux/resources/cpu/period",
		"linux/resources/pids",
	};
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	config_set("root/readonly", "true");
	config = guest(&bundle);
	for (unsigned i = 0; i < COUNT(kept); i++) {
		assert_string_not_equal(config_get(bundle.config, kept[i]), "");
		check(config, kept[i], config_get(bundle.config, kept[i]));
	}
	check(config, "root", "{ \"path\": \"\\/run\\/oci\\/0\\/rootfs\", \"readonly\": true }");
	check(config, "linux/cgroupsPath", "/container-0");
	json_object_put(config);
	bundle_fini(&bundle);
}

static void a_container_without_a_name_has_the_hosts(void **state)
{
	char name[256] = "";
	struct bundle bundle;
	struct json_object *config;

	(void)state;
	assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
	config_set("hostname", "-");
	config_set("linux/namespaces/3", "-"); // --uts host
	config = guest(&bundle);
	check(config, "hostname", name);
	json_object_put(config);
	bundle_fini(&bundle);
}

static void a_process_for_exec(void **state)
{
	struct json_object *process =
		json_tokener_parse("{\"args\": [\"ls\"], \"cwd\": \"/\", \"apparmorProfile\": \"x\"}");
	struct json_object *copy, *wrong = json_tokener_parse("{\"args\": [\"ls\"], \"cwd\": \"here\"}");
	struct vpmem_error err;

	(void)state;
	assert_int_equal(bundle_process_check(process, NULL), 0);
	copy = bundle_guest_process(process);
	check(copy, "apparmorProfile", "");
	check(copy, "args/0", "ls");
	check(process, "apparmorProfile", "x");
	assert_int_not_equal(bundle_process_check(wrong, &err), 0);
	assert_string_equal(err.text, "process.cwd: here: not an absolute path");
	assert_int_not_equal(bundle_process_check(NULL, &err), 0);
	json_object_put(copy);
	json_object_put(wrong);
	json_object_put(process);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bundle_make, bundle_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mounts_of_shares),
		TEST(other_mounts_pass_through),
		TEST(bind_by_its_type_alone),
		TEST(shared_memory_is_the_guests),
		TEST(volumes_of_pmem),
		TEST(namespaces_are_new),
		TEST(a_user_namespace_has_the_sysfs_of_the_guest),
		TEST(what_belongs_to_the_host_is_left_out),
		TEST(a_later_version_is_one_that_the_guest_knows),
		TEST(the_rest_is_kept),
		TEST(a_container_without_a_name_has_the_hosts),
		TEST(a_process_for_exec),
	};

	return cmocka_run_group_tests_name("bundle_guest", tests, NULL, NULL);
}
