// SPDX-License-Identifier: Apache-2.0
// What the host takes from config.json.
#include "config.h"
#include "unit_test.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int allowed_cpus(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return CPU_COUNT(&set);
}

static void the_fields_of_podmans(void **state)
{
	struct bundle bundle;

	(void)state;
	config_load(&bundle);
	assert_string_equal(bundle.dir, bundle_dir());
	assert_string_equal(bundle.root_path, bundle_file("merged"));
	assert_false(bundle.root_readonly || bundle.terminal);
	assert_int_equal(bundle.memory_limit, 128 << 20);
	assert_int_equal(bundle.cpus, allowed_cpus() >= 2 ? 2 : 1); // 1.5 of them
	assert_int_equal(bundle.net, NET_NEW);
	assert_null(bundle.netns_path);
	assert_string_equal(bundle.cgroups_path, "/libpod_parent/libpod-306dd2652e40");
	assert_int_equal(bundle.upper, UPPER_SHARE);
	assert_int_equal(bundle.npmem, 0);
	assert_null(bundle.kernel);
	assert_string_equal(config_get(bundle.annotations, "io.container.manager"), "libpod");
	bundle_fini(&bundle);
}

static void the_fields_of_containerds(void **state)
{
	struct bundle bundle;

	(void)state;
	config_use("containerd.json");
	config_set("linux/namespaces/4/path", "\"/var/run/netns/cni-1\"");
	config_set("root/readonly", "true");
	config_set("process/terminal", "true");
	config_set("process/consoleSize", "{\"height\": 24, \"width\": 80}");
	config_load(&bundle);
	assert_string_equal(bundle.root_path, bundle_file("rootfs"));
	assert_true(bundle.root_readonly && bundle.terminal);
	assert_int_equal(bundle.console_rows, 24);
	assert_int_equal(bundle.console_columns, 80);
	assert_int_equal(bundle.memory_limit, 0);
	assert_int_equal(bundle.cpus, 0);
	assert_int_equal(bundle.net, NET_PATH);
	assert_string_equal(bundle.netns_path, "/var/run/netns/cni-1");
	assert_int_equal(bundle.nshares, 0);
	assert_null(bundle.annotations);
	bundle_fini(&bundle);
}

static void bind_mounts_are_shares(void **state)
{
	static const struct {
		const char *name;
		bool readonly, is_file;
	} expected[] = {
		{ "data", true, false },         { "hosts", false, true },    { "shm", false, false },
		{ "containerenv", false, true }, { "hostname", false, true },
	};
	struct bundle bundle;
	unsigned n = 0;

	(void)state;
	config_load(&bundle);
	for (unsigned i = 0; i < COUNT(expected); i++) {
		// Where /tmp is a tmpfs, shm is one as well, and no share.
		if (strcmp(expected[i].name, "shm") == 0 && bundle.nshares == COUNT(expected) - 1)
			continue;
		assert_true(n < bundle.nshares);
		assert_string_equal(bundle.shares[n].host, bundle_file(expected[i].name));
		assert_int_equal(bundle.shares[n].readonly, expected[i].readonly);
		assert_int_equal(bundle.shares[n].is_file, expected[i].is_file);
		// The others are "bind", without what is mounted below them.
		assert_int_equal(bundle.shares[n].recursive, strcmp(expected[i].name, "data") == 0);
		n++;
	}
	assert_int_equal(n, bundle.nshares);
	bundle_fini(&bundle);
}

static void cpus_are_the_quota_rounded_up(void **state)
{
	static const struct {
		const char *quota, *period;
		unsigned cpus;
	} cases[] = {
		{ "50000", "100000", 1 }, { "100000", "100000", 1 }, { "-1", "100000", 0 },
		{ "0", "100000", 0 },     { "1", "1000000", 1 },     { "100000", "0", 0 },
	};
	struct bundle bundle;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		config_set("linux/resources/cpu/quota", cases[i].quota);
		config_set("linux/resources/cpu/period", cases[i].period);
		config_load(&bundle);
		assert_int_equal(bundle.cpus, cases[i].cpus);
		bundle_fini(&bundle);
	}
	config_set("linux/resources/cpu/period", "1000");
	config_set("linux/resources/cpu/quota", "9223372036854775807");
	config_load(&bundle);
	assert_in_range(bundle.cpus, 1, allowed_cpus()); // not more than the host's
	bundle_fini(&bundle);
}

static void no_limit_of_memory(void **state)
{
	static const char *const limits[] = { "-1", "0", "null", "-" };
	struct bundle bundle;

	(void)state;
	for (unsigned i = 0; i < COUNT(limits); i++) {
		config_set("linux/resources/memory/limit", limits[i]);
		config_load(&bundle);
		assert_int_equal(bundle.memory_limit, 0);
		bundle_fini(&bundle);
	}
}

