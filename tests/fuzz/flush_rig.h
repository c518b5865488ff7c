// SPDX-License-Identifier: Apache-2.0
/*
 * flush_rig.h - the device without its worker, guest memory between guard pages, and an oracle that watches
 * the flush path: the targets virtq_flush and virtq_race.
 *
 * Guest memory is three areas that an off-by-one would confuse: 16 KiB, 4 KiB that follow it in the guest's
 * address space but not in ours, and the last 4 KiB before 2^64. A page that faults lies on either side of each.
 *
 * The oracle stands between pmem.c and virtq.c (linker option --wrap). It says a second time, from the guest's
 * side, what a chain is worth, and checks: chains are answered once, in order, in the batch in which they were
 * taken; the status is 0 exactly for a flush in due form after a sync that began after the chain was taken and
 * succeeded, else -1; used.len is the number of bytes written.
 */
#ifndef PMVM_FLUSH_RIG_H
#define PMVM_FLUSH_RIG_H

#include "pmem.h"
#include "fuzz.h"

#include <stdbool.h>

#define RIG_LOW_GPA UINT64_C(0x1000)
#define RIG_LOW_SIZE UINT64_C(0x4000)
#define RIG_NEXT_GPA (RIG_LOW_GPA + RIG_LOW_SIZE)
#define RIG_PAGE UINT64_C(0x1000)
#define RIG_TOP_GPA (UINT64_MAX - RIG_PAGE + 1)
#define RIG_RAM_SIZE (RIG_LOW_SIZE + 2 * RIG_PAGE)

#define RIG_OFFERED                                                                          \
	(UINT64_C(1) << VIRTIO_PMEM_F_SHMEM_REGION | UINT64_C(1) << VIRTIO_F_INDIRECT_DESC | \
	 UINT64_C(1) << VIRTIO_F_EVENT_IDX | UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VIRTIO_F_RING_RESET)

/* Where flush_guest_restart puts things; all within the first area. */
#define RIG_DESC_GPA RIG_LOW_GPA
#define RIG_AVAIL_GPA UINT64_C(0x1800)
#define RIG_USED_GPA UINT64_C(0x1a00)
#define RIG_TABLE_GPA UINT64_C(0x2000)
#define RIG_DATA_GPA UINT64_C(0x3000)

/* What the guest does while a sync is under way. */
enum rig_during_sync { RIG_NOTHING, RIG_DEVICE_RESET, RIG_QUEUE_RESET, RIG_RESTART, RIG_SET_ERROR, RIG_DURING_SYNCS };
/* What ends the wait of a batch whose sync failed (hold_on_error). */
enum rig_while_held { RIG_CLEAR_AND_RELEASE, RIG_RELEASE, RIG_RESET_HELD, RIG_WHILE_HELDS };

struct flush_rig {
	struct vpmem_device dev;
	bool exact;  /* nobody else writes guest memory: the oracle knows what every chain is */
	int sync_rc; /* of the next syncs */
	enum rig_during_sync during_sync;
	enum rig_while_held while_held;
	unsigned ninterrupts, nfaults;
	/* Called around pmem_serve_queue; may be NULL. */
	void (*serve_begins)(struct flush_rig *rig);
	void (*serve_ends)(struct flush_rig *rig);
};

/* A new device and zeroed guest memory; the memory itself is made once. */
void flush_rig_start(struct flush_rig *rig, bool exact);
void flush_rig_end(struct flush_rig *rig);

/* flush_guest.c: one operation of the guest, the driver or the host, as the input says. */
void flush_rig_step(struct flush_rig *rig, struct input *in);
/* Serves the queue and checks what changed. */
void flush_rig_serve(struct flush_rig *rig);

/* All of [gpa, gpa + len) in one area, else NULL: not by way of gmem.c. */
uint8_t *flush_rig_ram(uint64_t gpa, uint64_t len);
/* The n-th byte of guest memory, over all areas; n < RIG_RAM_SIZE. */
uint8_t *flush_rig_byte(unsigned n);

/* Stores that lie in memory; the others are dropped. */
void flush_rig_store(uint64_t gpa, uint64_t val, unsigned width);
/* Zeroes the first area. */
void flush_rig_clear(void);

/* flush_guest.c: up to DRIVER_OK, with all that is offered of these features; and a flush in due form. */
void flush_guest_restart(struct flush_rig *rig, uint32_t features, uint16_t size);
void flush_guest_put_flush(struct flush_rig *rig, unsigned slot, bool indirect);

/* flush_oracle.c */
void oracle_start(struct flush_rig *rig);
void oracle_sync_done(int rc);
/* A reset: what was taken is forgotten. */
void oracle_forget(void);

#endif
