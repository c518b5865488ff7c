// SPDX-License-Identifier: Apache-2.0
// Which file a path names.
#include "file_id.h"

#include "permit.h"
#include "permit_removal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int file_id_at(int dir_fd, const char *path, struct file_id *id)
{
	struct stat st;

	if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
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

bool file_id_is_same(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

bool file_id_is_at(const struct file_id *id, const char *path)
{
	struct file_id now;

	return file_id_at(AT_FDCWD, path, &now) == 0 && file_id_is_same(&now, id);
}

static int serve_unlink(struct broker_call *call)
{
	const char *path = call->strings[0];
	int rc = permit_check(path);

	if (rc < 0 || !file_id_is_at(call->in, path))
		return rc;
	if (!permit_removal(path))
		return -EPERM;
	return unlink(path) < 0 ? -errno : 0;
}

const struct broker_op file_id_unlink_op = {
	.name = "unlink",
	.in_size = sizeof(struct file_id),
	.serve = serve_unlink,
};

void file_id_unlink(const struct file_id *id, const char *path)
{
	struct broker_call call = { .in = id, .strings = { path } };

	(void)broker_call(&file_id_unlink_op, &call);
}
