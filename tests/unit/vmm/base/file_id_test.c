// SPDX-License-Identifier: Apache-2.0
// A program removes only the file that it created, by itself or by the broker.
#include "file_id.h"
#include "forked_broker.h"
#include "permit.h"
#include "permit_removal.h"
#include "unit_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct broker_op *const ops[] = { &file_id_unlink_op };

static struct fixture {
	char dir[64], path[96], other[96];
	struct file_id id;
	int fd; // the file stays open, so that its number is not used again
} f;

static int create(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static int setup(void **state)
{
	(void)state;
	snprintf(f.dir, sizeof(f.dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/file", f.dir);
	snprintf(f.other, sizeof(f.other), "%s/other", f.dir);
	f.fd = create(f.path);
	return file_id_of_fd(f.fd, &f.id);
}

static int teardown(void **state)
{
	(void)state;
	close(f.fd);
	unlink(f.path);
	unlink(f.other);
	return rmdir(f.dir);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void permit_dir(void)
{
	permit_add(f.dir);
}

static void permit_dir_and_removal(void)
{
	permit_add(f.dir);
	permit_add_removal(f.path);
}

static void remove_only_ours(void)
{
	int fd = create(f.other);

	file_id_unlink(&f.id, f.other);
	assert_true(exists(f.other));
	file_id_unlink(&f.id, f.path);
	assert_false(exists(f.path));
	close(fd);
}

static void test_only_the_file_that_is_ours_is_removed(void **state)
{
	(void)state;
	remove_only_ours();
}

static void test_the_broker_removes_it(void **state)
{
	(void)state;
	forked_broker_start(ops, COUNT(ops), permit_dir_and_removal);
	remove_only_ours();
	assert_int_equal(forked_broker_stop(), 2);
}

static void test_the_broker_removes_nothing_elsewhere(void **state)
{
	(void)state;
	forked_broker_start(ops, COUNT(ops), NULL);
	file_id_unlink(&f.id, f.path);
	assert_int_equal(forked_broker_stop(), 1);
	assert_true(exists(f.path));
}

static void test_the_broker_removes_no_file_of_others(void **state)
{
	(void)state;
	forked_broker_start(ops, COUNT(ops), permit_dir);
	file_id_unlink(&f.id, f.path);
	assert_int_equal(forked_broker_stop(), 1);
	assert_true(exists(f.path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_the_file_that_is_ours_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_broker_removes_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_broker_removes_nothing_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_broker_removes_no_file_of_others, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
