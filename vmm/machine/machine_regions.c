// SPDX-License-Identifier: Apache-2.0
// The memory table of the machine, and who wants to know of its changes.
#include "machine_regions.h"

#include "machine.h"
#include "virtio_pmem.h"

void machine_regions_listen(struct machine *m, struct regions_listener *listener)
{
	listener->next = m->regions_listeners;
	m->regions_listeners = listener;
}

void machine_regions_unlisten(struct machine *m, struct regions_listener *listener)
{
	struct regions_listener **at = &m->regions_listeners;

	while (*at && *at != listener)
		at = &(*at)->next;
	if (*at)
		*at = listener->next;
}

void machine_regions_changed(struct machine *m)
{
	for (struct regions_listener *l = m->regions_listeners; l; l = l->next)
		l->changed(l->owner);
}

// 0: the guest does not see it now.
static gpa_t window_gpa(const struct pmem *pmem)
{
	if (!pmem->cfg->shmem)
		return pmem->slot_gpa;
	return pmem->dev.unplug == UNPLUG_EJECTED ? 0 : virtio_pmem_gpa(pmem->dev.vp);
}

unsigned machine_regions(const struct machine *m, struct gmem_region out[REGIONS_MAX])
{
	const struct gmem_region *ram;
	unsigned n = 0;

	while ((ram = gmem_region_at(&m->gmem, n)))
		out[n++] = *ram;
	for (unsigned i = 0; i < m->npmems; i++) {
		const struct vpmem_backing *backing = m->pmems[i]->memdev->backing;
		gpa_t gpa = window_gpa(m->pmems[i]);

		if (gpa != 0)
			out[n++] = (struct gmem_region) {
				.gpa = gpa,
				.size = vpmem_backing_size(backing),
				.hva = vpmem_backing_hva(backing),
			};
	}
	return n;
}
