// SPDX-License-Identifier: Apache-2.0
// Buses that devices bring, and the devices on them.
#include "config.h"

#include "error.h"
#include "props.h"
#include "suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUS(field) offsetof(struct device_config, field)

static const struct prop bus_device_props[] = {
	{ .name = "bus", .type = PROP_STR, .offset = BUS(bus), .hidden = true },
	{ .name = "driver", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "id", .type = PROP_ID, .offset = BUS(id), .hidden = true },
};

const struct prop_class bus_device_class = {
	.name = "device",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.props = bus_device_props,
	.nprops = sizeof(bus_device_props) / sizeof(bus_device_props[0]),
};

static bool is_taken(const char *bus, config_device_at *at, const void *owner)
{
	const struct device_config *other;

	for (unsigned i = 0; (other = at(owner, i)); i++)
		if (other->child_bus && strcmp(other->child_bus, bus) == 0)
			return true;
	return false;
}

int config_name_bus(struct device_config *cfg, config_device_at *at, const void *owner)
{
	if (!cfg->model->child_bus || cfg->child_bus)
		return 0;
	for (unsigned n = 0; !cfg->child_bus; n++) {
		int len = cfg->id ? asprintf(&cfg->child_bus, "%s.0", cfg->id) :
		                    asprintf(&cfg->child_bus, "%s.%u", cfg->model->child_bus, n);

		if (len < 0) {
			cfg->child_bus = NULL;
			return -ENOMEM;
		}
		if (cfg->id || !is_taken(cfg->child_bus, at, owner))
			break;
		free(cfg->child_bus);
		cfg->child_bus = NULL;
	}
	return 0;
}

// A model that brings such a bus, for an example.
static const struct device_model *model_with(const char *bus)
{
	unsigned i = 0;

	while (device_model_at(i) &&
	       !(device_model_at(i)->child_bus && strcmp(device_model_at(i)->child_bus, bus) == 0))
		i++;
	return device_model_at(i);
}

static int no_bus(const struct device_config *cfg, const char *nearest, const char *command, struct vpmem_error *err)
{
	const struct device_model *model = cfg->model, *controller = model_with(model->bus);
	const char *name = model->props->name;

	if (!cfg->bus)
		error_set(err, -ENODEV, "No '%s' bus found for device '%s'", model->bus, name);
	else if (strncmp(cfg->bus, "pcie.", 5) == 0 || strcmp(cfg->bus, "pci.0") == 0)
		error_set(err, -ENODEV, "Device '%s' can't go on %s bus", name, cfg->bus[3] == 'e' ? "PCIE" : "PCI");
	else
		error_set(err, -ENODEV, "Bus '%.200s' not found", cfg->bus);
	if (nearest)
		error_hint(err, "did you mean bus=%s?", nearest);
	else if (controller)
		error_hint(err, "the bus comes with a device, which has to be there first: %s%s", command,
		           controller->props->name);
	return -ENODEV;
}

int config_find_parent(struct device_config *cfg, config_device_at *at, const void *owner, const char *command,
                       unsigned *idx, struct vpmem_error *err)
{
	const struct device_config *other, *found = NULL;
	struct suggest nearest = { .word = cfg->bus ? cfg->bus : "" };

	for (unsigned i = 0; (other = at(owner, i)); i++) {
		if (!other->child_bus || strcmp(other->model->child_bus, cfg->model->bus) != 0)
			continue;
		suggest_offer(&nearest, other->child_bus);
		if (cfg->bus && strcmp(cfg->bus, other->child_bus) != 0)
			continue;
		found = other;
		*idx = i;
	}
	if (!found)
		return no_bus(cfg, cfg->bus ? nearest.best : NULL, command, err);
	if (!cfg->bus)
		cfg->bus = strdup(found->child_bus);
	return cfg->bus ? 0 : error_set(err, -ENOMEM, "out of memory");
}
