// SPDX-License-Identifier: Apache-2.0
// Pmem devices of the machine: placing in the window above RAM, plugging, faults of the guest.
#include "machine_pmem.h"

#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_fault.h"
#include "machine_find.h"
#include "machine_memdev.h"
#include "machine_store.h"
#include "virtio_pmem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- placement

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

// The device whose slot shares an address with [gpa, gpa + size), or NULL.
static struct pmem *find_overlap(struct machine *m, gpa_t gpa, uint64_t size)
{
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];
		uint64_t other_size = vpmem_backing_size(pmem->memdev->backing);

		if (pmem->slot_gpa != 0 && gpa < pmem->slot_gpa + other_size && pmem->slot_gpa < gpa + size)
			return pmem;
	}
	return NULL;
}

static bool is_in_window(const struct machine *m, gpa_t gpa, uint64_t size)
{
	return gpa >= m->pmem_gpa && gpa - m->pmem_gpa <= m->pmem_size && size <= m->pmem_size - (gpa - m->pmem_gpa);
}

static int check_memaddr(struct machine *m, gpa_t gpa, uint64_t size, struct vpmem_error *err)
{
	struct pmem *other;

	if (gpa % VPMEM_GRANULE != 0)
		return error_set(err, -EINVAL, "address must be aligned to 0x%" PRIx64 " bytes", VPMEM_GRANULE);
	if (!is_in_window(m, gpa, size))
		return error_set(err, -EINVAL,
		                 "can't add memory device [0x%" PRIx64 ":0x%" PRIx64 "], "
		                 "usable range for memory devices [0x%" PRIx64 ":0x%" PRIx64 "]",
		                 gpa, size, m->pmem_gpa, m->pmem_size);
	other = find_overlap(m, gpa, size);
	if (other)
		return error_set(err, -EINVAL, "address range conflicts with memory device id='%s'",
		                 other->cfg.id ? other->cfg.id : "(unnamed)");
	return 0;
}

// First fit, from the window's start upwards: guests with KASLR want low addresses.
static int find_place(struct machine *m, uint64_t size, uint64_t align, gpa_t *out, struct vpmem_error *err)
{
	gpa_t gpa = align_up(m->pmem_gpa, align);

	for (;;) {
		struct pmem *other;

		if (!is_in_window(m, gpa, size))
			break;
		other = find_overlap(m, gpa, size);
		if (!other) {
			*out = gpa;
			return 0;
		}
		gpa = align_up(other->slot_gpa + vpmem_backing_size(other->memdev->backing), align);
	}
	error_set(err, -ENOSPC,
	          "could not find position in guest address space for memory device - "
	          "memory fragmented due to alignments");
	error_hint(err,
	           "the device needs 0x%" PRIx64 " bytes of the window's 0x%" PRIx64
	           ", which the processor's physical address bits limit",
	           size, m->pmem_size);
	return -ENOSPC;
}

static int place(struct machine *m, const struct pmem_config *cfg, struct vpmem_backing *backing, gpa_t *gpa,
                 struct vpmem_error *err)
{
	uint64_t size = vpmem_backing_size(backing);
	int rc;

	if (cfg->memaddr == 0)
		return find_place(m, size, vpmem_backing_align(backing), gpa, err);
	rc = check_memaddr(m, cfg->memaddr, size, err);
	*gpa = cfg->memaddr;
	return rc;
}

// ---- plugging

static int map_slot(struct machine *m, struct pmem *pmem, gpa_t gpa, struct vpmem_error *err)
{
	struct vpmem_backing *backing = pmem->memdev->backing;
	int rc = vm_memory_add(&m->kvm.vm, gpa, vpmem_backing_size(backing), vpmem_backing_hva(backing),
	                       vpmem_backing_is_rom(backing));

	if (rc == -ENOSPC)
		return error_set(err, rc, "hypervisor has not enough free memory slots left");
	if (rc < 0)
		return error_set(err, rc, "%s: cannot map at 0x%" PRIx64 ": %s", pmem->memdev->cfg.id, gpa,
		                 strerror(-rc));
	pmem->slot_gpa = gpa;
	return 0;
}

static void unmap_slot(struct machine *m, struct pmem *pmem)
{
	if (pmem->slot_gpa != 0)
		vm_memory_del(&m->kvm.vm, pmem->slot_gpa, vpmem_backing_size(pmem->memdev->backing));
	pmem->slot_gpa = 0;
}

static int plug(struct machine *m, struct pmem *pmem, struct vpmem_error *err)
{
	const struct pmem_config *cfg = &pmem->cfg;
	struct virtio_pmem_options vp = {
		.pci.bus = m->pci,
		.pci.bus_nr = cfg->bus_nr,
		.pci.slot = cfg->slot,
		.pci.id = cfg->id,
		.pci.register_page = cfg->register_page,
		.pci.pio_notify = cfg->pio_notify,
		.mem = &m->gmem,
		.device = {
			.name = cfg->id ? cfg->id : cfg->memdev,
			.backing = pmem->memdev->backing,
			.shmem = cfg->shmem,
			.no_event_idx = !cfg->event_idx,
			.no_indirect_desc = !cfg->indirect_desc,
			.no_ring_reset = !cfg->queue_reset,
			.hold_on_error = cfg->werror == WERROR_STOP,
			.callbacks = { .event = machine_on_device_event, .opaque = pmem },
		},
	};
	gpa_t gpa = 0;
	int rc = cfg->shmem ? 0 : place(m, cfg, pmem->memdev->backing, &gpa, err);

	if (rc < 0)
		return rc;
	vp.device.gpa = gpa;
	rc = virtio_pmem_create(&vp, &pmem->vp, err);
	if (rc < 0)
		return rc;
	pmem->slot = (unsigned)virtio_pci_slot(pmem->vp);
	// The file is open since then, and the kernel will not report the loss again.
	if (pmem->memdev->sync_error)
		vpmem_device_set_error(virtio_pmem_device(pmem->vp), pmem->memdev->sync_error);
	if (cfg->shmem)
		return 0;
	rc = map_slot(m, pmem, gpa, err);
	if (rc < 0)
		virtio_pci_destroy(pmem->vp);
	return rc;
}

