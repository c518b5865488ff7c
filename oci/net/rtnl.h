// SPDX-License-Identifier: Apache-2.0
/*
 * rtnl.h - a socket of route netlink, by libnl, and its errors as ours.
 */
#ifndef PMVM_OCI_RTNL_H
#define PMVM_OCI_RTNL_H

#include "printf_like.h"

#include <vpmem.h>

struct nl_sock;

/* In the network namespace of the calling thread. NULL on failure; nl_socket_free closes it. */
struct nl_sock *rtnl_open(struct vpmem_error *err);

/* The -errno of an error of libnl, -NLE_*. */
int rtnl_errno(int nle);

/* As error_set, with the text of an error of libnl behind the format's. Returns its -errno. */
int rtnl_error(struct vpmem_error *err, int nle, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
