// SPDX-License-Identifier: Apache-2.0
/*
 * layer_cache.h - the files of the cache and their locks, layers.h.
 *
 * The order of locks: KEY.lock, then KEY.erofs. A file whose name is gone by the time that it is locked is not the one
 * that the name means; it is opened again.
 */
#ifndef PMVM_OCI_LAYER_CACHE_H
#define PMVM_OCI_LAYER_CACHE_H

#include "layers.h"

/* The files of a key. */
struct layer_files {
	char *image, *tmp, *meta, *meta_tmp, *lock;
};

int layer_files_init(struct layer_files *files, const char *cache, const char *key);
void layer_files_fini(struct layer_files *files);

/* Makes the directory with its parents, and checks it: nobody but its owner, root, may write in it. */
int layer_cache_prepare(const char *cache, struct vpmem_error *err);

/* Locks KEY.lock. The descriptor; -EWOULDBLOCK: another process has it, and `wait` is false; -errno. */
int layer_cache_lock(const struct layer_files *files, bool wait);

/*
 * Opens the image with a shared lock. 1: there it is. 0: there is none, or not with the size of its description, which
 * makes it as good as none. -errno.
 */
int layer_cache_open(const struct layer_files *files, struct layer *layer, struct vpmem_error *err);

/*
 * Removes all files of the key. Returns the bytes on disk that became free; -EWOULDBLOCK: the image is in use, or is
 * being made.
 */
int64_t layer_cache_remove(const struct layer_files *files);

/* Whether a process has a lock on the image; *users: how many open files have, as /proc/locks counts them. */
bool layer_cache_is_used(const struct layer_files *files, unsigned *users);

struct layer_keys {
	char **list; /* sorted */
	size_t n;
};

/* The keys of the cache: those with an image only, or those with any file. A missing cache has none. */
int layer_cache_keys(const char *cache, bool images_only, struct layer_keys *keys, struct vpmem_error *err);
void layer_keys_fini(struct layer_keys *keys);

/* Removes the least recently used images until all together have at most `limit` bytes on disk, or the rest is in use. */
void layer_cache_limit(const char *cache, uint64_t limit);

#endif
