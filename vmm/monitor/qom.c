// SPDX-License-Identifier: Apache-2.0
/*
 * qom.c - the machine as a tree of objects with properties, for qom-list and qom-get:
 *
 *   /objects/ID                              memory-backend-file
 *   /machine/peripheral/ID                   virtio-pmem-pci
 *   /machine/peripheral-anon/device[N]       the same, without an id
 *   .../virtio-backend                       virtio-pmem
 *   /machine/unattached/device[N]            a vCPU
 *
 * All properties of one object are made as a list of {name, type, value}; qom-list leaves the values out, qom-get
 * picks one (cmd_qom.c).
 */
#include "qom.h"

#include "error.h"
#include "json_make.h"
#include "machine_query.h"
#include "props.h"
#include "virtio_pmem.h"

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
	NODE_MEMDEV,
	NODE_DEVICE,
	NODE_BACKEND,
	NODE_CPU,
};

struct node {
	enum node_kind kind;
	const struct memdev *memdev;
	const struct pmem *pmem;
};

static const char *const node_types[] = {
	[NODE_ROOT] = "container",
	[NODE_OBJECTS] = "container",
	[NODE_MACHINE] = "pmvm-machine",
	[NODE_PERIPHERAL] = "container",
	[NODE_PERIPHERAL_ANON] = "container",
	[NODE_UNATTACHED] = "container",
	[NODE_MEMDEV] = "memory-backend-file",
	[NODE_DEVICE] = "virtio-pmem-pci",
	[NODE_BACKEND] = "virtio-pmem",
	[NODE_CPU] = "host-x86_64-cpu",
};

#define PERIPHERAL "/machine/peripheral/"
#define PERIPHERAL_ANON "/machine/peripheral-anon/"
#define UNATTACHED "/machine/unattached/"
#define BACKEND "virtio-backend"

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

static bool find_device(const struct machine *m, const char *path, struct node *out)
{
	struct pmem *pmems[PMEMS_MAX];
	unsigned n = machine_list_pmems(m, pmems);

	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(pmems[i]->path);

		if (strncmp(path, pmems[i]->path, len) != 0)
			continue;
		if (path[len] && strcmp(path + len, "/" BACKEND) != 0)
			continue;
		*out = (struct node) { .kind = path[len] ? NODE_BACKEND : NODE_DEVICE, .pmem = pmems[i] };
		return true;
	}
	return false;
}

