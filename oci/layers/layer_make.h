// SPDX-License-Identifier: Apache-2.0
/*
 * layer_make.h - one lower directory as an image in the cache.
 */
#ifndef PMVM_OCI_LAYER_MAKE_H
#define PMVM_OCI_LAYER_MAKE_H

#include "layers.h"

/* The end of the keys of those who may share an image, in buf: "" for all. */
void layer_scope(const struct layer_settings *settings, char *buf, size_t size);

/* The key of a directory, which the caller frees. -errno: there is no such directory, or -ENAMETOOLONG. */
int layer_key(const char *directory, const struct layer_settings *settings, char **key, struct vpmem_error *err);

/* Opens the image of the directory in *layer, and makes it first if it is missing. Errors: rootfs_find. */
int layer_open(const char *directory, const struct layer_settings *settings, struct layer *layer,
               struct vpmem_error *err);

/* The SHA-256 of an open file from its start, as hexadecimal digits in a buffer of LAYER_SHA256_LEN + 1. */
int layer_sha256(int fd, char *hex, struct vpmem_error *err);

#endif
