// SPDX-License-Identifier: Apache-2.0
/*
 * backing_open_fault_test.c - every call to the system that opening a backing makes, failing in its turn: open says
 * what went wrong, or does without, and leaves nothing behind: no descriptor, no mapping, no file, no size.
 *
 * Memory that would leak is the address sanitizer's to find.
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
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CALLS_MAX 200u
#define SIZE (4 * MIB)

/* The call that fails, counted down; 0: none. */
static unsigned countdown;
static bool failed;
static int lock_error;
static unsigned lock_errors_left; /* 0: no end */

static bool fails(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	return true;
}

#define WRAP(type, name, params, error_value, errno_value, args) \
	type __real_##name params;                               \
	type __wrap_##name params;                               \
	type __wrap_##name params                                \
	{                                                        \
		if (!fails())                                    \
			return __real_##name args;               \
		errno = errno_value;                             \
		return error_value;                              \
	}

WRAP(void *, calloc, (size_t n, size_t size), NULL, ENOMEM, (n, size))
WRAP(char *, strdup, (const char *text), NULL, ENOMEM, (text))
WRAP(int, stat64, (const char *path, struct stat *st), -1, EIO, (path, st))
WRAP(int, fstat64, (int fd, struct stat *st), -1, EIO, (fd, st))
WRAP(int, ftruncate64, (int fd, off_t size), -1, EIO, (fd, size))
WRAP(void *, mmap64, (void *hva, size_t len, int prot, int flags, int fd, off_t off), MAP_FAILED, ENOMEM,
     (hva, len, prot, flags, fd, off))
// gcov's own, in a build that counts coverage: it calls mmap, which all of these programs wrap.
void *__real_mmap(void *hva, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *hva, size_t len, int prot, int flags, int fd, off_t off);

void *__wrap_mmap(void *hva, size_t len, int prot, int flags, int fd, off_t off)
{
	return __real_mmap(hva, len, prot, flags, fd, off);
}

int __real_fcntl64(int fd, int cmd, void *arg);
int __wrap_fcntl64(int fd, int cmd, void *arg);

int __wrap_fcntl64(int fd, int cmd, void *arg)
{
	if (cmd == F_OFD_SETLK && lock_error) {
		errno = lock_error;
		if (lock_errors_left && --lock_errors_left == 0)
			lock_error = 0;
		return -1;
	}
	if (fails()) {
		errno = EIO;
		return -1;
	}
	return __real_fcntl64(fd, cmd, arg);
}

/* ---- what is there before and after --------------------------------------------------------------------- */

struct left {
	unsigned nfds, nmaps, nfiles;
	bool exists;
	uint64_t size;
};

/* Mappings of files in the test's directory. */
static unsigned count_maps(const char *dir)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned n = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, dir) != NULL;
	fclose(maps);
	return n;
}

static struct left count_left(const struct dir *d)
{
	struct left left = {
		.nfds = files_in("/proc/self/fd"),
		.nmaps = count_maps(d->path),
		.nfiles = files_in(d->path),
		.exists = file_exists(d->file),
	};

	left.size = left.exists ? file_size(d->file) : 0;
	return left;
}

/* What opening is tried on, and how. */
struct shape {
	const char *name;
	bool exists; /* the file is there before, with file_size bytes */
	uint64_t file_size;
	bool share, readonly, prealloc, scratch;
};

static const struct shape shapes[] = {
	{ .name = "new file", .share = true },
	{ .name = "new file, blocks reserved", .share = true, .prealloc = true },
	{ .name = "new file, copy-on-write" },
	{ .name = "empty file", .exists = true, .share = true },
	{ .name = "file", .exists = true, .file_size = SIZE, .share = true },
	{ .name = "file, copy-on-write", .exists = true, .file_size = SIZE },
	{ .name = "file, copy-on-write, memory reserved", .exists = true, .file_size = SIZE, .prealloc = true },
	{ .name = "file, read-only", .exists = true, .file_size = SIZE, .share = true, .readonly = true },
	{ .name = "directory", .share = true, .scratch = true },
};

