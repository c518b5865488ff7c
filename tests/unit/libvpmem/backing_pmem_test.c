// SPDX-License-Identifier: Apache-2.0
/*
 * backing_pmem_test.c - pmem=on: where it is refused, when a flush needs no system call, and /dev/daxX.Y. The
 * persistent memory is pretended, its description in sysfs is a directory of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A device in sysfs: region0/namespace0.0/device, as dir->path/sys/... */
static char region_dir[256], device_dir[320];

static void write_attribute(const char *dir, const char *name, const char *text)
{
	char path[400];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void set_subsystem(const char *dir, const char *name)
{
	char path[400], target[64];

	snprintf(path, sizeof(path), "%s/subsystem", dir);
	snprintf(target, sizeof(target), "../../../bus/%s", name);
	assert_int_equal(symlink(target, path), 0);
}

/* region: what the region's directory is of; domain: its attribute, NULL for none; device: its class. */
static void make_sysfs(const struct dir *d, const char *region, const char *domain, const char *device)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/sys", d->path);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(region_dir, sizeof(region_dir), "%s/sys/region0", d->path);
	assert_int_equal(mkdir(region_dir, 0755), 0);
	set_subsystem(region_dir, region);
	if (domain)
		write_attribute(region_dir, "persistence_domain", domain);
	snprintf(path, sizeof(path), "%s/namespace0.0", region_dir);
	assert_int_equal(mkdir(path, 0755), 0);
	set_subsystem(path, region);
	snprintf(device_dir, sizeof(device_dir), "%s/device", path);
	assert_int_equal(mkdir(device_dir, 0755), 0);
	set_subsystem(device_dir, device);
	faults.sysfs_dev = device_dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_sysfs(const struct dir *d)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/sys", d->path);
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	faults.sysfs_dev = NULL;
}

static int teardown(void **state)
{
	remove_sysfs(*state);
	return dir_teardown(state);
}

static struct vpmem_backing_options pmem_options(const struct dir *d)
{
	struct vpmem_backing_options opts = options(d, 0);

	opts.pmem = true;
	file_make(d->file, 4 * MIB, 1);
	return opts;
}

/* ---- refusals ------------------------------------------------------------------------------------ */

static void only_stores_can_be_persistent(void **state)
{
	struct vpmem_backing_options opts = pmem_options(*state);

	faults.map_sync = true;
	opts.share = false;
	must_refuse(&opts, -EINVAL, "property 'pmem' = 'on' is not supported with 'share' = 'off'", "add share=on");
	opts.share = opts.readonly = true;
	must_refuse(&opts, -EINVAL, "property 'pmem' = 'on' is not supported with 'readonly' = 'on'", "leave pmem out");
	opts.readonly = opts.pmem = false;
	opts.writeback = VPMEM_WRITEBACK_GUEST;
	must_refuse(&opts, -EINVAL, "property 'pmem-writeback' is not supported with 'pmem' = 'off'", NULL);
	opts.pmem = true;
	opts.writeback = (enum vpmem_writeback)3;
	must_refuse(&opts, -EINVAL, "Parameter 'pmem-writeback' is not valid", NULL);
}

/* The kernel's own answer: the directory of the tests is on no DAX file system. */
static void an_ordinary_file_is_refused(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = pmem_options(d);
	char text[400];

	opts.path = d->file;
	snprintf(text, sizeof(text),
	         "pmem=on: backing store %s is not on persistent memory: its file system does not "
	         "map it by DAX with MAP_SYNC",
	         d->file);
	must_refuse(&opts, -EOPNOTSUPP, text, "leave pmem out");
	/* one that was created for it is gone again */
	unlink(d->file);
	opts.size = 2 * MIB;
	must_refuse(&opts, -EOPNOTSUPP, text, "/dev/daxX.Y");
	assert_false(file_exists(d->file));
}

/* ---- what a flush does --------------------------------------------------------------------------- */

