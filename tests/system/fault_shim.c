// SPDX-License-Identifier: Apache-2.0
/*
 * fault_shim.c - preloaded into pmvm by tests: the next sync of a file fails, is slow or hangs.
 *
 * What is to happen to FILE stands in FILE.fault, which has one line; without it the sync is the kernel's:
 *   error ERRNO    this sync fails with that number, the next ones do not: code that forgets an error is detected
 *   slow MS        this sync takes that long, the next ones do not
 *   hang           this sync does not return until the line is gone
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FAULT_SUFFIX ".fault"
#define POLL_MS 20

int fdatasync(int fd);

static void sleep_ms(unsigned ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

/* The path of the descriptor's file with the suffix behind it. */
static bool fault_path(int fd, char path[PATH_MAX])
{
	char link[32];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX - sizeof(FAULT_SUFFIX));
	if (len < 0)
		return false;
	strcpy(path + len, FAULT_SUFFIX);
	return true;
}

static bool read_fault(const char *path, char action[8], unsigned *value)
{
	FILE *file = fopen(path, "re");
	bool found = file && fscanf(file, "%7s %u", action, value) >= 1;

	if (file)
		fclose(file);
	return found;
}

/* Returns the errno that the sync fails with, or 0. */
static int meet_fault(int fd)
{
	char path[PATH_MAX], action[8];
	unsigned value = 0;

	if (!fault_path(fd, path) || !read_fault(path, action, &value))
		return 0;
	if (strcmp(action, "hang") == 0) {
		while (access(path, F_OK) == 0)
			sleep_ms(POLL_MS);
		return 0;
	}
	unlink(path);
	if (strcmp(action, "error") == 0)
		return (int)value;
	sleep_ms(value);
	return 0;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	int error = meet_fault(fd);

	if (error != 0) {
		errno = error;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}
