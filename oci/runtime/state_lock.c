// SPDX-License-Identifier: Apache-2.0
// One command at a time for each container: a lock on ROOT/.ID.lock, which holds the command's name and pid.
#include "state.h"

#include "error.h"
#include "file_id.h"
#include "monotonic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 30000u
#define POLL_NS 10000000

static int lock_path(const char *root, const char *id, char path[PATH_MAX], struct vpmem_error *err)
{
	int rc = state_id_check(id, err), len;

	if (rc < 0)
		return rc;
	len = snprintf(path, PATH_MAX, "%s/.%s.lock", root, id);
	return len > 0 && len < PATH_MAX ? 0 : error_set(err, -ENAMETOOLONG, "--root: the path is too long");
}

// The directories above it, as runc makes them: only for their owner.
static int make_root(const char *root, struct vpmem_error *err)
{
	char path[PATH_MAX];

	if (strlen(root) >= sizeof(path))
		return error_set(err, -ENAMETOOLONG, "--root: the path is too long");
	for (const char *end = root; (end = strchr(end + 1, '/'));) {
		snprintf(path, sizeof(path), "%.*s", (int)(end - root), root);
		(void)!mkdir(path, 0700);
	}
	if (mkdir(root, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", root, strerror(errno));
	return 0;
}

// -EAGAIN: somebody else has it, or it is no longer the file that the path names.
static int try_lock(const char *path, int *fd, struct vpmem_error *err)
{
	struct file_id id;

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0 && file_id_of_fd(*fd, &id) == 0 && file_id_is_at(&id, path))
		return 0;
	close(*fd);
	*fd = -1;
	return -EAGAIN;
}

static int refuse(const char *path, const char *id, struct vpmem_error *err)
{
	char holder[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, holder, sizeof(holder) - 1) : 0;

	if (fd >= 0)
		close(fd);
	holder[len > 0 ? len : 0] = '\0';
	error_set(err, -EBUSY, "container '%s' is in use by another pmvm-oci command: %s", id, holder);
	error_hint(err, "wait for it, or end that process");
	return -EBUSY;
}

int state_lock(const char *root, const char *id, const char *verb, int *fd, struct vpmem_error *err)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	uint64_t end = monotonic_ms() + WAIT_MS;
	char path[PATH_MAX];
	int rc;

	*fd = -1;
	rc = lock_path(root, id, path, err);
	if (rc == 0)
		rc = make_root(root, err);
	if (rc == 0)
		rc = try_lock(path, fd, err);
	while (rc == -EAGAIN && monotonic_ms() < end) {
		nanosleep(&pause, NULL);
		rc = try_lock(path, fd, err);
	}
	if (rc == -EAGAIN)
		return refuse(path, id, err);
	if (rc == 0 && (ftruncate(*fd, 0) < 0 || dprintf(*fd, "%s, process %d", verb, (int)getpid()) < 0))
		rc = 0; // only the text of an error of another command
	return rc;
}

void state_unlock(const char *root, const char *id, int *fd)
{
	struct vpmem_error err;
	struct state state;
	struct stat st;
	char path[PATH_MAX];

	if (*fd < 0)
		return;
	if (lock_path(root, id, path, &err) == 0 && state_name(root, id, &state, &err) == 0 &&
	    lstat(state.dir, &st) < 0)
		unlink(path);
	close(*fd);
	*fd = -1;
}
