// SPDX-License-Identifier: Apache-2.0
/*
 * qom.c - the machine as a tree of objects with properties, for qom-list and qom-get:
 *
 *   /objects/ID                              an object: memory-backend-file, ...
 *   /machine/peripheral/ID                   a device: virtio-pmem-pci, ...
 *   /machine/peripheral-anon/device[N]       the same, without an id
 *   .../virtio-backend                       the virtio device inside: virtio-pmem, ...
 *   /machine/unattached/device[N]            a vCPU
 *
 * All properties of one object are made as a list of {name, type, value}; qom-list leaves the values out, qom-get
 * picks one (cmd_qom.c).
 */
#include "qom.h"

#include "error.h"
#include "json_get.h"
#include "json_make.h"
#include "machine_query.h"
#include "props.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum node_kind {
	NODE_ROOT,
	NODE_OBJECTS,
	NODE_MACHINE,
	NODE_PERIPHERAL,
	NODE_PERIPHERAL_ANON,
	NODE_UNATTACHED,
	NODE_OBJECT,
	NODE_DEVICE,
	NODE_BACKEND,
	NODE_CPU,
};

struct node {
	enum node_kind kind;
	const struct object *object;
	struct device *device;
};

// Of the other kinds, the object or device says it.
static const char *const node_types[] = {
	[NODE_ROOT] = "container",       [NODE_OBJECTS] = "container",         [NODE_MACHINE] = "pmvm-machine",
	[NODE_PERIPHERAL] = "container", [NODE_PERIPHERAL_ANON] = "container", [NODE_UNATTACHED] = "container",
	[NODE_CPU] = "host-x86_64-cpu",
};

#define PERIPHERAL "/machine/peripheral/"
#define PERIPHERAL_ANON "/machine/peripheral-anon/"
#define UNATTACHED "/machine/unattached/"
#define BACKEND "virtio-backend"
#define GUEST_STATS "guest-stats"

// ---- from a path to a node

static bool find_fixed(const char *path, struct node *out)
{
	static const char *const paths[] = {
		[NODE_ROOT] = "/",
		[NODE_OBJECTS] = "/objects",
		[NODE_MACHINE] = "/machine",
		[NODE_PERIPHERAL] = "/machine/peripheral",
		[NODE_PERIPHERAL_ANON] = "/machine/peripheral-anon",
		[NODE_UNATTACHED] = "/machine/unattached",
	};

	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (strcmp(paths[i], path) != 0)
			continue;
		*out = (struct node) { .kind = (enum node_kind)i };
		return true;
	}
	return false;
}

// The virtio device inside.
static bool has_backend(const struct device *dev)
{
	return device_model_is_pci(dev->cfg->model);
}

static bool find_device(const struct machine *m, const char *path, struct node *out)
{
	struct device *devices[DEVICES_MAX];
	unsigned n = machine_list_devices(m, devices);

	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(devices[i]->path);

		if (strncmp(path, devices[i]->path, len) != 0)
			continue;
		if (path[len] && (!has_backend(devices[i]) || strcmp(path + len, "/" BACKEND) != 0))
			continue;
		*out = (struct node) { .kind = path[len] ? NODE_BACKEND : NODE_DEVICE, .device = devices[i] };
		return true;
	}
	return false;
}

static bool find_object(const struct machine *m, const char *path, struct node *out)
{
	static const char prefix[] = "/objects/";

	if (strncmp(path, prefix, strlen(prefix)) != 0)
		return false;
	for (unsigned i = 0; i < m->nobjects; i++) {
		if (strcmp(m->objects[i]->cfg->id, path + strlen(prefix)) != 0)
			continue;
		*out = (struct node) { .kind = NODE_OBJECT, .object = m->objects[i] };
		return true;
	}
	return false;
}

static void cpu_name(char out[32], unsigned idx)
{
	snprintf(out, 32, "device[%u]", idx);
}

static bool find_cpu(const struct machine *m, const char *path, struct node *out)
{
	char name[32];

	if (strncmp(path, UNATTACHED, strlen(UNATTACHED)) != 0)
		return false;
	for (unsigned i = 0; i < m->vcpus.n; i++) {
		cpu_name(name, i);
		if (strcmp(name, path + strlen(UNATTACHED)) != 0)
			continue;
		*out = (struct node) { .kind = NODE_CPU };
		return true;
	}
	return false;
}