/* Opens with the n-th call failing. Returns whether there was one. */
static bool try(const struct dir *d, const struct shape *shape, unsigned n)
{
	struct vpmem_backing_options opts = options(d, SIZE);
	struct vpmem_backing *b = NULL;
	struct vpmem_error err = { 0 };
	struct left before, after;
	int rc;

	opts.share = shape->share;
	opts.readonly = shape->readonly;
	opts.prealloc = shape->prealloc;
	if (shape->scratch)
		opts.path = d->path;
	unlink(d->file);
	if (shape->exists)
		file_make(d->file, shape->file_size, 0);
	before = count_left(d);
	countdown = n;
	failed = false;
	rc = vpmem_backing_open(&opts, &b, &err);
	countdown = 0;
	if (rc == 0)
		assert_int_equal(vpmem_backing_close(b), 0);
	else if (!failed || !err.text[0] || b)
		fail_msg("%s, call %u: %d '%s'", shape->name, n, rc, err.text);
	after = count_left(d);
	if (before.nfds != after.nfds || before.nmaps != after.nmaps || before.nfiles != after.nfiles ||
	    before.exists != after.exists || before.size != after.size)
		fail_msg("%s, call %u: before and after: descriptors %u %u, mappings %u %u, files %u %u, size %llu",
		         shape->name, n, before.nfds, after.nfds, before.nmaps, after.nmaps, before.nfiles,
		         after.nfiles, (unsigned long long)after.size);
	return failed;
}

static void every_call_that_fails_leaves_nothing_behind(void **state)
{
	const struct dir *d = *state;

	faults.fails = fails;
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		unsigned n = 1;

		while (try(d, &shapes[i], n))
			assert_true(n++ < CALLS_MAX);
		/* Allocation, open, lock, size, mapping: there were some. */
		assert_true(n > 8);
	}
}

static void usage_that_cannot_be_read_is_an_error(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, SIZE);
	struct vpmem_backing *b = must_open(&opts);
	struct vpmem_usage usage;

	countdown = 1;
	assert_int_equal(vpmem_backing_usage(b, &usage), -EIO);
	countdown = 0;
	assert_int_equal(vpmem_backing_usage(b, &usage), 0);
	vpmem_backing_close(b);
}

/* ---- locks ------------------------------------------------------------------------------------------------ */

static void a_file_system_without_locks_is_no_error_and_a_warning(void **state)
{
	static const int errors[] = { ENOSYS, EOPNOTSUPP };
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, SIZE);
	struct vpmem_backing *b;

	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		lock_error = errors[i];
		b = must_open(&opts);
		assert_non_null(vpmem_backing_warning(b));
		assert_non_null(strstr(vpmem_backing_warning(b), "no locks"));
		vpmem_backing_close(b);
	}
	lock_error = 0;
	b = must_open(&opts);
	assert_null(vpmem_backing_warning(b));
	vpmem_backing_close(b);
}

static void a_lock_that_fails_otherwise_is_one(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, SIZE);

	lock_error = ENOLCK;
	must_refuse(&opts, -ENOLCK, "can't lock backing store %s: No locks available", NULL);
	/* It was created for this, and is gone although it could not be locked for that either. */
	assert_int_equal(access(d->file, F_OK), -1);
	lock_error = 0;
}

/* Found by the first test of this file: only another's lock makes a file that was created here another's. */
static void a_new_file_that_cannot_be_locked_goes_again(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, SIZE);
	struct vpmem_backing *b = NULL;

	lock_error = EIO;
	lock_errors_left = 1;
	assert_int_equal(vpmem_backing_open(&opts, &b, NULL), -EIO);
	assert_false(file_exists(d->file));
	lock_error = 0;
}

/* EACCES is what some systems say instead of EAGAIN. Nobody is found who has the file. */
static void a_user_who_cannot_be_found_is_another_process(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, SIZE);
	struct vpmem_backing *b = NULL;

	lock_error = EACCES;
	must_refuse(&opts, -EBUSY, "backing store %s is in use by another process", "readonly=on");
	assert_int_equal(vpmem_backing_open(&opts, &b, NULL), -EBUSY);
	assert_null(b);
	lock_error = 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_call_that_fails_leaves_nothing_behind),
		CASE(usage_that_cannot_be_read_is_an_error),
		CASE(a_file_system_without_locks_is_no_error_and_a_warning),
		CASE(a_lock_that_fails_otherwise_is_one),
		CASE(a_new_file_that_cannot_be_locked_goes_again),
		CASE(a_user_who_cannot_be_found_is_another_process),
	};

	return cmocka_run_group_tests_name("backing_open_fault", tests, NULL, NULL);
}
