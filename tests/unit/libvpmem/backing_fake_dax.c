// SPDX-License-Identifier: Apache-2.0
/*
 * backing_fake_dax.c - persistent memory where there is none: mappings with MAP_SYNC, and character devices that
 * are files in truth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st);
int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (faults.map_error && fd >= 0) {
		errno = faults.map_error;
		return MAP_FAILED;
	}
	if (faults.map_sync && (flags & MAP_SYNC) && (flags & MAP_TYPE) == MAP_SHARED_VALIDATE) {
		faults.nmap_syncs++;
		flags = (flags & ~(MAP_SYNC | MAP_TYPE)) | MAP_SHARED;
	}
	return __real_mmap(addr, len, prot, flags, fd, off);
}

void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return __wrap_mmap(addr, len, prot, flags, fd, off);
}

static int pretend(int rc, struct stat *st)
{
	if (rc == 0 && faults.is_char && S_ISREG(st->st_mode)) {
		st->st_mode = S_IFCHR | 0600;
		st->st_rdev = makedev(250, 3);
		st->st_size = st->st_blocks = 0;
	}
	if (rc == 0 && faults.block_size)
		st->st_blksize = faults.block_size;
	return rc;
}

int __wrap_stat(const char *path, struct stat *st)
{
	return pretend(__real_stat(path, st), st);
}

int __wrap_stat64(const char *path, struct stat *st)
{
	return __wrap_stat(path, st);
}

int __wrap_fstat(int fd, struct stat *st)
{
	return pretend(__real_fstat(fd, st), st);
}

int __wrap_fstat64(int fd, struct stat *st)
{
	return __wrap_fstat(fd, st);
}
