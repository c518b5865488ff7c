// SPDX-License-Identifier: Apache-2.0
/*
 * machine_hotplug.c - devices that come and go while the guest runs.
 *
 * device_del asks the guest through ACPI (pci_hotplug.h). The guest's driver lets go and ejects the slot,
 * in a vCPU's thread: from there on the guest sees neither function nor memory. A sync of the device may
 * still run on the host, for as long as the disk takes; a thread of its own, which the main loop starts, waits
 * for it, frees the device and reports DEVICE_DELETED, so neither the guest nor the monitor waits. A guest may also eject
 * without being asked.
 */
#include "machine_hotplug.h"

#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_find.h"
#include "memory_map.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Longer than a guest in good health takes; after that the request is withdrawn, and may be made again.
#define UNPLUG_MAX_MS 10000u

static void tell_device(struct device *dev, enum machine_event_kind kind)
{
	machine_event_send(dev->machine,
	                   &(struct machine_event) { .kind = kind, .device = dev->cfg->id, .path = dev->path });
}

// ---- the end of a device

// QEMU's order: the virtio device inside, which has no id, then the PCI function.
static void tell_deleted(struct machine *m, const char *id, const char *path, bool has_backend)
{
	struct machine_event event = { .kind = MACHINE_EVENT_DEVICE_DELETED };
	char *backend;

	if (has_backend && asprintf(&backend, "%s/virtio-backend", path) >= 0) {
		event.path = backend;
		machine_event_send(m, &event);
		free(backend);
	}
	event.device = id;
	event.path = path;
	machine_event_send(m, &event);
}

static void finish(struct device *dev, bool unlocked)
{
	machine_remove_device(dev, unlocked);
	tell_deleted(dev->machine, dev->cfg->id, dev->path, !dev->parent);
	machine_free_device(dev);
}

// A device on a bus of another one: the guest need not let it go.
static void remove_child(struct device *dev)
{
	machine_detach_device(dev);
	finish(dev, false);
}

static void reaper_main(void *arg)
{
	struct device *dev = arg;
	struct machine *m = dev->machine;

	pthread_mutex_lock(&m->lock);
	finish(dev, true);
	m->nreapers--;
	pthread_cond_broadcast(&m->reaped);
	pthread_mutex_unlock(&m->lock);
}

static void start_reaper(struct device *dev)
{
	const struct thread_options opts = {
		.kind = THREAD_REAPER, .detached = true, .run = reaper_main, .opaque = dev
	};
	int rc = thread_start(&dev->reaper, &opts, "reaper");

	if (rc == 0)
		return;
	// Without a thread the main loop has to wait, and nothing is lost.
	dev->machine->nreapers--;
	finish(dev, false);
}

// From the end: a device that is finished at once leaves the list.
void machine_start_reapers(struct machine *m)
{
	for (unsigned i = m->ndevices; i-- > 0 && m->nejected > 0;) {
		struct device *dev = m->devices[i];

		if (!dev->awaits_reaper)
			continue;
		dev->awaits_reaper = false;
		m->nejected--;
		start_reaper(dev);
	}
}

void machine_join_unplugs(struct machine *m)
{
	machine_start_reapers(m);
	while (m->nreapers > 0)
		pthread_cond_wait(&m->reaped, &m->lock);
}

// ---- asking

static void forget_request(struct device *dev)
{
	struct machine *m = dev->machine;

	if (dev->unplug == UNPLUG_REQUESTED)
		loop_del_timer(&m->loop, &dev->unplug_timer);
	dev->unplug = UNPLUG_NONE;
	pci_hotplug_forget(&m->pci_hotplug, dev->slot);
}

// The guest refused, or did not answer: the device stays as it was.
static void give_up(struct device *dev)
{
	forget_request(dev);
	tell_device(dev, MACHINE_EVENT_DEVICE_UNPLUG_GUEST_ERROR);
}

static void on_unplug_late(void *owner)
{
	struct device *dev = owner;
	struct machine *m = dev->machine;

	// A guest that is paused cannot answer.
	if (m->run_state != RUN_STATE_RUNNING) {
		loop_arm(&m->loop, &dev->unplug_timer, UNPLUG_MAX_MS);
		return;
	}
	log_warn("%s: the guest did not let the device go within %u s: it stays", dev->path, UNPLUG_MAX_MS / 1000);
	give_up(dev);
}

