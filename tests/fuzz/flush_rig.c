// SPDX-License-Identifier: Apache-2.0
// The device without its worker, on guest memory between guard pages, and what serving its queue may change.
#include "flush_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define RIG_CHUNK 256u

struct vpmem_backing {
	struct flush_rig *rig;
};

static struct area {
	uint64_t gpa, size;
	uint8_t *hva;
} areas[] = {
	{ RIG_LOW_GPA, RIG_LOW_SIZE, NULL },
	{ RIG_NEXT_GPA, RIG_PAGE, NULL },
	{ RIG_TOP_GPA, RIG_PAGE, NULL },
};
#define NAREAS (sizeof(areas) / sizeof(areas[0]))

static struct gmem mem;
static int kick_efd;
static uint8_t before[RIG_RAM_SIZE];
static struct flush_rig *serving;

/* ---- guest memory ----------------------------------------------------------------------------------- */

uint8_t *flush_rig_ram(uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < NAREAS; i++)
		if (gpa >= areas[i].gpa && gpa - areas[i].gpa < areas[i].size && len > 0 &&
		    len <= areas[i].size - (gpa - areas[i].gpa))
			return areas[i].hva + (gpa - areas[i].gpa);
	return NULL;
}

uint8_t *flush_rig_byte(unsigned n)
{
	for (unsigned i = 0; i < NAREAS; n -= (unsigned)areas[i].size, i++)
		if (n < areas[i].size)
			return areas[i].hva + n;
	abort();
}

static void make_memory(void)
{
	gmem_init(&mem);
	for (unsigned i = 0; i < NAREAS; i++) {
		uint8_t *map = mmap(NULL, areas[i].size + 2 * RIG_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(map != MAP_FAILED);
		areas[i].hva = map + RIG_PAGE;
		CHECK(mprotect(areas[i].hva, areas[i].size, PROT_READ | PROT_WRITE) == 0);
		CHECK(gmem_add(&mem, areas[i].gpa, areas[i].size, areas[i].hva) == 0);
	}
	kick_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(kick_efd >= 0);
}

void flush_rig_store(uint64_t gpa, uint64_t val, unsigned width)
{
	uint8_t *hva = flush_rig_ram(gpa, width);

	for (unsigned i = 0; hva && i < width; i++)
		__atomic_store_n(hva + i, (uint8_t)(val >> (8 * i)), __ATOMIC_RELAXED);
}

static void zero(struct area *area)
{
	for (uint64_t off = 0; off < area->size; off += 8)
		__atomic_store_n((uint64_t *)(void *)(area->hva + off), 0, __ATOMIC_RELAXED);
}

void flush_rig_clear(void)
{
	zero(&areas[0]);
}

/* ---- host ------------------------------------------------------------------------------------------- */

static void on_interrupt(void *opaque, enum vpmem_interrupt source)
{
	struct flush_rig *rig = opaque;

	CHECK(source == VPMEM_INTERRUPT_QUEUE || source == VPMEM_INTERRUPT_CONFIG);
	rig->ninterrupts++;
}

static void on_event(void *opaque, enum vpmem_event event, int error, const char *text)
{
	struct flush_rig *rig = opaque;

	CHECK(text[0] != '\0');
	CHECK(event == VPMEM_EVENT_SYNC_FAILED ? error < 0 : error == 0);
	rig->nfaults += event == VPMEM_EVENT_GUEST_FAULT;
}

int vpmem_backing_sync(struct vpmem_backing *b)
{
	struct flush_rig *rig = b->rig;
	int rc = rig->sync_rc;

	/* "No request is answered without one": after a failure there is none until somebody clears it. */
	CHECK(rig->dev.error == 0);
	oracle_sync_done(rc);
	if (rig->during_sync == RIG_NOTHING)
		return rc;
	if (rig->during_sync == RIG_QUEUE_RESET && virtio_has_feature(&rig->dev.virtio, VIRTIO_F_RING_RESET)) {
		vpmem_queue_reset(&rig->dev, 0);
		oracle_forget();
	}
	if (rig->during_sync == RIG_DEVICE_RESET) {
		vpmem_device_set_status(&rig->dev, 0);
		oracle_forget();
	}
	if (rig->during_sync == RIG_SET_ERROR)
		vpmem_device_set_error(&rig->dev, -ENOSPC);
	if (rig->during_sync == RIG_RESTART) {
		flush_guest_restart(rig, UINT32_MAX, 8);
		flush_guest_put_flush(rig, 0, false);
		oracle_forget();
		rig->during_sync = RIG_NOTHING;
	}
	return rc;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock);

/* The device waits for an operator: here it is, or the driver lost patience. */
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
	struct flush_rig *rig = serving;

	CHECK(rig && cond == &rig->dev.released && lock == &rig->dev.lock.mutex && rig->dev.held && rig->dev.error);
	pthread_mutex_unlock(lock);
	if (rig->while_held == RIG_RESET_HELD) {
		vpmem_device_set_status(&rig->dev, 0);
		oracle_forget();
	} else {
		if (rig->while_held == RIG_CLEAR_AND_RELEASE) {
			(void)vpmem_device_clear_error(&rig->dev, vpmem_device_stats(&rig->dev).sync_errors);
			rig->sync_rc = 0;
		}
		vpmem_device_release(&rig->dev);
	}
	pthread_mutex_lock(lock);
	return 0;
}

