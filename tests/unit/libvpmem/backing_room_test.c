// SPDX-License-Identifier: Apache-2.0
/*
 * backing_room_test.c - does the file system have room for a store: in holes, in shared blocks, and where each change
 * needs a new block?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <unistd.h>

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

/* What fallocate(2) reserved and was not written since is a hole for SEEK_HOLE, and can be reserved again on a full disk. */
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

/* As on tmpfs: the file system shows holes and no extents. */
static void without_extents_the_first_hole_is_asked_for(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	memset(vpmem_backing_hva(b), 'x', 4 * MIB);
	faults.blocks = BLOCKS_UNKNOWN;
	faults.fallocate_error = ENOSPC;
	faults.fallocate_good = 4 * MIB;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	/* the file system gave what was asked for, its last blocks */
	faults.free_known = true;
	faults.free_bytes = 0;
	faults.fallocate_good = 6 * MIB;
	assert_int_equal(vpmem_backing_room(b), 0);
	faults.fallocate_error = 0;
	/* it says that it did: the block was reserved before, and nobody knows whether others were as well */
	faults.allocates_not = true;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	faults.free_bytes = MIB;
	assert_int_equal(vpmem_backing_room(b), 0);
	vpmem_backing_close(b);
}

/* Less than 2 MiB: that the file got all of it was not noticed. */
static void a_small_hole_that_is_filled_needs_no_more_room(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b;

	file_make(d->file, 3 * MIB, 1);
	assert_int_equal(truncate(d->file, 4 * MIB), 0);
	b = must_open(&opts);
	faults.blocks = BLOCKS_UNKNOWN;
	faults.free_known = true;
	faults.free_bytes = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	vpmem_backing_close(b);
}

static void an_interrupted_question_is_asked_again(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	faults.fallocate_error = ENOSPC;
	faults.fallocate_eintr = 2;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	assert_int_equal(faults.fallocate_eintr, 0);
	faults.fallocate_error = 0;
	faults.blocks = BLOCKS_OWN;
	faults.populate_error = EFAULT;
	faults.free_known = true;
	faults.populate_eintr = 2;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	assert_int_equal(faults.populate_eintr, 0);
	/* the first page is left out then */
	faults.pread_eintr = 1;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	assert_int_equal(faults.pread_eintr, 0);
	vpmem_backing_close(b);
}

/* A file of very many extents: the machine's lock is held meanwhile. */
static void a_file_of_many_extents_is_not_walked_to_its_end(void **state)
{
	static char map[80 * 64 + 1];
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4096 * (sizeof(map) - 1));
	struct vpmem_backing *b = must_open(&opts);

	memset(map, 'o', sizeof(map) - 1);
	faults.blocks = BLOCKS_MAP;
	faults.map = map;
	faults.map_unit = 4096;
	map[60 * 64] = 'h';
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	map[60 * 64] = 'o';
	map[70 * 64] = 'h';
	faults.nmaps = faults.npopulates = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(faults.nmaps, 64);
	/* what is left is asked as a store does */
	assert_true(faults.npopulates > 0);
	faults.populate_error = EFAULT;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	vpmem_backing_close(b);
}

/* ---- hugetlbfs --------------------------------------------------------------------------------------------------- */

#define HUGE (2 * MIB)

/* Four pages; those from `first` to `end` are there. */
static void huge_file(const struct dir *d, unsigned first, unsigned end)
{
	int fd = open(d->file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 * HUGE), 0);
	if (first < end)
		assert_int_equal(posix_fallocate(fd, (off_t)(first * HUGE), (off_t)((end - first) * HUGE)), 0);
	close(fd);
	faults.fs_type = HUGETLBFS_MAGIC;
	faults.block_size = HUGE;
}

