// SPDX-License-Identifier: Apache-2.0
/*
 * backing_fake_fs.c - file systems that are not here: blocks that are shared with another file, pages that are refused,
 * and a kernel that refuses process_vm_readv.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __real_madvise(void *hva, size_t len, int advice);
int __wrap_madvise(void *hva, size_t len, int advice);
int __real_fstatfs(int fd, struct statfs *fs);
int __wrap_fstatfs(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);
ssize_t __real_process_vm_readv(pid_t pid, const struct iovec *to, unsigned long nto, const struct iovec *from,
                                unsigned long nfrom, unsigned long flags);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *to, unsigned long nto, const struct iovec *from,
                                unsigned long nfrom, unsigned long flags);
ssize_t __real_process_vm_writev(pid_t pid, const struct iovec *from, unsigned long nfrom, const struct iovec *to,
                                 unsigned long nto, unsigned long flags);
ssize_t __wrap_process_vm_writev(pid_t pid, const struct iovec *from, unsigned long nfrom, const struct iovec *to,
                                 unsigned long nto, unsigned long flags);

ssize_t __real_pread(int fd, void *buf, size_t len, off_t off);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t off);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off);

static int fail_with(int error)
{
	errno = error;
	return -1;
}

static int64_t map_size(void)
{
	return (int64_t)strlen(faults.map) * faults.map_unit;
}

/* An extent for each unit that has a block of its own, and one for each run of shared units. */
static int map_of_units(struct fiemap *map)
{
	int64_t end = (int64_t)(map->fm_start + map->fm_length), off, next;

	map->fm_mapped_extents = 0;
	for (off = (int64_t)map->fm_start / faults.map_unit * faults.map_unit;
	     off < end && off < map_size() && map->fm_mapped_extents < map->fm_extent_count; off = next) {
		char unit = faults.map[off / faults.map_unit];

		for (next = off + faults.map_unit; unit == 's' && faults.map[next / faults.map_unit] == 's';)
			next += faults.map_unit;
		if (unit != 'h')
			map->fm_extents[map->fm_mapped_extents++] = (struct fiemap_extent) {
				.fe_logical = (uint64_t)off,
				.fe_length = (uint64_t)(next - off),
				.fe_flags = unit == 's' ? FIEMAP_EXTENT_SHARED : 0,
			};
	}
	return 0;
}

/* Returns how many bytes of [off, off + len) were of this kind. */
static uint64_t become_own(int64_t off, int64_t len, char from)
{
	uint64_t changed = 0;

	for (int64_t end = off + len; off < end; off += faults.map_unit) {
		char *unit = &faults.map[off / faults.map_unit];

		if (*unit == from) {
			*unit = 'o';
			changed += (uint64_t)faults.map_unit;
		}
	}
	return changed;
}

int fake_fallocate(int mode, int64_t off, int64_t len)
{
	(void)become_own(off, faults.stored_meanwhile, 's');
	if ((uint64_t)len > faults.free_bytes)
		return fail_with(ENOSPC);
	faults.free_bytes -= become_own(off, len, mode & FALLOC_FL_UNSHARE_RANGE ? 's' : 'h');
	return 0;
}

/* One extent, which covers all that was asked about. */
static int fake_map(struct fiemap *map)
{
	map->fm_mapped_extents = 1;
	map->fm_extents[0] = (struct fiemap_extent) { .fe_logical = map->fm_start,
		                                      .fe_length = map->fm_length,
		                                      .fe_flags = faults.blocks == BLOCKS_SHARED ?
		                                                          FIEMAP_EXTENT_SHARED | FIEMAP_EXTENT_LAST :
		                                                          FIEMAP_EXTENT_LAST };
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (request == FS_IOC_FIEMAP)
		faults.nmaps++;
	if (request == FS_IOC_FIEMAP && faults.blocks == BLOCKS_MAP)
		return map_of_units(arg);
	if (request == FS_IOC_FIEMAP && faults.blocks != BLOCKS_REAL)
		return faults.blocks == BLOCKS_UNKNOWN ? fail_with(EOPNOTSUPP) : fake_map(arg);
	if (request == FS_IOC_GETFLAGS && faults.getflags_error)
		return fail_with(faults.getflags_error);
	if (request == FS_IOC_GETFLAGS && faults.fs_type) {
		*(int *)arg = faults.is_nocow ? FS_NOCOW_FL : 0;
		return 0;
	}
	return __real_ioctl(fd, request, arg);
}

int __wrap_madvise(void *hva, size_t len, int advice)
{
	if (faults.fails && faults.fails())
		return fail_with(EINVAL);
	if (advice == MADV_POPULATE_WRITE) {
		faults.npopulates++;
		if (fake_eintr(&faults.populate_eintr))
			return -1;
		if (faults.populate_error)
			return fail_with(faults.populate_error);
	}
	return __real_madvise(hva, len, advice);
}

ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t off)
{
	if (fake_eintr(&faults.pread_eintr))
		return -1;
	return faults.read_error ? fail_with(faults.read_error) : __real_pread(fd, buf, len, off);
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off)
{
	return __wrap_pread(fd, buf, len, off);
}

int __wrap_fstatfs(int fd, struct statfs *fs)
{
	int rc = faults.fstatfs_error ? fail_with(faults.fstatfs_error) : __real_fstatfs(fd, fs);

	if (rc == 0 && faults.fs_type)
		fs->f_type = (__fsword_t)faults.fs_type;
	if (rc == 0 && faults.block_size)
		fs->f_bsize = faults.block_size;
	return rc;
}

int __wrap_fstatfs64(int fd, struct statfs *fs)
{
	return __wrap_fstatfs(fd, fs);
}

ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *to, unsigned long nto, const struct iovec *from,
                                unsigned long nfrom, unsigned long flags)
{
	return faults.process_vm_error ? fail_with(faults.process_vm_error) :
	                                 __real_process_vm_readv(pid, to, nto, from, nfrom, flags);
}

ssize_t __wrap_process_vm_writev(pid_t pid, const struct iovec *from, unsigned long nfrom, const struct iovec *to,
                                 unsigned long nto, unsigned long flags)
{
	return faults.process_vm_error ? fail_with(faults.process_vm_error) :
	                                 __real_process_vm_writev(pid, from, nfrom, to, nto, flags);
}
