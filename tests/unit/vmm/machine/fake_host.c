// SPDX-License-Identifier: Apache-2.0
// Backings, devices and memory slots that remember what was asked of them.
#include "fake_host.h"

#include "error.h"
#include "machine_hotplug.h"
#include "machine_memdev.h"
#include "machine_pmem.h"
#include "machine_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit_test.h"

struct fake_host *fake_host;

static bool lock_is_free(void)
{
	if (pthread_mutex_trylock(&fake_host->m.lock) != 0)
		return false;
	pthread_mutex_unlock(&fake_host->m.lock);
	return true;
}

// ---- the library: backings

int vpmem_backing_open(const struct vpmem_backing_options *opts, struct vpmem_backing **out, struct vpmem_error *err)
{
	fake_host->open_unlocked = lock_is_free();
	if (fake_host->open_error)
		return error_set(err, fake_host->open_error, "%s: %s", opts->path, strerror(-fake_host->open_error));
	*out = calloc(1, sizeof(**out));
	assert_non_null(*out);
	(*out)->size = opts->size ? opts->size : 2 * VPMEM_GRANULE;
	(*out)->align = VPMEM_GRANULE;
	(*out)->rom = opts->readonly;
	snprintf((*out)->path, sizeof((*out)->path), "%s", opts->path);
	fake_host->nopen++;
	return 0;
}

// Operations of the broker, of which there is none.
int vpmem_file_open(const struct vpmem_file_request *request, const char *id, const char *path, int user_pid,
                    struct vpmem_file *file, struct vpmem_error *err)
{
	(void)request, (void)id, (void)path, (void)user_pid, (void)file, (void)err;
	return -ENOSYS;
}

bool vpmem_file_is_created(const struct vpmem_file *file)
{
	(void)file;
	return false;
}

int vpmem_file_remove(const char *path, int fd)
{
	(void)path, (void)fd;
	return -ENOSYS;
}

int vpmem_backing_close(struct vpmem_backing *backing)
{
	fake_host->close_unlocked = lock_is_free();
	fake_host->nopen--;
	free(backing);
	return fake_host->close_error;
}

void vpmem_backing_keep(struct vpmem_backing *backing)
{
	backing->kept = true;
}

int vpmem_backing_usage(const struct vpmem_backing *backing, struct vpmem_usage *out)
{
	*out = (struct vpmem_usage) { .allocated_size = backing->size };
	return lock_is_free() ? 0 : -EDEADLK;
}

int vpmem_backing_store(struct vpmem_backing *backing, uint64_t off, const void *buf, uint64_t len)
{
	if (backing->store_error)
		return backing->store_error;
	backing->nstores++;
	memcpy(backing->bytes + off, buf, len);
	return 0;
}

int vpmem_backing_load(const struct vpmem_backing *backing, uint64_t off, void *buf, uint64_t len)
{
	memcpy(buf, backing->bytes + off, len);
	return 0;
}

int vpmem_backing_room(const struct vpmem_backing *backing)
{
	return backing->room;
}

bool vpmem_backing_is_truncated(const struct vpmem_backing *backing)
{
	return backing->truncated;
}

int vpmem_backing_fd(const struct vpmem_backing *backing, uint64_t *off)
{
	*off = 4096;
	return backing->rom ? -1 : 7;
}

bool vpmem_backing_is_rom(const struct vpmem_backing *backing)
{
	return backing->rom;
}

const char *vpmem_backing_path(const struct vpmem_backing *backing)
{
	return backing->path;
}

const char *vpmem_backing_warning(const struct vpmem_backing *backing)
{
	(void)backing;
	return NULL;
}

void *vpmem_backing_hva(const struct vpmem_backing *backing)
{
	return (void *)(uintptr_t)backing->bytes;
}

uint64_t vpmem_backing_size(const struct vpmem_backing *backing)
{
	return backing->size;
}

uint64_t vpmem_backing_align(const struct vpmem_backing *backing)
{
	return backing->align;
}

