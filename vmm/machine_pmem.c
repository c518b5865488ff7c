// SPDX-License-Identifier: Apache-2.0
// Memory backends and pmem devices of the machine: opening, placing in the window above RAM, plugging.
#include "machine_internal.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int machine_add_memdev(struct machine *m, const struct memdev_config *cfg, struct vpmem_error *err)
{
	struct memdev *memdev = &m->memdevs[m->nmemdevs];
	int rc;

	if (m->nmemdevs == MEMDEVS_MAX)
		return error_set(err, -ENOSPC, "too many memory backends: at most %u", MEMDEVS_MAX);
	*memdev = (struct memdev) { .id = strdup(cfg->id) };
	if (!memdev->id)
		return error_set(err, -ENOMEM, "cannot set up memory backend: %s", strerror(ENOMEM));
	rc = vpmem_backing_open(&cfg->backing, &memdev->backing, err);
	if (rc < 0) {
		free(memdev->id);
		return rc;
	}
	m->nmemdevs++;
	return 0;
}

int machine_drop_memdev(struct machine *m)
{
	struct memdev *memdev = &m->memdevs[--m->nmemdevs];
	int rc = vpmem_backing_close(memdev->backing);

	if (rc < 0)
		log_error("%s: the last sync failed: what was not flushed before may be lost: %s", memdev->id,
		          strerror(-rc));
	free(memdev->id);
	return rc;
}

static struct memdev *find_memdev(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->nmemdevs; i++)
		if (strcmp(m->memdevs[i].id, id) == 0)
			return &m->memdevs[i];
	return NULL;
}

// ---- placement

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

// The device whose slot shares an address with [gpa, gpa + size), or NULL.
static struct pmem *find_overlap(struct machine *m, gpa_t gpa, uint64_t size)
{
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = &m->pmems[i];
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
		                 other->id ? other->id : "(unnamed)");
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
	error_set(err, -ENOSPC, "could not find position in guest address space for memory device - "
	                        "memory fragmented due to alignments");
	error_hint(err, "the device needs 0x%" PRIx64 " bytes of the window's 0x%" PRIx64
	                ", which the processor's physical address bits limit", size, m->pmem_size);
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

static void on_event(void *opaque, enum vpmem_event event, int error, const char *text)
{
	(void)opaque;
	(void)error;
	if (event == VPMEM_EVENT_SYNC_FAILED)
		log_error("%s: every flush of this device fails from here on", text);
	else
		log_guest("%s", text);
}

static int map_slot(struct machine *m, struct pmem *pmem, gpa_t gpa, struct vpmem_error *err)
{
	struct vpmem_backing *backing = pmem->memdev->backing;
	int rc = m->kvm.vm.ops->slot_add(&m->kvm.vm, gpa, vpmem_backing_size(backing), vpmem_backing_hva(backing),
	                                 vpmem_backing_is_rom(backing));

	if (rc == -ENOSPC)
		return error_set(err, rc, "hypervisor has not enough free memory slots left");
	if (rc < 0)
		return error_set(err, rc, "%s: cannot map at 0x%" PRIx64 ": %s", pmem->memdev->id, gpa, strerror(-rc));
	pmem->slot_gpa = gpa;
	return 0;
}

static void unmap_slot(struct machine *m, struct pmem *pmem)
{
	if (pmem->slot_gpa != 0)
		m->kvm.vm.ops->slot_del(&m->kvm.vm, pmem->slot_gpa, vpmem_backing_size(pmem->memdev->backing));
	pmem->slot_gpa = 0;
}

static int plug(struct machine *m, const struct pmem_config *cfg, struct pmem *pmem, struct vpmem_error *err)
{
	struct virtio_pci_config vp = {
		.bus = m->pci,
		.slot = cfg->slot,
		.id = cfg->id,
		.device = {
			.name = cfg->id ? cfg->id : cfg->memdev,
			.gmem = m->gmem,
			.backing = pmem->memdev->backing,
			.shmem = cfg->shmem,
			.no_event_idx = !cfg->event_idx,
			.no_indirect_desc = !cfg->indirect_desc,
			.no_ring_reset = !cfg->queue_reset,
			.callbacks = { .event = on_event },
		},
	};
	gpa_t gpa = 0;
	int rc = cfg->shmem ? 0 : place(m, cfg, pmem->memdev->backing, &gpa, err);

	if (rc < 0)
		return rc;
	vp.device.gpa = gpa;
	rc = virtio_pci_create(&vp, &pmem->vp, err);
	if (rc < 0 || cfg->shmem)
		return rc;
	rc = map_slot(m, pmem, gpa, err);
	if (rc < 0)
		virtio_pci_destroy(pmem->vp);
	return rc;
}

int machine_add_pmem(struct machine *m, const struct pmem_config *cfg, struct vpmem_error *err)
{
	struct pmem *pmem = &m->pmems[m->npmems];
	struct memdev *memdev = find_memdev(m, cfg->memdev);
	int rc;

	if (!memdev)
		return error_set(err, -ENODEV, "Device '%s' not found", cfg->memdev);
	if (memdev->in_use)
		return error_set(err, -EBUSY, "can't use already busy memdev: %s", memdev->id);
	if (m->npmems == PMEMS_MAX)
		return error_set(err, -ENOSPC, "too many pmem devices: at most %u", PMEMS_MAX);
	*pmem = (struct pmem) { .id = cfg->id ? strdup(cfg->id) : NULL, .memdev = memdev };
	if (cfg->id && !pmem->id)
		return error_set(err, -ENOMEM, "cannot set up device: %s", strerror(ENOMEM));
	rc = plug(m, cfg, pmem, err);
	if (rc < 0) {
		free(pmem->id);
		return rc;
	}
	memdev->in_use = true;
	m->npmems++;
	return 0;
}

void machine_drop_pmem(struct machine *m)
{
	struct pmem *pmem = &m->pmems[--m->npmems];
	int error = vpmem_device_error(virtio_pci_device(pmem->vp));

	// A flush failed: that the last sync succeeds says nothing, because the kernel reports a lost write once.
	if (error)
		m->close_error = error;
	virtio_pci_destroy(pmem->vp);
	unmap_slot(m, pmem);
	pmem->memdev->in_use = false;
	free(pmem->id);
}

// ---- faults

struct pmem *machine_pmem_at(struct machine *m, gpa_t gpa)
{
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = &m->pmems[i];
		gpa_t base = virtio_pci_pmem_gpa(pmem->vp);

		if (base != 0 && gpa >= base && gpa - base < vpmem_backing_size(pmem->memdev->backing))
			return pmem;
	}
	return NULL;
}

void machine_pmem_fault(struct machine *m, gpa_t gpa, bool is_write)
{
	struct pmem *pmem = machine_pmem_at(m, gpa);
	struct vpmem_backing *backing = pmem->memdev->backing;
	const char *name = pmem->id ? pmem->id : pmem->memdev->id;
	uint64_t off = gpa - virtio_pci_pmem_gpa(pmem->vp);

	// One message for all the pieces of one instruction.
	if (m->request == REQUEST_FAIL)
		return;
	if (is_write && vpmem_backing_is_rom(backing)) {
		log_guest("%s: guest store to read-only memory refused: offset %" PRIu64 " of %s", name, off,
		          vpmem_backing_path(backing));
		return;
	}
	// The store is lost if the guest goes on: a VM that ends loses only what it had not flushed.
	log_error("%s: the host cannot provide memory for a guest access: offset %" PRIu64 " of %s: "
	          "is its file system full, or was the file cut?", name, off, vpmem_backing_path(backing));
	machine_request(m, REQUEST_FAIL);
}
