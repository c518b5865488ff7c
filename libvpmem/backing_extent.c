// SPDX-License-Identifier: Apache-2.0
/*
 * backing_extent.c - walks over the blocks of a file with FS_IOC_FIEMAP (Documentation/filesystems/fiemap.rst).
 */
#include "backing_extent.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

void piece_walk_begin(struct piece_walk *walk, const struct vpmem_backing *b, off_t off, off_t end)
{
	walk->b = b;
	walk->at = off;
	walk->end = end;
	walk->next = 0;
	walk->map_is_all = false;
	walk->nmaps = 0;
	walk->map.head.fm_mapped_extents = 0;
}

static int get_map(struct piece_walk *walk)
{
	walk->map.head = (struct fiemap) { .fm_start = (uint64_t)walk->at,
		                           .fm_length = (uint64_t)(walk->end - walk->at),
		                           .fm_extent_count = EXTENTS_MAX };
	walk->next = 0;
	walk->nmaps++;
	if (ioctl(walk->b->fd, FS_IOC_FIEMAP, &walk->map) < 0)
		return errno == ENOTTY ? -EOPNOTSUPP : -errno;
	walk->map_is_all = walk->map.head.fm_mapped_extents < EXTENTS_MAX;
	return 0;
}

static off_t extent_end(const struct fiemap_extent *extent)
{
	return (off_t)(extent->fe_logical + extent->fe_length);
}

/* The extent that ends behind the place where the walk is; NULL: there is none in the map. */
static const struct fiemap_extent *next_extent(struct piece_walk *walk)
{
	while (walk->next < walk->map.head.fm_mapped_extents) {
		const struct fiemap_extent *extent = &walk->map.head.fm_extents[walk->next];

		if (extent_end(extent) > walk->at)
			return extent;
		walk->next++;
	}
	return NULL;
}

/* The piece from where the walk is up to `stop`. */
static int take(struct piece_walk *walk, enum piece_kind kind, off_t stop, struct piece *out)
{
	if (stop > walk->end)
		stop = walk->end;
	*out = (struct piece) { .kind = kind, .off = walk->at, .len = stop - walk->at };
	walk->at = stop;
	return 1;
}

int piece_walk_next(struct piece_walk *walk, struct piece *out)
{
	const struct fiemap_extent *extent = next_extent(walk);

	if (walk->at >= walk->end)
		return 0;
	if (!extent && !walk->map_is_all) {
		int rc = get_map(walk);

		if (rc < 0)
			return rc;
		extent = next_extent(walk);
	}
	if (!extent)
		return take(walk, PIECE_HOLE, walk->end, out);
	if ((off_t)extent->fe_logical > walk->at)
		return take(walk, PIECE_HOLE, (off_t)extent->fe_logical, out);
	return take(walk, extent->fe_flags & FIEMAP_EXTENT_SHARED ? PIECE_SHARED : PIECE_OWN, extent_end(extent), out);
}
