// SPDX-License-Identifier: Apache-2.0
// The settings of pmvm-oci: the defaults for a build tree and an installed program, and what a file changes.
#include "settings.h"
#include "unit_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct settings settings;
static struct vpmem_error err;

static int setup(void **state)
{
	(void)state;
	settings = (struct settings) { 0 };
	err = (struct vpmem_error) { "", "" };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	settings_fini(&settings);
	return 0;
}

static void a_build_tree_has_its_own_files(void **state)
{
	(void)state;
	assert_int_equal(settings_set_defaults("/home/me/pmvm/build/pmvm-oci", &settings, &err), 0);
	assert_string_equal(settings.pmvm, "/home/me/pmvm/build/pmvm");
	assert_string_equal(settings.kernel, "/home/me/pmvm/build/oci/kernel");
	assert_string_equal(settings.initrd, "/home/me/pmvm/build/oci/initrd.img");
	assert_string_equal(settings.mkfs_erofs, "/usr/bin/mkfs.erofs");
}

static void an_installed_program_has_those_of_its_prefix(void **state)
{
	(void)state;
	assert_int_equal(settings_set_defaults("/usr/local/bin/pmvm-oci", &settings, &err), 0);
	assert_string_equal(settings.pmvm, "/usr/local/bin/pmvm");
	assert_string_equal(settings.kernel, "/usr/local/lib/pmvm/kernel");
	assert_string_equal(settings.initrd, "/usr/local/lib/pmvm/initrd.img");
	assert_string_equal(settings.layer_cache, "/var/lib/pmvm/layers");
	assert_int_equal(settings.machine_uid, 1879048192);
}

static void a_program_in_the_root_directory(void **state)
{
	(void)state;
	assert_int_equal(settings_set_defaults("/pmvm-oci", &settings, &err), 0);
	assert_string_equal(settings.pmvm, "/pmvm");
	assert_string_equal(settings.kernel, "/oci/kernel");
}

static int load(const char *text)
{
	char path[] = "/tmp/pmvm-settings-XXXXXX";
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	rc = settings_load(path, &settings, &err);
	unlink(path);
	return rc;
}

static void a_file_changes_what_it_names(void **state)
{
	(void)state;
	assert_int_equal(
		load("# ours\n\n  kernel=/boot/a = b\t\nmemory = 1.5G\ncpus = 4\ncreate-timeout = 7\nmachine-uid = 0\n"
	             "share-layers = same-owner\nkernel = /boot/last\nlayer-cache-size = 0"),
		0);
	assert_string_equal(settings.kernel, "/boot/last");
	assert_int_equal(settings.memory, 3ull << 29);
	assert_int_equal(settings.cpus, 4);
	assert_int_equal(settings.create_timeout_s, 7);
	assert_int_equal(settings.machine_uid, 0);
	assert_int_equal(settings.share_layers, 1);
	assert_string_equal(settings.virtiofsd, "/usr/lib/qemu/virtiofsd");
}

static void values_have_bounds(void **state)
{
	const char *const wrong[] = {
		"memory = 1M",        "memory = -1", "machine-uid = 1879048193", "cpus = 257", "cpus = ",
		"create-timeout = 0", "pmvm =",      "layer-cache-size = 9E"
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(load(wrong[i]), -EINVAL);
		assert_non_null(strstr(err.text, ":1: "));
		settings_fini(&settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_build_tree_has_its_own_files, setup, teardown),
		cmocka_unit_test_setup_teardown(an_installed_program_has_those_of_its_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(a_program_in_the_root_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_changes_what_it_names, setup, teardown),
		cmocka_unit_test_setup_teardown(values_have_bounds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
