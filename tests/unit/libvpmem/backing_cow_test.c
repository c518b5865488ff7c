// SPDX-License-Identifier: Apache-2.0
/*
 * backing_cow_test.c - full file systems that copy on write, as the kernel has them: xfs with a reflinked file, btrfs.
 *
 * Needs root, a loop device, and mkfs for each; skips with a message where that is missing. The mounts are in a mount
 * namespace of this process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SIZE (16 * MIB)
#define PAGE 4096u

static const struct kind {
	const char *name, *mkfs;
} xfs = { "xfs", "mkfs.xfs -q -m reflink=1" }, btrfs = { "btrfs", "mkfs.btrfs -q" };

static bool run(const char *command, const char *file, const char *where)
{
	char line[1024];

	snprintf(line, sizeof(line), "PATH=/usr/sbin:/sbin:$PATH; exec 2>/dev/null; %s %s %s >/dev/null", command, file,
	         where);
	return system(line) == 0;
}

/* d->path becomes the root of a new file system. False: that is not possible here. */
static bool mount_new(const struct dir *d, const struct kind *kind)
{
	char disk[300];
	bool mounted;

	snprintf(disk, sizeof(disk), "%s.disk", d->path);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	mounted = run("truncate -s 400M", disk, "") && run(kind->mkfs, disk, "") && run("mount -o loop", disk, d->path);
	/* The loop device keeps it, and goes when the file system is unmounted. */
	unlink(disk);
	return mounted;
}

static void must_mount(const struct dir *d, const struct kind *kind)
{
	if (mount_new(d, kind))
		return;
	print_message("SKIPPED: no %s here: it needs root, a loop device and %s\n", kind->name, kind->mkfs);
	skip();
}

static int unmount_teardown(void **state)
{
	const struct dir *d = *state;

	(void)umount2(d->path, MNT_DETACH);
	return dir_teardown(state);
}

/* Reserves most of what is free, which is quick, and writes until nothing fits any more. */
static void fill(const struct dir *d)
{
	static const char zeros[64 * 1024];
	struct statvfs fs;
	char path[300];
	int bulk_fd;

	snprintf(path, sizeof(path), "%s/bulk", d->path);
	bulk_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fstatvfs(bulk_fd, &fs), 0);
	(void)posix_fallocate(bulk_fd, 0, (off_t)(fs.f_bavail * fs.f_frsize - 24 * MIB));
	close(bulk_fd);
	for (size_t len = sizeof(zeros); len >= PAGE; len /= 4) {
		int fd;

		snprintf(path, sizeof(path), "%s/filler.%zu", d->path, len);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		while (write(fd, zeros, len) == (ssize_t)len)
			;
		/* what was only promised is written, or fails, now */
		fsync(fd);
		close(fd);
	}
}

static void make_room(const struct dir *d)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/bulk", d->path);
	unlink(path);
	for (size_t len = 64 * 1024; len >= PAGE; len /= 4) {
		snprintf(path, sizeof(path), "%s/filler.%zu", d->path, len);
		unlink(path);
	}
	run("sync -f", d->path, "");
	/* btrfs frees blocks in a transaction that ends later */
	run("sync -f", d->path, "");
}

/* An empty file; nodatacow can only be set while it is that. */
static int create(const char *path, bool is_nocow)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), flags = FS_NOCOW_FL;

	assert_true(fd >= 0);
	if (is_nocow)
		assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
	return fd;
}

/* An image with content; is_shared: all of its blocks are also those of another file. */
static void make_image(const struct dir *d, bool is_nocow, bool is_shared)
{
	int fd = create(d->file, is_nocow), other_fd;
	char other[300];

	file_make(d->file, SIZE, 1);
	run("sync -f", d->path, "");
	if (is_shared) {
		snprintf(other, sizeof(other), "%s/other", d->path);
		other_fd = create(other, is_nocow);
		assert_int_equal(ioctl(other_fd, FICLONE, fd), 0);
		close(other_fd);
	}
	close(fd);
	run("sync -f", d->path, "");
}

