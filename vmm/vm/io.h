// SPDX-License-Identifier: Apache-2.0
/*
 * io.h - dispatch of guest accesses to port I/O and memory-mapped I/O.
 *
 * A region is one guest-visible window with one owner. A space is a sorted array of regions. There are two spaces:
 * ports and MMIO. RAM and the pmem windows are memory slots, not regions.
 *
 * The dispatcher guarantees to the callbacks read and write: width is 1, 2, 4 or 8, the whole access is inside the
 * region, off is relative to the region's base, val is in host byte order. If no region contains the whole access, a
 * read returns all ones and a write is dropped. Both are counted and not logged, because every kernel probes for
 * hardware that does not exist.
 *
 * All of it runs under the machine lock (machine.h).
 */
#ifndef PMVM_IO_H
#define PMVM_IO_H

#include <stdint.h>

#define IO_REGIONS_MAX 640

struct io_region {
	const char *name; /* for messages; borrowed */
	uint64_t base;
	uint64_t size; /* bytes */
	uint64_t (*read)(void *owner, uint64_t off, unsigned width);
	void (*write)(void *owner, uint64_t off, unsigned width, uint64_t val);
	void *owner;
};

struct io_space {
	unsigned nregions; /* at most IO_REGIONS_MAX */
	struct io_region *regions;
	uint64_t nunclaimed; /* accesses that no region contains */
};

/* Adds a copy of the region. -EINVAL: empty, or wraps. -EEXIST: overlaps another region. -ENOSPC: too many. -ENOMEM. */
int io_add(struct io_space *space, const struct io_region *region);
/* Removes the region that begins at base. -ENOENT: there is none. */
int io_remove(struct io_space *space, uint64_t base);
/* Removes all regions. */
void io_clear(struct io_space *space);

uint64_t io_read(struct io_space *space, uint64_t addr, unsigned width);
void io_write(struct io_space *space, uint64_t addr, unsigned width, uint64_t val);

#endif
