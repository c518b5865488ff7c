// SPDX-License-Identifier: Apache-2.0
/*
 * backing_property_test.c - the memory properties of a backend: dump, reserve, merge, prealloc, host-nodes and
 * policy, each as the kernel sees it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static uint8_t *hva(const struct vpmem_backing *b)
{
	return vpmem_backing_hva(b);
}

static void properties_reach_the_kernel(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	if (!has_vm_flag(hva(b), " rd")) {
		vpmem_backing_close(b);
		print_message("SKIPPED: this kernel's smaps has no VmFlags\n");
		skip();
	}
	assert_false(has_vm_flag(hva(b), " dc")); /* a child would share it as well */
	assert_false(has_vm_flag(hva(b), " dd"));
	assert_false(has_vm_flag(hva(b), " nr"));
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
		assert_true(has_vm_flag(hva(b), " hg"));
	vpmem_backing_close(b);

	opts.dump = false;
	opts.reserve = false;
	b = must_open(&opts);
	assert_true(has_vm_flag(hva(b), " dd"));
	assert_true(has_vm_flag(hva(b), " nr"));
	vpmem_backing_close(b);

	opts = options(d, 4 * MIB);
	opts.share = false;
	b = must_open(&opts);
	assert_true(has_vm_flag(hva(b), " dc")); /* not inherited by fork */
	vpmem_backing_close(b);

	if (access("/sys/kernel/mm/ksm", F_OK))
		return;
	b = must_open(&opts);
	assert_true(has_vm_flag(hva(b), " mg"));
	vpmem_backing_close(b);
	opts.merge = false;
	b = must_open(&opts);
	assert_false(has_vm_flag(hva(b), " mg"));
	vpmem_backing_close(b);
}

static uint64_t allocated(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void prealloc_gives_the_file_its_blocks(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b;

	opts.prealloc = true;
	b = must_open(&opts);
	assert_true(allocated(d->file) >= 4 * MIB);
	vpmem_backing_close(b);
	/* what is mapped, and no more */
	opts.offset = MIB;
	opts.size = 2 * MIB;
	b = must_open(&opts);
	assert_int_equal(file_size(d->file), 3 * MIB);
	assert_in_range(allocated(d->file), 2 * MIB, 3 * MIB - 1);
	vpmem_backing_close(b);
	/* holes of a file that has content, which stays */
	opts.offset = 0;
	file_make(d->file, 64 * MIB, 1);
	opts.size = 64 * MIB;
	b = must_open(&opts);
	assert_true(allocated(d->file) >= 64 * MIB);
	assert_int_equal(hva(b)[4096], 2);
	vpmem_backing_close(b);
}

static bool is_tmpfs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static void prealloc_of_what_is_not_written_to_the_file(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	unsigned char resident = 0;
	struct vpmem_backing *b;
	struct vpmem_error err;
	uint64_t before;
	int rc;

	file_make(d->file, 32 * MIB, 1);
	before = allocated(d->file);
	opts.prealloc = true;
	opts.readonly = true;
	vpmem_backing_close(must_open(&opts));
	assert_int_equal(allocated(d->file), before);
	/* copy-on-write: memory is taken, the file's holes stay holes */
	opts.readonly = false;
	opts.share = false;
	rc = vpmem_backing_open(&opts, &b, &err);
	if (rc == -EINVAL) {
		print_message("SKIPPED: this kernel has no MADV_POPULATE_WRITE: %s\n", err.text);
		skip();
	}
	assert_int_equal(rc, 0);
	/* (a tmpfs fills a hole even when it is only read) */
	if (!is_tmpfs(d->path))
		assert_int_equal(allocated(d->file), before);
	assert_int_equal(mincore(hva(b) + 31 * MIB, 4096, &resident), 0);
	assert_true(resident & 1);
	vpmem_backing_close(b);
}

static void prealloc_that_does_not_fit_says_how_much_is_missing(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);

	opts.prealloc = true;
	faults.free_known = true;
	faults.free_bytes = 3 * MIB;
	must_refuse(&opts, -ENOSPC,
	            "prealloc: backing store %s needs 8388608 bytes (8 MiB), its file system has 3145728 bytes (3 MiB) "
	            "free: No space left on device",
	            "prealloc=off");
	/* without an attempt, which would have filled the disk */
	assert_int_equal(faults.nfallocates, 0);
	assert_false(file_exists(d->file));
	/* a file system that says nothing about its room is tried */
	faults.no_blocks_counted = true;
	vpmem_backing_close(must_open(&opts));
	assert_int_equal(faults.nfallocates, 1);
	/* and may refuse: a quota, or another was quicker */
	faults.free_bytes = 64 * MIB;
	faults.fallocate_error = ENOSPC;
	must_refuse(
		&opts, -ENOSPC,
		"prealloc: backing store %s needs 8388608 bytes (8 MiB), its file system has less free: No space left "
		"on device",
		"prealloc=off");
	faults.no_blocks_counted = false;
	must_refuse(
		&opts, -ENOSPC,
		"prealloc: backing store %s needs 8388608 bytes (8 MiB), its file system has 67108864 bytes (64 MiB) "
		"free: No space left on device",
		"prealloc=off");
	faults.fallocate_error = EIO;
	must_refuse(&opts, -EIO, "prealloc: backing store %s: Input/output error", NULL);
	assert_false(file_exists(d->file));
}