static int check_new(struct machine *m, const struct pmem_config *cfg, struct vpmem_error *err)
{
	struct memdev *memdev = machine_find_memdev(m, cfg->memdev);

	for (unsigned i = 0; i < m->npmems; i++)
		if (cfg->id && m->pmems[i]->cfg.id && strcmp(cfg->id, m->pmems[i]->cfg.id) == 0)
			return error_set(err, -EEXIST, "Duplicate device ID '%s'", cfg->id);
	if (!memdev) {
		error_set(err, -ENODEV, "Device '%s' not found", cfg->memdev);
		error_hint(err, "memdev names an object: object_add memory-backend-file,id=%s,share=on,mem-path=FILE",
		           cfg->memdev);
		return -ENODEV;
	}
	if (memdev->in_use)
		return error_set(err, -EBUSY, "can't use already busy memdev: %s", memdev->cfg.id);
	if (m->npmems == PMEMS_MAX)
		return error_set(err, -ENOSPC, "too many pmem devices: at most %u", PMEMS_MAX);
	return 0;
}

static char *qom_path(struct machine *m, const char *id)
{
	char *path;
	int len = id ? asprintf(&path, "/machine/peripheral/%s", id) :
	               asprintf(&path, "/machine/peripheral-anon/device[%u]", m->nanonymous++);

	return len < 0 ? NULL : path;
}

int machine_add_pmem(struct machine *m, struct pmem_config *cfg, struct vpmem_error *err)
{
	struct pmem *pmem;
	int rc = check_new(m, cfg, err);

	if (rc < 0)
		return rc;
	pmem = calloc(1, sizeof(*pmem));
	if (!pmem)
		return error_set(err, -ENOMEM, "cannot set up device: %s", strerror(ENOMEM));
	*pmem = (struct pmem) {
		.machine = m, .cfg = *cfg, .memdev = machine_find_memdev(m, cfg->memdev), .path = qom_path(m, cfg->id)
	};
	rc = pmem->path ? plug(m, pmem, err) : error_set(err, -ENOMEM, "cannot set up device: %s", strerror(ENOMEM));
	if (rc < 0) {
		machine_hint_limit(rc, err);
		free(pmem->path);
		free(pmem);
		return rc;
	}
	*cfg = (struct pmem_config) { .slot = -1 };
	pmem->memdev->in_use = true;
	m->pmems[m->npmems++] = pmem;
	return 0;
}

// Those that name their slot or address first, then those that name their bus: the others take the rest.
static unsigned turn(const struct pmem_config *cfg)
{
	if (cfg->slot >= 0 || cfg->memaddr != 0)
		return 0;
	return cfg->bus_nr >= 0 ? 1 : 2;
}

// Linux has some 200 interrupt vectors on each processor, of which a device takes two; without, its driver gives up.
#define PMEMS_PER_CPU 95u

int machine_add_pmems(struct machine *m, struct vpmem_error *err)
{
	int rc = 0;

	if (m->opts->npmems / m->opts->ncpus > PMEMS_PER_CPU)
		log_warn(
			"%u devices may be more than the guest has interrupt vectors for: give it more processors, -smp %u",
			m->opts->npmems, (m->opts->npmems + PMEMS_PER_CPU - 1) / PMEMS_PER_CPU);

	for (unsigned pass = 0; pass < 3; pass++) {
		for (unsigned i = 0; i < m->opts->npmems && rc == 0; i++) {
			struct pmem_config *cfg = &m->opts->pmems[i];

			// What was taken is empty.
			if (cfg->memdev && turn(cfg) == pass)
				rc = machine_add_pmem(m, cfg, err);
		}
	}
	return rc;
}

void machine_detach_pmem(struct pmem *pmem)
{
	machine_end_stores_to(pmem);
	virtio_pci_unplug(pmem->vp);
	unmap_slot(pmem->machine, pmem);
}

void machine_remove_pmem(struct pmem *pmem, bool unlocked)
{
	struct machine *m = pmem->machine;
	int error;
	unsigned i = 0;

	if (unlocked)
		pthread_mutex_unlock(&m->lock);
	// The worker ends with the sync that is under way, whose result counts.
	error = virtio_pci_destroy(pmem->vp);
	if (unlocked)
		pthread_mutex_lock(&m->lock);
	// A flush failed: that the last sync succeeds says nothing, because the kernel reports a lost write once.
	if (error)
		m->close_error = error;
	pmem->memdev->sync_error = error;
	pmem->memdev->in_use = false;
	while (m->pmems[i] != pmem)
		i++;
	m->npmems--;
	memmove(&m->pmems[i], &m->pmems[i + 1], (m->npmems - i) * sizeof(m->pmems[0]));
}

void machine_free_pmem(struct pmem *pmem)
{
	pmem_config_free(&pmem->cfg);
	free(pmem->path);
	free(pmem);
}

void machine_drop_pmems(struct machine *m)
{
	while (m->npmems > 0) {
		struct pmem *pmem = m->pmems[m->npmems - 1];

		machine_detach_pmem(pmem);
		machine_remove_pmem(pmem, false);
		machine_free_pmem(pmem);
	}
}
