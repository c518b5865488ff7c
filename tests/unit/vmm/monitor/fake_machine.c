// SPDX-License-Identifier: Apache-2.0
// A machine without a VM, and the parts of the library and of the bus that the commands ask.
#include "fake_machine.h"

#include "error.h"
#include "machine_balloon.h"
#include "machine_find.h"
#include "pci.h"
#include "unit_test.h"
#include "virtio_pmem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vpmem_backing {
	char *path;
	uint64_t size;
	bool rom;
};

struct virtio_pci {
	uint64_t gpa;
	struct pci_device *dev;
};

struct pci_device {
	struct pci_device_desc desc;
	unsigned slot;
};

static struct fake_machine *the_fake;
static struct pci_device *slots[PCI_DEVICES_MAX];
static struct pci_device host_bridge = {
	.desc = { .name = "host bridge",
	          .vendor = 0x1b36,
	          .device = 8,
	          .subsystem_vendor = 0x1af4,
	          .subsystem = 0x1100,
	          .class_code = 0x060000 },
};

struct fake_machine *fake_machine_create(void)
{
	struct fake_machine *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	assert_null(the_fake);
	the_fake = fake;
	fake->m.opts = &fake->opts;
	fake->m.run_state = RUN_STATE_RUNNING;
	fake->m.ram_low.size = 128 << 20;
	fake->m.loop.wake_efd = -1;
	fake->m.objects = fake->objects;
	fake->m.netdevs = fake->netdevs;
	fake->m.devices = fake->devices;
	fake->m.memdevs = fake->memdevs;
	fake->m.pmems = fake->pmems;
	fake->m.vcpus.vcpu = fake->vcpu;
	fake->m.vcpus.n = 2;
	for (unsigned i = 0; i < 2; i++) {
		fake->m.vcpus.vcpu[i].vcpus = &fake->m.vcpus;
		fake->m.vcpus.vcpu[i].idx = i;
		fake->m.vcpus.vcpu[i].thread.tid = (pid_t)(100 + i);
	}
	fake->nbuses = 1;
	fake->bar_mapped = true;
	fake->usage = (struct vpmem_usage) { .resident_size = 4096, .allocated_size = 8192 };
	slots[0] = &host_bridge;
	return fake;
}

static void drop_pmem(struct machine *m, unsigned idx)
{
	struct pmem *pmem = m->pmems[idx];

	slots[pmem->dev.slot] = NULL;
	pmem->memdev->obj.in_use = false;
	free(pmem->dev.vp->dev);
	free(pmem->dev.vp);
	free(pmem->dev.path);
	device_config_free(pmem->dev.cfg);
	free(pmem);
	m->ndevices = --m->npmems;
	memmove(&m->pmems[idx], &m->pmems[idx + 1], (m->npmems - idx) * sizeof(m->pmems[0]));
	memmove(&m->devices[idx], &m->devices[idx + 1], (m->npmems - idx) * sizeof(m->devices[0]));
}

static void drop_memdev(struct machine *m, unsigned idx)
{
	struct memdev *memdev = m->memdevs[idx];

	the_fake->nopen--;
	if (memdev->backing)
		free(memdev->backing->path);
	free(memdev->backing);
	object_config_free(memdev->obj.cfg);
	free(memdev);
	m->nobjects = --m->nmemdevs;
	memmove(&m->memdevs[idx], &m->memdevs[idx + 1], (m->nmemdevs - idx) * sizeof(m->memdevs[0]));
	memmove(&m->objects[idx], &m->objects[idx + 1], (m->nmemdevs - idx) * sizeof(m->objects[0]));
}

void fake_machine_destroy(struct fake_machine *fake)
{
	while (fake->m.npmems > 0)
		drop_pmem(&fake->m, 0);
	while (fake->m.nmemdevs > 0)
		drop_memdev(&fake->m, 0);
	assert_int_equal(fake->nopen, 0);
	chardev_list_close(&fake->m.chardevs);
	loop_fini(&fake->m.loop);
	the_fake = NULL;
	free(fake);
}

// ---- what the commands ask for

static void called(const char *what)
{
	size_t len = strlen(the_fake->calls);

	snprintf(the_fake->calls + len, sizeof(the_fake->calls) - len, "%s;", what);
}

