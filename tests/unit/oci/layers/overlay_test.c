// SPDX-License-Identifier: Apache-2.0
// The options of overlay mounts, as kernels of several ages show them.
#include "overlay.h"
#include "unit_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_lowers(const char *options, const char *expected)
{
	struct overlay overlay;
	char joined[512] = "";

	assert_int_equal(overlay_parse(options, &overlay, NULL), 0);
	for (size_t i = 0; i < overlay.nlower; i++) {
		strcat(joined, overlay.lower[i]);
		strcat(joined, "|");
	}
	assert_string_equal(joined, expected);
	overlay_fini(&overlay);
}

static void lower_directories_with_escapes(void **state)
{
	(void)state;
	check_lowers("rw,lowerdir=/a:/b:/c", "/a|/b|/c|");
	check_lowers("rw,lowerdir=l/X", "l/X|");
	// The kernel shows the backslash of "\:" as \134, a comma as \054, a blank as \040.
	check_lowers("rw,lowerdir=/a\\134:b:/c\\054d:/e\\040f:/g\\134\\134h", "/a:b|/c,d|/e f|/g\\h|");
	// A list of its own for each, where a colon needs no escape.
	check_lowers("rw,lowerdir+=/top,lowerdir+=/a:b,lowerdir+=/c\\054d", "/top|/a:b|/c,d|");
	check_lowers("lowerdir=/a\\134", "/a\\|");
}

static void upper_work_and_the_flags(void **state)
{
	struct overlay overlay;

	(void)state;
	assert_int_equal(
		overlay_parse(
			"rw,lowerdir=/a,upperdir=/s/u\\054p/diff,workdir=/s/u\\054p/work,index=off,redirect_dir=on,"
			"metacopy=on,userxattr,volatile",
			&overlay, NULL),
		0);
	assert_string_equal(overlay.upper, "/s/u,p/diff");
	assert_string_equal(overlay.work, "/s/u,p/work");
	assert_true(overlay.metacopy && overlay.redirect_dir && overlay.userxattr && !overlay.has_data_only);
	overlay_fini(&overlay);

	assert_int_equal(overlay_parse("ro,lowerdir=/a:/b,redirect_dir=nofollow,metacopy=off", &overlay, NULL), 0);
	assert_null(overlay.upper);
	assert_false(overlay.metacopy || overlay.redirect_dir || overlay.userxattr || overlay.has_data_only);
	overlay_fini(&overlay);
}

static void directories_for_data_only_are_noticed(void **state)
{
	static const char *const options[] = { "lowerdir=/a::/data", "lowerdir+=/a,datadir+=/data" };
	struct overlay overlay;

	(void)state;
	for (unsigned i = 0; i < COUNT(options); i++) {
		assert_int_equal(overlay_parse(options[i], &overlay, NULL), 0);
		assert_true(overlay.has_data_only);
		overlay_fini(&overlay);
	}
}

static void no_lower_directory_is_an_error(void **state)
{
	static const char *const options[] = { "", "rw", "rw,upperdir=/a", "lowerdir", "lowerdir=" };
	struct vpmem_error err;
	struct overlay overlay;

	(void)state;
	for (unsigned i = 0; i < COUNT(options); i++) {
		assert_int_equal(overlay_parse(options[i], &overlay, &err), -EINVAL);
		assert_non_null(strstr(err.text, "without lowerdir"));
		overlay_fini(&overlay);
	}
}

// ---- the paths: a store with two layers

static char dir[64];

static int make_store(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/pmvm-overlay-XXXXXX");
	return mkdtemp(dir) && chdir(dir) == 0 && mkdir("A", 0755) == 0 && mkdir("A/diff", 0755) == 0 &&
	                       mkdir("l", 0755) == 0 && symlink("../A/diff", "l/X") == 0 && mkdir("C", 0755) == 0 &&
	                       mkdir("C/diff", 0755) == 0 && mkdir("C/work", 0755) == 0 &&
	                       mkdir("C/di\\ff", 0755) == 0 ?
	               0 :
	               -1;
}

static int remove_store(void **state)
{
	static const char *const names[] = { "l/X", "l", "A/diff", "A", "C/diff", "C/di\\ff", "C/work", "C" };

	(void)state;
	for (unsigned i = 0; i < COUNT(names); i++)
		remove(names[i]);
	return rmdir(dir);
}

// With %s for the directory of the store.
static int resolve(const char *options, struct overlay *overlay, struct vpmem_error *err)
{
	char text[1024], mount_point[128];
	int rc;

	snprintf(mount_point, sizeof(mount_point), "%s/C/merged", dir);
	snprintf(text, sizeof(text), options, dir, dir, dir);
	rc = overlay_parse(text, overlay, err);
	return rc ? rc : overlay_resolve(overlay, mount_point, err);
}

static void check_path(const char *path, const char *expected)
{
	char absolute[128];

	snprintf(absolute, sizeof(absolute), "%s/%s", dir, expected);
	assert_string_equal(path, absolute);
}

static void paths_are_relative_to_the_store(void **state)
{
	static const char *const options[] = {
		"lowerdir=l/X:A/diff,upperdir=C/diff,workdir=C/work",          // podman, beyond a page of options
		"lowerdir=l/X:A/diff,upperdir=%s/C/diff,workdir=%s/C/work",    // containerd
		"lowerdir=%s/l/X:%s/A/diff,upperdir=%s/C/diff,workdir=C/work", // podman
	};
	struct overlay overlay;

	(void)state;
	assert_int_equal(chdir("/"), 0);
	for (unsigned i = 0; i < COUNT(options); i++) {
		assert_int_equal(resolve(options[i], &overlay, NULL), 0);
		assert_int_equal(overlay.nlower, 2);
		check_path(overlay.lower[0], "A/diff");
		check_path(overlay.lower[1], "A/diff");
		check_path(overlay.upper, "C/diff");
		check_path(overlay.work, "C/work");
		overlay_fini(&overlay);
	}
	assert_int_equal(chdir(dir), 0);
}

static void a_backslash_in_upperdir(void **state)
{
	struct overlay overlay;

	(void)state;
	// As a new kernel shows it, and as an old one.
	assert_int_equal(resolve("lowerdir=l/X,upperdir=%s/C/di\\134ff,workdir=%s/C/work", &overlay, NULL), 0);
	check_path(overlay.upper, "C/di\\ff");
	overlay_fini(&overlay);
	assert_int_equal(resolve("lowerdir=l/X,upperdir=%s/C/di\\134\\134ff,workdir=%s/C/work", &overlay, NULL), 0);
	check_path(overlay.upper, "C/di\\ff");
	overlay_fini(&overlay);
}

static void a_missing_layer_is_named(void **state)
{
	struct vpmem_error err;
	struct overlay overlay;

	(void)state;
	assert_int_equal(resolve("lowerdir=l/X:l/GONE,upperdir=C/diff,workdir=C/work", &overlay, &err), -ENOENT);
	assert_non_null(strstr(err.text, "l/GONE"));
	overlay_fini(&overlay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lower_directories_with_escapes),
		cmocka_unit_test(upper_work_and_the_flags),
		cmocka_unit_test(directories_for_data_only_are_noticed),
		cmocka_unit_test(no_lower_directory_is_an_error),
		cmocka_unit_test_setup_teardown(paths_are_relative_to_the_store, make_store, remove_store),
		cmocka_unit_test_setup_teardown(a_backslash_in_upperdir, make_store, remove_store),
		cmocka_unit_test_setup_teardown(a_missing_layer_is_named, make_store, remove_store),
	};

	return cmocka_run_group_tests_name("overlay", tests, NULL, NULL);
}
