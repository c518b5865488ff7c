// SPDX-License-Identifier: Apache-2.0
// The balloon device without transport and thread.
#include "balloon_rig.h"

#include "monotonic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BIT(n) (UINT64_C(1) << (n))

struct balloon_rig *balloon_rig;

// ---- what lies below

void virtio_pci_queue_interrupt(struct virtio_pci *vp, uint16_t queue_idx)
{
	(void)vp;
	balloon_rig->ninterrupts[queue_idx]++;
}

uint64_t monotonic_ms(void)
{
	return balloon_rig->now_ms;
}

void __real_fair_lock_worker_take(struct fair_lock *lock);
void __wrap_fair_lock_worker_take(struct fair_lock *lock);
void __wrap_fair_lock_worker_take(struct fair_lock *lock)
{
	balloon_rig->nturns++;
	memset(&balloon_rig->turn, 0, sizeof(balloon_rig->turn));
	__real_fair_lock_worker_take(lock);
}

static int returned(uint64_t gpa, uint64_t size)
{
	struct balloon_rig *rig = balloon_rig;
	unsigned idx = rig->nreturns % RIG_RETURNS_MAX;

	rig->turn.ncalls++;
	rig->turn.size += size;
	if (rig->turn.ncalls > rig->turn_max.ncalls)
		rig->turn_max.ncalls = rig->turn.ncalls;
	if (rig->turn.size > rig->turn_max.size)
		rig->turn_max.size = rig->turn.size;
	if (rig->return_error) {
		errno = rig->return_error;
		return -1;
	}
	rig->returns[idx].gpa = gpa;
	rig->returns[idx].size = size;
	rig->returns[idx].reported = rig->b.request.queue_idx == BALLOON_REPORTS;
	rig->nreturns++;
	return 0;
}

int __real_madvise(void *addr, size_t size, int advice);
int __wrap_madvise(void *addr, size_t size, int advice);
int __wrap_madvise(void *addr, size_t size, int advice)
{
	uint64_t off = (uint64_t)((uint8_t *)addr - balloon_rig->ram);

	if (advice != MADV_DONTNEED || off >= RIG_RAM_SIZE)
		return __real_madvise(addr, size, advice);
	return returned(RIG_RAM_GPA + off, size);
}

int __wrap_fallocate64(int fd, int mode, off_t off, off_t size);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t size)
{
	if (fd != RIG_HUGE_FD || mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		abort();
	return returned(RIG_HUGE_GPA + (uint64_t)off - RIG_HUGE_FD_OFF, (uint64_t)size);
}

static void on_config_interrupt(void *opaque)
{
	((struct balloon_rig *)opaque)->nconfig_interrupts++;
}

// ---- the device

static uint8_t *map(uint64_t size)
{
	void *hva = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (hva == MAP_FAILED)
		abort();
	return hva;
}

void balloon_rig_init(struct balloon_rig *rig, bool huge)
{
	const struct virtio_config cfg = {
		.mem = &rig->mem,
		.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_RING_RESET) |
		            BIT(BALLOON_F_MUST_TELL_HOST) | BIT(BALLOON_F_STATS_VQ) | BIT(BALLOON_F_PAGE_POISON) |
		            BIT(BALLOON_F_REPORTING),
		.queues = rig->b.queues,
		.nqueues = BALLOON_QUEUES,
		.queue_size_max = BALLOON_QUEUE_SIZE_MAX,
		.callbacks = { .config_interrupt = on_config_interrupt, .opaque = rig },
	};
	struct balloon_region regions[2];

	memset(rig, 0, sizeof(*rig));
	balloon_rig = rig;
	rig->now_ms = 1000;
	rig->ram = map(RIG_RAM_SIZE);
	rig->huge = map(RIG_HUGE_SIZE);
	gmem_init(&rig->mem);
	(void)!gmem_add(&rig->mem, RIG_RAM_GPA, RIG_RAM_SIZE, rig->ram);
	(void)!gmem_add(&rig->mem, RIG_HUGE_GPA, RIG_HUGE_SIZE, rig->huge);
	regions[0] = (struct balloon_region) {
		.gpa = RIG_RAM_GPA, .size = RIG_RAM_SIZE, .hva = rig->ram, .page_size = BALLOON_PAGE_SIZE, .fd = -1
	};
	regions[1] = (struct balloon_region) { .gpa = RIG_HUGE_GPA,
		                               .size = RIG_HUGE_SIZE,
		                               .hva = rig->huge,
		                               .page_size = RIG_HUGE_PAGE,
		                               .fd = RIG_HUGE_FD,
		                               .fd_off = RIG_HUGE_FD_OFF };
	if (balloon_memory_init(&rig->b.memory, regions, huge ? 2 : 1) < 0)
		abort();
	fair_lock_init(&rig->b.dev.lock);
	virtio_init(&rig->b.dev.virtio, &cfg);
	rig->b.dev.name = (char *)"b0";
}

