// SPDX-License-Identifier: Apache-2.0
// A helper's own view of files of the host.
#include "binds.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// A place to mount on: of the same kind as the source.
static int make_place(const char *path, bool is_dir)
{
	int fd;

	if (is_dir)
		return mkdir(path, 0755) < 0 ? -errno : 0;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int make_readonly(const char *path)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	return mount_setattr(AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static int place_tree(int tree_fd, const char *path, bool readonly)
{
	struct stat st;
	int rc;

	if (fstat(tree_fd, &st) < 0)
		return -errno;
	rc = make_place(path, S_ISDIR(st.st_mode));
	if (rc < 0)
		return rc;
	if (move_mount(tree_fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    mount(NULL, path, NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return -errno;
	return readonly ? make_readonly(path) : 0;
}

static int bind_error(const struct bind *bind, int rc, struct vpmem_error *err)
{
	return error_set(err, rc, "cannot share '%s': cannot mount it: %s", bind->source, strerror(-rc));
}

/*
 * In the host's namespace: a source may be a descriptor, /proc/self/fd/N, whose mount is there, and could not be mounted
 * from another namespace. After an error the process ends, which closes them.
 */
static int take_trees(const struct bind *binds, size_t nbinds, int *fds, struct vpmem_error *err)
{
	for (size_t i = 0; i < nbinds; i++) {
		fds[i] = open_tree(AT_FDCWD, binds[i].source,
		                   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (binds[i].recursive ? AT_RECURSIVE : 0));
		if (fds[i] < 0)
			return error_set(err, -errno, "cannot share '%s': %s", binds[i].source, strerror(errno));
	}
	return 0;
}

static int place_trees(const char *dir, const struct bind *binds, size_t nbinds, const int *fds,
                       struct vpmem_error *err)
{
	char path[PATH_MAX];
	int rc = 0;

	for (size_t i = 0; i < nbinds && rc == 0; i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, binds[i].name) >= sizeof(path))
			rc = -ENAMETOOLONG;
		else
			rc = place_tree(fds[i], path, binds[i].readonly);
		close(fds[i]);
		if (rc)
			bind_error(&binds[i], rc, err);
	}
	return rc;
}

static int leave_namespace(struct vpmem_error *err)
{
	if (unshare(CLONE_NEWNS) < 0)
		return error_set(err, -errno, "cannot make a mount namespace: %s", strerror(errno));
	// A file system that the host unmounts later must not stay here.
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_set(err, -errno, "cannot separate the mounts below / from the host's%s: %s",
		                 errno == EINVAL ? ", because / is no mount point, as in a chroot" : "",
		                 strerror(errno));
	return 0;
}

static int make_view(const char *dir, struct vpmem_error *err)
{
	int rc = leave_namespace(err);

	if (rc == 0 && mount("pmvm", dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m") < 0)
		rc = error_set(err, -errno, "cannot mount a tmpfs on %s: %s", dir, strerror(errno));
	return rc;
}

int binds_make(const char *dir, const struct bind *binds, size_t nbinds, struct vpmem_error *err)
{
	int *fds = calloc(nbinds + 1, sizeof(*fds));
	int rc = fds ? take_trees(binds, nbinds, fds, err) : error_set(err, -ENOMEM, "out of memory");

	if (rc == 0)
		rc = make_view(dir, err);
	if (rc == 0)
		rc = place_trees(dir, binds, nbinds, fds, err);
	free(fds);
	return rc;
}

// ---- a view that exists

int binds_take(const char *source, bool readonly, struct vpmem_error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int rc, fd = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return error_set(err, -errno, "cannot share '%s': %s", source, strerror(errno));
	if (!readonly || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
		return fd;
	rc = error_set(err, -errno, "cannot share '%s' read-only: %s", source, strerror(errno));
	close(fd);
	return rc;
}

// In the namespace of the helper.
static int change_view(const char *path, int tree_fd)
{
	if (tree_fd >= 0)
		return place_tree(tree_fd, path, false);
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 || unlink(path) < 0 ? -errno : 0;
}

static int change_in(int namespace_fd, const char *dir, const char *name, int tree_fd)
{
	char path[PATH_MAX];
	int status;
	pid_t pid;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int rc = setns(namespace_fd, CLONE_NEWNS) < 0 ? -errno : change_view(path, tree_fd);

		_exit(-rc);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int binds_place(int namespace_fd, const char *dir, const char *name, int tree_fd, struct vpmem_error *err)
{
	int rc = change_in(namespace_fd, dir, name, tree_fd);

	return rc ? error_set(err, rc, "cannot show %s to pmvm: %s", name, strerror(-rc)) : 0;
}

int binds_displace(int namespace_fd, const char *dir, const char *name, struct vpmem_error *err)
{
	int rc = change_in(namespace_fd, dir, name, -1);

	return rc ? error_set(err, rc, "cannot take %s away from pmvm: %s", name, strerror(-rc)) : 0;
}

// ---- the keeper itself

// Who joins a namespace begins at what is mounted last on its root; who is in it stays where it is.
int binds_cover_root(const char *dir, struct vpmem_error *err)
{
	int rc = leave_namespace(err);

	if (rc == 0 && mount(dir, "/", NULL, MS_BIND, NULL) < 0)
		rc = error_set(err, -errno, "cannot mount %s on /: %s", dir, strerror(errno));
	return rc;
}
