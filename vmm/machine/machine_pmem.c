// SPDX-License-Identifier: Apache-2.0
// virtio-pmem-pci: pmem devices of the machine, placed in the window above RAM, plugged, taken out.
#include "machine_pmem.h"

#include "array.h"
#include "error.h"
#include "machine.h"
#include "machine_fault.h"
#include "machine_find.h"
#include "machine_store.h"
#include "virtio_pmem.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static struct pmem *pmem_of(struct device *dev)
{
	return (struct pmem *)dev;
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
		                 other->dev.cfg->id ? other->dev.cfg->id : "(unnamed)");
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

// Each window is a region of the table that the back end of a vhost device gets.
static int check_regions(struct machine *m, struct vpmem_error *err)
{
	unsigned n = m->kvm.vm.memory.nregions;

	if (n < vm_memory_regions_max(&m->kvm.vm))
		return 0;
	error_set(err, -E2BIG, "a used vhost backend has no free memory slots left");
	error_hint(
		err,
		"RAM and the pmem devices are %u regions of memory, which is all that the back end of a device takes: "
		"for the kernel's vhost, load the module vhost with max_mem_regions=509, or remove the vhost device",
		n);
	return -E2BIG;
}

static int map_slot(struct machine *m, struct pmem *pmem, gpa_t gpa, struct vpmem_error *err)
{
	struct vpmem_backing *backing = pmem->memdev->backing;
	struct vm_memory_region region = { .gpa = gpa,
		                           .size = vpmem_backing_size(backing),
		                           .hva = vpmem_backing_hva(backing) };
	int rc;

	region.fd = vpmem_backing_fd(backing, &region.fd_off);
	rc = vm_memory_add_region(&m->kvm.vm, &region, vpmem_backing_is_rom(backing));
	if (rc == -ENOSPC)
		return error_set(err, rc, "hypervisor has not enough free memory slots left");
	if (rc < 0)
		return error_set(err, rc, "%s: cannot map at 0x%" PRIx64 ": %s", pmem->memdev->obj.cfg->id, gpa,
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

static int plug(struct pmem *pmem, const struct virtio_pci_config *pci, gpa_t gpa, struct vpmem_error *err)
{
	const struct pmem_config *cfg = pmem->cfg;
	const struct device_config *dev = &cfg->dev;
	const struct virtio_pmem_options opts = {
		.pci = *pci,
		.mem = &pmem->dev.machine->gmem,
		.device = {
			.name = dev->id ? dev->id : cfg->memdev,
			.gpa = gpa,
			.backing = pmem->memdev->backing,
			.shmem = cfg->shmem,
			.no_event_idx = !dev->event_idx,
			.no_indirect_desc = !dev->indirect_desc,
			.no_ring_reset = !dev->queue_reset,
			.hold_on_error = cfg->werror == WERROR_STOP,
			.callbacks = { .event = machine_on_device_event, .opaque = pmem },
		},
	};
	int rc = virtio_pmem_create(&opts, &pmem->dev.vp, err);

	// The file is open since then, and the kernel will not report the loss again.
	if (rc == 0 && pmem->memdev->sync_error)
		vpmem_device_set_error(virtio_pmem_device(pmem->dev.vp), pmem->memdev->sync_error);
	return rc;
}

static int pmem_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	struct pmem *pmem = pmem_of(dev);
	struct machine *m = dev->machine;
	gpa_t gpa = 0;
	int rc;

	pmem->cfg = device_config_as(dev->cfg, &virtio_pmem_pci_model);
	pmem->memdev = machine_find_memdev(m, pmem->cfg->memdev);
	rc = check_regions(m, err);
	if (rc == 0 && array_room(&m->pmems, m->npmems, sizeof(m->pmems[0])) < 0)
		rc = error_set(err, -ENOMEM, "cannot set up device: %s", strerror(ENOMEM));
	if (rc == 0 && !pmem->cfg->shmem)
		rc = place(m, pmem->cfg, pmem->memdev->backing, &gpa, err);
	if (rc == 0)
		rc = plug(pmem, pci, gpa, err);
	if (rc < 0)
		return rc;
	if (!pmem->cfg->shmem)
		rc = map_slot(m, pmem, gpa, err);
	if (rc < 0) {
		virtio_pci_destroy(dev->vp);
		return rc;
	}
	m->pmems[m->npmems++] = pmem;
	return 0;
}

// ---- taking out

static void pmem_leaving(struct device *dev)
{
	machine_end_stores_to(pmem_of(dev));
	machine_forget_no_page(pmem_of(dev));
}

static void pmem_left(struct device *dev)
{
	unmap_slot(dev->machine, pmem_of(dev));
}

static void pmem_destroyed(struct device *dev, int error)
{
	struct pmem *pmem = pmem_of(dev);
	struct machine *m = dev->machine;
	unsigned i = 0;

	// A flush failed: that the last sync succeeds says nothing, because the kernel reports a lost write once.
	pmem->memdev->sync_error = error;
	while (m->pmems[i] != pmem)
		i++;
	array_remove(m->pmems, &m->npmems, sizeof(m->pmems[0]), i);
	if (dev->unplug == UNPLUG_EJECTED)
		machine_report_sync_error(pmem);
}

static bool pmem_wants_place(const struct device_config *cfg)
{
	return ((const struct pmem_config *)cfg)->memaddr != 0;
}

static bool pmem_number(const struct device *dev, const char *prop, uint64_t *val)
{
	if (strcmp(prop, "memaddr") != 0)
		return false;
	*val = virtio_pmem_gpa(dev->vp);
	return true;
}

const struct device_kind virtio_pmem_pci_kind = {
	.model = &virtio_pmem_pci_model,
	.size = sizeof(struct pmem),
	.create = pmem_create,
	.leaving = pmem_leaving,
	.left = pmem_left,
	.destroyed = pmem_destroyed,
	.wants_place = pmem_wants_place,
	.number = pmem_number,
};
