// SPDX-License-Identifier: Apache-2.0
// A network namespace: opened, locked, entered by a thread.
#include "netns.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
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

static void *make(void *argument)
{
	int *fd = argument;

	*fd = unshare(CLONE_NEWNET) < 0 ? -1 : open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		*fd = -errno;
	return NULL;
}

int netns_make(struct vpmem_error *err)
{
	pthread_t thread;
	int fd, rc = pthread_create(&thread, NULL, make, &fd);

	if (rc)
		return error_set(err, -rc, "network: could not start a thread: %s", strerror(rc));
	pthread_join(thread, NULL);
	return fd < 0 ? error_set(err, fd, "could not make a network namespace: %s", strerror(-fd)) : fd;
}

struct visitor {
	int netns_fd;
	netns_fn *fn;
	void *owner;
	struct vpmem_error *err;
	int rc;
};

static void *visit(void *argument)
{
	struct visitor *visitor = argument;

	if (setns(visitor->netns_fd, CLONE_NEWNET) == 0)
		visitor->rc = visitor->fn(visitor->owner, visitor->err);
	else
		visitor->rc =
			error_set(visitor->err, -errno, "could not enter the network namespace: %s", strerror(errno));
	return NULL;
}

int netns_run(int netns_fd, netns_fn *fn, void *owner, struct vpmem_error *err)
{
	struct visitor visitor = { .netns_fd = netns_fd, .fn = fn, .owner = owner, .err = err };
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, visit, &visitor);

	if (rc)
		return error_set(err, -rc, "network: could not start a thread: %s", strerror(rc));
	pthread_join(thread, NULL);
	return visitor.rc;
}