void machine_restart_unplug_timers(struct machine *m)
{
	for (unsigned i = 0; i < m->ndevices; i++)
		if (m->devices[i]->unplug == UNPLUG_REQUESTED)
			loop_arm(&m->loop, &m->devices[i]->unplug_timer, UNPLUG_MAX_MS);
}

int machine_device_del(struct machine *m, const char *id, struct vpmem_error *err)
{
	struct device *dev = machine_find_device(m, id);
	int rc;

	if (!dev)
		return error_set(err, -ENODEV, "Device '%s' not found", id);
	if (dev->unplug != UNPLUG_NONE)
		return error_set(err, -EBUSY, "Device %s is already in the process of unplug", id);
	if (dev->cfg->model->on_board)
		return error_set(err, -EPERM, "Device '%s' does not support hotplugging", dev->cfg->model->props->name);
	if (dev->parent) {
		remove_child(dev);
		return 0;
	}
	dev->unplug_timer = (struct loop_timer) { .expired = on_unplug_late, .owner = dev };
	rc = loop_add_timer(&m->loop, &dev->unplug_timer);
	if (rc < 0)
		return error_set(err, rc, "cannot unplug %s: %s", id, strerror(-rc));
	loop_arm(&m->loop, &dev->unplug_timer, UNPLUG_MAX_MS);
	dev->unplug = UNPLUG_REQUESTED;
	pci_hotplug_request_removal(&m->pci_hotplug, dev->slot);
	return 0;
}

int machine_device_add(struct machine *m, struct device_config **cfg, struct vpmem_error *err)
{
	int rc;

	if ((*cfg)->model->on_board) {
		error_set(err, -EINVAL, "Parameter 'driver' expects a pluggable device type");
		error_hint(err, "%s is there from the start: -device %s", (*cfg)->model->props->name,
		           (*cfg)->model->props->name);
		return -EINVAL;
	}
	rc = machine_add_device(m, cfg, err);
	if (rc == 0 && !m->devices[m->ndevices - 1]->parent)
		pci_hotplug_added(&m->pci_hotplug, m->devices[m->ndevices - 1]->slot);
	return rc;
}

// ---- what the guest says

static void eject(struct device *dev)
{
	struct device *child;

	forget_request(dev);
	while ((child = machine_device_child(dev)))
		remove_child(child);
	machine_detach_device(dev);
	dev->unplug = UNPLUG_EJECTED;
	dev->awaits_reaper = true;
	dev->machine->nejected++;
	dev->machine->nreapers++;
}

// In a vCPU's thread, from which no thread may come: it would have no more rights than a vCPU.
static void on_eject(void *owner, unsigned slot)
{
	struct machine *m = owner;
	struct device *dev = machine_find_device_in_slot(m, slot);

	if (!dev)
		return;
	eject(dev);
	loop_wake(&m->loop);
}

static void on_refused(void *owner, unsigned slot)
{
	struct device *dev = machine_find_device_in_slot(owner, slot);

	if (!dev || dev->unplug != UNPLUG_REQUESTED)
		return;
	log_guest("%s: the guest refused to let the device go: it stays", dev->path);
	give_up(dev);
}

static void on_notify(void *owner)
{
	struct machine *m = owner;

	acpi_ged_raise(&m->acpi_ged, ACPI_GED_PCI_HOTPLUG);
}

void machine_eject_requested(struct machine *m)
{
	// From the end: a child leaves the list at once.
	for (unsigned i = m->ndevices; i-- > 0;)
		if (m->devices[i]->unplug == UNPLUG_REQUESTED)
			eject(m->devices[i]);
	machine_start_reapers(m);
}

// The ports that pci_bus.asl names.
static_assert(PCI_HOTPLUG_BANK_SIZE == PCI_HOTPLUG_BUS_SIZE && PCI_HOTPLUG_BANKS_SIZE == PCI_HOTPLUG_PORT_SIZE,
              "a bank of registers for each bus");

int machine_hotplug_attach(struct machine *m)
{
	m->pci_hotplug =
		(struct pci_hotplug) { .notify = on_notify, .eject = on_eject, .refused = on_refused, .owner = m };
	return pci_hotplug_attach(&m->pci_hotplug, &m->pio, PCI_HOTPLUG_PORT);
}
