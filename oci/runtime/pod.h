// SPDX-License-Identifier: Apache-2.0
/*
 * pod.h - the containers of a pod, as their states have them.
 */
#ifndef PMVM_OCI_POD_H
#define PMVM_OCI_POD_H

#include <vpmem.h>

struct bundle;

/*
 * Whether the sandbox of a container has a machine that it can come into, and whether the pid namespace that it joins is one of
 * this machine. *pidns is then the id of the container whose pid namespace that is, which the caller owns; NULL: its own.
 * -ENOTSUP, -EINVAL.
 */
int pod_find(const char *root, const struct bundle *bundle, char **pidns, struct vpmem_error *err);

#endif