void machine_stop(struct machine *m)
{
	m->run_state = RUN_STATE_PAUSED;
	called("stop");
}

int machine_cont(struct machine *m, struct vpmem_error *err)
{
	if (m->run_state == RUN_STATE_SHUTDOWN)
		return error_set(err, -EPERM, "Resetting the Virtual Machine is required");
	m->run_state = RUN_STATE_RUNNING;
	called("cont");
	return 0;
}

void machine_powerdown(struct machine *m)
{
	(void)m;
	called("powerdown");
}

void machine_request(struct machine *m, enum request_kind request, enum machine_cause cause)
{
	char text[64];

	(void)m;
	snprintf(text, sizeof(text), "request %d %s", request, machine_cause_name(cause));
	called(text);
}

struct memdev *machine_find_memdev(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->nmemdevs; i++)
		if (!strcmp(m->memdevs[i]->obj.cfg->id, id))
			return m->memdevs[i];
	return NULL;
}

static bool memdev_number(const struct object *obj, const char *prop, uint64_t *val)
{
	*val = memdev_size((const struct memdev *)obj);
	return !strcmp(prop, "size");
}

int machine_object_add(struct machine *m, struct object_config **obj, struct vpmem_error *err)
{
	static const struct object_kind kind = { .number = memdev_number };
	struct memdev_config *cfg = memdev_config_of(*obj);
	struct memdev *memdev;

	if (machine_find_memdev(m, cfg->obj.id))
		return error_set(err, -EEXIST, "attempt to add duplicate property '%s' to object (type 'container')",
		                 cfg->obj.id);
	if (m->nmemdevs == MEMDEVS_MAX)
		return error_set(err, -ENOSPC, "too many memory backends: at most %u", MEMDEVS_MAX);
	memdev = calloc(1, sizeof(*memdev));
	memdev->memory.size = cfg->backing.size;
	if (cfg->mem_path) {
		memdev->backing = calloc(1, sizeof(*memdev->backing));
		memdev->backing->size = cfg->backing.size ? cfg->backing.size : 32 << 20;
		memdev->backing->path = strdup(cfg->mem_path);
		memdev->backing->rom = cfg->backing.readonly;
	}
	memdev->obj = (struct object) { .kind = &kind, .cfg = *obj };
	memdev->cfg = cfg;
	*obj = NULL;
	m->objects[m->nobjects++] = &memdev->obj;
	m->memdevs[m->nmemdevs++] = memdev;
	the_fake->nopen++;
	return 0;
}

int machine_object_del(struct machine *m, const char *id, struct vpmem_error *err)
{
	for (unsigned i = 0; i < m->nmemdevs; i++) {
		if (strcmp(m->memdevs[i]->obj.cfg->id, id) != 0)
			continue;
		if (m->memdevs[i]->obj.in_use)
			return error_set(err, -EBUSY, "object '%s' is in use, can not be deleted", id);
		drop_memdev(m, i);
		return 0;
	}
	return error_set(err, -ENOENT, "object '%s' not found", id);
}

int machine_netdev_add(struct machine *m, struct object_config **cfg, struct vpmem_error *err)
{
	char text[64];

	(void)m;
	if (strcmp((*cfg)->id, "taken") == 0)
		return error_set(err, -EEXIST, "Duplicate ID 'taken'");
	snprintf(text, sizeof(text), "netdev_add %s %s", (*cfg)->type->props->name, (*cfg)->id);
	called(text);
	return 0;
}

int machine_netdev_del(struct machine *m, const char *id, struct vpmem_error *err)
{
	(void)m;
	if (strcmp(id, "n0") != 0)
		return error_set(err, -ENODEV, "Device '%s' not found", id);
	called("netdev_del n0");
	return 0;
}

int machine_set_link(struct machine *m, const char *name, bool up, struct vpmem_error *err)
{
	(void)m;
	if (strcmp(name, "net1") != 0)
		return error_set(err, -ENODEV, "Device '%s' not found", name);
	called(up ? "set_link net1 on" : "set_link net1 off");
	return 0;
}

static int no_balloon(struct vpmem_error *err)
{
	return error_set(err, -EUNATCH, "No balloon device has been activated");
}

