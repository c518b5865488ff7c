// SPDX-License-Identifier: Apache-2.0
/*
 * binds.h - a view of the host's files that only one helper has: a small tmpfs with a mount for each file or directory.
 *
 * pmvm's has the images of this machine and nothing of another one's, virtiofsd's has the volumes by their numbers. The
 * view is in a mount namespace of the helper's own, so nothing is left of it when the helper has ended.
 */
#ifndef PMVM_OCI_BINDS_H
#define PMVM_OCI_BINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <vpmem.h>

#define BIND_NAME_SIZE 24u

struct bind {
	const char *source; /* a file or a directory of the host; links are followed */
	char name[BIND_NAME_SIZE];
	bool readonly;  /* with all that is mounted below */
	bool recursive; /* with the mounts below it; otherwise they are not in the view */
};

/*
 * Leaves the mount namespace of the host, and mounts the view at dir, which exists. For `prepare` of a helper. What is
 * mounted or unmounted on the host later is so in the new namespace as well, except within the view.
 */
int binds_make(const char *dir, const struct bind *binds, size_t nbinds, struct vpmem_error *err);

/*
 * For a view that exists: a file or directory of the host as a descriptor, which can be passed to the process that places it.
 * readonly: what is placed cannot be written. The descriptor, or -errno.
 */
int binds_take(const char *source, bool readonly, struct vpmem_error *err);
/*
 * Mounts it in the view at dir of a helper whose mount namespace this is, with this name. Borrows the descriptors. A child does
 * it, as a process that has joined another namespace does not come back.
 */
int binds_place(int namespace_fd, const char *dir, const char *name, int tree_fd, struct vpmem_error *err);
/* Takes it out again. */
int binds_displace(int namespace_fd, const char *dir, const char *name, struct vpmem_error *err);

/*
 * Leaves the mount namespace of the host for one in which everybody who joins it has this directory as root. An engine
 * joins that of a container's pid to copy files (`podman cp`), and would read and write those of the host. This process
 * and those that it starts go on with the host's root.
 */
int binds_cover_root(const char *dir, struct vpmem_error *err);

#endif
