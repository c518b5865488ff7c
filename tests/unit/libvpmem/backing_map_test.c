// SPDX-License-Identifier: Apache-2.0
/*
 * backing_map_test.c - the mapping of a memory backend, and its syncs.
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
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GIB (UINT64_C(1) << 30)

static uint8_t *hva(const struct vpmem_backing *b)
{
	return vpmem_backing_hva(b);
}

/* ---- what a mapping shows ------------------------------------------------------------------------ */

static void a_shared_mapping_is_the_file(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *b;

	file_make(d->file, 2 * MIB, 1);
	b = must_open(&opts);
	assert_int_equal(hva(b)[0], 1);
	assert_int_equal(hva(b)[4096], 2);
	hva(b)[4097] = 'x';
	assert_int_equal(file_byte(d->file, 4097), 'x');
	assert_false(vpmem_backing_is_rom(b));
	assert_string_equal(vpmem_backing_id(b), "m1");
	assert_string_equal(vpmem_backing_path(b), d->file);
	vpmem_backing_close(b);
	assert_int_equal(file_byte(d->file, 4097), 'x');
}

static void offset_is_where_the_mapping_begins(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4096);
	struct vpmem_backing *b;

	file_make(d->file, 2 * MIB, 1);
	opts.offset = 5 * 4096;
	b = must_open(&opts);
	assert_int_equal(hva(b)[0], 6);
	vpmem_backing_close(b);
}

static void copy_on_write_never_changes_the_file(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *first, *second;

	file_make(d->file, 2 * MIB, 1);
	opts.share = false;
	first = must_open(&opts);
	second = must_open(&opts);
	hva(first)[0] = 'x';
	assert_int_equal(hva(second)[0], 1);
	assert_int_equal(vpmem_backing_sync(first), 0);
	assert_int_equal(vpmem_backing_close(first), 0);
	vpmem_backing_close(second);
	assert_int_equal(file_byte(d->file, 0), 1);
	assert_int_equal(faults.nfdatasyncs, 0);
}

static void readonly_and_rom(void **state)
{
	const struct dir *d = *state;
	static const struct {
		bool share, readonly, rom;
		enum vpmem_rom option;
	} cases[] = {
		{ true, false, false, VPMEM_ROM_AUTO },  { true, false, false, VPMEM_ROM_OFF },
		{ true, true, true, VPMEM_ROM_AUTO },    { true, true, true, VPMEM_ROM_ON },
		{ false, false, false, VPMEM_ROM_AUTO }, { false, true, true, VPMEM_ROM_AUTO },
		{ false, true, true, VPMEM_ROM_ON },     { false, true, false, VPMEM_ROM_OFF },
	};

	file_make(d->file, MIB, 1);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vpmem_backing_options opts = options(d, 0);
		struct vpmem_backing *b;

		opts.share = cases[i].share;
		opts.readonly = cases[i].readonly;
		opts.rom = cases[i].option;
		b = must_open(&opts);
		assert_int_equal(vpmem_backing_is_rom(b), cases[i].rom);
		assert_int_equal(writable(hva(b) + 100), !cases[i].rom);
		assert_int_equal(vpmem_backing_sync(b), 0);
		vpmem_backing_close(b);
	}
}

static void addresses_are_aligned_for_large_pages(void **state)
{
	const struct dir *d = *state;
	static const struct {
		uint64_t size, align, expected;
	} cases[] = {
		{ MIB, 0, 2 * MIB }, { GIB - 2 * MIB, 0, 2 * MIB }, { GIB, 0, GIB },
		{ 3 * GIB, 0, GIB }, { MIB, 64 * MIB, 64 * MIB },   { 3 * GIB, 4 * MIB, 4 * MIB },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vpmem_backing_options opts = options(d, cases[i].size);
		/* several at once, so that one that is aligned by luck is not enough */
		struct vpmem_backing *b[4];
		char path[4][300];

		opts.align = cases[i].align;
		for (unsigned j = 0; j < 4; j++) {
			snprintf(path[j], sizeof(path[j]), "%s/%u", d->path, j);
			opts.path = path[j];
			b[j] = must_open(&opts);
			assert_int_equal((uintptr_t)hva(b[j]) % cases[i].expected, 0);
			assert_int_equal(vpmem_backing_align(b[j]), cases[i].expected);
			hva(b[j])[cases[i].size - 1] = 1;
		}
		for (unsigned j = 0; j < 4; j++)
			vpmem_backing_close(b[j]);
	}
}

