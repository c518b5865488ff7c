// SPDX-License-Identifier: Apache-2.0
// Which file a path names.
#include "file_id.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int file_id_of_path(const char *path, struct file_id *id)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	*id = (struct file_id) { .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}

int file_id_of_fd(int fd, struct file_id *id)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*id = (struct file_id) { .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}

bool file_id_is_at(const struct file_id *id, const char *path)
{
	struct file_id now;

	return file_id_of_path(path, &now) == 0 && now.dev == id->dev && now.ino == id->ino;
}

void file_id_unlink(const struct file_id *id, const char *path)
{
	if (file_id_is_at(id, path))
		unlink(path);
}
