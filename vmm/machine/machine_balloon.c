// SPDX-License-Identifier: Apache-2.0
// virtio-balloon-pci: which memory it returns to the host, the target, and the event when the guest follows.
#include "machine_balloon.h"

#include "error.h"
#include "machine.h"
#include "machine_memdev.h"
#include "memory_map.h"
#include "virtio_balloon.h"

#include <assert.h>
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#define INTERVAL "guest-stats-polling-interval"
#define EVENT_GAP_MS 1000u /* between two events BALLOON_CHANGE, as in QEMU */

struct balloon {
	struct device dev;
	struct loop_timer gap; /* armed: an event was sent less than EVENT_GAP_MS ago */
	bool is_gap;
	bool pending; /* there was a change since */
};

static struct balloon *balloon_of(struct device *dev)
{
	return (struct balloon *)dev;
}

// ---- what the guest has

static uint64_t ram_size(const struct machine *m)
{
	return m->ram_low.size + m->ram_high.size;
}

// The guest may say that it has given more than there is.
static uint64_t present_size(const struct machine *m)
{
	uint64_t given = (uint64_t)virtio_balloon_actual(m->balloon->vp) << BALLOON_PAGE_SHIFT;

	return given < ram_size(m) ? ram_size(m) - given : 0;
}

static void send_event(struct balloon *balloon)
{
	struct machine *m = balloon->dev.machine;

	balloon->pending = false;
	balloon->is_gap = true;
	loop_arm(&m->loop, &balloon->gap, EVENT_GAP_MS);
	machine_event_send(m,
	                   &(struct machine_event) { .kind = MACHINE_EVENT_BALLOON_CHANGE, .size = present_size(m) });
}

// The first change is reported at once; of those that follow within the gap, only the last, after it.
static void on_actual_changed(void *owner)
{
	struct balloon *balloon = owner;

	if (balloon->is_gap)
		balloon->pending = true;
	else
		send_event(balloon);
}

static void on_gap_over(void *owner)
{
	struct balloon *balloon = owner;

	balloon->is_gap = false;
	if (balloon->pending)
		send_event(balloon);
}

// ---- the memory that goes back

// Memory of a file on a disk stays: it is in the page cache, and a hole would give away the room on the disk. So does a
// private copy of a file, which would show the file again.
static void use_file(struct balloon_region *region)
{
	struct statfs fs;

	if (region->fd < 0 || fstatfs(region->fd, &fs) < 0 ||
	    (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC))
		region->keep = true;
	else if (fs.f_type == HUGETLBFS_MAGIC)
		region->page_size = (uint64_t)fs.f_bsize;
}

static void use_memdev(const struct memdev *memdev, uint64_t off, struct balloon_region *region)
{
	const struct vm_memory_region whole = machine_memdev_region(memdev);

	region->fd = whole.fd;
	region->fd_off = whole.fd_off + off;
	if (memdev->backing) {
		use_file(region);
		return;
	}
	region->page_size = memdev->memory.page_size;
	// A memfd that nobody else has.
	region->is_private = region->fd < 0 && memdev->memory.fd >= 0;
	if (region->is_private)
		region->fd = memdev->memory.fd;
}

static struct balloon_region describe(const struct machine *m, const struct ram *ram, gpa_t gpa, uint64_t off)
{
	struct balloon_region region = {
		.gpa = gpa, .size = ram->size, .hva = ram->hva, .page_size = BALLOON_PAGE_SIZE, .fd = -1
	};

	if (m->ram_memdev)
		use_memdev(m->ram_memdev, off, &region);
	// A file may begin anywhere.
	if (region.page_size < BALLOON_PAGE_SIZE || region.size % region.page_size != 0 ||
	    (uintptr_t)region.hva % region.page_size != 0 || region.fd_off % region.page_size != 0) {
		region.keep = true;
		region.page_size = BALLOON_PAGE_SIZE;
	}
	return region;
}

// ---- the device

