// SPDX-License-Identifier: Apache-2.0
/*
 * tap.h - a tap of a machine: made in the container's network namespace, connected with a link of it.
 */
#ifndef PMVM_OCI_TAP_H
#define PMVM_OCI_TAP_H

#include "nics.h"

struct nl_sock;

/* In the calling thread's namespace. Sets tap_fd, vhost_fd and tap_name. */
int tap_make(struct nic *nic, struct vpmem_error *err);

/* Its interface index, or -errno. */
int tap_idx(const struct nic *nic, struct nl_sock *sock, struct vpmem_error *err);

/* Sets its MTU, and lets frames pass. The host's IPv6 says nothing on it. */
int tap_up(const struct nic *nic, struct nl_sock *sock, unsigned mtu, struct vpmem_error *err);

#endif