static bool find_memdev(const struct machine *m, const char *path, struct node *out)
{
	static const char prefix[] = "/objects/";

	if (strncmp(path, prefix, strlen(prefix)) != 0)
		return false;
	for (unsigned i = 0; i < m->nmemdevs; i++) {
		if (strcmp(m->memdevs[i]->cfg.id, path + strlen(prefix)) != 0)
			continue;
		*out = (struct node) { .kind = NODE_MEMDEV, .memdev = m->memdevs[i] };
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
	if (find_fixed(path, out) || find_memdev(m, path, out) || find_device(m, path, out) || find_cpu(m, path, out))
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
static void add_child(struct json_object *list, const char *parent, const char *name, enum node_kind kind)
{
	struct json_object *path = json_object_new_string(parent);
	char type[64], *text = NULL;

	snprintf(type, sizeof(type), "child<%s>", node_types[kind]);
	if (path && asprintf(&text, "%s%s", parent, name) >= 0)
		json_object_set_string(path, text);
	free(text);
	add_property(list, name, type, path);
}

// A property's value where it is not the configured one.
static struct json_object *live_memdev(const struct memdev *memdev, const struct prop *prop)
{
	if (!strcmp(prop->name, "size"))
		return json_object_new_uint64(vpmem_backing_size(memdev->backing));
	return prop_value(&memory_backend_file_class, prop, &memdev->cfg);
}

static struct json_object *live_pmem(const struct pmem *pmem, const struct prop *prop)
{
	if (!strcmp(prop->name, "memaddr"))
		return json_object_new_uint64(virtio_pmem_gpa(pmem->vp));
	if (!strcmp(prop->name, "memdev"))
		return memdev_path(pmem->memdev);
	if (!strcmp(prop->name, "addr"))
		return json_object_new_int64((int64_t)(pmem->slot % PCI_BUS_SLOTS) * 8);
	return prop_value(&virtio_pmem_pci_class, prop, &pmem->cfg);
}

static void add_memdev(struct json_object *list, const struct memdev *memdev)
{
	const struct prop_class *cls = &memory_backend_file_class;

	for (unsigned i = 0; i < cls->nprops; i++)
		if (!cls->props[i].hidden)
			add_property(list, cls->props[i].name, props_type_name(&cls->props[i]),
			             live_memdev(memdev, &cls->props[i]));
}

static void add_backend_child(struct json_object *list, const struct pmem *pmem)
{
	char *parent = NULL;

	if (asprintf(&parent, "%s/", pmem->path) < 0)
		return;
	add_child(list, parent, BACKEND, NODE_BACKEND);
	free(parent);
}

static void add_device(struct json_object *list, const struct pmem *pmem)
{
	const struct prop_class *cls = &virtio_pmem_pci_class;

	for (unsigned i = 0; i < cls->nprops; i++)
		if (!cls->props[i].hidden)
			add_property(list, cls->props[i].name, props_type_name(&cls->props[i]),
			             live_pmem(pmem, &cls->props[i]));
	add_property(list, "realized", "bool", json_object_new_boolean(true));
	add_backend_child(list, pmem);
}

// The virtio device below the PCI one: those of its properties that are virtio's.
static void add_backend(struct json_object *list, const struct pmem *pmem)
{
	static const char *const names[] = { "event_idx", "indirect_desc", "memaddr", "memdev", "queue_reset" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct prop *prop = props_find(&virtio_pmem_pci_class, names[i]);

		add_property(list, prop->name, props_type_name(prop), live_pmem(pmem, prop));
	}
	add_property(list, "realized", "bool", json_object_new_boolean(true));
}

// Devices under their parent: those with an id, or those without.
static void add_peripherals(struct json_object *list, const struct machine *m, const char *parent)
{
	struct pmem *pmems[PMEMS_MAX];
	unsigned n = machine_list_pmems(m, pmems);

	for (unsigned i = 0; i < n; i++)
		if (!strncmp(pmems[i]->path, parent, strlen(parent)))
			add_child(list, parent, pmems[i]->path + strlen(parent), NODE_DEVICE);
}

static void add_cpus(struct json_object *list, const struct machine *m)
{
	char name[32];

	for (unsigned i = 0; i < m->vcpus.n; i++) {
		cpu_name(name, i);
		add_child(list, UNATTACHED, name, NODE_CPU);
	}
}

static void add_properties(struct json_object *list, const struct machine *m, const struct node *node)
{
	add_property(list, "type", "string", json_object_new_string(node_types[node->kind]));
	switch (node->kind) {
	case NODE_ROOT:
		add_child(list, "/", "objects", NODE_OBJECTS);
		add_child(list, "/", "machine", NODE_MACHINE);
		break;
	case NODE_OBJECTS:
		for (unsigned i = 0; i < m->nmemdevs; i++)
			add_child(list, "/objects/", m->memdevs[i]->cfg.id, NODE_MEMDEV);
		break;
	case NODE_MACHINE:
		add_child(list, "/machine/", "peripheral", NODE_PERIPHERAL);
		add_child(list, "/machine/", "peripheral-anon", NODE_PERIPHERAL_ANON);
		add_child(list, "/machine/", "unattached", NODE_UNATTACHED);
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
	case NODE_MEMDEV:
		add_memdev(list, node->memdev);
		break;
	case NODE_DEVICE:
		add_device(list, node->pmem);
		break;
	case NODE_BACKEND:
		add_backend(list, node->pmem);
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
