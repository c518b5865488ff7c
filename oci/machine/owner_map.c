// SPDX-License-Identifier: Apache-2.0
// A mount whose file belongs to the user of a machine.
#include "owner_map.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_map(pid_t pid, const char *name, uint32_t from, uint32_t to)
{
	char path[48], map[40];
	int fd, len, rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	len = snprintf(map, sizeof(map), "%u %u 1", from, to);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, map, (size_t)len) != len)
		rc = -errno;
	close(fd);
	return rc;
}

// In a child: the maps of a user namespace are written from outside.
_Noreturn static void hold_namespace(int view_fd, int ready_fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	// Who has another root than that of the mount namespace, as a keeper (binds_cover_root), may make none.
	if (view_fd >= 0 && setns(view_fd, CLONE_NEWNS) < 0)
		_exit(1);
	if (unshare(CLONE_NEWUSER) == 0 && write(ready_fd, "", 1) == 1)
		pause();
	_exit(1);
}

static int open_namespace(pid_t pid, int ready_fd, const struct stat *st, uint32_t uid)
{
	char path[48], byte;
	int rc = read(ready_fd, &byte, 1) == 1 ? 0 : -EPERM;

	rc = rc ? rc : write_map(pid, "uid_map", st->st_uid, uid);
	rc = rc ? rc : write_map(pid, "gid_map", st->st_gid, uid);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	rc = open(path, O_RDONLY | O_CLOEXEC);
	return rc < 0 ? -errno : rc;
}

// A user namespace in which the owner of the file is this user. The descriptor, or -errno.
static int make_namespace(int view_fd, const struct stat *st, uint32_t uid)
{
	int ready[2], rc;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		hold_namespace(view_fd, ready[1]);
	rc = pid < 0 ? -errno : 0;
	close(ready[1]);
	if (pid > 0) {
		rc = open_namespace(pid, ready[0], st, uid);
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(ready[0]);
	return rc;
}

int owner_map_file(int tree_fd, int view_fd, uint32_t uid, bool readonly, struct vpmem_error *err)
{
	const mode_t needed = readonly ? S_IROTH : S_IROTH | S_IWOTH;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	struct stat st;
	int fd, rc;

	if (fstat(tree_fd, &st) < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	if (uid == 0 || st.st_uid == uid || (st.st_mode & needed) == needed)
		return 0;
	fd = make_namespace(view_fd, &st, uid);
	if (fd < 0)
		return error_set(err, fd, "cannot make a user namespace: %s", strerror(-fd));
	attr.userns_fd = (unsigned)fd;
	rc = mount_setattr(tree_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno : 0;
	close(fd);
	if (rc == 0)
		return 0;
	return error_set(err, rc,
	                 "the user of the machine may not use it, and its file system has no idmapped mounts, as ext4, "
	                 "xfs and btrfs have them: %s",
	                 strerror(-rc));
}
