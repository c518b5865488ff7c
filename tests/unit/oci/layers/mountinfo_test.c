// SPDX-License-Identifier: Apache-2.0
// Lines of /proc/self/mountinfo: as the kernel writes them, and others.
#include "mountinfo.h"
#include "unit_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char text[] =
	"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
	"64 22 0:38 / /var/lib/a\\040b\\134c rw,relatime - overlay overlay rw,lowerdir=l/X:l/Y\\054z\n"
	"65 22 0:39 /sub\\011tab /mnt ro master:3 propagate_from:2 unbindable - tmpfs tmpfs rw\n"
	"\n"
	"66 nonsense\n"
	"x7 22 0:39 / /mnt ro - tmpfs tmpfs rw\n"
	"68 22 0:39 / /mnt ro shared:1\n"
	"69 22 0:39 / /mnt ro - tmpfs\n"
	"70 22 0:39 / /last rw - tmpfs none rw";

static int find(uint64_t id, struct mount *mount)
{
	FILE *file = fmemopen((void *)text, strlen(text), "r");
	int rc;

	assert_non_null(file);
	rc = mountinfo_find(file, id, mount);
	fclose(file);
	return rc;
}

static void finds_a_mount_by_its_id(void **state)
{
	struct mount mount;

	(void)state;
	assert_int_equal(find(64, &mount), 0);
	assert_string_equal(mount.type, "overlay");
	assert_string_equal(mount.root, "/");
	assert_string_equal(mount.mount_point, "/var/lib/a b\\c");
	// Its values keep their escapes: a comma in a name is no end of an option.
	assert_string_equal(mount.options, "rw,lowerdir=l/X:l/Y\\054z");
	mountinfo_mount_fini(&mount);
}

static void any_number_of_optional_fields(void **state)
{
	struct mount mount;

	(void)state;
	assert_int_equal(find(65, &mount), 0);
	assert_string_equal(mount.root, "/sub\ttab");
	assert_string_equal(mount.type, "tmpfs");
	mountinfo_mount_fini(&mount);
	assert_int_equal(find(22, &mount), 0);
	assert_string_equal(mount.type, "ext4");
	mountinfo_mount_fini(&mount);
}

static void a_last_line_without_an_end(void **state)
{
	struct mount mount;

	(void)state;
	assert_int_equal(find(70, &mount), 0);
	assert_string_equal(mount.options, "rw");
	mountinfo_mount_fini(&mount);
}

static void what_is_no_mount_is_not_found(void **state)
{
	static const uint64_t ids[] = { 66, 7, 68, 69, 71, 0 };
	struct mount mount;

	(void)state;
	for (unsigned i = 0; i < COUNT(ids); i++) {
		assert_int_equal(find(ids[i], &mount), -ENOENT);
		assert_null(mount.options);
	}
}

static void undoes_octal_escapes_only(void **state)
{
	char buf[] = "a\\040b\\134040\\09\\8";

	(void)state;
	mountinfo_unescape(buf);
	assert_string_equal(buf, "a b\\040\\09\\8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_mount_by_its_id),    cmocka_unit_test(any_number_of_optional_fields),
		cmocka_unit_test(a_last_line_without_an_end), cmocka_unit_test(what_is_no_mount_is_not_found),
		cmocka_unit_test(undoes_octal_escapes_only),
	};

	return cmocka_run_group_tests_name("mountinfo", tests, NULL, NULL);
}
