// SPDX-License-Identifier: Apache-2.0
// Files of /proc, /sys and /run, in one piece.
#include "agent_file.h"

#include "error.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	size_t len = 0;
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	while ((n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	rc = n < 0 ? -errno : 0;
	close(fd);
	buf[rc ? 0 : len] = '\0';
	return rc ? rc : (ssize_t)len;
}

int file_write(const char *path, const char *text, struct vpmem_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;
	const size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	n = write(fd, text, len);
	if (n < 0 || (size_t)n != len)
		rc = n < 0 ? -errno : -ENOSPC;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc ? error_set(err, rc, "%s cannot be written: %s", path, strerror(-rc)) : 0;
}

int directory_make(const char *path, struct vpmem_error *err)
{
	char part[PATH_MAX];

	for (size_t len = 1; len <= strlen(path); len++) {
		if (path[len] != '/' && path[len] != '\0')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)len, path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return error_set(err, -errno, "%s: %s", part, strerror(errno));
	}
	return 0;
}