static int resolve(const struct machine *m, const char *path, struct node *out, struct vpmem_error *err)
{
	if (find_fixed(path, out) || find_object(m, path, out) || find_device(m, path, out) || find_cpu(m, path, out))
		return 0;
	return error_set(err, -ENODEV, "Device '%.200s' not found", path);
}

// ---- from a node to its properties

static void add_property(struct json_object *list, const char *name, const char *type, struct json_object *val)
{
	struct json_object *property = json_object_new_object();

	put_str(property, "name", name);
	put_str(property, "type", type);
	put(property, "value", val);
	add_to(list, property);
}

// The value of a child is its path.
static void add_child(struct json_object *list, const char *parent, const char *name, const char *child_type)
{
	struct json_object *path = json_object_new_string(parent);
	char type[64], *text = NULL;

	snprintf(type, sizeof(type), "child<%s>", child_type);
	if (path && asprintf(&text, "%s%s", parent, name) >= 0)
		json_object_set_string(path, text);
	free(text);
	add_property(list, name, type, path);
}

// A property's value where it is not the configured one.
static struct json_object *live_object(const struct object *obj, const struct prop *prop)
{
	uint64_t val;

	if (obj->kind->number && obj->kind->number(obj, prop->name, &val))
		return json_object_new_uint64(val);
	return prop_value(obj->cfg->type->props, prop, obj->cfg);
}

static struct json_object *live_device(const struct device *dev, const struct prop *prop)
{
	const char *id = NULL;
	uint64_t val;

	if (dev->kind->number && dev->kind->number(dev, prop->name, &val))
		return json_object_new_uint64(val);
	if (prop->type == PROP_ADDR)
		return json_object_new_int64((int64_t)(dev->slot % PCI_BUS_SLOTS) * 8);
	if (prop->type == PROP_LINK && prop->link)
		id = *(char *const *)((const char *)dev->cfg + prop->offset);
	return id ? object_path(id) : prop_value(dev->cfg->model->props, prop, dev->cfg);
}

static void add_guest_stats(struct json_object *list, const struct device *dev)
{
	struct json_object *val, *vals;
	struct guest_stats stats;

	if (!dev->kind->guest_stats)
		return;
	dev->kind->guest_stats(dev, &stats);
	val = json_object_new_object();
	vals = json_object_new_object();
	for (unsigned i = 0; i < stats.n; i++)
		put_uint(vals, stats.names[i], stats.vals[i]);
	put(val, "stats", vals);
	put_int(val, "last-update", stats.updated_s);
	add_property(list, GUEST_STATS, "guest statistics", val);
}

static void add_object(struct json_object *list, const struct object *obj)
{
	const struct prop *prop;

	for (unsigned i = 0; (prop = props_at(obj->cfg->type->props, i)); i++)
		if (!prop->hidden)
			add_property(list, prop->name, props_type_name(prop), live_object(obj, prop));
}

static void add_backend_child(struct json_object *list, const struct device *dev)
{
	char *parent = NULL;

	if (!has_backend(dev) || asprintf(&parent, "%s/", dev->path) < 0)
		return;
	add_child(list, parent, BACKEND, dev->cfg->model->virtio_name);
	free(parent);
}

static void add_device(struct json_object *list, const struct device *dev)
{
	const struct prop *prop;

	for (unsigned i = 0; (prop = props_at(dev->cfg->model->props, i)); i++)
		if (!prop->hidden)
			add_property(list, prop->name, props_type_name(prop), live_device(dev, prop));
	add_guest_stats(list, dev);
	add_property(list, "realized", "bool", json_object_new_boolean(true));
	add_backend_child(list, dev);
}

// The virtio device below the PCI one: those of its properties that are virtio's.
static void add_backend(struct json_object *list, const struct device *dev)
{
	const struct device_model *model = dev->cfg->model;

	for (unsigned i = 0; model->virtio_props[i]; i++) {
		const struct prop *prop = props_find(model->props, model->virtio_props[i]);

		add_property(list, prop->name, props_type_name(prop), live_device(dev, prop));
	}
	add_guest_stats(list, dev);
	add_property(list, "realized", "bool", json_object_new_boolean(true));
}

// Devices under their parent: those with an id, or those without.
static void add_peripherals(struct json_object *list, const struct machine *m, const char *parent)
{
	struct device *devices[DEVICES_MAX];
	unsigned n = machine_list_devices(m, devices);

	for (unsigned i = 0; i < n; i++)
		if (!strncmp(devices[i]->path, parent, strlen(parent)))
			add_child(list, parent, devices[i]->path + strlen(parent), devices[i]->cfg->model->props->name);
}