static void a_flush_needs_a_sync_unless_the_caches_survive(void **state)
{
	const struct dir *d = *state;
	static const struct {
		const char *subsystem, *domain;
		enum vpmem_writeback writeback;
		bool needs_sync;
	} cases[] = {
		{ "nd", "cpu_cache\n", VPMEM_WRITEBACK_AUTO, false },
		{ "nd", "memory_controller\n", VPMEM_WRITEBACK_AUTO, true },
		{ "nd", "\n", VPMEM_WRITEBACK_AUTO, true },
		{ "nd", NULL, VPMEM_WRITEBACK_AUTO, true },
		/* not a region: the word is somebody else's */
		{ "block", "cpu_cache\n", VPMEM_WRITEBACK_AUTO, true },
		{ "nd", "cpu_cache\n", VPMEM_WRITEBACK_HOST, true },
		{ "nd", "memory_controller\n", VPMEM_WRITEBACK_HOST, true },
		{ "nd", "memory_controller\n", VPMEM_WRITEBACK_GUEST, false },
		{ "block", NULL, VPMEM_WRITEBACK_GUEST, false },
	};

	faults.map_sync = true;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vpmem_backing_options opts = pmem_options(d);
		struct vpmem_backing *b;
		unsigned at_start;

		make_sysfs(d, cases[i].subsystem, cases[i].domain, "block");
		opts.writeback = cases[i].writeback;
		faults.nfdatasyncs = faults.nmap_syncs = 0;
		b = must_open(&opts);
		assert_int_equal(faults.nmap_syncs, 1);
		/* What no flush will sync was synced before the guest sees it. */
		at_start = faults.nfdatasyncs;
		assert_int_equal(at_start, !cases[i].needs_sync);
		for (int n = 0; n < 3; n++)
			assert_int_equal(vpmem_backing_sync(b), 0);
		assert_int_equal(faults.nfdatasyncs - at_start, cases[i].needs_sync ? 3 : 0);
		/* An orderly end syncs in any case. */
		at_start = faults.nfdatasyncs;
		assert_int_equal(vpmem_backing_close(b), 0);
		assert_int_equal(faults.nfdatasyncs - at_start, 1);
		remove_sysfs(d);
	}
}

static void the_region_is_that_of_the_file_systems_device(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = pmem_options(d);
	struct stat st;
	char expected[64];

	faults.map_sync = true;
	make_sysfs(d, "nd", "cpu_cache\n", "block");
	assert_int_equal(stat(d->file, &st), 0);
	snprintf(expected, sizeof(expected), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	vpmem_backing_close(must_open(&opts));
	assert_string_equal(faults.sysfs_asked, expected);
}

static void a_sync_that_fails_at_the_start_is_an_error(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = pmem_options(d);

	faults.map_sync = true;
	faults.fdatasync_error = EIO;
	opts.writeback = VPMEM_WRITEBACK_GUEST;
	must_refuse(&opts, -EIO, "pmem=on: can't sync backing store %s: Input/output error", NULL);
}

static void without_pmem_nothing_is_different(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = pmem_options(d);
	struct vpmem_backing *b;

	opts.pmem = false;
	faults.map_sync = true;
	make_sysfs(d, "nd", "cpu_cache\n", "block");
	b = must_open(&opts);
	assert_int_equal(faults.nmap_syncs, 0);
	assert_int_equal(vpmem_backing_sync(b), 0);
	assert_int_equal(faults.nfdatasyncs, 1);
	vpmem_backing_close(b);
}

/* ---- /dev/daxX.Y --------------------------------------------------------------------------------- */

static struct vpmem_backing_options dax_options(const struct dir *d, const char *subsystem, const char *domain)
{
	struct vpmem_backing_options opts = pmem_options(d);

	faults.map_sync = faults.is_char = true;
	make_sysfs(d, subsystem, domain, "dax");
	write_attribute(device_dir, "size", "4194304\n");
	write_attribute(device_dir, "align", "2097152\n");
	return opts;
}

static void a_dax_device_has_its_size_and_no_sync(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = dax_options(d, "nd", "cpu_cache\n");
	struct vpmem_usage usage;
	struct vpmem_backing *b;

	opts.prealloc = true;
	b = must_open(&opts);
	assert_string_equal(faults.sysfs_asked, "/sys/dev/char/250:3");
	assert_int_equal(vpmem_backing_size(b), 4 * MIB);
	assert_int_equal(vpmem_backing_usage(b, &usage), 0);
	assert_int_equal(usage.allocated_size, 4 * MIB);
	/* Its inode has no size, which says nothing. */
	assert_false(vpmem_backing_is_truncated(b));
	assert_int_equal(vpmem_backing_room(b), 0);
	*(uint8_t *)vpmem_backing_hva(b) = 'x';
	assert_int_equal(vpmem_backing_sync(b), 0);
	/* it is locked like a file */
	must_refuse(&opts, -EBUSY, "backing store %s is in use by another memory backend of this process",
	            "stop its user");
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_int_equal(faults.nfdatasyncs, 0);
	assert_int_equal(faults.nfallocates, 0);
	assert_int_equal(faults.nmap_syncs, 1);
	faults.is_char = false;
	assert_int_equal(file_byte(d->file, 0), 'x');
}

static int open_as_another(void *opaque, const struct vpmem_file_request *request, const char *id, const char *path,
                           struct vpmem_file *file, struct vpmem_error *err)
{
	int rc = vpmem_file_open(request, id, path, 0, file, err);

	(void)opaque;
	/* From here on there is no sysfs. */
	faults.sysfs_dev = "/nonexistent";
	return rc;
}

static int remove_nothing(void *opaque, const char *path, int fd)
{
	(void)opaque, (void)path, (void)fd;
	return -EPERM;
}

/* Size, unit and persistence domain come from the process that opens the device. */
static void a_dax_device_can_be_opened_by_another_process(void **state)
{
	static const struct vpmem_file_ops ops = { .open = open_as_another, .remove = remove_nothing };
	const struct dir *d = *state;
	struct vpmem_backing_options opts = dax_options(d, "nd", "cpu_cache\n");
	struct vpmem_error err = { .text = "" };
	struct vpmem_backing *b;

	opts.files = &ops;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_size(b), 4 * MIB);
	assert_int_equal(vpmem_backing_sync(b), 0);
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_int_equal(faults.nfdatasyncs, 0);
	remove_sysfs(d);
	make_sysfs(d, "nd", "memory_controller\n", "dax");
	write_attribute(device_dir, "size", "4194304\n");
	write_attribute(device_dir, "align", "2097152\n");
	assert_int_equal(vpmem_backing_open(&opts, &b, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "cannot be synced"));
}

