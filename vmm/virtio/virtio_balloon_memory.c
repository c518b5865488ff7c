// SPDX-License-Identifier: Apache-2.0
// The balloon device's view of RAM: what of it the guest has given, and how it goes back to the host.
#include "virtio_balloon_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// ---- to the host

static const struct balloon_region *region_at(const struct balloon_memory *memory, const uint8_t *hva)
{
	for (unsigned i = 0; i < memory->nregions; i++)
		// Below the region this is huge.
		if ((uintptr_t)hva - (uintptr_t)memory->regions[i].hva < memory->regions[i].size)
			return &memory->regions[i];
	return NULL;
}

// Whole pages of one region.
static void discard(struct balloon_memory *memory, const struct balloon_region *region, uint8_t *hva, uint64_t size)
{
	off_t off = (off_t)(region->fd_off + (uint64_t)(hva - region->hva));
	int rc = 0;

	if (region->keep)
		return;
	if (region->fd < 0 || region->is_private)
		rc = madvise(hva, size, MADV_DONTNEED);
	if (rc == 0 && region->fd >= 0)
		rc = fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, (off_t)size);
	if (rc == 0)
		memory->nreturned += size;
	else if (memory->error == 0)
		memory->error = -errno;
}

uint64_t balloon_memory_return(struct balloon_memory *memory, uint8_t *hva, uint64_t len)
{
	const struct balloon_region *region = region_at(memory, hva);
	uint64_t off, end, begin;

	if (!region)
		return len;
	off = (uint64_t)(hva - region->hva);
	if (len > region->size - off)
		len = region->size - off;
	begin = (off + region->page_size - 1) / region->page_size * region->page_size;
	end = begin + (region->page_size > BALLOON_TURN_SIZE ? region->page_size : BALLOON_TURN_SIZE);
	if (end > off + len)
		end = (off + len) / region->page_size * region->page_size;
	// What remains is less than a page.
	if (begin >= end)
		return len;
	discard(memory, region, region->hva + begin, end - begin);
	return end - off;
}

// ---- single pages: neighbours go back together

void balloon_memory_flush(struct balloon_memory *memory)
{
	if (memory->run_size > 0)
		discard(memory, region_at(memory, memory->run_hva), memory->run_hva, memory->run_size);
	memory->run_size = 0;
}

static void add_to_run(struct balloon_memory *memory, const struct balloon_region *region, uint8_t *hva)
{
	bool same = memory->run_size > 0 && region_at(memory, memory->run_hva) == region;

	if (same && hva == memory->run_hva + memory->run_size) {
		memory->run_size += BALLOON_PAGE_SIZE;
		return;
	}
	// Linux takes free pages from the top.
	if (same && hva + BALLOON_PAGE_SIZE == memory->run_hva) {
		memory->run_hva = hva;
		memory->run_size += BALLOON_PAGE_SIZE;
		return;
	}
	balloon_memory_flush(memory);
	memory->run_hva = hva;
	memory->run_size = BALLOON_PAGE_SIZE;
}

// ---- huge pages

static uint64_t pages_per_huge(const struct balloon_region *region)
{
	return region->page_size / BALLOON_PAGE_SIZE;
}

static bool is_given(const struct balloon_memory *memory, unsigned idx, uint64_t page)
{
	return memory->given[idx][page / 64] >> page % 64 & 1;
}

static void forget_part(struct balloon_memory *memory)
{
	uint64_t n, huge = (uint64_t)memory->part_idx;

	if (memory->part_idx < 0)
		return;
	n = pages_per_huge(&memory->regions[memory->part_region]);
	// A huge page has 512 pages or more.
	memset(&memory->given[memory->part_region][huge * n / 64], 0, n / 8);
	memory->ngiven[memory->part_region][huge] = 0;
	memory->part_idx = -1;
}

void balloon_memory_end_request(struct balloon_memory *memory)
{
	if (!memory->tracks)
		forget_part(memory);
}

