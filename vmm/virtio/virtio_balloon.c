// SPDX-License-Identifier: Apache-2.0
// virtio-balloon-pci: the registers of the balloon device, its worker, its life.
#include "virtio_balloon.h"

#include "error.h"
#include "monotonic.h"
#include "virtio_balloon_internal.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "virtio-balloon-pci"

/* The configuration: four le32. */
#define CONFIG_SIZE 16u
#define CONFIG_TARGET 0u
#define CONFIG_ACTUAL 4u
#define CONFIG_POISON 12u

#define BIT(n) (UINT64_C(1) << (n))

/* ---- registers --------------------------------------------------------------------------------------- */

static void store_le32(uint8_t *at, uint32_t val)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(val >> 8 * i);
}

static void balloon_read(void *opaque, const struct virtio_select *select, struct virtio_registers *out)
{
	struct virtio_balloon *b = opaque;

	fair_lock_take(&b->dev.lock);
	worker_device_registers(&b->dev, select, out);
	store_le32(out->config + CONFIG_TARGET, b->target_pages);
	store_le32(out->config + CONFIG_ACTUAL, b->actual_pages);
	store_le32(out->config + CONFIG_POISON, b->poison_val);
	fair_lock_release(&b->dev.lock);
}

/* A byte of a field, if it lies in it. */
static void set_byte(uint32_t *field, uint32_t field_off, uint32_t off, uint8_t byte)
{
	unsigned shift = 8 * (off - field_off);

	if (off >= field_off && off < field_off + 4)
		*field = (*field & ~(UINT32_C(0xff) << shift)) | (uint32_t)byte << shift;
}

static void balloon_config_write(void *opaque, uint32_t off, const uint8_t *bytes, uint32_t len)
{
	struct virtio_balloon *b = opaque;
	uint32_t before;
	bool changed;

	fair_lock_take(&b->dev.lock);
	before = b->actual_pages;
	for (uint32_t i = 0; i < len; i++) {
		set_byte(&b->actual_pages, CONFIG_ACTUAL, off + i, bytes[i]);
		if (virtio_has_feature(&b->dev.virtio, BALLOON_F_PAGE_POISON))
			set_byte(&b->poison_val, CONFIG_POISON, off + i, bytes[i]);
	}
	changed = b->actual_pages != before;
	fair_lock_release(&b->dev.lock);
	if (changed)
		b->actual_changed(b->owner);
}

/* As in QEMU, a reset changes neither the target nor what the guest wrote last: the next driver reads and writes them. */
static void forget_driver(struct virtio_balloon *b)
{
	b->poison_val = 0;
	balloon_memory_reset(&b->memory);
}

/* What was made available before DRIVER_OK, or before the queue was enabled, is served then. */
static void balloon_set_status(void *opaque, uint8_t status)
{
	struct virtio_balloon *b = opaque;
	bool starts;

	fair_lock_take(&b->dev.lock);
	starts = virtio_set_status(&b->dev.virtio, status);
	if (status == 0)
		forget_driver(b);
	fair_lock_release(&b->dev.lock);
	if (starts)
		worker_device_kick(&b->dev);
}

static void balloon_set_paused(void *opaque, bool paused)
{
	struct virtio_balloon *b = opaque;

	fair_lock_take(&b->dev.lock);
	b->paused = paused;
	fair_lock_release(&b->dev.lock);
	if (!paused)
		worker_device_kick(&b->dev);
}

/* ---- the worker */

static bool balloon_turn(struct worker_device *dev)
{
	return worker_device_wait(dev, dev->kick_efd, balloon_serve((struct virtio_balloon *)dev));
}

/* ---- life */

static int balloon_destroy(void *opaque)
{
	struct virtio_balloon *b = opaque;

	worker_device_fini(&b->dev);
	balloon_memory_fini(&b->memory);
	free(b);
	return 0;
}

static const struct virtio_device_ops balloon_ops = {
	.model = MODEL,
	.device_id = VIRTIO_ID_BALLOON,
	.class_code = 0x00ff00, /* unclassified, as QEMU has it */
	.config_size = CONFIG_SIZE,
	.config_changes = true, /* the target */
	.read = balloon_read,
	.set_status = balloon_set_status,
	.config_write = balloon_config_write,
	.set_paused = balloon_set_paused,
	.destroy = balloon_destroy,
	WORKER_DEVICE_OPS,
};

