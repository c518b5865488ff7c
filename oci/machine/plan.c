// SPDX-License-Identifier: Apache-2.0
// The names of a machine's images on the host.
#include "plan.h"

#include "layers.h"

// parts.c adds the layers first, then the scratch file, then the volumes.
const char *plan_image_file(const struct machine_plan *plan, size_t idx)
{
	const struct rootfs *rootfs = plan->rootfs;

	if (idx < rootfs->nlayers)
		return rootfs->layers[idx].path;
	idx -= rootfs->nlayers;
	if (rootfs->has_scratch && idx-- == 0)
		return "upper";
	return plan->bundle->pmem[idx].file;
}

size_t plan_count_images(const struct machine_plan *plan)
{
	return plan->rootfs->nlayers + plan->rootfs->has_scratch + plan->bundle->npmem;
}
