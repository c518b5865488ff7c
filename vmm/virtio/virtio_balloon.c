// SPDX-License-Identifier: Apache-2.0
// virtio-balloon-pci: the registers of the balloon device, its worker, its life.
#include "virtio_balloon.h"

#include "error.h"
#include "log.h"
#include "monotonic.h"
#include "virtio_balloon_internal.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MODEL "virtio-balloon-pci"
#define WORKER_STACK_SIZE (64u << 10)

/* The configuration: four le32. */
#define CONFIG_SIZE 16u
#define CONFIG_TARGET 0u
#define CONFIG_ACTUAL 4u
#define CONFIG_POISON 12u

#define BIT(n) (UINT64_C(1) << (n))

/* ---- registers --------------------------------------------------------------------------------------- */

static unsigned balloon_nqueues(const void *opaque)
{
	return ((const struct virtio_balloon *)opaque)->nqueues;
}

static void store_le32(uint8_t *at, uint32_t val)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(val >> 8 * i);
}

static void balloon_read(void *opaque, const struct virtio_select *select, struct virtio_registers *out)
{
	struct virtio_balloon *b = opaque;

	fair_lock_take(&b->lock);
	out->features = virtio_features(&b->virtio, select->device_feature_word);
	out->driver_features = virtio_driver_features(&b->virtio, select->driver_feature_word);
	out->queue = virtio_queue_get(&b->virtio, select->queue_idx);
	store_le32(out->config + CONFIG_TARGET, b->target_pages);
	store_le32(out->config + CONFIG_ACTUAL, b->actual_pages);
	store_le32(out->config + CONFIG_POISON, b->poison_val);
	fair_lock_release(&b->lock);
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

	fair_lock_take(&b->lock);
	before = b->actual_pages;
	for (uint32_t i = 0; i < len; i++) {
		set_byte(&b->actual_pages, CONFIG_ACTUAL, off + i, bytes[i]);
		if (virtio_has_feature(&b->virtio, BALLOON_F_PAGE_POISON))
			set_byte(&b->poison_val, CONFIG_POISON, off + i, bytes[i]);
	}
	changed = b->actual_pages != before;
	fair_lock_release(&b->lock);
	if (changed)
		b->actual_changed(b->owner);
}

static uint8_t balloon_status(const void *opaque)
{
	return virtio_status(&((const struct virtio_balloon *)opaque)->virtio);
}

static uint8_t balloon_config_generation(const void *opaque)
{
	return virtio_config_generation(&((const struct virtio_balloon *)opaque)->virtio);
}

static void balloon_set_driver_features(void *opaque, uint32_t word, uint32_t bits)
{
	struct virtio_balloon *b = opaque;

	fair_lock_take(&b->lock);
	virtio_set_driver_features(&b->virtio, word, bits);
	fair_lock_release(&b->lock);
}

