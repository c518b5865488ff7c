// SPDX-License-Identifier: Apache-2.0
// The file that holds the process id while the program runs.
#include "pidfile.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_and_forget(int *fd)
{
	close(*fd);
	*fd = -1;
}

// A file that holds something else than a process id is somebody's work and not ours to overwrite.
static bool is_pidfile(int fd, const char *path)
{
	struct stat open_st, path_st;
	char text[32];
	ssize_t len = pread(fd, text, sizeof(text), 0);

	if (len < 0 || len == (ssize_t)sizeof(text))
		return false;
	for (ssize_t i = 0; i < len; i++)
		if ((text[i] < '0' || text[i] > '9') && text[i] != ' ' && text[i] != '\n')
			return false;
	// Its last owner may have removed it between our open and our lock.
	return fstat(fd, &open_st) == 0 && stat(path, &path_st) == 0 && open_st.st_ino == path_st.st_ino &&
	       open_st.st_dev == path_st.st_dev;
}

int pidfile_create(const char *path, int *fd, struct vpmem_error *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int rc = 0;

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (*fd < 0)
		return error_set(err, -errno, "cannot create PID file: Cannot open pid file %s: %s", path,
		                 strerror(errno));
	if (fcntl(*fd, F_OFD_SETLK, &lock) < 0) {
		error_set(err, -EBUSY, "cannot create PID file: Cannot lock pid file %s", path);
		error_hint(err, "another pmvm uses it: see the process in it");
		close_and_forget(fd);
		return -EBUSY;
	}
	if (!is_pidfile(*fd, path)) {
		close_and_forget(fd);
		error_set(err, -EEXIST, "cannot create PID file: %s exists and is no pid file", path);
		error_hint(err, "choose another path, or remove the file");
		return -EEXIST;
	}
	if (ftruncate(*fd, 0) < 0 || dprintf(*fd, "%d\n", (int)getpid()) < 0)
		rc = error_set(err, -errno, "cannot create PID file: Failed to write pid file %s: %s", path,
		               strerror(errno));
	return rc;
}

void pidfile_remove(const char *path, int *fd)
{
	if (*fd < 0)
		return;
	unlink(path);
	close_and_forget(fd);
}
