// SPDX-License-Identifier: Apache-2.0
/*
 * gmem.c - guest memory: which guest-physical addresses are RAM, and where that RAM is in this process.
 */
#include "gmem.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/* Rings are accessed by atomic loads of their own width: gpa and hva must be aligned alike, up to this. */
#define RING_ALIGN_MAX 16u

void gmem_init(struct gmem *mem)
{
	*mem = (struct gmem) { .nregions = 0 };
}

/* No region wraps, so of two that overlap one holds the other's first byte. */
static bool overlaps(const struct gmem_region *a, const struct gmem_region *b)
{
	return a->gpa - b->gpa < b->size || b->gpa - a->gpa < a->size;
}

int gmem_add(struct gmem *mem, gpa_t gpa, uint64_t size, void *hva)
{
	struct gmem_region region = { .gpa = gpa, .size = size, .hva = hva };

	if (size == 0 || size - 1 > UINT64_MAX - gpa)
		return -EINVAL;
	if (!hva || (gpa - (uintptr_t)hva) % RING_ALIGN_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < mem->nregions; i++) {
		if (overlaps(&mem->regions[i], &region))
			return -EEXIST;
	}
	if (mem->nregions == GMEM_REGIONS_MAX)
		return -ENOSPC;
	mem->regions[mem->nregions++] = region;
	return 0;
}

void *gmem_hva(const struct gmem *mem, gpa_t gpa, uint64_t len)
{
	if (len == 0)
		return NULL;
	for (unsigned i = 0; i < mem->nregions; i++) {
		const struct gmem_region *region = &mem->regions[i];
		/* Below the region this is huge: one comparison rejects both sides, and no sum can wrap. */
		uint64_t off = gpa - region->gpa;

		if (off < region->size)
			return len <= region->size - off ? region->hva + off : NULL;
	}
	return NULL;
}

const struct gmem_region *gmem_region_at(const struct gmem *mem, unsigned idx)
{
	return idx < mem->nregions ? &mem->regions[idx] : NULL;
}