static void signal_efd(int efd)
{
	const uint64_t one = 1;

	// Cannot block: nobody can write 2^64 times before the worker reads.
	while (write(efd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void balloon_queue_kick(void *opaque, uint16_t queue_idx)
{
	(void)queue_idx;
	signal_efd(((struct virtio_balloon *)opaque)->kick_efd);
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

	fair_lock_take(&b->lock);
	starts = virtio_set_status(&b->virtio, status);
	if (status == 0)
		forget_driver(b);
	fair_lock_release(&b->lock);
	if (starts)
		signal_efd(b->kick_efd);
}

static void balloon_queue_set(void *opaque, uint16_t queue_idx, const struct virtq_regs *regs)
{
	struct virtio_balloon *b = opaque;

	fair_lock_take(&b->lock);
	virtio_queue_set(&b->virtio, queue_idx, regs);
	fair_lock_release(&b->lock);
}

static void balloon_queue_enable(void *opaque, uint16_t queue_idx)
{
	struct virtio_balloon *b = opaque;
	bool starts;

	fair_lock_take(&b->lock);
	starts = virtio_queue_enable(&b->virtio, queue_idx);
	fair_lock_release(&b->lock);
	if (starts)
		signal_efd(b->kick_efd);
}

static void balloon_queue_reset(void *opaque, uint16_t queue_idx)
{
	struct virtio_balloon *b = opaque;

	fair_lock_take(&b->lock);
	virtio_queue_reset(&b->virtio, queue_idx);
	fair_lock_release(&b->lock);
}

/* One for all queues: the worker looks at each. */
static int balloon_queue_kick_efd(const void *opaque, uint16_t queue_idx)
{
	(void)queue_idx;
	return ((const struct virtio_balloon *)opaque)->kick_efd;
}

static void balloon_set_paused(void *opaque, bool paused)
{
	struct virtio_balloon *b = opaque;

	fair_lock_take(&b->lock);
	b->paused = paused;
	fair_lock_release(&b->lock);
	if (!paused)
		signal_efd(b->kick_efd);
}

/* ---- the worker -------------------------------------------------------------------------------------- */

/* Returns false when the device ends. */
static bool wait_for_kick(const struct virtio_balloon *b, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = b->stop_efd, .events = POLLIN }, { .fd = b->kick_efd, .events = POLLIN } };
	uint64_t nkicks;

	(void)poll(fds, 2, timeout_ms);
	/* How many there were does not matter: an extra check is harmless. */
	if (fds[1].revents)
		(void)!read(b->kick_efd, &nkicks, sizeof(nkicks));
	return fds[0].revents == 0;
}

static void *worker_main(void *opaque)
{
	struct virtio_balloon *b = opaque;
	char name[16];

	/* For lists of threads; truncated to what the kernel keeps. */
	snprintf(name, sizeof(name), "balloon/%s", b->name);
	pthread_setname_np(pthread_self(), name);
	while (wait_for_kick(b, balloon_serve(b)))
		;
	return NULL;
}

/* Signals are blocked, as in the thread that creates this one. */
static int start_worker(struct virtio_balloon *b)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc)
		return -rc;
	rc = pthread_attr_setstacksize(&attr, WORKER_STACK_SIZE);
	if (rc == 0)
		rc = pthread_create(&b->worker, &attr, worker_main, b);
	pthread_attr_destroy(&attr);
	return -rc;
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void balloon_free(struct virtio_balloon *b)
{
	if (b->kick_efd >= 0)
		close(b->kick_efd);
	if (b->stop_efd >= 0)
		close(b->stop_efd);
	balloon_memory_fini(&b->memory);
	fair_lock_destroy(&b->lock);
	free(b->name);
	free(b);
}

static int balloon_destroy(void *opaque)
{
	struct virtio_balloon *b = opaque;

	fair_lock_take(&b->lock);
	virtio_reset(&b->virtio);
	fair_lock_release(&b->lock);
	signal_efd(b->stop_efd);
	pthread_join(b->worker, NULL);
	balloon_free(b);
	return 0;
}

static const struct virtio_device_ops balloon_ops = {
	.model = MODEL,
	.device_id = VIRTIO_ID_BALLOON,
	.class_code = 0x00ff00, /* unclassified, as QEMU has it */
	.config_size = CONFIG_SIZE,
	.config_changes = true, /* the target */
	.nqueues = balloon_nqueues,
	.read = balloon_read,
	.status = balloon_status,
	.config_generation = balloon_config_generation,
	.set_driver_features = balloon_set_driver_features,
	.set_status = balloon_set_status,
	.config_write = balloon_config_write,
	.queue_set = balloon_queue_set,
	.queue_enable = balloon_queue_enable,
	.queue_reset = balloon_queue_reset,
	.queue_kick = balloon_queue_kick,
	.queue_kick_efd = balloon_queue_kick_efd,
	.set_paused = balloon_set_paused,
	.destroy = balloon_destroy,
};

static void on_config_interrupt(void *opaque)
{
	virtio_pci_config_interrupt(((struct virtio_balloon *)opaque)->pci);
}

static void on_guest_fault(void *opaque, const char *what)
{
	log_guest("%s: guest fault, device needs reset: %s", ((struct virtio_balloon *)opaque)->name, what);
}

