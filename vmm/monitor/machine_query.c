// SPDX-License-Identifier: Apache-2.0
// The devices, and paths of objects, as several queries need them.
#include "machine_query.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

unsigned machine_list_pmems(const struct machine *m, struct pmem *out[PMEMS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->npmems; i++)
		if (m->pmems[i]->dev.unplug != UNPLUG_EJECTED)
			out[n++] = m->pmems[i];
	return n;
}

unsigned machine_list_devices(const struct machine *m, struct device *out[DEVICES_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->ndevices; i++)
		if (m->devices[i]->unplug != UNPLUG_EJECTED)
			out[n++] = m->devices[i];
	return n;
}

struct json_object *object_path(const char *id)
{
	struct json_object *path = NULL;
	char *text;

	if (asprintf(&text, "/objects/%s", id) < 0)
		return NULL;
	path = json_object_new_string(text);
	free(text);
	return path;
}

struct json_object *memdev_path(const struct memdev *memdev)
{
	return object_path(memdev->obj.cfg->id);
}
