// SPDX-License-Identifier: Apache-2.0
// What pmvm counts of a machine's images, for `stats`.
#include "bundle.h"
#include "error.h"
#include "keeper_pod.h"
#include "log.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static struct json_object *member(struct json_object *object, const char *name, enum json_type type)
{
	struct json_object *val = NULL;

	return json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, name, &val) &&
	                       json_object_is_type(val, type) ?
	               val :
	               NULL;
}

// The device whose memory backend is image number idx (vm_args.c).
static struct json_object *device_of(struct json_object *list, size_t idx)
{
	char memdev[48];

	snprintf(memdev, sizeof(memdev), "/objects/image%zu", idx);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *device = json_object_array_get_idx(list, i);
		struct json_object *name = member(device, "memdev", json_type_string);

		if (name && strcmp(json_object_get_string(name), memdev) == 0)
			return device;
	}
	return NULL;
}

// Only numbers, and only those that are there: what pmvm says is as untrusted as the guest.
static void copy_number(struct json_object *to, const char *name, struct json_object *from, const char *from_name)
{
	struct json_object *val = member(from, from_name, json_type_int);

	if (val)
		json_object_object_add(to, name, json_object_new_int64(json_object_get_int64(val)));
}

static struct json_object *image(const char *file, bool readonly, struct json_object *device)
{
	struct json_object *flushes = member(device, "flushes", json_type_object), *out = json_object_new_object();

	json_object_object_add(out, "file", json_object_new_string(file));
	json_object_object_add(out, "readonly", json_object_new_boolean(readonly));
	copy_number(out, "size", device, "size");
	copy_number(out, "resident", device, "resident");
	copy_number(out, "flushes", flushes, "completed");
	copy_number(out, "failed", flushes, "failed");
	return out;
}

static void add_images(struct json_object *stats, struct json_object *list, struct json_object *images)
{
	if (list)
		json_object_object_add(stats, "pmem", images);
	else
		json_object_put(images);
	json_object_put(list);
}

// What pmvm says of all images; the caller owns it. NULL: nothing.
static struct json_object *query(struct keeper *k)
{
	struct json_object *list = NULL;
	struct vpmem_error err = { "", "" };

	if (vm_monitor_query(&k->monitor, "query-pmem", &list, &err) < 0)
		log_error("container %s: %s", k->plan->id, err.text);
	if (json_object_is_type(list, json_type_array))
		return list;
	json_object_put(list);
	return NULL;
}

void keeper_add_pmem(struct keeper *k, struct json_object *stats)
{
	struct json_object *list = k->parts.npmem > 0 ? query(k) : NULL, *images = json_object_new_array();

	// The agent, which may be hostile, has none to report.
	json_object_object_del(stats, "pmem");
	for (size_t i = 0; list && i < k->parts.npmem; i++)
		json_object_array_add(images, image(plan_image_file(k->plan, i), k->parts.pmem[i].readonly,
		                                    device_of(list, i)));
	add_images(stats, list, images);
}

void member_add_pmem(const struct keeper_member *m, struct json_object *stats)
{
	struct json_object *list = m->nslots > 1 ? query(m->k) : NULL, *images = json_object_new_array();

	json_object_object_del(stats, "pmem");
	for (size_t i = 0; list && i < m->nslots - 1; i++) {
		struct json_object *named = json_object_array_get_idx(m->images, i);

		json_object_array_add(images, image(json_object_get_string(json_object_object_get(named, "file")),
		                                    json_object_get_boolean(json_object_object_get(named, "readonly")),
		                                    device_of(list, m->slots[i])));
	}
	add_images(stats, list, images);
}