static void a_huge_page_is_asked_for_until_one_is_new(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * HUGE);
	struct vpmem_backing *b;

	huge_file(d, 0, 2);
	b = must_open(&opts);
	faults.nfallocates = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(faults.nfallocates, 3);
	faults.fallocate_error = ENOSPC;
	faults.fallocate_good = 3 * HUGE;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	faults.fallocate_error = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	/* now all are there */
	faults.nfallocates = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(faults.nfallocates, 0);
	vpmem_backing_close(b);
}

/* As many pages as the mapping has are there, but elsewhere in the file. */
static void huge_pages_outside_of_the_mapping_do_not_count(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 2 * HUGE);
	struct vpmem_backing *b;

	huge_file(d, 2, 4);
	b = must_open(&opts);
	faults.fallocate_error = ENOSPC;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	vpmem_backing_close(b);
	huge_file(d, 0, 2);
	opts.offset = 2 * HUGE;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	vpmem_backing_close(b);
}

/* The machine's lock is held meanwhile. */
static void the_number_of_huge_pages_that_are_asked_for_is_bounded(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8192 * (uint64_t)65538);
	struct vpmem_backing *b;

	huge_file(d, 0, 0);
	assert_int_equal(truncate(d->file, (off_t)opts.size), 0);
	faults.block_size = 8192;
	b = must_open(&opts);
	faults.allocates_not = true;
	faults.nfallocates = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(faults.nfallocates, 65536);
	vpmem_backing_close(b);
}

/* No file system has to give a page for it, but the pool of huge pages may be empty. */
static void a_private_copy_of_huge_pages_needs_one(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * HUGE);
	struct vpmem_backing *b;

	huge_file(d, 0, 4);
	opts.share = false;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_room(b), 0);
	faults.populate_error = EFAULT;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	vpmem_backing_close(b);
}

/* ---- blocks that are there, and yet a store needs another one --------------------------------------------------- */

/* As of a reflink on xfs: the block is another file's as well, and a store needs one of its own. */
static void a_shared_block_needs_room(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	memset(vpmem_backing_hva(b), 'x', 8 * MIB);
	faults.blocks = BLOCKS_SHARED;
	faults.unshare_error = ENOSPC;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	faults.unshare_error = EDQUOT;
	assert_int_equal(vpmem_backing_room(b), -EDQUOT);
	faults.unshare_error = 0;
	faults.unshared = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(faults.unshared, 2 * MIB);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(file_byte(d->file, i * MIB), 'x');
	vpmem_backing_close(b);
}

/* The guest stored there after the file system had reported the block as shared: xfs finds no space for what is there. */
static void a_piece_that_became_its_own_meanwhile_needs_no_room(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	char map[] = "sssooooo";

	faults.blocks = BLOCKS_MAP;
	faults.map = map;
	faults.map_unit = MIB;
	faults.stored_meanwhile = MIB;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	assert_string_equal(map, "ossooooo");
	faults.stored_meanwhile = 2 * MIB;
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_string_equal(map, "oooooooo");
	vpmem_backing_close(b);
}

/* As of a snapshot on btrfs, which has no FALLOC_FL_UNSHARE_RANGE: the kernel is asked for the page of a store. */
static void a_shared_block_that_cannot_be_unshared(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	faults.blocks = BLOCKS_SHARED;
	faults.unshare_error = EOPNOTSUPP;
	faults.free_known = true;
	faults.free_bytes = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_true(faults.npopulates > 0);
	faults.populate_error = EFAULT;
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	faults.free_bytes = 64 * MIB;
	assert_int_equal(vpmem_backing_room(b), -EFAULT);
	vpmem_backing_close(b);
}

