// SPDX-License-Identifier: Apache-2.0
/*
 * rng_rig.h - the entropy device without transport and thread: a test calls the worker's function itself, builds the rings
 * in guest memory, and owns the clock.
 */
#ifndef RNG_RIG_H
#define RNG_RIG_H

#include "virtio_rng_internal.h"

#define RIG_RAM_GPA UINT64_C(0x100000)
#define RIG_RAM_SIZE 0x12000u
#define RIG_DESC RIG_RAM_GPA
#define RIG_AVAIL (RIG_RAM_GPA + 0x1000)
#define RIG_USED (RIG_RAM_GPA + 0x2000)
#define RIG_INDIRECT (RIG_RAM_GPA + 0x3000)
#define RIG_DATA (RIG_RAM_GPA + 0x8000)

#define RIG_NEXT 1u
#define RIG_WRITE 2u
#define RIG_IS_INDIRECT 4u

struct rng_rig {
	struct virtio_rng rng;
	struct gmem mem;
	uint8_t ram[RIG_RAM_SIZE] __attribute__((aligned(4096)));
	uint16_t avail_idx, used_idx; /* the driver's */
	unsigned ninterrupts, nconfig_interrupts;
	uint64_t now_ms;
	unsigned nrandom; /* calls of getrandom; the n-th gives bytes of the value n */
};
extern struct rng_rig *rng_rig;

/* A device in its reset state, from getrandom or from the file. */
void rng_rig_init(struct rng_rig *rig, int source_fd, uint64_t max_bytes, uint32_t period_ms);
void rng_rig_fini(struct rng_rig *rig);
/* What a driver does up to DRIVER_OK, with all features; again after a reset. */
void rng_rig_start(struct rng_rig *rig);

uint8_t *rng_rig_hva(struct rng_rig *rig, uint64_t gpa);
/* A descriptor of a table, here in the queue's or elsewhere. */
void rng_rig_desc(struct rng_rig *rig, uint64_t table_gpa, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags,
                  unsigned next);
void rng_rig_offer(struct rng_rig *rig, uint16_t head);
/* Offers a request of one writable buffer in this descriptor, at RIG_DATA + 0x1000 * head. */
void rng_rig_request(struct rng_rig *rig, uint16_t head, uint32_t len);
/* The length of the next used entry, or -1: there is none. */
int64_t rng_rig_used(struct rng_rig *rig, uint16_t *head);
/* rng_serve. */
enum rng_wait rng_rig_serve(struct rng_rig *rig, int *timeout_ms);

#endif