static uint64_t offered(const struct virtio_balloon *b, const struct virtio_balloon_options *opts)
{
	uint64_t features = virtio_ring_features(opts->no_event_idx, opts->no_indirect_desc, opts->no_ring_reset) |
	                    BIT(BALLOON_F_STATS_VQ);
	const struct {
		unsigned bit;
		bool on;
	} rest[] = {
		{ BALLOON_F_MUST_TELL_HOST, balloon_memory_is_huge(&b->memory) },
		{ BALLOON_F_DEFLATE_ON_OOM, opts->deflate_on_oom },
		{ BALLOON_F_PAGE_POISON, opts->page_poison },
		{ BALLOON_F_REPORTING, opts->reporting },
	};

	for (unsigned i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
		features |= rest[i].on ? BIT(rest[i].bit) : 0;
	return features;
}

static int balloon_init(struct virtio_balloon *b, const struct virtio_balloon_options *opts)
{
	int rc = balloon_memory_init(&b->memory, opts->regions, opts->nregions);
	int rc_dev = worker_device_init(&b->dev, opts->pci.id ? opts->pci.id : MODEL,
	                                &(struct worker_device_options) {
						.kind = "balloon",
						.turn = balloon_turn,
						.mem = opts->mem,
						.features = offered(b, opts),
						.queues = b->queues,
						.nqueues = opts->reporting ? BALLOON_QUEUES : BALLOON_REPORTS,
						.queue_size_max = BALLOON_QUEUE_SIZE_MAX,
					});

	return rc ? rc : rc_dev;
}

int virtio_balloon_create(const struct virtio_balloon_options *opts, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_balloon *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return error_set(err, -ENOMEM, MODEL ": %s", strerror(ENOMEM));
	b->actual_changed = opts->actual_changed;
	b->owner = opts->owner;
	memset(b->stats.vals, 0xff, sizeof(b->stats.vals));
	b->stats_interval_s = opts->stats_interval_s;
	b->stats_due_ms = opts->stats_interval_s ? monotonic_ms() : 0;
	rc = balloon_init(b, opts);
	if (rc) {
		balloon_destroy(b);
		return error_set(err, rc, MODEL ": %s", strerror(-rc));
	}
	return worker_device_plug(&b->dev, &opts->pci, &balloon_ops, out, err);
}

/* ---- for the machine ----------------------------------------------------------------------------------- */

static struct virtio_balloon *balloon_of(const struct virtio_pci *vp)
{
	return virtio_pci_device(vp, &balloon_ops);
}

void virtio_balloon_set_target(struct virtio_pci *vp, uint32_t npages)
{
	struct virtio_balloon *b = balloon_of(vp);

	fair_lock_take(&b->dev.lock);
	b->target_pages = npages;
	virtio_config_changed(&b->dev.virtio);
	virtio_pci_config_changed(vp);
	fair_lock_release(&b->dev.lock);
}

uint32_t virtio_balloon_actual(const struct virtio_pci *vp)
{
	struct virtio_balloon *b = balloon_of(vp);
	uint32_t npages;

	fair_lock_take(&b->dev.lock);
	npages = b->actual_pages;
	fair_lock_release(&b->dev.lock);
	return npages;
}

struct virtio_balloon_stats virtio_balloon_stats(const struct virtio_pci *vp)
{
	struct virtio_balloon *b = balloon_of(vp);
	struct virtio_balloon_stats stats;

	fair_lock_take(&b->dev.lock);
	stats = b->stats;
	fair_lock_release(&b->dev.lock);
	return stats;
}

uint32_t virtio_balloon_stats_interval(const struct virtio_pci *vp)
{
	struct virtio_balloon *b = balloon_of(vp);
	uint32_t interval_s;

	fair_lock_take(&b->dev.lock);
	interval_s = b->stats_interval_s;
	fair_lock_release(&b->dev.lock);
	return interval_s;
}

void virtio_balloon_set_stats_interval(struct virtio_pci *vp, uint32_t interval_s)
{
	struct virtio_balloon *b = balloon_of(vp);

	fair_lock_take(&b->dev.lock);
	b->stats_interval_s = interval_s;
	/* The guest is asked at once, or no more. */
	b->stats_due_ms = interval_s > 0 ? monotonic_ms() : 0;
	fair_lock_release(&b->dev.lock);
	worker_device_kick(&b->dev);
}
