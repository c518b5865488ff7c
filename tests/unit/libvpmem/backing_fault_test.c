// SPDX-License-Identifier: Apache-2.0
/*
 * backing_fault_test.c - a backing whose file the host cannot provide: accesses that must not be SIGBUS, a file
 * that was truncated, room for holes.
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
#include <unistd.h>

static void accesses_go_where_the_guests_go(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	char got[8];

	assert_int_equal(vpmem_backing_store(b, 4 * MIB - 8, "12345678", 8), 0);
	assert_memory_equal((char *)vpmem_backing_hva(b) + 4 * MIB - 8, "12345678", 8);
	assert_int_equal(vpmem_backing_load(b, 4 * MIB - 8, got, 8), 0);
	assert_memory_equal(got, "12345678", 8);
	assert_int_equal(file_byte(d->file, 4 * MIB - 1), '8');
	vpmem_backing_close(b);
}

static void a_private_copy_takes_stores_and_the_file_does_not(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b;

	file_make(d->file, 4 * MIB, 'a');
	opts.share = false;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_store(b, 0, "x", 1), 0);
	assert_int_equal(*(char *)vpmem_backing_hva(b), 'x');
	assert_int_equal(file_byte(d->file, 0), 'a');
	vpmem_backing_close(b);
}

static void read_only_memory_takes_no_store(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b;
	char got;

	file_make(d->file, 4 * MIB, 'a');
	opts.readonly = true;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_store(b, 0, "x", 1), -EROFS);
	assert_int_equal(vpmem_backing_load(b, 0, &got, 1), 0);
	assert_int_equal(got, 'a');
	vpmem_backing_close(b);
}

static void the_end_is_checked(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	char buf[2] = "";

	assert_int_equal(vpmem_backing_store(b, 4 * MIB - 1, buf, 2), -ERANGE);
	assert_int_equal(vpmem_backing_load(b, 4 * MIB - 1, buf, 2), -ERANGE);
	assert_int_equal(vpmem_backing_load(b, UINT64_MAX, buf, 2), -ERANGE);
	assert_int_equal(vpmem_backing_load(b, 0, buf, UINT64_MAX), -ERANGE);
	assert_int_equal(vpmem_backing_load(b, 4 * MIB - 2, buf, 2), 0);
	vpmem_backing_close(b);
}

/* Each of these accesses by a plain load or store would be the end of the process. */
static void a_truncated_file_is_noticed_and_does_not_kill(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	char byte = 'x';

	assert_false(vpmem_backing_is_truncated(b));
	assert_int_equal(truncate(d->file, 2 * MIB), 0);
	assert_true(vpmem_backing_is_truncated(b));
	assert_int_equal(vpmem_backing_store(b, 3 * MIB, &byte, 1), -EFAULT);
	assert_int_equal(vpmem_backing_load(b, 3 * MIB, &byte, 1), -EFAULT);
	assert_int_equal(vpmem_backing_store(b, MIB, &byte, 1), 0);
	assert_int_equal(truncate(d->file, 8 * MIB), 0);
	assert_false(vpmem_backing_is_truncated(b));
	assert_int_equal(vpmem_backing_store(b, 3 * MIB, &byte, 1), 0);
	vpmem_backing_close(b);
}

static void room_is_asked_of_the_file_system(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	assert_int_equal(vpmem_backing_room(b), 0);
	faults.fallocate_error = ENOSPC;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	faults.fallocate_error = EDQUOT;
	assert_int_equal(vpmem_backing_room(b), -EDQUOT);
	/* A file system without fallocate: by its free blocks. */
	faults.fallocate_error = EOPNOTSUPP;
	faults.free_known = true;
	faults.free_bytes = 0;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	/* A tmpfs without a limit. */
	faults.no_blocks_counted = true;
	assert_int_equal(vpmem_backing_room(b), 0);
	faults.no_blocks_counted = false;
	faults.free_bytes = 4 * MIB;
	assert_int_equal(vpmem_backing_room(b), 0);
	vpmem_backing_close(b);
}

/* fallocate(2) reserves, and what nobody has written since is a hole for SEEK_HOLE: it gives that again on a full disk. */
static void what_was_reserved_before_is_no_room(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	int fd = open(d->file, O_RDWR | O_CLOEXEC);

	assert_int_equal(posix_fallocate(fd, 0, 4 * MIB), 0);
	close(fd);
	faults.fallocate_error = ENOSPC;
	faults.fallocate_good = 4 * MIB;
	faults.free_known = true;
	faults.free_bytes = 0;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	faults.fallocate_error = 0;
	faults.free_bytes = 4 * MIB;
	assert_int_equal(vpmem_backing_room(b), 0);
	vpmem_backing_close(b);
}

/* A store of one byte may need as much: one folio of the page cache. */
static void room_is_two_mebibytes(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	faults.fallocate_error = ENOSPC;
	faults.fallocate_good = 2 * MIB - 1;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	faults.fallocate_good = 2 * MIB;
	assert_int_equal(vpmem_backing_room(b), 0);
	vpmem_backing_close(b);
}

/* It needs no room, whatever the file system says of that; one that was shut down says something else. */
static void without_a_hole_only_the_file_system_can_fail(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	memset(vpmem_backing_hva(b), 'x', 4 * MIB);
	assert_int_equal(vpmem_backing_room(b), 0);
	faults.fallocate_error = ENOSPC;
	assert_int_equal(vpmem_backing_room(b), 0);
	faults.fallocate_error = EDQUOT;
	assert_int_equal(vpmem_backing_room(b), 0);
	faults.fallocate_error = EIO;
	assert_int_equal(vpmem_backing_room(b), -EIO);
	faults.fallocate_error = EROFS;
	assert_int_equal(vpmem_backing_room(b), -EROFS);
	assert_int_equal(file_byte(d->file, 0), 'x');
	vpmem_backing_close(b);
}

static void a_file_without_a_byte_left_is_no_matter_of_room(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	assert_int_equal(truncate(d->file, 0), 0);
	faults.nfallocates = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(faults.nfallocates, 0);
	vpmem_backing_close(b);
}

static void a_private_copy_needs_no_room(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b;

	file_make(d->file, 0, 0);
	assert_int_equal(truncate(d->file, 4 * MIB), 0);
	opts.share = false;
	b = must_open(&opts);
	faults.fallocate_error = ENOSPC;
	assert_int_equal(vpmem_backing_room(b), 0);
	vpmem_backing_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(accesses_go_where_the_guests_go, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(a_private_copy_takes_stores_and_the_file_does_not, dir_setup,
		                                dir_teardown),
		cmocka_unit_test_setup_teardown(read_only_memory_takes_no_store, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(the_end_is_checked, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(a_truncated_file_is_noticed_and_does_not_kill, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(room_is_asked_of_the_file_system, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(what_was_reserved_before_is_no_room, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(room_is_two_mebibytes, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(without_a_hole_only_the_file_system_can_fail, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(a_file_without_a_byte_left_is_no_matter_of_room, dir_setup,
		                                dir_teardown),
		cmocka_unit_test_setup_teardown(a_private_copy_needs_no_room, dir_setup, dir_teardown),
	};

	return cmocka_run_group_tests_name("backing_fault", tests, NULL, NULL);
}
