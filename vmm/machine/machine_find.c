// SPDX-License-Identifier: Apache-2.0
// Finds memory backends and devices of the machine.
#include "machine_find.h"

#include "machine.h"
#include "virtio_pmem.h"

#include <string.h>

struct memdev *machine_find_memdev(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->nmemdevs; i++)
		if (strcmp(m->memdevs[i]->cfg.id, id) == 0)
			return m->memdevs[i];
	return NULL;
}

struct pmem *machine_find_pmem(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];

		if ((pmem->cfg.id && strcmp(pmem->cfg.id, id) == 0) || strcmp(pmem->path, id) == 0)
			return pmem;
	}
	return NULL;
}

struct pmem *machine_find_pmem_in_slot(struct machine *m, unsigned slot)
{
	for (unsigned i = 0; i < m->npmems; i++)
		if (m->pmems[i]->slot == slot && m->pmems[i]->unplug != UNPLUG_EJECTED)
			return m->pmems[i];
	return NULL;
}

struct pmem *machine_find_pmem_at(struct machine *m, gpa_t gpa, uint64_t *off)
{
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];
		gpa_t base = pmem->unplug == UNPLUG_EJECTED ? 0 : virtio_pmem_gpa(pmem->vp);

		if (base != 0 && gpa >= base && gpa - base < vpmem_backing_size(pmem->memdev->backing)) {
			*off = gpa - base;
			return pmem;
		}
	}
	return NULL;
}

const char *pmem_name(const struct pmem *pmem)
{
	return pmem->cfg.id ? pmem->cfg.id : pmem->memdev->cfg.id;
}
