// SPDX-License-Identifier: Apache-2.0
/*
 * gmem.c - guest memory: which guest-physical addresses are RAM, and where that RAM is in this process.
 */
#include "gmem.h"

#include <errno.h>
#include <stdlib.h>

/* Rings are accessed by atomic loads of their own width: gpa and hva must be aligned alike, up to this. */
#define RING_ALIGN_MAX 16u

struct region {
	gpa_t gpa;
	uint64_t size;
	uint8_t *hva;
};

struct vpmem_gmem {
	unsigned nregions;
	struct region regions[GMEM_REGIONS_MAX];
};

struct vpmem_gmem *vpmem_gmem_create(void)
{
	return calloc(1, sizeof(struct vpmem_gmem));
}

void vpmem_gmem_destroy(struct vpmem_gmem *gmem)
{
	free(gmem);
}

/* No region wraps, so of two that overlap one holds the other's first byte. */
static bool overlaps(const struct region *a, const struct region *b)
{
	return a->gpa - b->gpa < b->size || b->gpa - a->gpa < a->size;
}

int vpmem_gmem_add(struct vpmem_gmem *gmem, uint64_t gpa, uint64_t size, void *hva)
{
	struct region region = { .gpa = gpa, .size = size, .hva = hva };

	if (size == 0 || size - 1 > UINT64_MAX - gpa)
		return -EINVAL;
	if (!hva || (gpa - (uintptr_t)hva) % RING_ALIGN_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < gmem->nregions; i++) {
		if (overlaps(&gmem->regions[i], &region))
			return -EEXIST;
	}
	if (gmem->nregions == GMEM_REGIONS_MAX)
		return -ENOSPC;
	gmem->regions[gmem->nregions++] = region;
	return 0;
}

void *vpmem_gmem_hva(const struct vpmem_gmem *gmem, uint64_t gpa, uint64_t len)
{
	if (len == 0)
		return NULL;
	for (unsigned i = 0; i < gmem->nregions; i++) {
		const struct region *region = &gmem->regions[i];
		/* Below the region this is huge: one comparison rejects both sides, and no sum can wrap. */
		uint64_t off = gpa - region->gpa;

		if (off < region->size)
			return len <= region->size - off ? region->hva + off : NULL;
	}
	return NULL;
}
