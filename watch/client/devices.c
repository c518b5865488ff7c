// SPDX-License-Identifier: Apache-2.0
// The devices in the answer of a machine.
#include "devices.h"

#include "json_at.h"

#include <stdlib.h>
#include <string.h>

typedef const char *name_fn(struct json_object *info);

/* What is too long ends before a character. */
static void copy_name(char out[DEVICE_NAME_SIZE], const char *name)
{
	size_t len = strlen(name);

	if (len >= DEVICE_NAME_SIZE)
		for (len = DEVICE_NAME_SIZE - 1; len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80;)
			len--;
	memcpy(out, name, len);
	out[len] = '\0';
}

static void add(struct devices *devices, struct json_object *info, const char *name)
{
	struct device *device = &devices->list[devices->n];

	copy_name(device->name, name);
	device->info = info;
	for (size_t i = 0; i < devices->n; i++)
		if (strcmp(devices->list[i].name, device->name) == 0)
			return;
	devices->n++;
}

static struct devices read_list(struct json_object *list, name_fn *name_of)
{
	size_t n = json_at_length(list, "");
	struct devices devices = { 0 };

	if (n > DEVICES_LIST_MAX)
		n = DEVICES_LIST_MAX;
	devices.list = n > 0 ? calloc(n, sizeof(*devices.list)) : NULL;
	for (size_t i = 0; i < n && devices.list; i++) {
		struct json_object *info = json_object_array_get_idx(list, i);
		const char *name = name_of(info);

		if (name)
			add(&devices, info, name);
	}
	return devices;
}

static const char *first_of(struct json_object *info, const char *key, const char *other)
{
	const char *name = json_at_str(info, key);

	return name ? name : json_at_str(info, other);
}

/* A memory backend has one device: its path is as good as an id. */
static const char *pmem_name(struct json_object *info)
{
	return first_of(info, "id", "memdev");
}

static const char *vhost_user_name(struct json_object *info)
{
	return first_of(info, "id", "path");
}

static const char *thread_name(struct json_object *info)
{
	return json_at_str(info, "kind");
}

static const char *card_name(struct json_object *info)
{
	const char *type = json_at_str(info, "type");

	return type && strcmp(type, "nic") == 0 ? json_at_str(info, "name") : NULL;
}

struct devices devices_pmem(struct json_object *answer)
{
	return read_list(answer, pmem_name);
}

struct devices devices_vhost_user(struct json_object *answer)
{
	return read_list(answer, vhost_user_name);
}

struct devices devices_threads(struct json_object *answer)
{
	return read_list(json_at(answer, "threads"), thread_name);
}

struct devices devices_net(struct json_object *answer)
{
	return read_list(answer, card_name);
}

void devices_free(struct devices *devices)
{
	free(devices->list);
	*devices = (struct devices) { 0 };
}