static unsigned stores_refused(struct vpmem_backing *b, const char *byte, uint64_t step)
{
	unsigned n = 0;

	for (uint64_t off = 0; off < SIZE; off += step)
		n += vpmem_backing_store(b, off, byte, 1) != 0;
	return n;
}

/* What room says is what stores meet. */
static void room_is_what_stores_meet(const struct dir *d)
{
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *b = must_open(&opts);
	char page[PAGE];

	fill(d);
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	/* btrfs takes its time for each refusal */
	assert_in_range(stores_refused(b, "x", MIB), SIZE / MIB / 2, SIZE / MIB);
	assert_int_equal(vpmem_backing_room(b), -ENOSPC);
	make_room(d);
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(stores_refused(b, "y", PAGE), 0);
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(vpmem_backing_sync(b), 0);
	/* and nothing but the stores has changed it */
	for (uint64_t off = 0; off < SIZE; off += PAGE) {
		assert_int_equal(vpmem_backing_load(b, off, page, PAGE), 0);
		assert_int_equal(page[0], 'y');
		assert_int_equal((uint8_t)page[1], (uint8_t)(1 + off / PAGE));
	}
	vpmem_backing_close(b);
}

static void a_reflinked_file_on_a_full_xfs(void **state)
{
	const struct dir *d = *state;

	must_mount(d, &xfs);
	make_image(d, false, true);
	room_is_what_stores_meet(d);
}

static void any_file_on_a_full_btrfs(void **state)
{
	const struct dir *d = *state;

	must_mount(d, &btrfs);
	make_image(d, false, false);
	room_is_what_stores_meet(d);
}

static void a_nodatacow_file_with_a_snapshot_on_a_full_btrfs(void **state)
{
	const struct dir *d = *state;

	must_mount(d, &btrfs);
	make_image(d, true, true);
	room_is_what_stores_meet(d);
}

/* After prealloc=on a file system may be full, and every store has its block. */
static void prealloc_gives_a_reflinked_file_blocks_of_its_own(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *b;

	must_mount(d, &xfs);
	make_image(d, false, true);
	opts.prealloc = true;
	b = must_open(&opts);
	fill(d);
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(stores_refused(b, "x", PAGE), 0);
	assert_int_equal(vpmem_backing_sync(b), 0);
	vpmem_backing_close(b);
	/* it has all that it needs: nothing is requested again */
	vpmem_backing_close(must_open(&opts));
	assert_int_equal(file_byte(d->file, PAGE), 'x');
	assert_int_equal(file_byte(d->file, PAGE + 1), 2);
}

static void prealloc_of_a_reflinked_file_on_a_full_xfs(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *b;
	struct vpmem_error err;

	must_mount(d, &xfs);
	make_image(d, false, true);
	fill(d);
	opts.prealloc = true;
	assert_int_equal(vpmem_backing_open(&opts, &b, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "needs 16777216 bytes (16 MiB)"));
}

static void prealloc_on_btrfs_is_refused(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);

	must_mount(d, &btrfs);
	make_image(d, false, false);
	opts.prealloc = true;
	must_refuse(
		&opts, -EOPNOTSUPP,
		"prealloc: backing store %s: its file system (btrfs) writes every change to a new block, so that no "
		"block can be reserved: Operation not supported",
		"chattr +C");
	assert_int_equal(unlink(d->file), 0);
	make_image(d, true, true);
	must_refuse(
		&opts, -EOPNOTSUPP,
		"prealloc: backing store %s shares 16777216 bytes (16 MiB) with another file or a snapshot, and its "
		"file system cannot give it blocks of its own: Operation not supported",
		"cp --reflink=never");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, unmount_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_reflinked_file_on_a_full_xfs),
		CASE(any_file_on_a_full_btrfs),
		CASE(a_nodatacow_file_with_a_snapshot_on_a_full_btrfs),
		CASE(prealloc_gives_a_reflinked_file_blocks_of_its_own),
		CASE(prealloc_of_a_reflinked_file_on_a_full_xfs),
		CASE(prealloc_on_btrfs_is_refused),
	};

	return cmocka_run_group_tests_name("backing_cow", tests, NULL, NULL);
}
