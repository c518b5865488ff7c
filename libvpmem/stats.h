// SPDX-License-Identifier: Apache-2.0
/*
 * stats.h - the counters of a pmem device: one thread writes them, the worker, and any thread may read.
 *
 * With one writer a counter needs no locked instruction: a load and a store do, both relaxed. A reader sees
 * each counter whole, but not all of them at one instant.
 */
#ifndef VPMEM_STATS_H
#define VPMEM_STATS_H

#include <vpmem.h>

#include <stdatomic.h>

struct pmem_stats {
	_Atomic uint64_t requests, completed, failed, syncs, interrupts;
	_Atomic uint64_t sync_errors, sync_ns, sync_ns_max, sync_started_ns;
	_Atomic uint64_t sync_histogram[VPMEM_SYNC_BUCKETS];
};

static inline void stats_add(_Atomic uint64_t *counter, uint64_t more)
{
	uint64_t val = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, val + more, memory_order_relaxed);
}

static inline void stats_count(_Atomic uint64_t *counter)
{
	stats_add(counter, 1);
}

/* A sync begins at this time of CLOCK_MONOTONIC; it ended, with 0 or -errno. */
void stats_sync_began(struct pmem_stats *stats, uint64_t now_ns);
void stats_sync_ended(struct pmem_stats *stats, uint64_t now_ns, int rc);

#endif
