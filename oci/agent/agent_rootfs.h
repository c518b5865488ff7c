// SPDX-License-Identifier: Apache-2.0
/*
 * agent_rootfs.h - mounts the root file system of the container and what its bind mounts need.
 */
#ifndef PMVM_OCI_AGENT_ROOTFS_H
#define PMVM_OCI_AGENT_ROOTFS_H

#include <vpmem.h>

#define ROOTFS_PATH "/run/oci/rootfs"

struct rootfs_spec;

/* What was mounted before an error stays: the host ends the machine. */
int rootfs_mount(const struct rootfs_spec *spec, struct vpmem_error *err);
/* What can be written reaches its device; legal at any time. */
void rootfs_unmount(void);

#endif