int machine_balloon(struct machine *m, int64_t size, struct vpmem_error *err)
{
	char text[64];

	(void)m;
	if (!the_fake->has_balloon)
		return no_balloon(err);
	if (size <= 0)
		return error_set(err, -EINVAL, "Parameter 'target' expects a size");
	snprintf(text, sizeof(text), "balloon %lld", (long long)size);
	called(text);
	return 0;
}

int machine_balloon_size(const struct machine *m, uint64_t *size, struct vpmem_error *err)
{
	*size = (m->ram_low.size + m->ram_high.size) / 2 + 4096;
	return the_fake->has_balloon ? 0 : no_balloon(err);
}

static struct pmem *find_pmem(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->npmems; i++)
		if ((m->pmems[i]->dev.cfg->id && !strcmp(m->pmems[i]->dev.cfg->id, id)) ||
		    !strcmp(m->pmems[i]->dev.path, id))
			return m->pmems[i];
	return NULL;
}

static void plug(struct pmem *pmem, unsigned slot)
{
	struct pci_device *dev = calloc(1, sizeof(*dev));

	*dev = (struct pci_device) {
		.slot = slot,
		.desc = { .name = "virtio-pmem-pci",
		          .id = pmem->dev.cfg->id,
		          .vendor = 0x1af4,
		          .device = 0x105b,
		          .subsystem_vendor = 0x1af4,
		          .subsystem = 0x1100,
		          .class_code = 0x00ff00,
		          .intx = true,
		          .bars = { { .size = 0x8000,
		                      .is_64bit = !the_fake->bar_io,
		                      .prefetchable = !the_fake->bar_io,
		                      .io = the_fake->bar_io } } },
	};
	pmem->dev.slot = slot;
	pmem->dev.vp->dev = dev;
	slots[slot] = dev;
}

static bool pmem_number(const struct device *dev, const char *prop, uint64_t *val)
{
	*val = dev->vp->gpa;
	return !strcmp(prop, "memaddr");
}

// No property of a pmem device can be set; one of this machine's can.
static int pmem_set(struct device *dev, int64_t val, struct vpmem_error *err)
{
	char text[64];

	(void)dev;
	if (val < 0)
		return error_set(err, -EINVAL, "timer value must be greater than zero");
	snprintf(text, sizeof(text), "set %lld", (long long)val);
	called(text);
	return 0;
}

static void pmem_guest_stats(const struct device *dev, struct guest_stats *out)
{
	(void)dev;
	*out = (struct guest_stats) { .n = 1, .names = { "stat-swap-in" }, .vals = { UINT64_MAX }, .updated_s = 9 };
}

int machine_device_add(struct machine *m, struct device_config **dev, struct vpmem_error *err)
{
	static const struct device_kind kind = {
		.number = pmem_number, .settable = "memaddr", .set = pmem_set, .guest_stats = pmem_guest_stats
	};
	struct pmem_config *cfg = device_config_as(*dev, &virtio_pmem_pci_model);
	struct memdev *memdev = machine_find_memdev(m, cfg->memdev);
	struct pmem *pmem;
	unsigned slot = 1;
	int rc;

	if (cfg->dev.id && find_pmem(m, cfg->dev.id))
		return error_set(err, -EEXIST, "Duplicate device ID '%s'", cfg->dev.id);
	if (!memdev)
		return error_set(err, -ENODEV, "Device '%s' not found", cfg->memdev);
	if (memdev->obj.in_use)
		return error_set(err, -EBUSY, "can't use already busy memdev: %s", cfg->memdev);
	while (slot < PCI_DEVICES_MAX && slots[slot])
		slot++;
	if (slot == PCI_DEVICES_MAX)
		return error_set(err, -ENOSPC, "PCI: no slot/function available for virtio-pmem-pci");
	pmem = calloc(1, sizeof(*pmem));
	pmem->dev = (struct device) { .kind = &kind, .cfg = *dev };
	pmem->cfg = cfg;
	*dev = NULL;
	pmem->memdev = memdev;
	memdev->obj.in_use = true;
	pmem->dev.vp = calloc(1, sizeof(*pmem->dev.vp));
	pmem->dev.vp->gpa = cfg->memaddr ? cfg->memaddr : (UINT64_C(1) << 32) + ((uint64_t)slot << 30);
	if (cfg->dev.id)
		rc = asprintf(&pmem->dev.path, "/machine/peripheral/%s", cfg->dev.id);
	else
		rc = asprintf(&pmem->dev.path, "/machine/peripheral-anon/device[%u]", m->nanonymous++);
	assert_true(rc > 0);
	plug(pmem, slot);
	m->devices[m->ndevices++] = &pmem->dev;
	m->pmems[m->npmems++] = pmem;
	return 0;
}

