// SPDX-License-Identifier: Apache-2.0
// The user namespace of this process.
#include "user_namespace.h"

#include <inttypes.h>
#include <unistd.h>

#define MAP "/proc/self/uid_map"

struct extent {
	uint32_t inside, outside, length;
};

static bool next_extent(FILE *map, struct extent *extent)
{
	return fscanf(map, "%" SCNu32 " %" SCNu32 " %" SCNu32, &extent->inside, &extent->outside, &extent->length) == 3;
}

bool user_map_is_identity(FILE *map)
{
	struct extent extent;

	return next_extent(map, &extent) && extent.inside == 0 && extent.outside == 0 && extent.length == UINT32_MAX;
}

bool user_map_outside(FILE *map, uint32_t inside, uint32_t *outside)
{
	struct extent extent;

	while (next_extent(map, &extent)) {
		if (inside < extent.inside || inside - extent.inside >= extent.length)
			continue;
		*outside = extent.outside + (inside - extent.inside);
		return true;
	}
	return false;
}

bool user_namespace_is_initial(void)
{
	FILE *map = fopen(MAP, "re");
	bool is_initial = !map || user_map_is_identity(map);

	if (map)
		fclose(map);
	return is_initial;
}

uint32_t user_namespace_outer_uid(void)
{
	FILE *map = fopen(MAP, "re");
	uint32_t uid = geteuid();

	if (!map)
		return uid;
	(void)user_map_outside(map, geteuid(), &uid);
	fclose(map);
	return uid;
}
