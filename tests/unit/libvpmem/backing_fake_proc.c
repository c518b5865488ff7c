// SPDX-License-Identifier: Apache-2.0
/*
 * backing_fake_proc.c - files of /proc that cannot be opened, and time that passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

static bool is_missing(const char *path)
{
	if (!faults.no_file || strncmp(path, faults.no_file, strlen(faults.no_file)) != 0)
		return false;
	errno = ENOENT;
	return true;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	return is_missing(path) ? NULL : __real_fopen(path, mode);
}

FILE *__wrap_fopen64(const char *path, const char *mode)
{
	return __wrap_fopen(path, mode);
}

DIR *__wrap_opendir(const char *path)
{
	return is_missing(path) ? NULL : __real_opendir(path);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	static long passed;
	int rc = __real_clock_gettime(clock, now);

	passed += faults.clock_step;
	now->tv_sec += passed;
	return rc;
}
