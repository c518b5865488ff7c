// SPDX-License-Identifier: Apache-2.0
/*
 * driver.h - a small guest for the tests: RAM with guard pages around it, rings in it, and a driver for the
 * pmem device that can also do everything wrong.
 *
 * RAM lies at GUEST_GPA, one page per thing: descriptors, available ring, used ring, indirect tables, and
 * the requests' bytes. A slot is the place of one flush request: descriptors 2n and 2n + 1, type and status
 * in the data page. A status is POISON until the device writes it.
 */
#ifndef TEST_DRIVER_H
#define TEST_DRIVER_H

#include "gmem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <vpmem.h>

#define GUEST_GPA UINT64_C(0x100000)
#define GUEST_RAM_SIZE UINT64_C(0x10000)
#define GUEST_END (GUEST_GPA + GUEST_RAM_SIZE)
#define DESC_GPA GUEST_GPA
#define AVAIL_GPA (GUEST_GPA + 0x1000)
#define USED_GPA (GUEST_GPA + 0x2000)
#define TABLE_GPA (GUEST_GPA + 0x4000)
#define DATA_GPA (GUEST_GPA + 0x8000)

#define PMEM_GPA UINT64_C(0x140000000)

#define TYPE_GPA(slot) (DATA_GPA + 8u * (slot))
#define STATUS_GPA(slot) (DATA_GPA + 8u * (slot) + 4)
#define POISON 0x5a5a5a5au

#define F_NEXT 1u
#define F_WRITE 2u
#define F_INDIRECT 4u

#define FEATURE(bit) (UINT64_C(1) << (bit))
#define FEATURE_SHMEM FEATURE(0)
#define FEATURE_INDIRECT FEATURE(28)
#define FEATURE_EVENT_IDX FEATURE(29)
#define FEATURE_VERSION_1 FEATURE(32)
#define FEATURE_RING_RESET FEATURE(40)

#define STATUS_ACK 0x01u
#define STATUS_DRIVER 0x02u
#define STATUS_DRIVER_OK 0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u
#define STATUS_RUNNING 0x0fu

/* How long a wait may last before the test fails; nothing asserts that it is short. */
#define WAIT_MS 100000

/* What the device reported to the monitor. */
struct seen {
	int irq_efd; /* counts queue interrupts */
	atomic_uint nqueue_irqs, nconfig_irqs, nguest_faults, nsync_failures;
	int error;
	char text[512];
};

struct driver {
	struct vpmem_device *dev;
	struct vpmem_gmem *gmem;
	struct gmem mem; /* the same RAM, for modules below the library */
	uint8_t *ram;    /* GUEST_RAM_SIZE bytes, a page that faults on either side */
	uint16_t size;   /* of the queue */
	bool event_idx;
	uint16_t avail_idx;  /* as published */
	uint16_t kicked_idx; /* avail_idx when a kick was last considered */
	uint16_t seen_idx;   /* used entries consumed */
	struct seen seen;
};

/* RAM and gmem only. */
void driver_ram_init(struct driver *d);
void driver_ram_free(struct driver *d);

/* RAM and a device on this backing; opts may be NULL. */
void driver_init(struct driver *d, struct vpmem_backing *backing, const struct vpmem_device_options *opts);
void driver_free(struct driver *d);

/* The callbacks that fill d->seen. */
struct vpmem_callbacks driver_callbacks(struct driver *d);

/* Reset to DRIVER_OK with these features besides VERSION_1, and this queue size. */
void driver_start(struct driver *d, uint64_t features, uint16_t size);
/* The same in steps: up to FEATURES_OK, rings set and enabled, DRIVER_OK. */
void driver_features(struct driver *d, uint64_t features);
void driver_queue(struct driver *d, uint16_t size);
void driver_ok(struct driver *d);

uint8_t *driver_hva(const struct driver *d, uint64_t gpa);
void driver_store(struct driver *d, uint64_t gpa, uint64_t val, unsigned width);
/* As one access, for what the device may read at the same time. */
void driver_store16(struct driver *d, uint64_t gpa, uint16_t val);
uint16_t driver_load16(const struct driver *d, uint64_t gpa);
uint64_t driver_load(const struct driver *d, uint64_t gpa, unsigned width);

void driver_desc(struct driver *d, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags, unsigned next);
/* The same in an indirect table. */
void driver_table_desc(struct driver *d, uint64_t table_gpa, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags,
                       unsigned next);
/* A correct flush in a slot: descriptors 2n and 2n + 1. Returns its head. Not yet available. */
uint16_t driver_flush(struct driver *d, unsigned slot);
/* The same in an indirect table; head n. */
uint16_t driver_flush_indirect(struct driver *d, unsigned slot);

/* Puts a head into the available ring, and publishes the index. */
void driver_avail(struct driver *d, uint16_t head);
/* Kicks as the specification says: only if the device asked for it. Returns whether it did. */
bool driver_kick(struct driver *d);
/* driver_avail and driver_kick. */
void driver_submit(struct driver *d, uint16_t head);

uint16_t driver_used_idx(const struct driver *d);
struct used_entry {
	uint32_t id, len;
} driver_used(const struct driver *d, unsigned idx);
uint32_t driver_status(const struct driver *d, unsigned slot);

/* Waits until used.idx is there (acquire). False after WAIT_MS. */
bool driver_wait_used(struct driver *d, uint16_t idx);
/* One flush, submitted and waited for; returns its status. */
uint32_t driver_flush_now(struct driver *d);
/* Waits for at least this many queue interrupts and takes all there are. */
bool driver_wait_irq(struct driver *d, unsigned n);
/* Waits until a counter of `seen` has this value. */
bool driver_wait_count(const atomic_uint *counter, unsigned n);

#endif
