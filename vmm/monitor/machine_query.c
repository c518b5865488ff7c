// SPDX-License-Identifier: Apache-2.0
// The pmem devices and memory backends, as several queries need them.
#include "machine_query.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

unsigned machine_list_pmems(const struct machine *m, struct pmem *out[PMEMS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->npmems; i++)
		if (m->pmems[i]->unplug != UNPLUG_EJECTED)
			out[n++] = m->pmems[i];
	return n;
}

struct json_object *memdev_path(const struct memdev *memdev)
{
	struct json_object *path = NULL;
	char *text;

	if (asprintf(&text, "/objects/%s", memdev->cfg.id) < 0)
		return NULL;
	path = json_object_new_string(text);
	free(text);
	return path;
}
