// SPDX-License-Identifier: Apache-2.0
/*
 * netns.h - a network namespace: opened, locked, entered by a thread.
 *
 * A netlink socket and a file of /dev/net/tun belong to the namespace in which they were opened.
 */
#ifndef PMVM_OCI_NETNS_H
#define PMVM_OCI_NETNS_H

#include <vpmem.h>

/* A descriptor of the namespace, or -errno. Refused: what is no network namespace, and the one we are in (-EOPNOTSUPP). */
int netns_open(const char *path, struct vpmem_error *err);

/* Makes one with nothing but lo, which is down: a descriptor, or -errno. */
int netns_make(struct vpmem_error *err);

/* Locks it for the life of the open file description. 0; -EBUSY without a text: another one has it; or -errno. */
int netns_lock(int netns_fd, const char *path, struct vpmem_error *err);

/*
 * Runs fn in a thread of its own, which is in the namespace, and waits for it. Such a thread need not return: who is not root
 * of the host may enter the namespace of a container, and not that of the host. Returns what fn does, or -errno.
 */
typedef int netns_fn(void *owner, struct vpmem_error *err);
int netns_run(int netns_fd, netns_fn *fn, void *owner, struct vpmem_error *err);

#endif
