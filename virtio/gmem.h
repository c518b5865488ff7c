// SPDX-License-Identifier: Apache-2.0
/*
 * gmem.h - guest memory: which guest-physical addresses are RAM, and where that RAM is in this process.
 *
 * A gpa_t is a number and is never dereferenced. The one way from it to a pointer is gmem_hva, which always takes the
 * length with it. A map is filled once, before anybody uses it: it has no lock, and nothing is ever removed.
 */
#ifndef VIRTIO_GMEM_H
#define VIRTIO_GMEM_H

#include <stdint.h>

typedef uint64_t gpa_t;

#define GMEM_REGIONS_MAX 16u

/* [gpa, gpa + size) lies at hva. */
struct gmem_region {
	gpa_t gpa;
	uint64_t size; /* bytes, not 0; the range does not wrap */
	uint8_t *hva;  /* borrowed */
};

struct gmem {
	unsigned nregions;
	struct gmem_region regions[GMEM_REGIONS_MAX]; /* in the order in which they were added */
};

/* An empty map. It owns nothing, so there is no counterpart. */
void gmem_init(struct gmem *mem);

/*
 * Declares [gpa, gpa + size) as RAM that lies at hva. Borrows the memory.
 * -EINVAL: size is 0, the range wraps, hva is NULL, or gpa and hva differ modulo 16 (rings are accessed as aligned
 * words). -EEXIST: overlaps a region. -ENOSPC: more than GMEM_REGIONS_MAX regions.
 */
int gmem_add(struct gmem *mem, gpa_t gpa, uint64_t size, void *hva);

/* The pointer to [gpa, gpa + len), or NULL unless all of it lies in one region. len 0 gives NULL. */
void *gmem_hva(const struct gmem *mem, gpa_t gpa, uint64_t len);

/* Iterates over the regions, for a memory table that somebody else needs: idx from 0; NULL is the end. */
const struct gmem_region *gmem_region_at(const struct gmem *mem, unsigned idx);

#endif