static void annotations_of_ours(void **state)
{
	struct bundle bundle;

	(void)state;
	config_set("annotations/io.pmvm.memory", "\"1.5G\"");
	config_set("annotations/io.pmvm.cpus", "\"1\"");
	config_set("annotations/io.pmvm.upper", "\"pmem,size=4G\"");
	config_set("annotations/io.pmvm.kernel", "\"@DIR@/image\"");
	config_set("annotations/io.pmvm.pmem", "\"@DIR@/image:/data base\"");
	config_set("annotations/io.pmvm.pmem.log", "\"@DIR@/hosts:/log:ro\"");
	config_load(&bundle);
	assert_int_equal(bundle.ram, 1536ull << 20);
	assert_int_equal(bundle.cpus, 1); // not 2, of the quota
	assert_int_equal(bundle.upper, UPPER_PMEM);
	assert_int_equal(bundle.upper_size, 4ull << 30);
	assert_string_equal(bundle.kernel, bundle_file("image"));
	assert_int_equal(bundle.npmem, 2);
	assert_string_equal(bundle.pmem[0].file, bundle_file("image"));
	assert_string_equal(bundle.pmem[0].target, "/data base");
	assert_string_equal(bundle.pmem[1].file, bundle_file("hosts"));
	assert_string_equal(bundle.pmem[1].target, "/log");
	assert_true(!bundle.pmem[0].readonly && bundle.pmem[1].readonly);
	bundle_fini(&bundle);

	config_set("annotations/io.pmvm.upper", "\"pmem\"");
	config_load(&bundle);
	assert_int_equal(bundle.upper, UPPER_PMEM);
	assert_int_equal(bundle.upper_size, 0);
	bundle_fini(&bundle);
	config_set("annotations/io.pmvm.upper", "\"share\"");
	config_load(&bundle);
	assert_int_equal(bundle.upper, UPPER_SHARE);
	bundle_fini(&bundle);
}

static void hooks_of_the_host(void **state)
{
	struct bundle bundle;
	struct hook *hook;

	(void)state;
	config_set("hooks",
	           "{\"prestart\": [{\"path\": \"/bin/a\"}],"
	           " \"createRuntime\": [{\"path\": \"/bin/b\", \"args\": [\"b\", \"-x\"], \"env\": [\"A=1\"], "
	           "\"timeout\": 5}, {\"path\": \"/bin/c\", \"args\": []}],"
	           " \"createContainer\": [], \"startContainer\": null, \"poststop\": [{\"path\": \"/bin/d\"}]}");
	config_load(&bundle);
	assert_int_equal(bundle.hooks[HOOK_PRESTART].n, 1);
	assert_int_equal(bundle.hooks[HOOK_CREATE_RUNTIME].n, 2);
	assert_int_equal(bundle.hooks[HOOK_POSTSTART].n, 0);
	assert_int_equal(bundle.hooks[HOOK_POSTSTOP].n, 1);
	hook = &bundle.hooks[HOOK_PRESTART].list[0];
	assert_string_equal(hook->path, "/bin/a");
	assert_string_equal(hook->args[0], "/bin/a");
	assert_null(hook->args[1]);
	assert_null(hook->env[0]);
	assert_int_equal(hook->timeout_s, 0);
	hook = &bundle.hooks[HOOK_CREATE_RUNTIME].list[0];
	assert_string_equal(hook->args[0], "b");
	assert_string_equal(hook->args[1], "-x");
	assert_null(hook->args[2]);
	assert_string_equal(hook->env[0], "A=1");
	assert_null(hook->env[1]);
	assert_int_equal(hook->timeout_s, 5);
	bundle_fini(&bundle);
}

static void a_bundle_by_a_relative_path(void **state)
{
	struct bundle bundle;

	(void)state;
	config_use("containerd.json");
	assert_int_equal(chdir(bundle_dir()), 0);
	assert_int_equal(bundle_load(".", BUNDLE_CONFIG, &bundle, NULL), 0);
	assert_int_equal(chdir("/"), 0);
	assert_string_equal(bundle.dir, bundle_dir());
	assert_string_equal(bundle.root_path, bundle_file("rootfs"));
	bundle_fini(&bundle);
}

