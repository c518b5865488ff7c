// SPDX-License-Identifier: Apache-2.0
/* virtio_balloon_internal.h - the balloon device, shared by its files and their tests. */
#ifndef PMVM_VIRTIO_BALLOON_INTERNAL_H
#define PMVM_VIRTIO_BALLOON_INTERNAL_H

#include "virtio_balloon.h"
#include "worker_device.h"

#define BALLOON_QUEUE_SIZE_MAX 128u /* as in QEMU */
/* The buffers of a request: Linux reports up to 32 ranges at once. */
#define BALLOON_CHAIN_MAX 32u

/* What is done in one hold of the lock, at most: so many pages of an array, or so many bytes of a range. */
#define BALLOON_TURN_PAGES 64u
#define BALLOON_TURN_SIZE (UINT64_C(4) << 20)

/* Feature bits, as numbers. */
#define BALLOON_F_MUST_TELL_HOST 0u
#define BALLOON_F_STATS_VQ 1u
#define BALLOON_F_DEFLATE_ON_OOM 2u
#define BALLOON_F_PAGE_POISON 4u
#define BALLOON_F_REPORTING 5u

/*
 * The queues. Where the specification numbers one of free page hints before that of reports, drivers and QEMU leave out
 * the number of a queue that is not there.
 */
enum balloon_queue { BALLOON_INFLATE, BALLOON_DEFLATE, BALLOON_STATS, BALLOON_REPORTS, BALLOON_QUEUES };

/* The request that is being served. It belongs to the worker, but lies under the lock, as the memory that it names does. */
struct balloon_request {
	bool taken;
	unsigned queue_idx;
	uint16_t head;
	uint64_t generation; /* of the queue: a reset forgets the request */
	unsigned nbufs;
	struct {
		uint8_t *hva;
		uint32_t len;
	} bufs[BALLOON_CHAIN_MAX];
	/* How far it is. */
	unsigned buf_idx;
	uint32_t buf_off;
};

/* RAM, and what of its huge pages the guest has given. */
struct balloon_memory {
	unsigned nregions;
	struct balloon_region regions[BALLOON_REGIONS_MAX];
	/*
	 * For memory of huge pages, else NULL: a bit for each page that the guest has given, and their number in each huge
	 * page. By region; the first bit is the first page.
	 */
	uint64_t *given[BALLOON_REGIONS_MAX];
	uint32_t *ngiven[BALLOON_REGIONS_MAX];
	bool any_given;
	bool tracks; /* the guest reports what it takes back, before it uses it: MUST_TELL_HOST was negotiated */
	/* The huge page that the present request gave a part of: its region, and its number; -1: none. */
	unsigned part_region;
	int64_t part_idx;
	/* Pages next to each other that go back in one call. */
	uint8_t *run_hva;
	uint64_t run_size;  /* 0: none */
	uint64_t nreturned; /* bytes that went back so far */
	int error;          /* the first error of the host; 0: none */
};

struct virtio_balloon {
	struct worker_device dev; /* its lock guards all that follows */
	struct virtq queues[BALLOON_QUEUES];
	bool paused;
	void (*actual_changed)(void *owner);
	void *owner;

	uint32_t target_pages; /* num_pages of the configuration */
	uint32_t actual_pages;
	uint32_t poison_val;

	struct balloon_request request;
	unsigned next_queue; /* whose turn it is */
	struct balloon_memory memory;
	bool error_reported; /* memory.error */

	struct virtio_balloon_stats stats;
	uint32_t stats_interval_s;
	uint64_t stats_due_ms; /* on the monotonic clock: the guest is asked; 0: not */
	bool stats_held;       /* the guest's buffer, which it gets back to fill it again */
	uint16_t stats_head;
	uint64_t stats_generation;
};

/* ---- virtio_balloon_memory.c: under the lock ------------------------------------------------------------- */

/* Copies the regions. -ENOMEM, after which it is still to be ended. */
int balloon_memory_init(struct balloon_memory *memory, const struct balloon_region *regions, unsigned nregions);
void balloon_memory_fini(struct balloon_memory *memory);
/* Some of it has huge pages. */
bool balloon_memory_is_huge(const struct balloon_memory *memory);

/* The guest gives a page, or takes it back; any number that it wrote. */
void balloon_memory_give(struct balloon_memory *memory, uint32_t pfn);
void balloon_memory_take(struct balloon_memory *memory, uint32_t pfn);
/* What is still to do after the last page of a turn. */
void balloon_memory_flush(struct balloon_memory *memory);
/* The request is over. Unless the memory is tracked, what was given of a huge page that is not whole is forgotten. */
void balloon_memory_end_request(struct balloon_memory *memory);
/* A reset: the guest has given nothing. */
void balloon_memory_reset(struct balloon_memory *memory);

/*
 * Returns what begins at hva in guest memory to the host, whole pages only: at most len bytes, and no more than one turn
 * does. Returns how many bytes are done, not 0.
 */
uint64_t balloon_memory_return(struct balloon_memory *memory, uint8_t *hva, uint64_t len);

/* ---- virtio_balloon_serve.c -------------------------------------------------------------------------------- */

/*
 * Serves requests until there is none. Returns how long to wait for the next notification at most, in milliseconds; -1
 * without end. In the worker, without the lock.
 */
int balloon_serve(struct virtio_balloon *b);

#endif
