// SPDX-License-Identifier: Apache-2.0
/*
 * backing_serve_test.c - what the process that opens and removes files for another one refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (4 * MIB)

static void a_request_is_checked(void **state)
{
	const struct dir *d = *state;
	static const struct {
		struct vpmem_file_request request;
		int rc;
	} bad[] = {
		{ { .size = SIZE, .flags = 8 }, -EINVAL },
		{ { .size = SIZE, .flags = UINT32_MAX }, -EINVAL },
		{ { .size = SIZE, .reserved = 1 }, -EINVAL },
		{ { .size = SIZE, .align = 3 }, -EINVAL },
		{ { .size = SIZE, .align = 3 * 4096 }, -EINVAL },
		{ { .size = SIZE, .offset = 1 }, -EINVAL },
		{ { .size = SIZE, .flags = VPMEM_FILE_PMEM }, -EINVAL },
		{ { .size = SIZE, .flags = VPMEM_FILE_PMEM | VPMEM_FILE_SHARE | VPMEM_FILE_READONLY }, -EINVAL },
		{ { .size = UINT64_MAX, .flags = VPMEM_FILE_SHARE }, -EFBIG },
		{ { .size = SIZE, .offset = UINT64_MAX - 4095, .flags = VPMEM_FILE_SHARE }, -EFBIG },
	};
	struct vpmem_file_request request = { .size = SIZE };
	struct vpmem_file file;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vpmem_error err = { .text = "" };

		assert_int_equal(vpmem_file_open(&bad[i].request, "m1", d->file, 0, &file, &err), bad[i].rc);
		assert_true(err.text[0] != '\0');
		assert_int_equal(files_in(d->path), 0);
	}
	assert_int_equal(vpmem_file_open(&request, NULL, "", 0, &file, NULL), -EINVAL);
	assert_int_equal(vpmem_file_open(&request, NULL, d->file, 0, &file, NULL), 0);
	assert_true(vpmem_file_is_created(&file));
	close(file.fd);
	assert_int_equal(vpmem_file_open(&request, NULL, d->file, 0, &file, NULL), 0);
	assert_false(vpmem_file_is_created(&file));
	close(file.fd);
}

static void must_not_remove(const char *path, int flags, int rc)
{
	int fd = open(path, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(vpmem_file_remove(path, fd), rc);
	close(fd);
}

static void only_the_file_itself_is_removed(void **state)
{
	const struct dir *d = *state;
	char other[256], link[256], fifo[256];
	int fd;

	snprintf(other, sizeof(other), "%s/b.img", d->path);
	snprintf(link, sizeof(link), "%s/c.img", d->path);
	file_make(d->file, MIB, 0);
	snprintf(fifo, sizeof(fifo), "%s/fifo", d->path);
	file_make(other, MIB, 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(symlink(d->file, link), 0);

	must_not_remove(d->file, O_RDONLY, -EINVAL);
	must_not_remove(d->file, O_PATH, -EINVAL);
	must_not_remove(d->path, O_RDONLY | O_DIRECTORY, -EINVAL);
	must_not_remove(fifo, O_RDWR, -EINVAL);
	must_not_remove(link, O_RDWR, -ESTALE);
	assert_int_equal(vpmem_file_remove(d->file, -1), -EBADF);
	fd = open(d->file, O_RDWR | O_CLOEXEC);
	assert_int_equal(vpmem_file_remove(other, fd), -ESTALE);
	assert_int_equal(vpmem_file_remove("", fd), -ENOENT);
	assert_int_equal(files_in(d->path), 4);
	assert_int_equal(vpmem_file_remove(d->file, fd), 0);
	assert_false(file_exists(d->file));
	assert_int_equal(vpmem_file_remove(d->file, fd), -ENOENT);
	close(fd);
}

static void a_file_in_use_is_not_removed(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b = must_open(&opts);

	must_not_remove(d->file, O_RDWR, -EBUSY);
	assert_true(file_exists(d->file));
	vpmem_backing_close(b);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_request_is_checked),
		CASE(only_the_file_itself_is_removed),
		CASE(a_file_in_use_is_not_removed),
	};

	return cmocka_run_group_tests_name("backing_serve", tests, NULL, NULL);
}