static uint64_t address_space_pages(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages;
}

/* The slack that alignment needs, and the mapping itself, are given back. */
static void no_address_space_is_lost(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, GIB);
	struct vpmem_backing *b;
	uint64_t before, grown;

	vpmem_backing_close(must_open(&opts));
	before = address_space_pages();
	b = must_open(&opts);
	grown = address_space_pages() - before;
	assert_in_range(grown, GIB / 4096, GIB / 4096 + 1024);
	vpmem_backing_close(b);
	assert_in_range(address_space_pages() + 1024, before, before + 2048);
}

static void an_alignment_that_cannot_be_had_is_refused(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);

	opts.align = UINT64_C(1) << 62;
	must_refuse(&opts, -ENOMEM, "m1: unable to map backing store %s for guest RAM: Cannot allocate memory", NULL);
	assert_false(file_exists(d->file));
	opts.align = UINT64_C(1) << 63;
	opts.size = INT64_MAX / 2;
	assert_int_not_equal(vpmem_backing_open(&opts, &(struct vpmem_backing *) { NULL }, NULL), 0);
	assert_false(file_exists(d->file));
}

static void a_file_that_cannot_be_mapped_is_named(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);

	/* 9p without a cache, FUSE with direct I/O */
	faults.map_error = ENODEV;
	must_refuse(&opts, -ENODEV, "m1: unable to map backing store %s for guest RAM: No such device",
	            "does not support shared mappings");
	faults.map_error = ENOMEM;
	must_refuse(&opts, -ENOMEM, "m1: unable to map backing store %s for guest RAM: Cannot allocate memory", NULL);
	opts.share = false;
	must_refuse(&opts, -ENOMEM, "m1: unable to map backing store %s for guest RAM: Cannot allocate memory",
	            "reserve=off");
	assert_int_equal(files_in(d->path), 0);
}

/* As much as is known of the reason is said. */
static void a_failing_map_has_a_next_step_where_one_is_known(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);

	faults.map_error = ENODEV;
	opts.share = false;
	must_refuse(&opts, -ENODEV, "m1: unable to map backing store %s for guest RAM: No such device",
	            "does not support such mappings");
	faults.map_error = ENOMEM;
	opts.reserve = false;
	must_refuse(&opts, -ENOMEM, "m1: unable to map backing store %s for guest RAM: Cannot allocate memory", NULL);
	/* without pmem=on, not a matter of DAX */
	faults.map_error = EOPNOTSUPP;
	must_refuse(&opts, -EOPNOTSUPP, "m1: unable to map backing store %s for guest RAM: Operation not supported",
	            NULL);
}

static void too_few_huge_pages_are_the_reason_of_a_failing_map(void **state)
{
	static const char hint[] = "there are too few free huge pages: add some (/proc/sys/vm/nr_hugepages)";
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = NULL;
	struct vpmem_error err;

	faults.fs_type = HUGETLBFS_MAGIC;
	faults.block_size = 2 * MIB;
	faults.map_error = ENOMEM;
	assert_int_equal(vpmem_backing_open(&opts, &b, &err), -ENOMEM);
	assert_memory_equal(err.hint, hint, strlen(hint));
	assert_string_equal(err.hint + strlen(hint), ", or reserve=off");
	/* where the pages are needed in any case, reserve=off is no way out */
	opts.prealloc = true;
	assert_int_equal(vpmem_backing_open(&opts, &b, &err), -ENOMEM);
	assert_string_equal(err.hint, hint);
	opts.prealloc = opts.reserve = false;
	assert_int_equal(vpmem_backing_open(&opts, &b, &err), -ENOMEM);
	assert_string_equal(err.hint, hint);
}

