// SPDX-License-Identifier: Apache-2.0
/*
 * backing_fixture.c - a directory for each test of the memory backend, and system calls that can fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct faults faults;

/* ---- wrapped calls ------------------------------------------------------------------------------- */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fallocate(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate(int fd, int mode, off_t off, off_t len);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_fstatvfs(int fd, struct statvfs *fs);
int __wrap_fstatvfs(int fd, struct statvfs *fs);
/* The names that the same calls have with _FILE_OFFSET_BITS=64. */
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_open64(const char *path, int flags, ...);
int __wrap___open64_2(const char *path, int flags);
int __wrap_fstatvfs64(int fd, struct statvfs *fs);

static int fail_with(int error)
{
	errno = error;
	return -1;
}

static bool fails(void)
{
	return faults.fails && faults.fails();
}

int __wrap_fdatasync(int fd)
{
	if (faults.fdatasync_eintr) {
		faults.fdatasync_eintr--;
		return fail_with(EINTR);
	}
	faults.nfdatasyncs++;
	faults.synced_fd = fd;
	return faults.fdatasync_error ? fail_with(faults.fdatasync_error) : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
	faults.nfsyncs++;
	return fails() ? fail_with(EIO) : __real_fsync(fd);
}

static int unshare_range(off_t len)
{
	faults.unshared += len;
	if (faults.unshare_error)
		return fail_with(faults.unshare_error);
	if (!faults.unshares_not)
		faults.blocks = BLOCKS_OWN;
	return 0;
}

bool fake_eintr(unsigned *left)
{
	if (*left == 0)
		return false;
	--*left;
	errno = EINTR;
	return true;
}

int __wrap_fallocate(int fd, int mode, off_t off, off_t len)
{
	if (fake_eintr(&faults.fallocate_eintr))
		return -1;
	faults.nfallocates++;
	if (fails())
		return fail_with(EIO);
	if (faults.blocks == BLOCKS_MAP)
		return fake_fallocate(mode, off, len);
	if ((mode & FALLOC_FL_UNSHARE_RANGE) && faults.blocks != BLOCKS_REAL)
		return unshare_range(len);
	if (faults.fallocate_error && off + len > faults.fallocate_good)
		return fail_with(faults.fallocate_error);
	return faults.allocates_not ? 0 : __real_fallocate(fd, mode, off, len);
}

int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
	return __wrap_fallocate(fd, mode, off, len);
}

int __wrap_fstatvfs(int fd, struct statvfs *fs)
{
	int rc = fails() ? fail_with(EIO) : __real_fstatvfs(fd, fs);

	if (faults.free_known) {
		fs->f_frsize = 4096;
		fs->f_bavail = faults.free_bytes / 4096;
		fs->f_blocks = faults.no_blocks_counted ? 0 : 1 << 20;
	}
	return rc;
}

int __wrap_fstatvfs64(int fd, struct statvfs *fs)
{
	return __wrap_fstatvfs(fd, fs);
}

static int do_open(const char *path, int flags, mode_t mode)
{
	int fd;

	if ((flags & O_TMPFILE) == O_TMPFILE && faults.no_tmpfile)
		return fail_with(EOPNOTSUPP);
	if (faults.open_error && (flags & O_ACCMODE) == O_RDWR && !(flags & O_CREAT))
		return fail_with(faults.open_error);
	if (fails())
		return fail_with(EIO);
	if (faults.sysfs_dev && strncmp(path, "/sys/dev/", 9) == 0) {
		snprintf(faults.sysfs_asked, sizeof(faults.sysfs_asked), "%s", path);
		path = faults.sysfs_dev;
	}
	fd = __real_open(path, flags, mode);
	if (faults.unlink_after_open && strcmp(path, faults.unlink_after_open) == 0)
		unlink(path);
	return fd;
}

/* open64 differs from open in nothing on the machines with a 64-bit off_t. The mode is there only if used. */
int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return do_open(path, flags, mode);
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return do_open(path, flags, mode);
}

/* What open is with _FORTIFY_SOURCE, as packages are built, where it has two arguments. */
int __wrap___open64_2(const char *path, int flags)
{
	return do_open(path, flags, 0);
}

/* ---- directories and files ------------------------------------------------------------------------ */

int dir_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct dir *d = calloc(1, sizeof(*d));

	memset(&faults, 0, sizeof(faults));
	if (!d)
		return -1;
	snprintf(d->path, sizeof(d->path), "%s/vpmem-test.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(d->path)) {
		perror(d->path);
		return -1;
	}
	snprintf(d->file, sizeof(d->file), "%s/a.img", d->path);
	*state = d;
	return 0;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int dir_teardown(void **state)
{
	struct dir *d = *state;
	struct dirent *entry;
	DIR *dir = opendir(d->path);

	while (dir && (entry = readdir(dir))) {
		if (!is_dot(entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	rmdir(d->path);
	free(d);
	return 0;
}

unsigned files_in(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += !is_dot(entry->d_name);
	closedir(dir);
	return n;
}

void file_make(const char *path, uint64_t size, unsigned char first)
{
	int fd = __real_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	uint8_t page[4096];

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	/* each page holds its number plus `first`: enough to tell where a mapping begins */
	for (uint64_t off = 0; off < size && off < 16 * MIB; off += sizeof(page)) {
		size_t len = size - off < sizeof(page) ? (size_t)(size - off) : sizeof(page);

		memset(page, (int)(first + off / sizeof(page)) & 0xff, sizeof(page));
		assert_int_equal(pwrite(fd, page, len, (off_t)off), len);
	}
	close(fd);
}

uint64_t file_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

unsigned char file_byte(const char *path, uint64_t off)
{
	int fd = __real_open(path, O_RDONLY | O_CLOEXEC);
	unsigned char byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)off), 1);
	close(fd);
	return byte;
}

/* ---- backings ------------------------------------------------------------------------------------ */

struct vpmem_backing_options options(const struct dir *d, uint64_t size)
{
	struct vpmem_backing_options opts = VPMEM_BACKING_OPTIONS_INIT;

	opts.id = "m1";
	opts.path = d->file;
	opts.size = size;
	opts.share = true;
	return opts;
}

struct vpmem_backing *must_open(const struct vpmem_backing_options *opts)
{
	struct vpmem_backing *b = NULL;
	struct vpmem_error err = { .text = "no text" };

	if (vpmem_backing_open(opts, &b, &err))
		fail_msg("%s (%s)", err.text, err.hint);
	return b;
}

void must_refuse(const struct vpmem_backing_options *opts, int rc, const char *text, const char *hint)
{
	struct vpmem_backing *b = NULL;
	struct vpmem_error err = { .text = "no text" };
	char expected[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(expected, sizeof(expected), text, opts->path);
#pragma GCC diagnostic pop
	assert_int_equal(vpmem_backing_open(opts, &b, &err), rc);
	assert_null(b);
	assert_string_equal(err.text, expected);
	if (hint)
		assert_non_null(strstr(err.hint, hint));
	else
		assert_string_equal(err.hint, "");
	/* the same without anybody who wants to know why */
	assert_int_equal(vpmem_backing_open(opts, &b, NULL), rc);
}

bool writable(void *hva)
{
	int fd = __real_open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, hva, 1);

	close(fd);
	return n == 1;
}

bool has_vm_flag(const void *hva, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool here = false, found = false;
	uint64_t begin, end;
	char line[1024];

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2)
			here = begin <= (uintptr_t)hva && (uintptr_t)hva < end;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(smaps);
	return found;
}