// ---- the library: devices

void vpmem_device_set_error(struct vpmem_device *dev, int rc)
{
	(void)dev;
	fake_host->set_error = rc;
}

int vpmem_device_clear_error(struct vpmem_device *dev, uint64_t nsync_errors)
{
	(void)dev, (void)nsync_errors;
	return 0;
}

struct vpmem_stats vpmem_device_stats(const struct vpmem_device *dev)
{
	(void)dev;
	return (struct vpmem_stats) { 0 };
}

void vpmem_device_release(struct vpmem_device *dev)
{
	(void)dev;
}

// ---- the transport

int virtio_pmem_create(const struct virtio_pmem_options *cfg, struct virtio_pci **out, struct vpmem_error *err)
{
	static unsigned nslots;

	if (fake_host->create_error)
		return error_set(err, fake_host->create_error, "no device");
	*out = calloc(1, sizeof(**out));
	assert_non_null(*out);
	(*out)->cfg = *cfg;
	(*out)->slot = cfg->pci.slot >= 0 ? (unsigned)cfg->pci.slot : 1 + nslots++ % 31;
	fake_host->ndevices++;
	return 0;
}

void virtio_pci_unplug(struct virtio_pci *vp)
{
	vp->unplugged = true;
}

int virtio_pci_destroy(struct virtio_pci *vp)
{
	fake_host->destroy_unlocked = lock_is_free();
	fake_host->ndevices--;
	free(vp);
	return fake_host->destroy_error;
}

void virtio_pci_set_paused(struct virtio_pci *vp, bool paused)
{
	vp->paused = paused;
}

int virtio_pci_slot(const struct virtio_pci *vp)
{
	return (int)vp->slot;
}

struct vpmem_device *virtio_pmem_device(const struct virtio_pci *vp)
{
	(void)vp;
	return NULL;
}

gpa_t virtio_pmem_gpa(const struct virtio_pci *vp)
{
	return vp->cfg.device.gpa;
}

// ---- the kinds that need no more than these fakes

__attribute__((weak)) const struct object_kind *fake_host_object_kind(unsigned idx)
{
	static const struct object_kind *const kinds[] = { &memory_backend_file_kind, &memory_backend_memfd_kind,
		                                           &memory_backend_ram_kind };

	return idx < COUNT(kinds) ? kinds[idx] : NULL;
}

__attribute__((weak)) const struct device_kind *fake_host_device_kind(unsigned idx)
{
	return idx == 0 ? &virtio_pmem_pci_kind : NULL;
}

const struct object_kind *object_kind_at(unsigned idx)
{
	return fake_host_object_kind(idx);
}

const struct device_kind *device_kind_at(unsigned idx)
{
	return fake_host_device_kind(idx);
}

// ---- memory slots

static int slot_add(struct vm *vm, gpa_t gpa, uint64_t size, void *hva, bool readonly)
{
	(void)vm;
	for (unsigned i = 0; i < FAKE_SLOTS_MAX && fake_host->slot_error == 0; i++) {
		if (fake_host->slots[i].size != 0)
			continue;
		fake_host->slots[i].gpa = gpa;
		fake_host->slots[i].size = size;
		fake_host->slots[i].hva = hva;
		fake_host->slots[i].readonly = readonly;
		return 0;
	}
	return fake_host->slot_error ? fake_host->slot_error : -ENOSPC;
}

static void slot_del(struct vm *vm, gpa_t gpa, uint64_t size)
{
	(void)vm;
	for (unsigned i = 0; i < FAKE_SLOTS_MAX; i++) {
		if (fake_host->slots[i].gpa != gpa || fake_host->slots[i].size != size)
			continue;
		fake_host->slots[i].size = 0;
		return;
	}
	fail_msg("no such slot");
}

static const struct vm_ops vm_ops = { .slot_add = slot_add, .slot_del = slot_del };

// ---- the observer

