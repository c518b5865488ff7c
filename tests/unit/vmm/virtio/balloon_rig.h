// SPDX-License-Identifier: Apache-2.0
/*
 * balloon_rig.h - the balloon device without transport and thread: a test calls the worker's function itself, builds the
 * rings in guest memory, owns the clock, and sees what would go back to the host, which keeps it.
 */
#ifndef BALLOON_RIG_H
#define BALLOON_RIG_H

#include "virtio_balloon_internal.h"

/* Memory of small pages, with the rings of the four queues. */
#define RIG_RAM_GPA UINT64_C(0x100000)
#define RIG_RAM_SIZE 0x100000u
#define RIG_QUEUE_SIZE 64u
#define RIG_RING(queue) (RIG_RAM_GPA + 0x4000 * (queue))
#define RIG_DESC(queue) RIG_RING(queue)
#define RIG_AVAIL(queue) (RIG_RING(queue) + 0x1000)
#define RIG_USED(queue) (RIG_RING(queue) + 0x2000)
#define RIG_DATA (RIG_RAM_GPA + 0x10000)

/* Memory of huge pages, far above it. */
#define RIG_HUGE_GPA UINT64_C(0x40000000)
#define RIG_HUGE_PAGE (UINT64_C(2) << 20)
#define RIG_HUGE_SIZE (4 * RIG_HUGE_PAGE)
#define RIG_HUGE_FD 1000 /* nobody has it */
#define RIG_HUGE_FD_OFF RIG_HUGE_PAGE
#define RIG_HUGE_PFN ((uint32_t)(RIG_HUGE_GPA >> 12))
#define RIG_PFN(gpa) ((uint32_t)((gpa) >> 12))

#define RIG_NEXT 1u
#define RIG_WRITE 2u

#define RIG_RETURNS_MAX 4096u

struct balloon_rig {
	struct virtio_balloon b;
	struct gmem mem;
	uint8_t *ram, *huge;
	uint16_t avail_idx[BALLOON_QUEUES], used_idx[BALLOON_QUEUES]; /* the driver's */
	unsigned ninterrupts[BALLOON_QUEUES], nconfig_interrupts;
	uint64_t now_ms;
	/* What would have gone back: as guest-physical addresses. */
	struct {
		uint64_t gpa, size;
		bool reported; /* a range, not pages that were given */
	} returns[RIG_RETURNS_MAX];
	unsigned nreturns;
	int return_error; /* errno of the next ones; 0: they succeed */
	unsigned nturns;  /* holds of the lock by the worker */
	struct {
		unsigned ncalls;
		uint64_t size;
	} turn, turn_max; /* what went to the host in the present hold, and the most of one */
};
extern struct balloon_rig *balloon_rig;

/* A device in its reset state. With `huge`, there is memory of huge pages. */
void balloon_rig_init(struct balloon_rig *rig, bool huge);
void balloon_rig_fini(struct balloon_rig *rig);
/* What a driver does up to DRIVER_OK, with these features of the device; again after a reset. */
void balloon_rig_start(struct balloon_rig *rig, uint32_t features);
void balloon_rig_reset(struct balloon_rig *rig);

uint8_t *balloon_rig_hva(struct balloon_rig *rig, uint64_t gpa);
void balloon_rig_desc(struct balloon_rig *rig, unsigned queue, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags,
                      unsigned next);
void balloon_rig_offer(struct balloon_rig *rig, unsigned queue, uint16_t head);
/* Offers an array of n pages from this one on, one buffer, in descriptor `head`. */
void balloon_rig_pages(struct balloon_rig *rig, unsigned queue, uint16_t head, uint32_t pfn, unsigned n, int step);
/* Offers one range. */
void balloon_rig_range(struct balloon_rig *rig, uint16_t head, uint64_t gpa, uint32_t len);
/* Whether there is a next used entry of the queue; its head. */
bool balloon_rig_used(struct balloon_rig *rig, unsigned queue, uint16_t *head);

#endif
