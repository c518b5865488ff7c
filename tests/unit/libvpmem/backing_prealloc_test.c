// SPDX-License-Identifier: Apache-2.0
/*
 * backing_prealloc_test.c - prealloc=on where a file has blocks that it shares with another one, and where a file system
 * writes each change to a new block. Holes: backing_property_test.c. Real file systems: backing_cow_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>

/* A file with content, of which all blocks are shared. */
static struct vpmem_backing_options shared_file(const struct dir *d)
{
	struct vpmem_backing_options opts = options(d, 8 * MIB);

	file_make(d->file, 8 * MIB, 1);
	opts.prealloc = true;
	faults.blocks = BLOCKS_SHARED;
	faults.free_known = true;
	faults.free_bytes = 64 * MIB;
	return opts;
}

static void shared_blocks_become_its_own(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = shared_file(d);

	vpmem_backing_close(must_open(&opts));
	assert_int_equal(faults.unshared, 8 * MIB);
	assert_int_equal(faults.blocks, BLOCKS_OWN);
	assert_int_equal(file_byte(d->file, 4096), 2);
}

static void no_room_for_blocks_of_its_own(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = shared_file(d);

	faults.free_bytes = 3 * MIB;
	must_refuse(&opts, -ENOSPC,
	            "prealloc: backing store %s needs 8388608 bytes (8 MiB), its file system has 3145728 bytes (3 MiB) "
	            "free: No space left on device",
	            "prealloc=off");
	/* without an attempt, which would have filled the disk */
	assert_int_equal(faults.nfallocates, 0);
	faults.free_bytes = 64 * MIB;
	faults.unshare_error = ENOSPC;
	must_refuse(
		&opts, -ENOSPC,
		"prealloc: backing store %s needs 8388608 bytes (8 MiB), its file system has 67108864 bytes (64 MiB) "
		"free: No space left on device",
		"prealloc=off");
	faults.unshare_error = EDQUOT;
	must_refuse(&opts, -EDQUOT, "prealloc: backing store %s: Disk quota exceeded", NULL);
}

/* xfs wants as much free space as it is asked for, whatever is there already. */
static void only_what_is_missing_is_asked_for(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = shared_file(d);
	char map[] = "oohhosoo";

	faults.blocks = BLOCKS_MAP;
	faults.map = map;
	faults.map_unit = MIB;
	faults.free_bytes = 4 * MIB;
	vpmem_backing_close(must_open(&opts));
	assert_string_equal(map, "oooooooo");
	assert_int_equal(faults.nfallocates, 2);
	assert_int_equal(faults.free_bytes, MIB);
}

static void blocks_that_stay_shared_are_refused(void **state)
{
	static const char text[] =
		"prealloc: backing store %s shares 8388608 bytes (8 MiB) with another file or a snapshot, "
		"and its file system cannot give it blocks of its own: Operation not supported";
	const struct dir *d = *state;
	struct vpmem_backing_options opts = shared_file(d);

	faults.unshare_error = EOPNOTSUPP;
	must_refuse(&opts, -EOPNOTSUPP, text, "cp --reflink=never");
	/* one that says that it did, and did not */
	faults.unshare_error = 0;
	faults.unshares_not = true;
	must_refuse(&opts, -EOPNOTSUPP, text, "cp --reflink=never");
}

/* xfs finds no room for blocks that are there already. "needs 0 bytes" was the text. */
static void a_file_that_has_all_its_blocks_needs_no_room(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = shared_file(d);

	faults.blocks = BLOCKS_OWN;
	faults.free_bytes = 0;
	faults.fallocate_error = ENOSPC;
	vpmem_backing_close(must_open(&opts));
	/* a file system that does not say where blocks are is tried */
	faults.blocks = BLOCKS_UNKNOWN;
	must_refuse(&opts, -ENOSPC, "prealloc: backing store %s: its file system has no space: No space left on device",
	            "prealloc=off");
}

/* As on tmpfs and NFS: what the file lacks is counted, and requested as a whole. */
static void without_extents_all_is_requested_at_once(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);

	opts.prealloc = true;
	faults.blocks = BLOCKS_UNKNOWN;
	faults.free_known = true;
	faults.free_bytes = 4 * MIB;
	must_refuse(&opts, -ENOSPC,
	            "prealloc: backing store %s needs 8388608 bytes (8 MiB), its file system has 4194304 bytes (4 MiB) "
	            "free: No space left on device",
	            "prealloc=off");
	faults.free_bytes = 64 * MIB;
	faults.fallocate_eintr = 1;
	vpmem_backing_close(must_open(&opts));
	assert_int_equal(faults.nfallocates, 1);
}

static void a_file_that_is_too_large_for_its_file_system(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);

	opts.prealloc = true;
	faults.fallocate_error = EFBIG;
	must_refuse(&opts, -EFBIG, "prealloc: backing store %s: File too large", "no files of that size");
}

/* One that cannot be asked what it is, or whether the file is nodatacow. */
static void a_file_system_that_cannot_be_asked(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = shared_file(d);

	faults.blocks = BLOCKS_OWN;
	faults.fs_type = BTRFS_SUPER_MAGIC;
	faults.is_nocow = true;
	faults.getflags_error = ENOTTY;
	must_refuse(
		&opts, -EOPNOTSUPP,
		"prealloc: backing store %s: its file system (btrfs) writes every change to a new block, so that no "
		"block can be reserved: Operation not supported",
		"chattr +C");
	/* then it is tried */
	faults.fstatfs_error = ENOSYS;
	vpmem_backing_close(must_open(&opts));
}

static void a_file_system_that_always_copies_is_refused(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = shared_file(d);

	faults.blocks = BLOCKS_OWN;
	faults.fs_type = BTRFS_SUPER_MAGIC;
	must_refuse(
		&opts, -EOPNOTSUPP,
		"prealloc: backing store %s: its file system (btrfs) writes every change to a new block, so that no "
		"block can be reserved: Operation not supported",
		"chattr +C");
	faults.is_nocow = true;
	vpmem_backing_close(must_open(&opts));
	/* without prealloc, and for what is not written, it does not matter */
	faults.is_nocow = false;
	opts.readonly = true;
	vpmem_backing_close(must_open(&opts));
	opts.readonly = opts.prealloc = false;
	vpmem_backing_close(must_open(&opts));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(shared_blocks_become_its_own),
		CASE(no_room_for_blocks_of_its_own),
		CASE(only_what_is_missing_is_asked_for),
		CASE(blocks_that_stay_shared_are_refused),
		CASE(a_file_that_has_all_its_blocks_needs_no_room),
		CASE(without_extents_all_is_requested_at_once),
		CASE(a_file_that_is_too_large_for_its_file_system),
		CASE(a_file_system_that_cannot_be_asked),
		CASE(a_file_system_that_always_copies_is_refused),
	};

	return cmocka_run_group_tests_name("backing_prealloc", tests, NULL, NULL);
}