static void on_event(void *state, const struct machine_event *event)
{
	struct fake_host *host = state;
	unsigned i = host->nevents++;

	assert_true(i < COUNT(host->events));
	host->events[i].kind = event->kind;
	host->events[i].error = event->error;
	host->events[i].open = event->open;
	snprintf(host->events[i].device, sizeof(host->events[i].device), "%s", event->device ? event->device : "");
	snprintf(host->events[i].path, sizeof(host->events[i].path), "%s", event->path ? event->path : "");
}

static const struct machine_observer observer = { .event = on_event };

static void set_irq(void *owner, bool level)
{
	(void)owner, (void)level;
}

// ---- the machine

int fake_host_setup(void **state)
{
	struct machine *m;

	fake_host = calloc(1, sizeof(*fake_host));
	if (!fake_host)
		return -1;
	*state = fake_host;
	m = &fake_host->m;
	m->opts = &fake_host->opts;
	fake_host->opts.ncpus = 1;
	fake_host->opts.ram_size = 128 << 20;
	m->kvm.vm.ops = &vm_ops;
	m->observer = &observer;
	m->observer_state = fake_host;
	m->run_state = RUN_STATE_RUNNING;
	m->notify.manager.fd = -1;
	m->pmem_gpa = UINT64_C(8) << 30;
	m->pmem_size = UINT64_C(1) << 30;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->reaped, NULL);
	if (loop_init(&m->loop, &m->lock) < 0)
		return -1;
	pthread_mutex_lock(&m->lock);
	m->acpi_ged = (struct acpi_ged) { .set_irq = set_irq };
	return machine_hotplug_attach(m);
}

int fake_host_teardown(void **state)
{
	struct machine *m = &fake_host->m;

	(void)state;
	machine_join_unplugs(m);
	machine_forget_stores(m);
	machine_drop_devices(m);
	machine_drop_objects(m);
	pthread_mutex_unlock(&m->lock);
	assert_int_equal(fake_host->nopen, 0);
	assert_int_equal(fake_host->ndevices, 0);
	for (unsigned i = 0; i < FAKE_SLOTS_MAX; i++)
		assert_int_equal(fake_host->slots[i].size, 0);
	vm_memory_clear(&m->kvm.vm);
	io_clear(&m->pio);
	loop_fini(&m->loop);
	pthread_cond_destroy(&m->reaped);
	pthread_mutex_destroy(&m->lock);
	free(fake_host);
	return 0;
}

struct object_config *fake_host_object(const char *id)
{
	struct memdev_config *cfg = calloc(1, sizeof(*cfg));

	assert_non_null(cfg);
	*cfg = (struct memdev_config) { .obj = { .type = &memory_backend_file_type, .id = strdup(id) },
		                        .mem_path = strdup("a.img") };
	cfg->backing.path = cfg->mem_path;
	return &cfg->obj;
}

struct memdev *fake_host_memdev(const char *id)
{
	struct object_config *cfg = fake_host_object(id);
	unsigned n = fake_host->m.nmemdevs;

	assert_int_equal(machine_add_object(&fake_host->m, &cfg, NULL), 0);
	assert_null(cfg);
	return fake_host->m.memdevs[n];
}

struct pmem_config *fake_host_config(const char *id, const char *memdev)
{
	struct pmem_config *cfg = calloc(1, sizeof(*cfg));

	assert_non_null(cfg);
	*cfg = (struct pmem_config) {
		.dev = { .model = &virtio_pmem_pci_model, .id = id ? strdup(id) : NULL, .bus_nr = -1, .slot = -1 },
		.memdev = strdup(memdev),
	};
	return cfg;
}

struct pmem *fake_host_pmem(const char *id, const char *memdev)
{
	struct device_config *cfg = &fake_host_config(id, memdev)->dev;
	unsigned n = fake_host->m.npmems;

	assert_int_equal(machine_add_device(&fake_host->m, &cfg, NULL), 0);
	assert_null(cfg);
	return fake_host->m.pmems[n];
}
