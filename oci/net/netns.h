// SPDX-License-Identifier: Apache-2.0
/*
 * netns.h - a network namespace: opened, locked, entered by the calling thread.
 *
 * A netlink socket and a file of /dev/net/tun belong to the namespace in which they were opened.
 */
#ifndef PMVM_OCI_NETNS_H
#define PMVM_OCI_NETNS_H

#include <vpmem.h>

/* A descriptor of the namespace, or -errno. Refused: what is no network namespace, and the one we are in (-EOPNOTSUPP). */
int netns_open(const char *path, struct vpmem_error *err);

/* Locks it for the life of the open file description. 0; -EBUSY without a text: another one has it; or -errno. */
int netns_lock(int netns_fd, const char *path, struct vpmem_error *err);

/* Returns a descriptor of the namespace that the thread leaves, for netns_leave, which closes it; or -errno. */
int netns_enter(int netns_fd, struct vpmem_error *err);
/* Ends the process where it cannot return: it would go on in the container's network. */
void netns_leave(int old_fd);

#endif
