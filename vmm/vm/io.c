// SPDX-License-Identifier: Apache-2.0
// Dispatch of guest accesses to port I/O and memory-mapped I/O regions.
#include "io.h"

#include "array.h"
#include "width.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Index of the first region whose end is above addr: the region that contains addr, if there is one.
static unsigned find(const struct io_space *space, uint64_t addr)
{
	unsigned low = 0, high = space->nregions;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		const struct io_region *region = &space->regions[mid];

		if (addr >= region->base && addr - region->base >= region->size)
			low = mid + 1;
		else if (addr < region->base)
			high = mid;
		else
			return mid;
	}
	return low;
}

int io_add(struct io_space *space, const struct io_region *region)
{
	unsigned idx = find(space, region->base);

	if (region->size == 0 || region->base + (region->size - 1) < region->base)
		return -EINVAL;
	if (idx < space->nregions && space->regions[idx].base <= region->base + (region->size - 1))
		return -EEXIST;
	if (space->nregions == IO_REGIONS_MAX)
		return -ENOSPC;
	if (array_room(&space->regions, space->nregions, sizeof(space->regions[0])) < 0)
		return -ENOMEM;
	memmove(&space->regions[idx + 1], &space->regions[idx], (space->nregions - idx) * sizeof(space->regions[0]));
	space->regions[idx] = *region;
	space->nregions++;
	return 0;
}

void io_clear(struct io_space *space)
{
	free(space->regions);
	space->regions = NULL;
	space->nregions = 0;
}

int io_remove(struct io_space *space, uint64_t base)
{
	unsigned idx = find(space, base);

	if (idx == space->nregions || space->regions[idx].base != base)
		return -ENOENT;
	array_remove(space->regions, &space->nregions, sizeof(space->regions[0]), idx);
	if (space->nregions == 0)
		io_clear(space);
	return 0;
}

// The region that contains the whole access, or NULL; also NULL if the width is not legal.
static const struct io_region *claim(const struct io_space *space, uint64_t addr, unsigned width)
{
	unsigned idx = find(space, addr);
	const struct io_region *region;

	if (width != 1 && width != 2 && width != 4 && width != 8)
		return NULL;
	if (idx == space->nregions)
		return NULL;
	region = &space->regions[idx];
	return addr >= region->base && region->size - (addr - region->base) >= width ? region : NULL;
}

uint64_t io_read(struct io_space *space, uint64_t addr, unsigned width)
{
	const struct io_region *region = claim(space, addr, width);

	if (!region) {
		space->nunclaimed++;
		return width_mask(width);
	}
	return region->read(region->owner, addr - region->base, width) & width_mask(width);
}

void io_write(struct io_space *space, uint64_t addr, unsigned width, uint64_t val)
{
	const struct io_region *region = claim(space, addr, width);

	if (!region) {
		space->nunclaimed++;
		return;
	}
	region->write(region->owner, addr - region->base, width, val & width_mask(width));
}