static void a_dax_device_has_units(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = dax_options(d, "nd", "cpu_cache\n");
	struct vpmem_backing *b;

	opts.offset = 4096;
	must_refuse(&opts, -EINVAL, "offset 0x1000 must be multiples of page size 0x200000", NULL);
	opts.offset = 2 * MIB;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_size(b), 2 * MIB);
	assert_int_equal(*(uint8_t *)vpmem_backing_hva(b), (1 + 512) & 0xff);
	vpmem_backing_close(b);
	opts.offset = 0;
	opts.size = 4096;
	must_refuse(&opts, -EINVAL, "memory size 0x1000 must be equal to or larger than page size 0x200000", NULL);
	opts.size = 6 * MIB;
	must_refuse(&opts, -EINVAL,
	            "m1 backing store size 0x400000 is too small for 'size' option 0x600000 plus 'offset' option 0x0",
	            NULL);
	opts.size = 0;
	write_attribute(device_dir, "align", "3000\n");
	must_refuse(&opts, -EINVAL, "can't open backing store %s for guest RAM: Invalid argument", NULL);
	write_attribute(device_dir, "align", "2097152\n");
	write_attribute(device_dir, "size", "many\n");
	must_refuse(&opts, -EINVAL, "can't open backing store %s for guest RAM: Invalid argument", NULL);
}

static void a_dax_device_without_safe_caches_needs_a_guest_that_writes_back(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = dax_options(d, "nd", "memory_controller\n");
	static const enum vpmem_writeback refused[] = { VPMEM_WRITEBACK_AUTO, VPMEM_WRITEBACK_HOST };
	struct vpmem_backing *b;

	for (int i = 0; i < 2; i++) {
		opts.writeback = refused[i];
		must_refuse(&opts, -EOPNOTSUPP,
		            "pmem=on: backing store %s cannot be synced: it is a character device, and the CPU "
		            "caches of this host are not known to survive a power failure",
		            "pmem-writeback=guest");
	}
	opts.writeback = VPMEM_WRITEBACK_GUEST;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_sync(b), 0);
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_int_equal(faults.nfdatasyncs, 0);
}

/* Memory of another kind has the same device files: HBM, or CXL memory that is volatile. */
static void a_dax_device_that_is_not_persistent_is_refused(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = dax_options(d, "platform", NULL);

	opts.writeback = VPMEM_WRITEBACK_GUEST;
	must_refuse(&opts, -EOPNOTSUPP,
	            "pmem=on: backing store %s is no persistent memory: it belongs to no NVDIMM region",
	            "forgets everything");
}