/* As on btrfs: no hole, nothing shared, and each change needs a new block. */
static void a_file_system_that_always_copies_needs_room(void **state)
{
	static const enum fake_blocks blocks[] = { BLOCKS_OWN, BLOCKS_UNKNOWN };
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	memset(vpmem_backing_hva(b), 'x', 4 * MIB);
	for (unsigned i = 0; i < 2; i++) {
		faults = (struct faults) { .blocks = blocks[i], .free_known = true, .free_bytes = 0 };
		assert_int_equal(vpmem_backing_room(b), 0);
		faults.populate_error = EFAULT;
		assert_int_equal(vpmem_backing_room(b), -ENOSPC);
		/* what fallocate says is the reason if a store is refused, and only then */
		faults.free_bytes = 64 * MIB;
		faults.fallocate_error = EDQUOT;
		assert_int_equal(vpmem_backing_room(b), -EDQUOT);
		faults.populate_error = 0;
		assert_int_equal(vpmem_backing_room(b), 0);
	}
	vpmem_backing_close(b);
}

static void a_store_that_is_refused_without_a_reason(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	memset(vpmem_backing_hva(b), 'x', 4 * MIB);
	faults.free_known = true;
	faults.free_bytes = 64 * MIB;
	faults.populate_error = EFAULT;
	assert_int_equal(vpmem_backing_room(b), -EFAULT);
	/* a kernel that cannot be asked (before 5.14) */
	faults.populate_error = EINVAL;
	assert_int_equal(vpmem_backing_room(b), 0);
	faults.populate_error = ENOMEM;
	assert_int_equal(vpmem_backing_room(b), -ENOMEM);
	vpmem_backing_close(b);
}

/* Before Linux 6.9, asking for such a page as a store does would never return. */
static void a_page_that_cannot_be_read_is_the_reason(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	faults.blocks = BLOCKS_OWN;
	faults.read_error = EIO;
	assert_int_equal(vpmem_backing_room(b), -EIO);
	assert_int_equal(faults.npopulates, 0);
	faults.read_error = 0;
	assert_int_equal(vpmem_backing_room(b), 0);
	vpmem_backing_close(b);
}

/* A page that is writable already needs nothing from the file system: the next one is asked for, but not all. */
static void a_page_that_is_not_writable_yet_is_asked_for(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	char *hva = vpmem_backing_hva(b);

	memset(hva, 'x', 3 * MIB);
	faults.blocks = BLOCKS_OWN;
	assert_int_equal(vpmem_backing_room(b), 0);
	/* at 0, 2 MiB, and 4 MiB, which is the first that was not stored to */
	assert_int_equal(faults.npopulates, 3);
	memset(hva, 'y', 8 * MIB);
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_in_range(faults.npopulates, 4, 10000);
	for (unsigned i = 0; i < 8 * MIB; i += 4096)
		assert_int_equal(hva[i], 'y');
	vpmem_backing_close(b);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(room_is_asked_of_the_file_system),
		CASE(what_was_reserved_before_is_no_room),
		CASE(room_is_two_mebibytes),
		CASE(without_a_hole_only_the_file_system_can_fail),
		CASE(a_file_without_a_byte_left_is_no_matter_of_room),
		CASE(a_private_copy_needs_no_room),
		CASE(without_extents_the_first_hole_is_asked_for),
		CASE(a_small_hole_that_is_filled_needs_no_more_room),
		CASE(an_interrupted_question_is_asked_again),
		CASE(a_file_of_many_extents_is_not_walked_to_its_end),
		CASE(a_huge_page_is_asked_for_until_one_is_new),
		CASE(huge_pages_outside_of_the_mapping_do_not_count),
		CASE(the_number_of_huge_pages_that_are_asked_for_is_bounded),
		CASE(a_private_copy_of_huge_pages_needs_one),
		CASE(a_shared_block_needs_room),
		CASE(a_piece_that_became_its_own_meanwhile_needs_no_room),
		CASE(a_shared_block_that_cannot_be_unshared),
		CASE(a_file_system_that_always_copies_needs_room),
		CASE(a_store_that_is_refused_without_a_reason),
		CASE(a_page_that_cannot_be_read_is_the_reason),
		CASE(a_page_that_is_not_writable_yet_is_asked_for),
	};

	return cmocka_run_group_tests_name("backing_room", tests, NULL, NULL);
}
