// SPDX-License-Identifier: Apache-2.0
/*
 * overlay.h - the directories of an overlay mount, from the options that mountinfo shows.
 *
 * overlayfs has escapes of its own below the kernel's: in lowerdir "\:" is a colon in a name, as "\\" is a backslash; a
 * plain colon separates two directories, and two colons begin directories for data only. lowerdir+ has one directory,
 * without these escapes. upperdir and workdir have them in kernels before 6.5 only.
 */
#ifndef PMVM_OCI_OVERLAY_H
#define PMVM_OCI_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <vpmem.h>

struct overlay {
	char **lower; /* as they stand there: absolute, or relative to a directory that is not shown */
	size_t nlower;
	char *upper, *work; /* likewise; NULL: a read-only mount */
	bool metacopy, redirect_dir, userxattr;
	bool has_data_only; /* lower directories that have no names of their own */
};

/* *overlay is overwritten; overlay_fini is legal afterwards in any case. -EINVAL: no lower directory. -ENOMEM. */
int overlay_parse(const char *options, struct overlay *overlay, struct vpmem_error *err);
void overlay_fini(struct overlay *overlay);

/*
 * The same directories as absolute paths without symbolic links. Relative ones start at the engine's store: podman and
 * containerd both keep STORE/ID/{diff,fs,merged}, and upperdir, or else the mount point, is in it. -errno: one that is
 * not there; then some may be resolved.
 */
int overlay_resolve(struct overlay *overlay, const char *mount_point, struct vpmem_error *err);

#endif