static void give_part(struct balloon_memory *memory, unsigned idx, uint64_t page)
{
	const struct balloon_region *region = &memory->regions[idx];
	uint64_t huge = page / pages_per_huge(region);

	if (!memory->tracks && (memory->part_region != idx || memory->part_idx != (int64_t)huge))
		forget_part(memory);
	memory->part_region = idx;
	memory->part_idx = (int64_t)huge;
	if (is_given(memory, idx, page))
		return;
	memory->any_given = true;
	memory->given[idx][page / 64] |= UINT64_C(1) << page % 64;
	if (++memory->ngiven[idx][huge] < pages_per_huge(region))
		return;
	discard(memory, region, region->hva + huge * region->page_size, region->page_size);
	balloon_memory_end_request(memory);
}

static void take_part(struct balloon_memory *memory, unsigned idx, uint64_t page)
{
	if (!is_given(memory, idx, page))
		return;
	memory->given[idx][page / 64] &= ~(UINT64_C(1) << page % 64);
	memory->ngiven[idx][page / pages_per_huge(&memory->regions[idx])]--;
}

// ---- pages that the guest names

// Its region, or -1: it is not RAM.
static int find_page(const struct balloon_memory *memory, uint32_t pfn, uint64_t *off)
{
	for (unsigned i = 0; i < memory->nregions; i++) {
		// Below the region this is huge.
		*off = ((uint64_t)pfn << BALLOON_PAGE_SHIFT) - memory->regions[i].gpa;
		if (*off < memory->regions[i].size)
			return (int)i;
	}
	return -1;
}

void balloon_memory_give(struct balloon_memory *memory, uint32_t pfn)
{
	uint64_t off;
	int idx = find_page(memory, pfn, &off);

	if (idx >= 0 && memory->given[idx])
		give_part(memory, (unsigned)idx, off / BALLOON_PAGE_SIZE);
	else if (idx >= 0)
		add_to_run(memory, &memory->regions[idx], memory->regions[idx].hva + off);
}

void balloon_memory_take(struct balloon_memory *memory, uint32_t pfn)
{
	uint64_t off;
	int idx = find_page(memory, pfn, &off);

	if (idx >= 0 && memory->given[idx])
		take_part(memory, (unsigned)idx, off / BALLOON_PAGE_SIZE);
}

// ---- life

bool balloon_memory_is_huge(const struct balloon_memory *memory)
{
	for (unsigned i = 0; i < memory->nregions; i++)
		if (memory->given[i])
			return true;
	return false;
}

void balloon_memory_reset(struct balloon_memory *memory)
{
	memory->part_idx = -1;
	memory->run_size = 0;
	for (unsigned i = 0; i < memory->nregions && memory->any_given; i++) {
		const struct balloon_region *region = &memory->regions[i];

		if (!memory->given[i])
			continue;
		memset(memory->given[i], 0, region->size / BALLOON_PAGE_SIZE / 8);
		memset(memory->ngiven[i], 0, region->size / region->page_size * sizeof(*memory->ngiven[i]));
	}
	memory->any_given = false;
}

int balloon_memory_init(struct balloon_memory *memory, const struct balloon_region *regions, unsigned nregions)
{
	*memory = (struct balloon_memory) { .nregions = nregions, .part_idx = -1 };
	for (unsigned i = 0; i < nregions; i++) {
		uint64_t size = regions[i].size, page_size = regions[i].page_size;

		memory->regions[i] = regions[i];
		if (page_size == BALLOON_PAGE_SIZE)
			continue;
		memory->given[i] = calloc(size / BALLOON_PAGE_SIZE / 64, sizeof(*memory->given[i]));
		memory->ngiven[i] = calloc(size / page_size, sizeof(*memory->ngiven[i]));
		if (!memory->given[i] || !memory->ngiven[i])
			return -ENOMEM;
	}
	return 0;
}

void balloon_memory_fini(struct balloon_memory *memory)
{
	for (unsigned i = 0; i < BALLOON_REGIONS_MAX; i++) {
		free(memory->given[i]);
		free(memory->ngiven[i]);
	}
}
