// SPDX-License-Identifier: Apache-2.0
// Gives up what a machine does not need any more once everything is open.
#include "walls.h"

#include "error.h"
#include "landlock.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// ---- descriptors

void walls_close_inherited(const int *keep_fds, unsigned nkeep)
{
	unsigned first = STDERR_FILENO + 1;

	for (unsigned i = 0; i <= nkeep; i++) {
		unsigned end = i < nkeep ? (unsigned)keep_fds[i] : UINT_MAX;

		// Linux 5.9; before, they stay open.
		if (end > first)
			(void)syscall(SYS_close_range, first, end - 1, 0);
		first = end + 1 > first ? end + 1 : first;
	}
}

// ---- limits

static int limit(unsigned resource, rlim_t max)
{
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return -errno;
	now.rlim_max = now.rlim_max < max ? now.rlim_max : max;
	now.rlim_cur = now.rlim_max;
	return setrlimit(resource, &now) < 0 ? -errno : 0;
}

// ---- namespaces

/*
 * A user without privileges needs a user namespace to be allowed the others. In it, this process has no identity: its
 * files were opened before, and permissions go on to be checked with the identity outside.
 */
static void leave_namespaces(struct walls *out)
{
	const int others = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC;

	if (unshare(CLONE_NEWUSER | others) == 0) {
		out->user_ns = true;
	} else {
		out->userns_error = errno;
		if (unshare(others) < 0)
			return;
	}
	out->mount_ns = out->net_ns = out->ipc_ns = true;
}

// A file system that is mounted nowhere, and therefore in nobody's way.
static int make_empty_root(void)
{
	int fs_fd = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC), root_fd = -1, rc = 0;

	if (fs_fd < 0)
		return -errno;
	if (syscall(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		root_fd = (int)syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC,
		                       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (root_fd < 0 || fchdir(root_fd) < 0 || chroot(".") < 0)
		rc = -errno;
	if (root_fd >= 0)
		close(root_fd);
	close(fs_fd);
	return rc;
}

// ---- privileges

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int failed(int rc, const char *what, struct vpmem_error *err)
{
	error_set(err, rc, "cannot enter the sandbox: %s: %s", what, strerror(-rc));
	error_hint(err, "run without it, for a guest that you trust: -sandbox off");
	return rc;
}

int walls_raise(struct walls *out, struct vpmem_error *err)
{
	int rc;

	*out = (struct walls) { .landlock = landlock_version() };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed(-errno, "no_new_privs", err);
	// No core dump, and no other process of this user reads the guest's memory.
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed(-errno, "dumpable", err);
	rc = limit(RLIMIT_CORE, 0);
	rc = rc ? rc : limit(RLIMIT_NOFILE, WALLS_FDS_MAX);
	if (rc < 0)
		return failed(rc, "limits of resources", err);
	leave_namespaces(out);
	if (out->mount_ns)
		out->empty_root = make_empty_root() == 0;
	rc = drop_capabilities();
	if (rc < 0)
		return failed(rc, "capabilities", err);
	rc = out->landlock ? landlock_confine(NULL, 0, true) : 0;
	return rc < 0 ? failed(rc, "Landlock", err) : 0;
}
