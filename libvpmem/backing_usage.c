// SPDX-License-Identifier: Apache-2.0
/*
 * backing_usage.c - how much of a memory backend is in memory, and how much on the host's disk.
 */
#include "backing.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One byte per page: 16 MiB of memory, with pages of 4 KiB. The kernel works in pieces of this size as well. */
#define PIECE_PAGES 4096u

static int resident_size(const struct vpmem_backing *b, uint64_t *out)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE), pages = 0;
	unsigned char in_memory[PIECE_PAGES];

	for (uint64_t off = 0; off < b->size; off += PIECE_PAGES * page_size) {
		uint64_t left = b->size - off;
		uint64_t len = left < PIECE_PAGES * page_size ? left : PIECE_PAGES * page_size;

		if (mincore((uint8_t *)b->hva + off, len, in_memory))
			return -errno;
		for (uint64_t i = 0; i < round_up(len, page_size) / page_size; i++)
			pages += in_memory[i] & 1;
	}
	/* The last page may be beyond the size in part. */
	*out = pages * page_size < b->size ? pages * page_size : b->size;
	return 0;
}

static int allocated_size(const struct vpmem_backing *b, uint64_t *out)
{
	struct stat st;
	uint64_t len;

	*out = b->size;
	if (b->is_block || b->is_dax)
		return 0;
	if (fstat(b->fd, &st))
		return -errno;
	len = (uint64_t)st.st_blocks * BACKING_STAT_BLOCK;
	if (len < b->size)
		*out = len;
	return 0;
}

int vpmem_backing_usage(const struct vpmem_backing *backing, struct vpmem_usage *out)
{
	int rc = resident_size(backing, &out->resident_size);

	return rc ? rc : allocated_size(backing, &out->allocated_size);
}
