// SPDX-License-Identifier: Apache-2.0
/*
 * mirror.h - a mirror: all frames that an interface receives leave by another one.
 *
 * A filter at the ingress hook, which is before every protocol of the host: none of them sees the frame. The filter has a
 * priority of its own, by which a mirror of an earlier machine is recognised, and other filters stay. A mirror whose target
 * is gone drops what comes.
 */
#ifndef PMVM_OCI_MIRROR_H
#define PMVM_OCI_MIRROR_H

#include <vpmem.h>

struct nl_sock;

/* Replaces a mirror that is there. name is that of the first interface, for errors. */
int mirror_add(struct nl_sock *sock, const char *name, int from_idx, int to_idx, struct vpmem_error *err);

/* 0 also where there is none. */
int mirror_remove(struct nl_sock *sock, const char *name, int from_idx, struct vpmem_error *err);

#endif
