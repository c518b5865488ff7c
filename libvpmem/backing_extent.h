// SPDX-License-Identifier: Apache-2.0
/*
 * backing_extent.h - which parts of a file have blocks of their own. A store to any other part needs a new block.
 */
#ifndef VPMEM_BACKING_EXTENT_H
#define VPMEM_BACKING_EXTENT_H

#include "backing.h"

#include <linux/fiemap.h>

#define EXTENTS_MAX 64u /* for one FS_IOC_FIEMAP */

enum piece_kind {
	PIECE_OWN,    /* written or reserved (fallocate) */
	PIECE_HOLE,   /* has no block */
	PIECE_SHARED, /* its blocks are also those of another file or a snapshot: a reflink */
};

struct piece {
	enum piece_kind kind;
	off_t off, len; /* bytes of the file */
};

/* A walk over [at, end) of the file, in order. If the file changes meanwhile, some pieces are of the old state. */
struct piece_walk {
	const struct vpmem_backing *b;
	off_t at, end;
	uint32_t next;   /* extent of the map that comes next */
	bool map_is_all; /* the map has the last extent of the range */
	unsigned nmaps;  /* FS_IOC_FIEMAP so far */
	union {
		struct fiemap head;
		uint8_t room[sizeof(struct fiemap) + EXTENTS_MAX * sizeof(struct fiemap_extent)];
	} map;
};

void piece_walk_begin(struct piece_walk *walk, const struct vpmem_backing *b, off_t off, off_t end);
/* 1: *out is the next piece. 0: the end. Or -errno: -EOPNOTSUPP where the file system does not report extents. */
int piece_walk_next(struct piece_walk *walk, struct piece *out);

#endif
