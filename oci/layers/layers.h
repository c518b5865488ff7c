// SPDX-License-Identifier: Apache-2.0
/*
 * layers.h - the layers of a container's root file system, each as a read-only EROFS image in a cache.
 *
 * Terms. The *root* is the directory root.path of config.json. Where it is the root of an overlay mount, its *layers*
 * are the lower directories, the topmost first; the *upper* directory has what the container writes. A lower directory
 * of an engine's store (containers/storage of podman, buildah and CRI-O; Docker's overlay2; containerd's overlayfs
 * snapshotter) never changes after the engine has made it. Each is turned once into an *image*: an EROFS file that a
 * guest can map by DAX (uncompressed, no inline tails, padded to 2 MiB), with everything that overlayfs needs:
 * whiteouts, opaque directories, extended attributes, owners, device nodes, times. mkfs.erofs follows no symbolic link.
 *
 * Every other root is an *ordinary directory*, and has no layers: a plain directory, fuse-overlayfs, other file
 * systems, a directory inside a mount, and an overlay with a lower directory that may change (`podman run --rootfs
 * DIR:O`).
 *
 * The cache is one directory with, for each KEY: KEY.erofs, the image; KEY.json, where it comes from (layer_meta.h);
 * KEY.lock, which the one that makes or removes the image locks. KEY is the layer's name, and the device, inode and
 * change time of its directory. An image appears complete, by rename(2); KEY.tmp is one that is being made. Who uses an
 * image has a shared lock (flock(2)) on it, and then it is not removed. The lock belongs to the open file, so it goes
 * on in a forked process that keeps the descriptor.
 *
 * All functions may wait for another process that makes the same image. They need root. Any thread.
 */
#ifndef PMVM_OCI_LAYERS_H
#define PMVM_OCI_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <vpmem.h>

#define LAYER_PADDING (2u << 20) /* a size of an image is a multiple of it: a huge page */
/* The guest keeps 64 bytes of its RAM for each page of it. */
#define SCRATCH_SIZE (1ull << 30)

/* Who shares one image, and so pages of the host: a neighbour can measure which pages are in memory. */
enum layer_share {
	LAYER_SHARE_ALL,        /* each layer has one image */
	LAYER_SHARE_SAME_OWNER, /* one for each owner */
	LAYER_SHARE_NEVER,      /* one for each container */
};

struct layer_settings {
	const char *cache;      /* absolute; made with mode 0700 if it is missing */
	const char *mkfs_erofs; /* absolute path */
	unsigned timeout_s;     /* that mkfs.erofs has for one image; 0: no limit */
	uint64_t limit; /* bytes on disk of all images; 0: none. Beyond it the least recently used ones are removed */
	enum layer_share share;
	const char *owner;     /* LAYER_SHARE_SAME_OWNER: any text */
	const char *container; /* LAYER_SHARE_NEVER: the id of the container */
	bool readonly_only;    /* an overlay that can be written is an ordinary directory */
};

struct layer {
	char *path; /* CACHE/KEY.erofs */
	int fd;     /* open for reading, O_CLOEXEC; has the shared lock */
	uint64_t size;
	bool is_new; /* this call has made it */
};

struct rootfs {
	char *directory; /* the root, without symbolic links */
	struct layer *layers;
	size_t nlayers;     /* top first; 0: an ordinary directory, and all below is NULL or false */
	char why_none[256]; /* why it is one, for a log */
	/*
	 * NULL: read-only. The engine's directories, both inside writable_dir, so one mount of it makes renames between them
	 * possible. The host has this overlay mounted: the guest must not use `work` itself, but a directory inside it.
	 */
	char *upper, *work, *writable_dir;
	/* Options of the overlay mount that say how its layers are to be read: the guest has to mount with the same. */
	bool metacopy, redirect_dir, userxattr;
	bool has_scratch; /* the container writes to the file scratch_fd, not to `upper` */
	int scratch_fd;   /* O_CLOEXEC; has no name */
	/* The name that it may get for a moment, to be mounted. A crash leaves it for layers_prune. */
	char *scratch_path;
};

/*
 * Finds the layers of root_path, makes the images that are missing, and locks all. *rootfs is overwritten;
 * rootfs_fini is legal afterwards in any case. -ENOENT, -ENOTDIR: there is no such directory. -ENOSPC: the disk, or the
 * limit. -EIO: mkfs.erofs has failed; err has its words. -ETIMEDOUT, -EINTR: it was ended (program.h). Nothing of an
 * image that failed is left.
 */
int rootfs_find(const char *root_path, const struct layer_settings *settings, struct rootfs *rootfs,
                struct vpmem_error *err);
/*
 * An ext4 for what the container writes, in a sparse file in the directory of the cache. It has no name, so it is gone
 * with the last process that has it open. size: bytes, 0: SCRATCH_SIZE. -ENOTSUP: the root has no layers. -EIO:
 * mkfs.ext4 has failed; err has its words.
 */
int rootfs_make_scratch(struct rootfs *rootfs, const struct layer_settings *settings, uint64_t size,
                        struct vpmem_error *err);
/* Unlocks. In the process that keeps the images in use it is called at the end; in every other one at once. */
void rootfs_fini(struct rootfs *rootfs);

struct json_object;
/*
 * `pmvm-oci layers list`: the images with size, users, last use and source; as a table, or as a JSON array. `containers` has
 * for the path of an image the ids of containers that are known to use it, an array of strings; NULL: none is known.
 */
int layers_list(const struct layer_settings *settings, struct json_object *containers, bool json, FILE *out,
                struct vpmem_error *err);
/* `pmvm-oci layers prune`: removes all images that are not in use, and what a crash has left. Prints each, and the sum. */
int layers_prune(const struct layer_settings *settings, FILE *out, struct vpmem_error *err);
/* For `delete` with LAYER_SHARE_NEVER: removes the images that this container had for itself. Otherwise it does nothing. */
void layers_drop(const struct layer_settings *settings);
/* `pmvm-oci layers verify`: reads all images. Prints each with "ok" or what is wrong. -EBADMSG: one or more are damaged. */
int layers_verify(const struct layer_settings *settings, FILE *out, struct vpmem_error *err);

#endif