int machine_clear_error(struct machine *m, const char *id, struct vpmem_error *err)
{
	for (unsigned i = 0; i < m->npmems; i++)
		if (m->pmems[i]->dev.cfg->id && !strcmp(m->pmems[i]->dev.cfg->id, id)) {
			the_fake->stats.error = 0;
			return 0;
		}
	return error_set(err, -ENODEV, "Device '%s' not found", id);
}

int machine_device_del(struct machine *m, const char *id, struct vpmem_error *err)
{
	struct pmem *pmem = find_pmem(m, id);

	if (!pmem)
		return error_set(err, -ENODEV, "Device '%s' not found", id);
	if (pmem->dev.unplug != UNPLUG_NONE)
		return error_set(err, -EBUSY, "Device %s is already in the process of unplug", id);
	pmem->dev.unplug = UNPLUG_REQUESTED;
	return 0;
}

// ---- the library

uint64_t vpmem_backing_size(const struct vpmem_backing *backing)
{
	return backing->size;
}

const char *vpmem_backing_path(const struct vpmem_backing *backing)
{
	return backing->path;
}

bool vpmem_backing_is_rom(const struct vpmem_backing *backing)
{
	return backing->rom;
}

int machine_memdev_usage(struct machine *m, const struct memdev *memdev, struct vpmem_usage *out)
{
	(void)m;
	(void)memdev;
	*out = the_fake->usage;
	return the_fake->usage_error;
}

struct vpmem_stats vpmem_device_stats(const struct vpmem_device *dev)
{
	(void)dev;
	return the_fake->stats;
}

struct vpmem_device *virtio_pmem_device(const struct virtio_pci *vp)
{
	return (struct vpmem_device *)vp;
}

gpa_t virtio_pmem_gpa(const struct virtio_pci *vp)
{
	return vp->gpa;
}

// ---- the bus

unsigned pci_bus_count(const struct pci_bus *bus)
{
	(void)bus;
	return the_fake->nbuses;
}

struct pci_device *pci_bus_device(const struct pci_bus *bus, unsigned slot)
{
	(void)bus;
	return slots[slot];
}

const struct pci_device_desc *pci_device_description(const struct pci_device *dev)
{
	return &dev->desc;
}

unsigned pci_device_slot(const struct pci_device *dev)
{
	return dev->slot;
}

gpa_t pci_device_bar(const struct pci_device *dev, unsigned bar, bool *mapped)
{
	(void)bar;
	*mapped = the_fake->bar_mapped;
	return 0x800000000 + dev->slot * UINT64_C(0x8000);
}

uint32_t pci_config_get(const struct pci_device *dev, unsigned off, unsigned width)
{
	(void)width;
	switch (off) {
	case 0x00:
		return dev->desc.vendor;
	case 0x02:
		return dev->desc.device;
	case 0x0a:
		return dev->desc.class_code >> 8;
	case 0x2c:
		return dev->desc.subsystem_vendor;
	case 0x2e:
		return dev->desc.subsystem;
	case 0x3c:
		return 17;
	case 0x3d:
		return dev->desc.intx;
	default:
		fail_msg("unexpected read of configuration space at 0x%x", off);
		return 0;
	}
}

bool machine_net_info(const struct device *dev, struct net_info *info)
{
	(void)dev;
	*info = the_fake->net;
	return info->npairs > 0;
}

const struct vhost_net_filter *machine_net_filter(const struct device *dev)
{
	(void)dev;
	return &the_fake->filter;
}

bool machine_vhost_user_info(const struct device *dev, struct vhost_user_info *info)
{
	(void)dev;
	*info = the_fake->vhost_user;
	return info->chardev != NULL;
}
