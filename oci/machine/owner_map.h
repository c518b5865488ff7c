// SPDX-License-Identifier: Apache-2.0
/*
 * owner_map.h - a file of the host for a machine that runs as another user, without a change of the file.
 */
#ifndef PMVM_OCI_OWNER_MAP_H
#define PMVM_OCI_OWNER_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

/*
 * tree_fd is a mount of a file that has no place yet (binds_take). This user, and the group of the same number, become the
 * owner of the file as this mount shows it, unless all may use it: an idmapped mount, mount_setattr(2). Nothing is done for
 * user 0. view_fd: a mount namespace whose root a child can have; -1: ours. -EINVAL: the file system has no such mounts.
 */
int owner_map_file(int tree_fd, int view_fd, uint32_t uid, bool readonly, struct vpmem_error *err);

#endif