static void another_file_is_relative_to_the_bundle(void **state)
{
	struct vpmem_error err;
	struct bundle bundle;

	(void)state;
	config_use("containerd.json");
	assert_int_equal(chdir(bundle_dir()), 0);
	assert_int_equal(rename("config.json", "other"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(bundle_load(bundle_dir(), "other", &bundle, NULL), 0);
	assert_string_equal(bundle.root_path, bundle_file("rootfs"));
	bundle_fini(&bundle);
	assert_int_equal(bundle_load("/tmp", bundle_file("other"), &bundle, NULL), 0);
	assert_string_equal(bundle.root_path, "/tmp/rootfs");
	bundle_fini(&bundle);
	assert_int_equal(bundle_load(bundle_dir(), "../other", &bundle, &err), -ENOENT);
	assert_non_null(strstr(err.text, bundle_file("../other")));
}

static void a_volume_has_ext4_with_blocks_of_a_page(void **state)
{
	static const struct {
		uint8_t log_size, magic;
		int rc;
		const char *said;
	} cases[] = {
		{ .log_size = 2, .magic = 0xef, .rc = 0, .said = "" },
		{ .log_size = 0, .magic = 0xef, .rc = -EINVAL, .said = "no blocks of 4096 bytes" },
		{ .log_size = 2, .magic = 0, .rc = -EINVAL, .said = "no ext4" },
	};
	struct vpmem_error err = { "", "" };
	struct bundle bundle;

	(void)state;
	config_set("annotations/io.pmvm.pmem", "\"@DIR@/image:/data\"");
	config_load(&bundle);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint8_t image[4096] = { [1024 + 24] = cases[i].log_size, [1024 + 56] = 0x53, cases[i].magic };
		FILE *file = fopen(bundle_file("image"), "w");

		err = (struct vpmem_error) { "", "" };
		assert_int_equal(fwrite(image, 1, sizeof(image), file), sizeof(image));
		assert_int_equal(fclose(file), 0);
		assert_int_equal(bundle_check_volumes(&bundle, &err), cases[i].rc);
		assert_non_null(strstr(err.text, cases[i].said));
		assert_true((cases[i].rc == 0) == (strstr(err.hint, "mkfs.ext4 -b 4096 ") == NULL));
	}
	assert_int_equal(truncate(bundle_file("image"), 1000), 0);
	assert_int_equal(bundle_check_volumes(&bundle, &err), -EINVAL);
	assert_int_equal(unlink(bundle_file("image")), 0);
	assert_int_equal(bundle_check_volumes(&bundle, &err), -ENOENT);
	bundle_fini(&bundle);
}

static void what_cannot_be_read_is_named(void **state)
{
	static const struct {
		const char *text, *said;
		int rc;
	} cases[] = {
		{ "", "config.json: ", -EINVAL },         { "{", "config.json: JSON parse error", -EINVAL },
		{ "[]", "not an object", -EINVAL },       { "null", "not an object", -EINVAL },
		{ "{} {}", "config.json: ", -EINVAL },    { "{\"root\":1,\"root\":2}", "config.json: ", -EINVAL },
		{ "{}", "ociVersion: missing", -EINVAL },
	};
	static char large[(1 << 20) + 2];
	struct vpmem_error err;
	struct bundle bundle;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		config_write(cases[i].text, strlen(cases[i].text));
		assert_int_equal(bundle_load(bundle_dir(), BUNDLE_CONFIG, &bundle, &err), cases[i].rc);
		assert_non_null(strstr(err.text, cases[i].said));
		bundle_fini(&bundle);
	}
	memset(large, ' ', sizeof(large));
	config_write(large, sizeof(large));
	assert_int_equal(bundle_load(bundle_dir(), BUNDLE_CONFIG, &bundle, &err), -EFBIG);
	config_write("{}\0", 3);
	assert_int_equal(bundle_load(bundle_dir(), BUNDLE_CONFIG, &bundle, &err), -EINVAL);
	assert_int_equal(unlink(bundle_file("config.json")), 0);
	assert_int_equal(bundle_load(bundle_dir(), BUNDLE_CONFIG, &bundle, &err), -ENOENT);
	assert_non_null(strstr(err.text, bundle_file("config.json")));
	assert_int_equal(bundle_load("/no/bundle", BUNDLE_CONFIG, &bundle, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/no/bundle"));
	bundle_fini(&bundle);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bundle_make, bundle_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_fields_of_podmans),
		TEST(the_fields_of_containerds),
		TEST(bind_mounts_are_shares),
		TEST(cpus_are_the_quota_rounded_up),
		TEST(no_limit_of_memory),
		TEST(annotations_of_ours),
		TEST(a_volume_has_ext4_with_blocks_of_a_page),
		TEST(hooks_of_the_host),
		TEST(a_bundle_by_a_relative_path),
		TEST(another_file_is_relative_to_the_bundle),
		TEST(what_cannot_be_read_is_named),
	};

	return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}
