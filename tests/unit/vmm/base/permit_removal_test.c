// SPDX-License-Identifier: Apache-2.0
// Which files may be removed. The directory of each test is the working directory.
#include "permit_removal.h"

#include "permit.h"
#include "unit_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int create(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void note(const char *path)
{
	int fd = create(path);

	permit_note_created(fd);
	close(fd);
}

static int setup(void **state)
{
	char dir[] = "/tmp/permit-removal-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return system("rm -rf \"$PWD\"");
}

/* The first test: afterwards there are limits. */
static void test_without_limits_all_may_be_removed(void **state)
{
	(void)state;
	close(create("any"));
	note("unlimited");
	assert_true(permit_removal("any"));
	permit_begin();
	assert_false(permit_removal("any"));
	assert_false(permit_removal("unlimited"));
}

static void test_a_file_that_was_created_once(void **state)
{
	(void)state;
	note("own");
	note("own2");
	assert_int_equal(rename("own", "elsewhere"), 0);
	close(create("own"));
	assert_false(permit_removal("own"));
	assert_true(permit_removal("elsewhere"));
	assert_false(permit_removal("elsewhere"));
	assert_true(permit_removal("own2"));
}

static void test_another_file_with_its_inode(void **state)
{
	struct stat before, after = { .st_ino = 0 };

	(void)state;
	note("own");
	assert_int_equal(stat("own", &before), 0);
	for (unsigned i = 0; i < 100 && after.st_ino != before.st_ino; i++) {
		unlink("own");
		// The clock of files is a coarse one.
		usleep(10000);
		close(create("own"));
		assert_int_equal(stat("own", &after), 0);
	}
	if (after.st_ino != before.st_ino)
		skip();
	assert_false(permit_removal("own"));
}

static void test_paths(void **state)
{
	char absolute[256];

	(void)state;
	mkdir("sub", 0700);
	assert_int_equal(permit_add_removal("pid"), 0);
	assert_int_equal(permit_add_removal("sub/../log"), 0);
	assert_int_equal(permit_add_removal("missing/x"), 0);
	assert_false(permit_removal("pid"));
	close(create("pid"));
	close(create("log"));
	close(create("pid2"));
	close(create("sub/pid"));
	assert_true(permit_removal("pid"));
	assert_true(permit_removal("pid"));
	assert_non_null(getcwd(absolute, 200));
	assert_true(permit_removal(strcat(absolute, "/pid")));
	assert_true(permit_removal("log"));
	assert_false(permit_removal("pid2"));
	assert_false(permit_removal("sub/pid"));
	mkdir("missing", 0700);
	close(create("missing/x"));
	assert_false(permit_removal("missing/x"));
}

static void test_kinds(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(permit_add_removal("fifo"), 0);
	assert_int_equal(permit_add_removal("target"), 0);
	close(create("target"));
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(symlink("socket", "link2"), 0);
	assert_true(permit_removal("socket"));
	assert_true(permit_removal("target"));
	assert_false(permit_removal("fifo"));
	assert_false(permit_removal("link"));
	assert_false(permit_removal("link2"));
	assert_false(permit_removal("."));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_without_limits_all_may_be_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_that_was_created_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_file_with_its_inode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