uint64_t vpmem_backing_size(const struct vpmem_backing *b)
{
	(void)b;
	return VPMEM_GRANULE;
}

const char *vpmem_backing_path(const struct vpmem_backing *b)
{
	(void)b;
	return "file.img";
}

/* ---- life ------------------------------------------------------------------------------------------- */

void flush_rig_start(struct flush_rig *rig, bool exact)
{
	static struct vpmem_backing backing;
	static char name[] = "nv1";

	if (mem.nregions == 0)
		make_memory();
	for (unsigned i = 0; i < NAREAS; i++)
		zero(&areas[i]);
	memset(rig, 0, sizeof(*rig));
	rig->exact = exact;
	backing.rig = rig;
	/* As vpmem_device_create does it, but no thread. */
	rig->dev.name = name;
	rig->dev.backing = &backing;
	rig->dev.gpa = VPMEM_GRANULE;
	rig->dev.kick_efd = kick_efd;
	rig->dev.callbacks = (struct vpmem_callbacks) { .interrupt = on_interrupt, .event = on_event, .opaque = rig };
	virtio_init(&rig->dev.virtio, &(struct virtio_config) {
					      .mem = &mem,
					      .features = RIG_OFFERED,
					      .queues = rig->dev.queues,
					      .nqueues = VPMEM_QUEUE_COUNT,
					      .queue_size_max = VPMEM_QUEUE_SIZE_MAX,
					      .callbacks = pmem_virtio_callbacks(&rig->dev),
				      });
	fair_lock_init(&rig->dev.lock);
	pthread_cond_init(&rig->dev.released, NULL);
	oracle_start(rig);
}

void flush_rig_end(struct flush_rig *rig)
{
	CHECK(pthread_cond_destroy(&rig->dev.released) == 0);
	CHECK(pthread_cond_destroy(&rig->dev.lock.served) == 0);
	/* Not held by anybody any more. */
	CHECK(pthread_mutex_destroy(&rig->dev.lock.mutex) == 0);
}

/* ---- serving ---------------------------------------------------------------------------------------- */

/* Of the bytes that changed, those outside the used ring are of statuses: 0 or -1, four for each request. */
static void check_changes(const struct virtq_regs *regs, bool event_idx, uint64_t ncompleted)
{
	uint64_t used_len = 4u + 8u * regs->size + (event_idx ? 2 : 0), nchanged = 0;
	const uint8_t *used = flush_rig_ram(regs->device_gpa, used_len), *old = before;

	for (unsigned i = 0; i < NAREAS; old += areas[i].size, i++) {
		for (uint64_t off = 0; off < areas[i].size; off++) {
			const uint8_t *byte = areas[i].hva + off;

			if (off % RIG_CHUNK == 0 && memcmp(byte, old + off, RIG_CHUNK) == 0) {
				off += RIG_CHUNK - 1;
				continue;
			}
			if (*byte == old[off] || (used && byte >= used && (uint64_t)(byte - used) < used_len))
				continue;
			CHECK(*byte == 0 || *byte == 0xff);
			nchanged++;
		}
	}
	CHECK(nchanged <= ncompleted * PMEM_STATUS_LEN);
}

static void remember_memory(void)
{
	unsigned off = 0;

	for (unsigned i = 0; i < NAREAS; i++) {
		memcpy(before + off, areas[i].hva, areas[i].size);
		off += (unsigned)areas[i].size;
	}
}

static uint16_t avail_idx(const struct virtq *q)
{
	return (uint16_t)(q->avail_hva[2] | q->avail_hva[3] << 8);
}

void flush_rig_serve(struct flush_rig *rig)
{
	struct virtq *q = virtio_queue(&rig->dev.virtio, PMEM_QUEUE);
	const struct virtq old = *q;
	bool live = virtio_queue_live(&rig->dev.virtio, q);
	uint16_t old_avail_idx = live && rig->exact ? avail_idx(q) : 0;
	uint64_t ncompleted = rig->dev.stats.completed;

	if (rig->exact)
		remember_memory();
	if (rig->serve_begins)
		rig->serve_begins(rig);
	serving = rig;
	pmem_serve_queue(&rig->dev);
	serving = NULL;
	if (rig->serve_ends)
		rig->serve_ends(rig);
	ncompleted = rig->dev.stats.completed - ncompleted;
	CHECK(live || ncompleted == 0);
	if (q->generation != old.generation)
		return;
	CHECK((uint16_t)(q->used_idx - old.used_idx) == (uint16_t)ncompleted);
	CHECK(rig->dev.stats.completed <= rig->dev.stats.requests);
	CHECK(rig->dev.nbad_batches < PMEM_BAD_BATCHES_MAX ||
	      virtio_status(&rig->dev.virtio) & VIRTIO_STATUS_NEEDS_RESET);
	CHECK(rig->dev.lock.nasked == rig->dev.lock.nserved);
	if (!rig->exact)
		return;
	check_changes(&old.regs, old.event_idx, ncompleted);
	/* Unless a status was written over the index itself. */
	if (live && avail_idx(q) == old_avail_idx)
		CHECK(ncompleted <= (uint16_t)(old_avail_idx - old.avail_idx));
	if (live && (uint16_t)(old_avail_idx - old.avail_idx) > old.regs.size)
		CHECK(virtio_status(&rig->dev.virtio) & VIRTIO_STATUS_NEEDS_RESET);
}
