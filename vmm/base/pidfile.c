// SPDX-License-Identifier: Apache-2.0
// The file that holds the process id while the program runs.
#include "pidfile.h"

#include "error.h"
#include "thread.h"
#include "file_id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTEMPTS 10u /* a process that ends may remove the file between our open and our lock */

static void close_and_forget(int *fd)
{
	close(*fd);
	*fd = -1;
}

// The device that a path names may act on open, and the target of a link is not ours to write or to remove.
static int refuse_other_kinds(const char *path, mode_t mode, struct vpmem_error *err)
{
	if (S_ISREG(mode))
		return 0;
	error_set(err, -EINVAL, "cannot create PID file: %s is %s", path,
	          S_ISLNK(mode) ? "a symbolic link" : "not a regular file");
	error_hint(err, "choose the path of a regular file, or of one that does not exist");
	return -EINVAL;
}

static int open_or_create(const char *path, bool *created)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = open(path, flags | O_CREAT | O_EXCL, 0600);

	*created = fd >= 0;
	if (fd >= 0 || errno != EEXIST)
		return fd < 0 ? -errno : fd;
	fd = open(path, flags);
	// It was there just now.
	if (fd < 0 && errno == ENOENT)
		return -EAGAIN;
	return fd < 0 ? -errno : fd;
}

static int open_regular(const char *path, int *fd, bool *created, struct vpmem_error *err)
{
	struct stat st;
	int rc;

	if (lstat(path, &st) == 0) {
		rc = refuse_other_kinds(path, st.st_mode, err);
		if (rc < 0)
			return rc;
	}
	rc = open_or_create(path, created);
	if (rc < 0)
		return error_set(err, rc, "cannot create PID file: Cannot open pid file %s: %s", path, strerror(-rc));
	*fd = rc;
	// The path may name another file than it did for lstat.
	rc = fstat(*fd, &st) < 0 ? -errno : refuse_other_kinds(path, st.st_mode, err);
	if (rc < 0)
		close_and_forget(fd);
	return rc;
}

static int lock(const char *path, int fd, struct vpmem_error *err)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return error_set(err, -errno, "cannot create PID file: Cannot lock pid file %s: %s", path,
		                 strerror(errno));
	error_set(err, -EBUSY, "cannot create PID file: Cannot lock pid file %s", path);
	error_hint(err, "another pmvm uses it: see the process in it");
	return -EBUSY;
}

// A file that holds something else than a process id is not ours to overwrite.
static bool holds_pid(int fd)
{
	char text[32];
	ssize_t len = pread(fd, text, sizeof(text), 0);

	if (len < 0 || len == (ssize_t)sizeof(text))
		return false;
	for (ssize_t i = 0; i < len; i++)
		if ((text[i] < '0' || text[i] > '9') && text[i] != ' ' && text[i] != '\n')
			return false;
	return true;
}

// -EAGAIN: the file that was locked is not, or no longer, the one that the path names.
static int open_and_lock(const char *path, int *fd, struct vpmem_error *err)
{
	struct file_id id;
	bool created = false;
	int rc = open_regular(path, fd, &created, err);

	if (rc < 0)
		return rc;
	rc = lock(path, *fd, err);
	if (rc == 0 && (file_id_of_fd(*fd, &id) < 0 || !file_id_is_at(&id, path)))
		rc = error_set(err, -EAGAIN, "cannot create PID file: %s: other processes create and remove it", path);
	if (rc == 0 && !holds_pid(*fd)) {
		rc = error_set(err, -EEXIST, "cannot create PID file: %s exists and is no pid file", path);
		error_hint(err, "choose another path, or remove the file");
	}
	// Another program that found our new file may have locked it, or written to it, before us: then it is that one's.
	if (rc < 0 && created && rc != -EBUSY && rc != -EEXIST)
		pidfile_remove(path, fd);
	else if (rc < 0)
		close_and_forget(fd);
	return rc;
}

int pidfile_create(const char *path, int *fd, struct vpmem_error *err)
{
	int rc = -EAGAIN;

	for (unsigned i = 0; i < ATTEMPTS && rc == -EAGAIN; i++)
		rc = open_and_lock(path, fd, err);
	if (rc == 0 && (ftruncate(*fd, 0) < 0 || dprintf(*fd, "%d\n", (int)thread_process_id()) < 0))
		rc = error_set(err, -errno, "cannot create PID file: Failed to write pid file %s: %s", path,
		               strerror(errno));
	return rc;
}

void pidfile_remove(const char *path, int *fd)
{
	struct file_id id;

	if (*fd < 0)
		return;
	if (file_id_of_fd(*fd, &id) == 0)
		file_id_unlink(&id, path);
	close_and_forget(fd);
}
