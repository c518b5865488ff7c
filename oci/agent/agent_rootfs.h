// SPDX-License-Identifier: Apache-2.0
/*
 * agent_rootfs.h - mounts the root file system of a container and what its bind mounts need, in a directory of its own.
 */
#ifndef PMVM_OCI_AGENT_ROOTFS_H
#define PMVM_OCI_AGENT_ROOTFS_H

#include <vpmem.h>

/* Of a container by its number. */
#define ROOTFS_FORMAT "/run/oci/%u/rootfs"

struct rootfs_spec;

/* What was mounted before an error stays until rootfs_unmount, or the end of the machine. */
int rootfs_mount(unsigned container, const struct rootfs_spec *spec, struct vpmem_error *err);
/*
 * What can be written reaches its device. Legal at any time. It waits for virtiofsd: where that may hang and others must go
 * on, it is to be called in a process of its own.
 */
void rootfs_unmount(unsigned container);

#endif