static void a_backing_without_an_id_has_its_path(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b;

	opts.id = NULL;
	b = must_open(&opts);
	assert_string_equal(vpmem_backing_id(b), d->file);
	vpmem_backing_close(b);
}

/* ---- syncs --------------------------------------------------------------------------------------- */

static void sync_is_one_fdatasync(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *b;

	file_make(d->file, MIB, 1);
	b = must_open(&opts);
	for (unsigned i = 1; i <= 3; i++) {
		/* also when nothing was written: the disk's cache may still hold what was */
		assert_int_equal(vpmem_backing_sync(b), 0);
		assert_int_equal(faults.nfdatasyncs, i);
	}
	faults.fdatasync_eintr = 2;
	assert_int_equal(vpmem_backing_sync(b), 0);
	faults.fdatasync_error = EIO;
	assert_int_equal(vpmem_backing_sync(b), -EIO);
	faults.fdatasync_error = ENOSPC;
	assert_int_equal(vpmem_backing_sync(b), -ENOSPC);
	assert_int_equal(faults.nfdatasyncs, 6);
	assert_int_equal(faults.nfsyncs, 0);
	faults.fdatasync_error = 0;
	vpmem_backing_close(b);
}

static void close_syncs_once_more_and_says_how_it_went(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *b;

	assert_int_equal(vpmem_backing_close(NULL), 0);
	file_make(d->file, MIB, 1);
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_int_equal(faults.nfdatasyncs, 1);
	b = must_open(&opts);
	faults.fdatasync_error = EIO;
	assert_int_equal(vpmem_backing_close(b), -EIO);
	/* and it is closed all the same */
	faults.fdatasync_error = 0;
	vpmem_backing_close(must_open(&opts));
}

/* In the last page of the file, where nothing looks. */
static bool can_punch_holes(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool can = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * MIB - 4096, 4096) == 0;

	close(fd);
	return can;
}

static void discard_data_drops_what_was_written(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b;

	file_make(d->file, 2 * MIB, 1);
	if (!can_punch_holes(d->file)) {
		print_message("SKIPPED: this file system cannot punch holes\n");
		skip();
	}
	opts.discard_data = true;
	/* a reader or a copy-on-write user cannot drop anything */
	opts.readonly = true;
	vpmem_backing_close(must_open(&opts));
	opts.readonly = false;
	opts.share = false;
	vpmem_backing_close(must_open(&opts));
	assert_int_equal(file_byte(d->file, 0), 1);

	/* nor does a start that failed */
	opts.share = true;
	vpmem_backing_close(must_open(&opts));
	assert_int_equal(file_byte(d->file, 0), 1);

	faults.nfdatasyncs = 0;
	b = must_open(&opts);
	vpmem_backing_keep(b);
	hva(b)[0] = 'x';
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_int_equal(faults.nfdatasyncs, 0);
	assert_int_equal(file_byte(d->file, 0), 0);
	/* but not what was not mapped */
	assert_int_equal(file_byte(d->file, MIB), 1);
	assert_int_equal(file_size(d->file), 2 * MIB);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_shared_mapping_is_the_file),
		CASE(offset_is_where_the_mapping_begins),
		CASE(copy_on_write_never_changes_the_file),
		CASE(readonly_and_rom),
		CASE(addresses_are_aligned_for_large_pages),
		CASE(no_address_space_is_lost),
		CASE(an_alignment_that_cannot_be_had_is_refused),
		CASE(a_file_that_cannot_be_mapped_is_named),
		CASE(a_failing_map_has_a_next_step_where_one_is_known),
		CASE(too_few_huge_pages_are_the_reason_of_a_failing_map),
		CASE(a_backing_without_an_id_has_its_path),
		CASE(sync_is_one_fdatasync),
		CASE(close_syncs_once_more_and_says_how_it_went),
		CASE(discard_data_drops_what_was_written),
	};

	return cmocka_run_group_tests_name("backing_map", tests, NULL, NULL);
}
