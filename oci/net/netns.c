// SPDX-License-Identifier: Apache-2.0
// A network namespace: opened, locked, entered by the calling thread.
#include "netns.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_NETNS "/proc/thread-self/ns/net"

static bool is_own(int fd)
{
	struct stat own, other;

	return stat(OWN_NETNS, &own) == 0 && fstat(fd, &other) == 0 && own.st_dev == other.st_dev &&
	       own.st_ino == other.st_ino;
}

int netns_open(const char *path, struct vpmem_error *err)
{
	/* A path of the engine's may be anything: a FIFO must not hold us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;

	if (fd < 0) {
		rc = -errno;
		error_set(err, rc, "network namespace %s: %s", path, strerror(-rc));
		if (rc == -ENOENT)
			error_hint(err, "start the container again by its engine, which makes the namespace");
		return rc;
	}
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(fd);
		return error_set(err, -EINVAL, "network namespace %s: not a network namespace", path);
	}
	if (is_own(fd)) {
		close(fd);
		error_set(err, -EOPNOTSUPP, "network namespace %s: the host's network is not supported", path);
		error_hint(err, "a machine needs a network namespace of its own: use the engine's bridge, "
		                "and publish the ports that are needed");
		return -EOPNOTSUPP;
	}
	return fd;
}

int netns_lock(int netns_fd, const char *path, struct vpmem_error *err)
{
	int rc;

	if (flock(netns_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	rc = -errno;
	if (rc == -EWOULDBLOCK)
		return -EBUSY;
	return error_set(err, rc, "network namespace %s: could not lock it: %s", path, strerror(-rc));
}

int netns_enter(int netns_fd, struct vpmem_error *err)
{
	int old_fd = open(OWN_NETNS, O_RDONLY | O_CLOEXEC), rc;

	if (old_fd < 0)
		return error_set(err, -errno, OWN_NETNS ": %s", strerror(errno));
	if (setns(netns_fd, CLONE_NEWNET) == 0)
		return old_fd;
	rc = -errno;
	close(old_fd);
	return error_set(err, rc, "could not enter the network namespace: %s", strerror(-rc));
}

void netns_leave(int old_fd)
{
	if (setns(old_fd, CLONE_NEWNET) < 0) {
		perror("could not return from the container's network namespace");
		abort();
	}
	close(old_fd);
}
