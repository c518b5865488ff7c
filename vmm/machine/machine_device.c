// SPDX-License-Identifier: Apache-2.0
// Devices of the machine: plugged, in the order that the command line needs, and taken out again.
#include "machine_device.h"

#include "array.h"
#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_find.h"
#include "machine_memdev.h"
#include "virtio_pci.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- plugging

static const struct device_kind *kind_of(const struct device_config *cfg)
{
	unsigned i = 0;

	while (device_kind_at(i) && device_kind_at(i)->model != cfg->model)
		i++;
	assert(device_kind_at(i));
	return device_kind_at(i);
}

static const struct object_config *object_at(const void *owner, unsigned idx)
{
	const struct machine *m = owner;

	return idx < m->nobjects ? m->objects[idx]->cfg : NULL;
}

static const struct device_config *device_at(const void *owner, unsigned idx)
{
	const struct machine *m = owner;

	return idx < m->ndevices ? m->devices[idx]->cfg : NULL;
}

// The bus that it goes on, if that is not PCI, and the name of the one that it brings.
static int place(struct machine *m, struct device_config *cfg, struct device **parent, struct vpmem_error *err)
{
	unsigned idx;
	int rc;

	*parent = NULL;
	if (config_name_bus(cfg, device_at, m) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (!cfg->model->bus)
		return 0;
	rc = config_find_parent(cfg, device_at, m, "device_add ", &idx, err);
	if (rc < 0)
		return rc;
	if (m->devices[idx]->unplug == UNPLUG_EJECTED)
		return error_set(err, -ENODEV, "Bus '%s' not found", cfg->bus);
	*parent = m->devices[idx];
	return 0;
}

static int check_objects_are_free(struct machine *m, const struct device_config *cfg, struct vpmem_error *err)
{
	const struct prop *prop;
	const char *id;

	for (unsigned i = 0; (id = device_config_link(cfg, i, &prop)); i++)
		if (prop->exclusive && machine_find_object(m, id)->in_use)
			return error_set(err, -EBUSY, "can't use already busy %s: %s", prop->name, id);
	return 0;
}

static int check_new(struct machine *m, const struct device_config *cfg, struct vpmem_error *err)
{
	int rc;

	for (unsigned i = 0; i < m->ndevices; i++)
		if (cfg->id && m->devices[i]->cfg->id && strcmp(cfg->id, m->devices[i]->cfg->id) == 0)
			return error_set(err, -EEXIST, "Duplicate device ID '%s'", cfg->id);
	rc = config_check_links(cfg, object_at, m, "object_add ", err);
	if (rc == 0)
		rc = check_objects_are_free(m, cfg, err);
	if (rc == 0 && m->ndevices == DEVICES_MAX)
		rc = error_set(err, -ENOSPC, "too many devices: at most %u", DEVICES_MAX);
	return rc;
}

// The objects that only one device may have.
static void mark_objects(const struct device *dev, bool in_use)
{
	const struct prop *prop;
	const char *id;

	for (unsigned i = 0; (id = device_config_link(dev->cfg, i, &prop)); i++)
		if (prop->exclusive)
			machine_find_object(dev->machine, id)->in_use = in_use;
}

static char *qom_path(struct machine *m, const char *id)
{
	char *path;
	int len = id ? asprintf(&path, "/machine/peripheral/%s", id) :
	               asprintf(&path, "/machine/peripheral-anon/device[%u]", m->nanonymous++);

	return len < 0 ? NULL : path;
}

static int create(struct device *dev, struct vpmem_error *err)
{
	const struct device_config *cfg = dev->cfg;
	struct virtio_pci_config pci = {
		.bus = dev->machine->pci,
		.bus_nr = cfg->bus_nr,
		.slot = cfg->slot,
		.id = cfg->id,
		.register_page = cfg->register_page,
		.pio_notify = cfg->pio_notify,
		.loop = &dev->machine->loop,
	};
	int rc;

	dev->path = qom_path(dev->machine, cfg->id);
	if (!dev->path)
		return error_set(err, -ENOMEM, "cannot set up device: %s", strerror(ENOMEM));
	rc = dev->kind->create(dev, device_model_is_pci(cfg->model) ? &pci : NULL, err);
	if (rc == 0)
		dev->slot = dev->vp ? (unsigned)virtio_pci_slot(dev->vp) : DEVICES_MAX;
	return rc;
}

int machine_add_device(struct machine *m, struct device_config **cfg, struct vpmem_error *err)
{
	const struct device_kind *kind = kind_of(*cfg);
	struct device *dev, *parent;
	int rc = check_new(m, *cfg, err);

	if (rc == 0)
		rc = place(m, *cfg, &parent, err);
	if (rc < 0)
		return rc;
	dev = calloc(1, kind->size);
	if (!dev || array_room(&m->devices, m->ndevices, sizeof(m->devices[0])) < 0) {
		free(dev);
		return error_set(err, -ENOMEM, "cannot set up device: %s", strerror(ENOMEM));
	}
	*dev = (struct device) { .kind = kind, .machine = m, .cfg = *cfg, .parent = parent };
	rc = create(dev, err);
	if (rc < 0) {
		machine_hint_limit(rc, err);
		free(dev->path);
		free(dev);
		return rc;
	}
	*cfg = NULL;
	mark_objects(dev, true);
	m->devices[m->ndevices++] = dev;
	return 0;
}

// ---- the command line

#define NTURNS 4u

// Those that name their slot or address first, then those that name their bus: the others take the rest. Those on buses of
// other devices come last.
static unsigned turn(const struct device_config *cfg)
{
	const struct device_kind *kind = kind_of(cfg);

	if (cfg->model->bus)
		return NTURNS - 1;
	if (cfg->slot >= 0 || (kind->wants_place && kind->wants_place(cfg)))
		return 0;
	return cfg->bus_nr >= 0 ? 1 : 2;
}

// Linux has some 200 interrupt vectors on each processor, of which a device takes two; without, its driver gives up.
#define DEVICES_PER_CPU 95u

int machine_add_devices(struct machine *m, struct vpmem_error *err)
{
	int rc = 0;

	if (m->opts->ndevices / m->opts->ncpus > DEVICES_PER_CPU)
		log_warn(
			"%u devices may be more than the guest has interrupt vectors for: give it more processors, -smp %u",
			m->opts->ndevices, (m->opts->ndevices + DEVICES_PER_CPU - 1) / DEVICES_PER_CPU);

	for (unsigned pass = 0; pass < NTURNS; pass++) {
		for (unsigned i = 0; i < m->opts->ndevices && rc == 0; i++) {
			struct device_config **cfg = &m->opts->devices[i];

			// NULL: it was plugged in an earlier pass.
			if (*cfg && turn(*cfg) == pass)
				rc = machine_add_device(m, cfg, err);
		}
	}
	return rc;
}

// ---- stop and cont

void machine_pause_devices(struct machine *m, bool paused)
{
	for (unsigned i = 0; i < m->ndevices; i++)
		if (m->devices[i]->vp && m->devices[i]->unplug != UNPLUG_EJECTED)
			virtio_pci_set_paused(m->devices[i]->vp, paused);
}

// ---- taking out

struct device *machine_device_child(const struct device *dev)
{
	const struct machine *m = dev->machine;

	for (unsigned i = m->ndevices; i-- > 0;)
		if (m->devices[i]->parent == dev)
			return m->devices[i];
	return NULL;
}

void machine_detach_device(struct device *dev)
{
	if (dev->kind->leaving)
		dev->kind->leaving(dev);
	if (dev->vp)
		virtio_pci_unplug(dev->vp);
	if (dev->kind->left)
		dev->kind->left(dev);
}

void machine_remove_device(struct device *dev, bool unlocked)
{
	struct machine *m = dev->machine;
	int error;
	unsigned i = 0;

	if (unlocked)
		pthread_mutex_unlock(&m->lock);
	// It ends with what is under way, whose result counts.
	error = dev->vp ? virtio_pci_destroy(dev->vp) : 0;
	if (unlocked)
		pthread_mutex_lock(&m->lock);
	if (error)
		m->close_error = error;
	if (dev->kind->destroyed)
		dev->kind->destroyed(dev, error);
	mark_objects(dev, false);
	while (m->devices[i] != dev)
		i++;
	array_remove(m->devices, &m->ndevices, sizeof(m->devices[0]), i);
}

void machine_free_device(struct device *dev)
{
	device_config_free(dev->cfg);
	free(dev->path);
	free(dev);
}

void machine_drop_devices(struct machine *m)
{
	while (m->ndevices > 0) {
		struct device *dev = m->devices[m->ndevices - 1];

		machine_detach_device(dev);
		machine_remove_device(dev, false);
		machine_free_device(dev);
	}
	free(m->devices);
	free(m->pmems);
	m->devices = NULL;
	m->pmems = NULL;
}