static void prealloc_where_the_file_system_cannot(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);

	opts.prealloc = true;
	faults.fallocate_error = EOPNOTSUPP;
	must_refuse(&opts, -EOPNOTSUPP,
	            "prealloc: backing store %s: its file system cannot reserve blocks: Operation not supported",
	            "prealloc=off");
	assert_false(file_exists(d->file));
}

static void host_nodes(void **state)
{
	const struct dir *d = *state;
	static const struct {
		enum vpmem_policy policy;
		int mode;
	} cases[] = {
		{ VPMEM_POLICY_BIND, MPOL_BIND },
		{ VPMEM_POLICY_PREFERRED, MPOL_PREFERRED },
		{ VPMEM_POLICY_INTERLEAVE, MPOL_INTERLEAVE },
	};
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b;
	unsigned long nodes;
	int mode, rc;

	opts.host_nodes = 1;
	for (unsigned i = 0; i < 3; i++) {
		opts.policy = cases[i].policy;
		rc = vpmem_backing_open(&opts, &b, NULL);
		if (rc == -ENOSYS) {
			print_message("SKIPPED: this kernel has no NUMA\n");
			skip();
		}
		assert_int_equal(rc, 0);
		if (syscall(SYS_get_mempolicy, &mode, &nodes, 8 * sizeof(nodes), hva(b), MPOL_F_ADDR)) {
			print_message("SKIPPED: get_mempolicy: %s\n", strerror(errno));
			vpmem_backing_close(b);
			skip();
		}
		assert_int_equal(mode, cases[i].mode);
		assert_int_equal(nodes, 1);
		vpmem_backing_close(b);
	}
	opts.host_nodes = UINT64_C(1) << 63;
	must_refuse(&opts, -EINVAL, "cannot bind memory to host NUMA nodes: Invalid argument", NULL);
	assert_false(file_exists(d->file));
}

/* Another process maps the same memory by the descriptor, unless the stores of the guest are not in the file. */
static void the_descriptor_is_that_of_the_memory(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	uint64_t off = 1;
	char byte;

	vpmem_backing_keep(b);
	vpmem_backing_close(b);
	opts.offset = 2 * MIB;
	opts.size = 2 * MIB;
	b = must_open(&opts);
	*hva(b) = 'x';
	assert_true(vpmem_backing_fd(b, &off) >= 0);
	assert_int_equal(off, 2 * MIB);
	assert_int_equal(pread(vpmem_backing_fd(b, &off), &byte, 1, (off_t)off), 1);
	assert_int_equal(byte, 'x');
	vpmem_backing_close(b);
	opts.share = false;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_fd(b, &off), -1);
	vpmem_backing_close(b);
	opts.share = opts.readonly = true;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_fd(b, &off), -1);
	vpmem_backing_close(b);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(properties_reach_the_kernel),
		CASE(the_descriptor_is_that_of_the_memory),
		CASE(prealloc_gives_the_file_its_blocks),
		CASE(prealloc_of_what_is_not_written_to_the_file),
		CASE(prealloc_that_does_not_fit_says_how_much_is_missing),
		CASE(prealloc_where_the_file_system_cannot),
		CASE(host_nodes),
	};

	return cmocka_run_group_tests_name("backing_property", tests, NULL, NULL);
}