static uint64_t offered(const struct virtio_balloon *b, const struct virtio_balloon_options *opts)
{
	uint64_t features = BIT(VIRTIO_F_VERSION_1) | BIT(BALLOON_F_STATS_VQ);
	const struct {
		unsigned bit;
		bool on;
	} rest[] = {
		{ VIRTIO_F_EVENT_IDX, !opts->no_event_idx },
		{ VIRTIO_F_INDIRECT_DESC, !opts->no_indirect_desc },
		{ VIRTIO_F_RING_RESET, !opts->no_ring_reset },
		{ BALLOON_F_MUST_TELL_HOST, balloon_memory_is_huge(&b->memory) },
		{ BALLOON_F_DEFLATE_ON_OOM, opts->deflate_on_oom },
		{ BALLOON_F_PAGE_POISON, opts->page_poison },
		{ BALLOON_F_REPORTING, opts->reporting },
	};

	for (unsigned i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
		features |= rest[i].on ? BIT(rest[i].bit) : 0;
	return features;
}

static void init_virtio(struct virtio_balloon *b, const struct virtio_balloon_options *opts)
{
	const struct virtio_config cfg = {
		.mem = opts->mem,
		.features = offered(b, opts),
		.queues = b->queues,
		.nqueues = b->nqueues,
		.queue_size_max = BALLOON_QUEUE_SIZE_MAX,
		.callbacks = { .config_interrupt = on_config_interrupt, .guest_fault = on_guest_fault, .opaque = b },
	};

	virtio_init(&b->virtio, &cfg);
}

static int open_fds(struct virtio_balloon *b)
{
	b->kick_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->stop_efd = b->kick_efd < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
	return b->stop_efd < 0 ? -errno : 0;
}

/* The device without its worker. */
static int balloon_alloc(const struct virtio_balloon_options *opts, struct virtio_balloon **out)
{
	struct virtio_balloon *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return -ENOMEM;
	b->kick_efd = b->stop_efd = -1;
	b->nqueues = opts->reporting ? BALLOON_QUEUES : BALLOON_REPORTS;
	b->actual_changed = opts->actual_changed;
	b->owner = opts->owner;
	memset(b->stats.vals, 0xff, sizeof(b->stats.vals));
	b->stats_interval_s = opts->stats_interval_s;
	b->stats_due_ms = opts->stats_interval_s ? monotonic_ms() : 0;
	fair_lock_init(&b->lock);
	rc = balloon_memory_init(&b->memory, opts->regions, opts->nregions);
	init_virtio(b, opts);
	b->name = strdup(opts->pci.id ? opts->pci.id : MODEL);
	if (rc == 0)
		rc = b->name ? open_fds(b) : -ENOMEM;
	if (rc)
		balloon_free(b);
	else
		*out = b;
	return rc;
}

int virtio_balloon_create(const struct virtio_balloon_options *opts, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pci_config pci = opts->pci;
	struct virtio_balloon *b;
	int rc = balloon_alloc(opts, &b);

	if (rc)
		return error_set(err, rc, MODEL ": %s", strerror(-rc));
	rc = start_worker(b);
	if (rc) {
		balloon_free(b);
		return error_set(err, rc, MODEL ": cannot start a thread: %s", strerror(-rc));
	}
	pci.ops = &balloon_ops;
	pci.device = b;
	/* No interrupt before the driver has come, which is after the transport has set b->pci. */
	rc = virtio_pci_create(&pci, &b->pci, err);
	if (rc)
		balloon_destroy(b);
	else
		*out = b->pci;
	return rc;
}

/* ---- for the machine ----------------------------------------------------------------------------------- */

static struct virtio_balloon *balloon_of(const struct virtio_pci *vp)
{
	return virtio_pci_device(vp, &balloon_ops);
}

void virtio_balloon_set_target(struct virtio_pci *vp, uint32_t npages)
{
	struct virtio_balloon *b = balloon_of(vp);

	fair_lock_take(&b->lock);
	b->target_pages = npages;
	virtio_config_changed(&b->virtio);
	virtio_pci_config_changed(vp);
	fair_lock_release(&b->lock);
}

uint32_t virtio_balloon_actual(const struct virtio_pci *vp)
{
	struct virtio_balloon *b = balloon_of(vp);
	uint32_t npages;

	fair_lock_take(&b->lock);
	npages = b->actual_pages;
	fair_lock_release(&b->lock);
	return npages;
}

struct virtio_balloon_stats virtio_balloon_stats(const struct virtio_pci *vp)
{
	struct virtio_balloon *b = balloon_of(vp);
	struct virtio_balloon_stats stats;

	fair_lock_take(&b->lock);
	stats = b->stats;
	fair_lock_release(&b->lock);
	return stats;
}

uint32_t virtio_balloon_stats_interval(const struct virtio_pci *vp)
{
	struct virtio_balloon *b = balloon_of(vp);
	uint32_t interval_s;

	fair_lock_take(&b->lock);
	interval_s = b->stats_interval_s;
	fair_lock_release(&b->lock);
	return interval_s;
}

void virtio_balloon_set_stats_interval(struct virtio_pci *vp, uint32_t interval_s)
{
	struct virtio_balloon *b = balloon_of(vp);

	fair_lock_take(&b->lock);
	b->stats_interval_s = interval_s;
	/* The guest is asked at once, or no more. */
	b->stats_due_ms = interval_s > 0 ? monotonic_ms() : 0;
	fair_lock_release(&b->lock);
	signal_efd(b->kick_efd);
}
