// SPDX-License-Identifier: Apache-2.0
/*
 * guest_memory.c - guest memory as an embedder sees it; virtio/gmem.c does the work.
 */
#include "guest_memory.h"

#include <assert.h>
#include <stdlib.h>

static_assert(GMEM_REGIONS_MAX == 16, "as vpmem.h says");

struct vpmem_gmem *vpmem_gmem_create(void)
{
	struct vpmem_gmem *gmem = calloc(1, sizeof(*gmem));

	if (gmem)
		gmem_init(&gmem->mem);
	return gmem;
}

void vpmem_gmem_destroy(struct vpmem_gmem *gmem)
{
	free(gmem);
}

int vpmem_gmem_add(struct vpmem_gmem *gmem, uint64_t gpa, uint64_t size, void *hva)
{
	return gmem_add(&gmem->mem, gpa, size, hva);
}

void *vpmem_gmem_hva(const struct vpmem_gmem *gmem, uint64_t gpa, uint64_t len)
{
	return gmem_hva(&gmem->mem, gpa, len);
}