void balloon_rig_fini(struct balloon_rig *rig)
{
	balloon_memory_fini(&rig->b.memory);
	fair_lock_destroy(&rig->b.dev.lock);
	munmap(rig->ram, RIG_RAM_SIZE);
	munmap(rig->huge, RIG_HUGE_SIZE);
}

void balloon_rig_start(struct balloon_rig *rig, uint32_t features)
{
	struct virtio *v = &rig->b.dev.virtio;
	uint8_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	virtio_set_status(v, status);
	// Without EVENT_IDX, an interrupt follows each answer.
	virtio_set_driver_features(v, 0, features | UINT32_C(1) << VIRTIO_F_INDIRECT_DESC);
	virtio_set_driver_features(v, 1, 1u | UINT32_C(1) << (VIRTIO_F_RING_RESET - 32));
	status |= VIRTIO_STATUS_FEATURES_OK;
	virtio_set_status(v, status);
	for (uint16_t i = 0; i < BALLOON_QUEUES; i++) {
		const struct virtq_regs regs = { .size = RIG_QUEUE_SIZE,
			                         .desc_gpa = RIG_DESC(i),
			                         .driver_gpa = RIG_AVAIL(i),
			                         .device_gpa = RIG_USED(i) };

		memset(balloon_rig_hva(rig, RIG_RING(i)), 0, 0x4000);
		rig->avail_idx[i] = rig->used_idx[i] = 0;
		virtio_queue_set(v, i, &regs);
		virtio_queue_enable(v, i);
	}
	virtio_set_status(v, status | VIRTIO_STATUS_DRIVER_OK);
}

void balloon_rig_reset(struct balloon_rig *rig)
{
	virtio_set_status(&rig->b.dev.virtio, 0);
	rig->b.poison_val = 0;
	balloon_memory_reset(&rig->b.memory);
}

// ---- the driver

uint8_t *balloon_rig_hva(struct balloon_rig *rig, uint64_t gpa)
{
	return rig->ram + (gpa - RIG_RAM_GPA);
}

static void put(struct balloon_rig *rig, uint64_t gpa, uint64_t val, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		balloon_rig_hva(rig, gpa)[i] = (uint8_t)(val >> 8 * i);
}

static uint32_t get(struct balloon_rig *rig, uint64_t gpa, unsigned width)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint32_t)balloon_rig_hva(rig, gpa)[i] << 8 * i;
	return val;
}

void balloon_rig_desc(struct balloon_rig *rig, unsigned queue, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags,
                      unsigned next)
{
	uint64_t at = RIG_DESC(queue) + 16u * idx;

	put(rig, at, gpa, 8);
	put(rig, at + 8, len, 4);
	put(rig, at + 12, flags, 2);
	put(rig, at + 14, next, 2);
}

void balloon_rig_offer(struct balloon_rig *rig, unsigned queue, uint16_t head)
{
	put(rig, RIG_AVAIL(queue) + 4 + 2u * (rig->avail_idx[queue] % RIG_QUEUE_SIZE), head, 2);
	rig->avail_idx[queue]++;
	put(rig, RIG_AVAIL(queue) + 2, rig->avail_idx[queue], 2);
}

void balloon_rig_pages(struct balloon_rig *rig, unsigned queue, uint16_t head, uint32_t pfn, unsigned n, int step)
{
	uint64_t at = RIG_DATA + 0x2000u * head;

	for (unsigned i = 0; i < n; i++)
		put(rig, at + 4u * i, pfn + (uint32_t)((int)i * step), 4);
	balloon_rig_desc(rig, queue, head, at, 4 * n, 0, 0);
	balloon_rig_offer(rig, queue, head);
}

void balloon_rig_range(struct balloon_rig *rig, uint16_t head, uint64_t gpa, uint32_t len)
{
	balloon_rig_desc(rig, BALLOON_REPORTS, head, gpa, len, RIG_WRITE, 0);
	balloon_rig_offer(rig, BALLOON_REPORTS, head);
}

bool balloon_rig_used(struct balloon_rig *rig, unsigned queue, uint16_t *head)
{
	uint64_t at = RIG_USED(queue) + 4 + 8u * (rig->used_idx[queue] % RIG_QUEUE_SIZE);

	if (rig->used_idx[queue] == get(rig, RIG_USED(queue) + 2, 2))
		return false;
	rig->used_idx[queue]++;
	*head = (uint16_t)get(rig, at, 4);
	return get(rig, at + 4, 4) == 0;
}