static void add_cpus(struct json_object *list, const struct machine *m)
{
	char name[32];

	for (unsigned i = 0; i < m->vcpus.n; i++) {
		cpu_name(name, i);
		add_child(list, UNATTACHED, name, node_types[NODE_CPU]);
	}
}

static const char *type_of(const struct node *node)
{
	if (node->kind == NODE_OBJECT)
		return node->object->cfg->type->props->name;
	if (node->kind == NODE_DEVICE)
		return node->device->cfg->model->props->name;
	return node->kind == NODE_BACKEND ? node->device->cfg->model->virtio_name : node_types[node->kind];
}

static void add_properties(struct json_object *list, const struct machine *m, const struct node *node)
{
	add_property(list, "type", "string", json_object_new_string(type_of(node)));
	switch (node->kind) {
	case NODE_ROOT:
		add_child(list, "/", "objects", node_types[NODE_OBJECTS]);
		add_child(list, "/", "machine", node_types[NODE_MACHINE]);
		break;
	case NODE_OBJECTS:
		for (unsigned i = 0; i < m->nobjects; i++)
			add_child(list, "/objects/", m->objects[i]->cfg->id, m->objects[i]->cfg->type->props->name);
		break;
	case NODE_MACHINE:
		add_child(list, "/machine/", "peripheral", node_types[NODE_PERIPHERAL]);
		add_child(list, "/machine/", "peripheral-anon", node_types[NODE_PERIPHERAL_ANON]);
		add_child(list, "/machine/", "unattached", node_types[NODE_UNATTACHED]);
		break;
	case NODE_PERIPHERAL:
		add_peripherals(list, m, PERIPHERAL);
		break;
	case NODE_PERIPHERAL_ANON:
		add_peripherals(list, m, PERIPHERAL_ANON);
		break;
	case NODE_UNATTACHED:
		add_cpus(list, m);
		break;
	case NODE_OBJECT:
		add_object(list, node->object);
		break;
	case NODE_DEVICE:
		add_device(list, node->device);
		break;
	case NODE_BACKEND:
		add_backend(list, node->device);
		break;
	case NODE_CPU:
		break;
	}
}

int qom_properties(const struct machine *m, const char *path, struct json_object **list, struct vpmem_error *err)
{
	struct node node;
	int rc = resolve(m, path, &node, err);

	*list = NULL;
	if (rc < 0)
		return rc;
	*list = json_object_new_array();
	if (!*list)
		return error_set(err, -ENOMEM, "out of memory");
	add_properties(*list, m, &node);
	return 0;
}

// ---- one property

struct json_object *qom_find(struct json_object *list, const char *name, struct vpmem_error *err)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *property = json_object_array_get_idx(list, i);

		if (strcmp(get_str(property, "name"), name) == 0)
			return property;
	}
	// The first property is the object's type.
	error_set(err, -EINVAL, "Property '%s.%.200s' not found", get_str(json_object_array_get_idx(list, 0), "value"),
	          name);
	return NULL;
}

static int not_writable(const struct node *node, const char *name, struct vpmem_error *err)
{
	const char *id = node->kind == NODE_DEVICE ? node->device->cfg->id : NULL;

	if (!node->device || strcmp(name, "type") == 0 || strcmp(name, GUEST_STATS) == 0)
		return error_set(err, -EINVAL, "Property '%s.%s' is not writable", type_of(node), name);
	return error_set(err, -EINVAL, "Attempt to set property '%s' on %s%s%s (type '%s') after it was realized", name,
	                 id ? "device '" : "anonymous device", id ? id : "", id ? "'" : "", type_of(node));
}

int qom_set(const struct machine *m, const char *path, const char *name, struct json_object *val,
            struct vpmem_error *err)
{
	struct json_object *list;
	const char *settable;
	struct node node;
	bool is_there;
	int rc = qom_properties(m, path, &list, err);

	if (rc < 0)
		return rc;
	is_there = qom_find(list, name, err);
	json_object_put(list);
	(void)resolve(m, path, &node, err);
	settable = node.device ? node.device->kind->settable : NULL;
	if (!is_there)
		return -EINVAL;
	if (!settable || strcmp(settable, name) != 0)
		return not_writable(&node, name, err);
	if (!json_object_is_type(val, json_type_int))
		return error_set(err, -EINVAL, "Invalid parameter type for '%s', expected: integer", name);
	return node.device->kind->set(node.device, json_object_get_int64(val), err);
}
