// SPDX-License-Identifier: Apache-2.0
/*
 * layer_meta.h - KEY.json: what is known of an image, as one JSON object.
 *
 * {"source": "/path", "size": bytes, "sha256": "64 hex digits", "created": "2026-01-31T12:00:00Z"}. The time of its
 * last change is the last use of the image. It is written before the image appears.
 */
#ifndef PMVM_OCI_LAYER_META_H
#define PMVM_OCI_LAYER_META_H

#include <stdint.h>
#include <time.h>
#include <vpmem.h>

#define LAYER_SHA256_LEN 64 /* hexadecimal digits */

struct layer_meta {
	char *source; /* the lower directory; owned */
	uint64_t size;
	char sha256[LAYER_SHA256_LEN + 1];
	char created[32];
	time_t last_use;
};

/* -ENOENT: there is none. -EBADMSG: it is not what layer_meta_write wrote. *meta is overwritten. */
int layer_meta_read(const char *path, struct layer_meta *meta, struct vpmem_error *err);
void layer_meta_fini(struct layer_meta *meta);
/* Replaces the file, and syncs it; not its directory. last_use is now. */
int layer_meta_write(const char *path, const struct layer_meta *meta, struct vpmem_error *err);
/* The image is used now. */
void layer_meta_touch(const char *path);

/* A time in RFC 3339, UTC. */
void layer_meta_time(time_t time, char *buf, size_t size);

#endif