static int balloon_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	const struct balloon_config *cfg = device_config_as(dev->cfg, &virtio_balloon_pci_model);
	struct balloon *balloon = balloon_of(dev);
	struct machine *m = dev->machine;
	struct virtio_balloon_options opts = {
		.pci = *pci,
		.mem = &m->gmem,
		.nregions = m->ram_high.size > 0 ? 2 : 1,
		.regions = { describe(m, &m->ram_low, 0, 0) },
		.deflate_on_oom = cfg->deflate_on_oom,
		.page_poison = cfg->page_poison,
		.reporting = cfg->free_page_reporting,
		.stats_interval_s = (uint32_t)cfg->stats_interval_s,
		.actual_changed = on_actual_changed,
		.owner = balloon,
		.no_event_idx = !cfg->dev.event_idx,
		.no_indirect_desc = !cfg->dev.indirect_desc,
		.no_ring_reset = !cfg->dev.queue_reset,
	};
	int rc;

	if (m->balloon)
		return error_set(err, -EBUSY, "Only one balloon device is supported");
	if (m->ram_high.size > 0)
		opts.regions[1] = describe(m, &m->ram_high, RAM_HIGH_BASE, m->ram_low.size);
	balloon->gap = (struct loop_timer) { .expired = on_gap_over, .owner = balloon };
	rc = loop_add_timer(&m->loop, &balloon->gap);
	if (rc < 0)
		return error_set(err, rc, "cannot set up device: %s", strerror(-rc));
	rc = virtio_balloon_create(&opts, &dev->vp, err);
	if (rc < 0)
		loop_del_timer(&m->loop, &balloon->gap);
	else
		m->balloon = dev;
	return rc;
}

static void balloon_leaving(struct device *dev)
{
	struct machine *m = dev->machine;

	if (balloon_of(dev)->pending)
		send_event(balloon_of(dev));
	loop_del_timer(&m->loop, &balloon_of(dev)->gap);
	m->balloon = NULL;
}

static bool balloon_number(const struct device *dev, const char *prop, uint64_t *val)
{
	if (strcmp(prop, INTERVAL) != 0)
		return false;
	*val = virtio_balloon_stats_interval(dev->vp);
	return true;
}

static int set_interval(struct device *dev, int64_t val, struct vpmem_error *err)
{
	if (val < 0)
		return error_set(err, -EINVAL, "timer value must be greater than zero");
	if (val > UINT32_MAX)
		return error_set(err, -EINVAL, "timer value is too big");
	virtio_balloon_set_stats_interval(dev->vp, (uint32_t)val);
	return 0;
}

static_assert(BALLOON_STATS_MAX <= GUEST_STATS_MAX, "there is room for each");

static void balloon_guest_stats(const struct device *dev, struct guest_stats *out)
{
	static const char *const names[BALLOON_STATS_MAX] = {
		"stat-swap-in",      "stat-swap-out",     "stat-major-faults",     "stat-minor-faults",
		"stat-free-memory",  "stat-total-memory", "stat-available-memory", "stat-disk-caches",
		"stat-htlb-pgalloc", "stat-htlb-pgfail",
	};
	const struct virtio_balloon_stats stats = virtio_balloon_stats(dev->vp);

	*out = (struct guest_stats) { .n = BALLOON_STATS_MAX, .updated_s = stats.updated_s };
	memcpy(out->names, names, sizeof(names));
	memcpy(out->vals, stats.vals, sizeof(stats.vals));
}

const struct device_kind virtio_balloon_pci_kind = {
	.model = &virtio_balloon_pci_model,
	.size = sizeof(struct balloon),
	.create = balloon_create,
	.leaving = balloon_leaving,
	.number = balloon_number,
	.settable = INTERVAL,
	.set = set_interval,
	.guest_stats = balloon_guest_stats,
};

// ---- for the monitor

static int check_active(const struct machine *m, struct vpmem_error *err)
{
	if (m->balloon)
		return 0;
	error_set(err, -EUNATCH, "No balloon device has been activated");
	error_hint(err, "it is -device virtio-balloon-pci, or device_add virtio-balloon-pci");
	return -EUNATCH;
}

int machine_balloon(struct machine *m, int64_t size, struct vpmem_error *err)
{
	int rc = check_active(m, err);
	uint64_t ram = ram_size(m);

	if (rc < 0)
		return rc;
	if (size <= 0)
		return error_set(err, -EINVAL, "Parameter 'target' expects a size");
	if ((uint64_t)size > ram)
		size = (int64_t)ram;
	virtio_balloon_set_target(m->balloon->vp, (uint32_t)((ram - (uint64_t)size) >> BALLOON_PAGE_SHIFT));
	return 0;
}

int machine_balloon_size(const struct machine *m, uint64_t *size, struct vpmem_error *err)
{
	int rc = check_active(m, err);

	if (rc == 0)
		*size = present_size(m);
	return rc;
}
