// SPDX-License-Identifier: Apache-2.0
/*
 * backing_usage_test.c - how much of a backend is in memory, and how much of it the file system has allocated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

static struct vpmem_usage usage(const struct vpmem_backing *b)
{
	struct vpmem_usage out = { .resident_size = UINT64_MAX, .allocated_size = UINT64_MAX };

	assert_int_equal(vpmem_backing_usage(b, &out), 0);
	return out;
}

static void store(const struct vpmem_backing *b, uint64_t off, uint64_t len)
{
	memset((uint8_t *)vpmem_backing_hva(b) + off, 'x', len);
}

/* More than one piece: 16 MiB are one system call. */
static void stores_become_resident_and_allocated(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 40 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	struct vpmem_usage before = usage(b), after;

	assert_true(before.resident_size <= MIB);
	assert_true(before.allocated_size <= MIB);
	store(b, 0, 2 * MIB);
	store(b, 16 * MIB - PAGE, 2 * PAGE);
	store(b, 38 * MIB, 2 * MIB);
	assert_int_equal(vpmem_backing_sync(b), 0);
	after = usage(b);
	/* a fault may bring many pages around it: Linux reads ahead for large ones */
	assert_in_range(after.resident_size, 4 * MIB + 2 * PAGE, 32 * MIB);
	assert_in_range(after.allocated_size, 4 * MIB + 2 * PAGE, 10 * MIB);
	store(b, 0, 40 * MIB);
	assert_int_equal(vpmem_backing_sync(b), 0);
	after = usage(b);
	assert_int_equal(after.resident_size, 40 * MIB);
	assert_int_equal(after.allocated_size, 40 * MIB);
	vpmem_backing_close(b);
}

static void a_part_of_a_file(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 2 * MIB);
	struct vpmem_backing *b;
	struct vpmem_usage u;

	file_make(d->file, 8 * MIB, 1);
	opts.offset = 2 * MIB;
	b = must_open(&opts);
	store(b, 0, 2 * MIB);
	u = usage(b);
	assert_int_equal(u.resident_size, 2 * MIB);
	/* what the whole file has, up to the part's size */
	assert_int_equal(u.allocated_size, 2 * MIB);
	vpmem_backing_close(b);
}

/* No whole number of pages: the rest of the last one is not counted. */
static void the_last_page_counts_in_part(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *b;

	file_make(d->file, 2 * MIB + 100, 1);
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_size(b), 2 * MIB + 100);
	store(b, 0, 2 * MIB + 100);
	assert_int_equal(usage(b).resident_size, 2 * MIB + 100);
	assert_int_equal(usage(b).allocated_size, 2 * MIB + 100);
	vpmem_backing_close(b);
}

static void what_is_reserved_is_allocated(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);
	struct vpmem_backing *b;

	opts.prealloc = true;
	b = must_open(&opts);
	assert_int_equal(usage(b).allocated_size, 8 * MIB);
	vpmem_backing_close(b);
}

static void copies_are_resident_and_not_allocated(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);
	struct vpmem_backing *b;
	int fd = open(d->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8 * MIB), 0);
	close(fd);
	opts.share = false;
	b = must_open(&opts);
	store(b, 0, 4 * MIB);
	assert_in_range(usage(b).resident_size, 4 * MIB, 8 * MIB);
	assert_true(usage(b).allocated_size <= MIB);
	vpmem_backing_close(b);
}

/* A mapping that is not there is an error, not a number. */
static void an_error_is_returned(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	struct vpmem_usage u;

	assert_int_equal(munmap((uint8_t *)vpmem_backing_hva(b) + 2 * MIB, 2 * MIB), 0);
	assert_int_equal(vpmem_backing_usage(b, &u), -ENOMEM);
	vpmem_backing_close(b);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(stores_become_resident_and_allocated),  CASE(a_part_of_a_file),
		CASE(the_last_page_counts_in_part),          CASE(what_is_reserved_is_allocated),
		CASE(copies_are_resident_and_not_allocated), CASE(an_error_is_returned),
	};

	return cmocka_run_group_tests_name("backing_usage", tests, NULL, NULL);
}
