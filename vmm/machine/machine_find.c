// SPDX-License-Identifier: Apache-2.0
// Finds memory backends and devices of the machine.
#include "machine_find.h"

#include "machine.h"
#include "virtio_pmem.h"

#include <string.h>

struct object *machine_find_object(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->nobjects; i++)
		if (strcmp(m->objects[i]->cfg->id, id) == 0)
			return m->objects[i];
	return NULL;
}

struct memdev *machine_find_memdev(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->nmemdevs; i++)
		if (strcmp(m->memdevs[i]->obj.cfg->id, id) == 0)
			return m->memdevs[i];
	return NULL;
}

static bool is_named(const struct device *dev, const char *id)
{
	return (dev->cfg->id && strcmp(dev->cfg->id, id) == 0) || strcmp(dev->path, id) == 0;
}

struct device *machine_find_device(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->ndevices; i++)
		if (is_named(m->devices[i], id))
			return m->devices[i];
	return NULL;
}

struct pmem *machine_find_pmem(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->npmems; i++)
		if (is_named(&m->pmems[i]->dev, id))
			return m->pmems[i];
	return NULL;
}

struct device *machine_find_device_in_slot(struct machine *m, unsigned slot)
{
	for (unsigned i = 0; i < m->ndevices; i++)
		if (m->devices[i]->slot == slot && m->devices[i]->unplug != UNPLUG_EJECTED)
			return m->devices[i];
	return NULL;
}

struct pmem *machine_find_pmem_at(struct machine *m, gpa_t gpa, uint64_t *off)
{
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];
		gpa_t base = pmem->dev.unplug == UNPLUG_EJECTED ? 0 : virtio_pmem_gpa(pmem->dev.vp);

		if (base != 0 && gpa >= base && gpa - base < vpmem_backing_size(pmem->memdev->backing)) {
			*off = gpa - base;
			return pmem;
		}
	}
	return NULL;
}

const char *pmem_name(const struct pmem *pmem)
{
	return pmem->dev.cfg->id ? pmem->dev.cfg->id : pmem->memdev->obj.cfg->id;
}