static void a_dax_device_needs_pmem_and_share(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = dax_options(d, "nd", "cpu_cache\n");
	struct vpmem_backing *b;

	opts.pmem = false;
	must_refuse(&opts, -EINVAL,
	            "can't open backing store %s for guest RAM: it is persistent memory as a "
	            "character device, which needs 'pmem' = 'on'",
	            "add share=on,pmem=on");
	opts.share = false;
	must_refuse(&opts, -EINVAL,
	            "can't open backing store %s for guest RAM: it is persistent memory as a "
	            "character device, which needs 'share' = 'on'",
	            "add share=on,pmem=on");
	/* To read it, nothing needs to be said about stores. */
	opts.share = opts.readonly = true;
	b = must_open(&opts);
	assert_true(vpmem_backing_is_rom(b));
	assert_int_equal(vpmem_backing_sync(b), 0);
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_int_equal(faults.nfdatasyncs, 0);
}

/* What the kernel writes into sysfs is checked as everything from outside. */
static void attributes_that_make_no_sense_are_refused(void **state)
{
	static const char *const aligns[] = { "", "0", "2048", "12288", "2097152x", "0x100000000000000000" };
	static const char text[] = "can't open backing store %s for guest RAM: Invalid argument";
	const struct dir *d = *state;
	struct vpmem_backing_options opts = dax_options(d, "nd", "cpu_cache\n");
	char path[400];

	for (unsigned i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
		write_attribute(device_dir, "align", aligns[i]);
		must_refuse(&opts, -EINVAL, text, NULL);
	}
	write_attribute(device_dir, "align", "0x200000");
	/* more than there are addresses */
	write_attribute(device_dir, "size", "0xffffffffffe00000");
	must_refuse(&opts, -ENOMEM, "m1: unable to map backing store %s for guest RAM: Cannot allocate memory", NULL);
	write_attribute(device_dir, "size", "0x400000");
	vpmem_backing_close(must_open(&opts));
	snprintf(path, sizeof(path), "%s/size", device_dir);
	assert_int_equal(remove(path), 0);
	must_refuse(&opts, -ENOENT, "can't open backing store %s for guest RAM: No such file or directory", NULL);
	/* cannot be read: a directory */
	assert_int_equal(mkdir(path, 0755), 0);
	must_refuse(&opts, -EISDIR, "can't open backing store %s for guest RAM: Is a directory", NULL);
}

static void a_domain_that_cannot_be_read_is_unknown(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = dax_options(d, "nd", NULL);
	char path[400];

	snprintf(path, sizeof(path), "%s/persistence_domain", region_dir);
	assert_int_equal(mkdir(path, 0755), 0);
	must_refuse(&opts, -EOPNOTSUPP,
	            "pmem=on: backing store %s cannot be synced: it is a character device, and the CPU caches of this "
	            "host are not known to survive a power failure",
	            "pmem-writeback=guest");
}

static void a_device_without_a_directory_in_sysfs_is_no_memory(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = dax_options(d, "nd", "cpu_cache\n");

	remove_sysfs(d);
	must_refuse(&opts, -EINVAL, "can't open backing store %s for guest RAM: it is a character device",
	            "/dev/daxX.Y");
}

static void another_character_device_is_no_memory(void **state)
{
	struct vpmem_backing_options opts = options(*state, 2 * MIB);

	opts.path = "/dev/zero";
	opts.pmem = true;
	must_refuse(&opts, -EINVAL, "can't open backing store %s for guest RAM: it is a character device",
	            "/dev/daxX.Y");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, dir_setup, teardown)
	const struct CMUnitTest tests[] = {
		T(only_stores_can_be_persistent),
		T(an_ordinary_file_is_refused),
		T(a_flush_needs_a_sync_unless_the_caches_survive),
		T(the_region_is_that_of_the_file_systems_device),
		T(a_sync_that_fails_at_the_start_is_an_error),
		T(without_pmem_nothing_is_different),
		T(a_dax_device_has_its_size_and_no_sync),
		T(a_dax_device_can_be_opened_by_another_process),
		T(a_dax_device_has_units),
		T(a_dax_device_without_safe_caches_needs_a_guest_that_writes_back),
		T(a_dax_device_that_is_not_persistent_is_refused),
		T(a_dax_device_needs_pmem_and_share),
		T(attributes_that_make_no_sense_are_refused),
		T(a_domain_that_cannot_be_read_is_unknown),
		T(a_device_without_a_directory_in_sysfs_is_no_memory),
		T(another_character_device_is_no_memory),
	};

	return cmocka_run_group_tests_name("backing_pmem", tests, NULL, NULL);
}
