// SPDX-License-Identifier: Apache-2.0
// A view for programs: what is unknown is null.
#include "top_json.h"

#include <json-c/json.h>

static void put_size(struct json_object *obj, const char *key, uint64_t value)
{
	json_object_object_add(obj, key, value == TOP_UNKNOWN ? NULL : json_object_new_uint64(value));
}

static void put_double(struct json_object *obj, const char *key, double value)
{
	json_object_object_add(obj, key, value < 0 ? NULL : json_object_new_double(value));
}

static void put_str(struct json_object *obj, const char *key, const char *value)
{
	json_object_object_add(obj, key, json_object_new_string(value));
}

static struct json_object *device_json(const struct top_device *d)
{
	struct json_object *obj = json_object_new_object();

	put_str(obj, "name", d->name);
	put_str(obj, "state", d->state);
	put_size(obj, "size_bytes", d->size);
	put_size(obj, "resident_bytes", d->resident);
	put_size(obj, "allocated_bytes", d->allocated);
	put_size(obj, "flushes", d->flushes);
	put_size(obj, "failed_flushes", d->failed_flushes);
	put_size(obj, "syncs", d->syncs);
	put_size(obj, "sync_errors", d->sync_errors);
	put_double(obj, "flushes_per_second", d->flushes_per_s);
	put_double(obj, "syncs_per_second", d->syncs_per_s);
	put_double(obj, "sync_p50_seconds", d->p50_s);
	put_double(obj, "sync_p99_seconds", d->p99_s);
	return obj;
}

static struct json_object *machine_json(const struct top_machine *m)
{
	struct json_object *obj = json_object_new_object(), *devices = json_object_new_array();

	put_str(obj, "name", m->name);
	json_object_object_add(obj, "up", json_object_new_boolean(m->is_up));
	if (!m->is_up) {
		put_str(obj, "error", m->error);
		json_object_put(devices);
		return obj;
	}
	put_str(obj, "state", m->state);
	put_double(obj, "interval_seconds", m->interval_s);
	put_double(obj, "cpus_used", m->cpu);
	put_size(obj, "memory_bytes", m->memory);
	put_size(obj, "vcpus", m->nvcpus);
	for (size_t i = 0; i < m->ndevices; i++)
		if (!m->devices[i].is_hidden)
			json_object_array_add(devices, device_json(&m->devices[i]));
	json_object_object_add(obj, "devices", devices);
	return obj;
}

struct json_object *top_json(const struct top_view *view)
{
	struct json_object *obj = json_object_new_object(), *machines = json_object_new_array();

	for (unsigned i = 0; i < view->n; i++)
		if (!view->machines[i].is_hidden)
			json_object_array_add(machines, machine_json(&view->machines[i]));
	json_object_object_add(obj, "machines", machines);
	return obj;
}
