// SPDX-License-Identifier: Apache-2.0
/*
 * store.h - a small store of an engine, with two layers and a container, and a cache, in a temporary directory.
 *
 * STORE/l/{A,B} lead to STORE/{a,b}/diff; a is the lowest layer. The container c is STORE/c/{diff,work,merged}. The
 * process is in a mount namespace of its own, so what it mounts goes with it. The working directory is the temporary
 * directory.
 */
#ifndef OCI_STORE_H
#define OCI_STORE_H

#include "layers.h"

struct store {
	char dir[64];    /* /tmp/... */
	char merged[96]; /* the mount point of the container */
	char cache[96];
	struct layer_settings settings;
};

/* 0; -1: a failure; skips the test where this machine has no mount namespaces, or no mkfs.erofs. */
int store_make(void **state);
int store_remove(void **state);
/* Mounts the container's overlay, with relative paths as podman does. */
void store_mount(struct store *store);
/* Mounts a tmpfs of that many bytes at the cache. */
void store_limit_cache(struct store *store, const char *size);
/* Runs a shell command, which has to succeed. */
void store_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How many files of the cache end so. */
unsigned store_count(const struct store *store, const char *suffix);

#endif
