// SPDX-License-Identifier: Apache-2.0
// Checks each object and device of a command line against those before it.
#include "error.h"
#include "options_internal.h"
#include "suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int options_check_object(const struct machine_config *have, const struct object_config *cfg, enum props_form form,
                         struct vpmem_error *err)
{
	for (unsigned i = 0; i < have->nobjects; i++) {
		if (strcmp(have->objects[i]->id, cfg->id) != 0)
			continue;
		if (form == PROPS_JSON)
			error_set(err, -EEXIST,
			          "attempt to add duplicate property '%.200s' to object "
			          "(type 'container')",
			          cfg->id);
		else
			error_set(err, -EEXIST, "Duplicate ID '%.200s' for object", cfg->id);
		return -EEXIST;
	}
	return 0;
}

static const struct object_config *object_at(const void *owner, unsigned idx)
{
	const struct machine_config *have = owner;

	return idx < have->nobjects ? have->objects[idx] : NULL;
}

static const struct device_config *device_at(const void *owner, unsigned idx)
{
	const struct machine_config *have = owner;

	return idx < have->ndevices ? have->devices[idx] : NULL;
}

int options_place_device(const struct machine_config *have, struct device_config *cfg, struct vpmem_error *err)
{
	unsigned parent;

	if (config_name_bus(cfg, device_at, have) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return cfg->model->bus ? config_find_parent(cfg, device_at, have, "-device ", &parent, err) : 0;
}

static int check_objects_are_free(const struct device_config *other, const struct device_config *cfg,
                                  struct vpmem_error *err)
{
	const struct prop *prop;
	const char *id;

	for (unsigned i = 0; (id = device_config_link(cfg, i, &prop)); i++) {
		if (!prop->exclusive || !device_config_names(other, id))
			continue;
		error_set(err, -EBUSY, "can't use already busy %s: %s", prop->name, id);
		error_hint(err, "every device needs an object of its own");
		return -EBUSY;
	}
	return 0;
}

static int check_ram_is_not_used(const struct machine_config *have, const struct device_config *cfg,
                                 struct vpmem_error *err)
{
	const struct prop *prop;
	const char *id;

	for (unsigned i = 0; have->memory_backend && (id = device_config_link(cfg, i, &prop)); i++) {
		if (!prop->exclusive || strcmp(id, have->memory_backend) != 0)
			continue;
		error_set(err, -EBUSY, "can't use already busy %s: %s", prop->name, id);
		error_hint(err, "it is the guest's RAM: the device needs an object of its own");
		return -EBUSY;
	}
	return 0;
}

static int check_against(const struct device_config *other, const struct device_config *cfg, enum props_form form,
                         struct vpmem_error *err)
{
	char by[128];
	int rc;

	if (cfg->id && other->id && strcmp(cfg->id, other->id) == 0)
		return error_set(err, -EEXIST,
		                 form == PROPS_JSON ? "Duplicate device ID '%.200s'" :
		                                      "Duplicate ID '%.200s' for device",
		                 cfg->id);
	rc = check_objects_are_free(other, cfg, err);
	if (rc < 0)
		return rc;
	if (cfg->slot < 0 || cfg->slot != other->slot || cfg->bus_nr != other->bus_nr)
		return 0;
	snprintf(by, sizeof(by), "%s,id=%s", other->model->props->name, other->id ? other->id : "(null)");
	error_set(err, -EBUSY, "PCI: slot %d function 0 not available for %s, in use by %s", cfg->slot,
	          cfg->model->props->name, by);
	error_hint(err, "choose another slot from 1 to 1f, or leave addr out");
	return -EBUSY;
}

static int no_room(const struct device_config *cfg, unsigned nbuses, bool bus_full, struct vpmem_error *err)
{
	error_set(err, -ENOSPC, "PCI: no slot/function available for %s, all in use or reserved",
	          cfg->model->props->name);
	if (bus_full)
		error_hint(err, "pcie.%d has room for %u devices: leave bus and addr out, or name another bus",
		           cfg->bus_nr, PCI_BUS_DEVICES);
	else if (nbuses < PCI_BUSES_MAX)
		error_hint(err, "use -machine pci-buses=%u: each bus has room for %u devices", nbuses + 1,
		           PCI_BUS_DEVICES);
	else
		error_hint(err, "%u buses have room for %u devices", nbuses, nbuses * PCI_BUS_DEVICES);
	return -ENOSPC;
}

static unsigned count_pci(const struct machine_config *have)
{
	unsigned n = 0;

	for (unsigned i = 0; i < have->ndevices; i++)
		n += device_model_is_pci(have->devices[i]->model);
	return n;
}

static int check_room(const struct machine_config *have, const struct device_config *cfg, struct vpmem_error *err)
{
	unsigned nbuses = have->nbuses ? have->nbuses : PCI_BUSES_MAX, nthere = 0;

	if (!device_model_is_pci(cfg->model))
		return 0;
	if (cfg->bus_nr >= (int)nbuses) {
		error_set(err, -ENODEV, "Bus '%s' not found", cfg->bus);
		error_hint(err,
		           "use -machine pci-buses=%d, or leave that out: the machine has as many as its devices need",
		           cfg->bus_nr + 1);
		return -ENODEV;
	}
	for (unsigned i = 0; i < have->ndevices; i++)
		nthere += cfg->bus_nr >= 0 && have->devices[i]->bus_nr == cfg->bus_nr;
	if (nthere >= PCI_BUS_DEVICES && nbuses > 1)
		return no_room(cfg, nbuses, true, err);
	return count_pci(have) >= nbuses * PCI_BUS_DEVICES ? no_room(cfg, nbuses, false, err) : 0;
}

unsigned options_nbuses(const struct machine_config *opts)
{
	unsigned n = count_pci(opts), needed = n > 0 ? (n + PCI_BUS_DEVICES - 1) / PCI_BUS_DEVICES : 1;

	for (unsigned i = 0; i < opts->ndevices; i++)
		if (opts->devices[i]->bus_nr >= (int)needed)
			needed = (unsigned)opts->devices[i]->bus_nr + 1;
	return needed;
}

// The text of a property that names something, or NULL.
static const char *text_of(const struct device_config *cfg, const char *name)
{
	const struct prop *prop = props_find(cfg->model->props, name);

	return prop && prop->offset != PROP_NOWHERE ? *(char *const *)((const char *)cfg + prop->offset) : NULL;
}

static int check_netdev(const struct machine_config *have, const struct device_config *cfg, struct vpmem_error *err)
{
	const char *id = text_of(cfg, "netdev"), *other;
	unsigned i = 0;

	while (id && i < have->nnetdevs && strcmp(have->netdevs[i]->id, id) != 0)
		i++;
	if (id && i == have->nnetdevs) {
		error_set(err, -EINVAL, "Property '%s.netdev' can't find value '%s'", cfg->model->virtio_name, id);
		error_hint(err, "netdev names a -netdev: -netdev tap,id=%s,ifname=tap0,script=no,downscript=no", id);
		return -EINVAL;
	}
	for (i = 0; id && i < have->ndevices; i++) {
		other = text_of(have->devices[i], "netdev");
		if (!other || strcmp(other, id) != 0)
			continue;
		error_set(err, -EBUSY, "Property '%s.netdev' can't take value '%s', it's in use",
		          cfg->model->virtio_name, id);
		error_hint(err, "every card needs a -netdev of its own");
		return -EBUSY;
	}
	return 0;
}

// The chardev that a port names: QEMU's texts, which name the property.
static int check_chardev(const struct machine_config *have, const struct device_config *cfg, struct vpmem_error *err)
{
	const char *id = text_of(cfg, "chardev"), *other;
	const char *model = cfg->model->virtio_name ? cfg->model->virtio_name : cfg->model->props->name;
	struct suggest nearest = { .word = id ? id : "" };
	unsigned i = 0;

	while (id && i < have->nchardevs && strcmp(have->chardevs[i]->id, id) != 0)
		suggest_offer(&nearest, have->chardevs[i++]->id);
	if (id && i == have->nchardevs) {
		error_set(err, -EINVAL, "Property '%s.chardev' can't find value '%.200s'", model, id);
		if (nearest.best)
			error_hint(err, "did you mean chardev=%s?", nearest.best);
		else
			error_hint(err,
			           "it names a character device: -chardev socket,id=%.64s,path=FILE,server=on,wait=off",
			           id);
		return -EINVAL;
	}
	for (i = 0; id && i < have->ndevices; i++) {
		other = text_of(have->devices[i], "chardev");
		if (!other || strcmp(other, id) != 0)
			continue;
		error_set(err, -EBUSY, "Property '%s.chardev' can't take value '%s': Device '%s' is in use", model, id,
		          id);
		error_hint(err, "every device needs a -chardev of its own");
		return -EBUSY;
	}
	return 0;
}

int options_check_device(const struct machine_config *have, const struct device_config *cfg, enum props_form form,
                         struct vpmem_error *err)
{
	int rc = config_check_links(cfg, object_at, have, "", err);

	if (rc == 0)
		rc = check_ram_is_not_used(have, cfg, err);
	if (rc == 0)
		rc = check_netdev(have, cfg, err);
	if (rc == 0)
		rc = check_chardev(have, cfg, err);
	for (unsigned i = 0; i < have->ndevices && rc == 0; i++)
		rc = check_against(have->devices[i], cfg, form, err);
	return rc == 0 ? check_room(have, cfg, err) : rc;
}

int options_check_netdev(const struct machine_config *have, const struct object_config *cfg, struct vpmem_error *err)
{
	const struct prop *prop = props_find(cfg->type->props, "chardev");
	const char *id = prop ? *(char *const *)((const char *)cfg + prop->offset) : NULL;

	for (unsigned i = 0; id && i < have->nchardevs; i++)
		if (strcmp(have->chardevs[i]->id, id) == 0)
			return 0;
	if (!id)
		return 0;
	error_set(err, -EINVAL, "chardev \"%.200s\" not found", id);
	error_hint(err, "netdev %s needs a connected socket: -chardev socket,id=%.64s,path=PATH", cfg->id, id);
	return -EINVAL;
}

bool options_netdev_has_card(const struct machine_config *opts, const char *id)
{
	for (unsigned i = 0; i < opts->ndevices; i++) {
		const char *netdev = text_of(opts->devices[i], "netdev");

		if (netdev && strcmp(netdev, id) == 0)
			return true;
	}
	return false;
}

int options_add_object(struct machine_config *opts, struct object_config *cfg)
{
	struct object_config **list = reallocarray(opts->objects, opts->nobjects + 1, sizeof(struct object_config *));

	if (!list)
		return -ENOMEM;
	opts->objects = list;
	list[opts->nobjects++] = cfg;
	return 0;
}

int options_add_device(struct machine_config *opts, struct device_config *cfg)
{
	struct device_config **list = reallocarray(opts->devices, opts->ndevices + 1, sizeof(struct device_config *));

	if (!list)
		return -ENOMEM;
	opts->devices = list;
	list[opts->ndevices++] = cfg;
	return 0;
}
