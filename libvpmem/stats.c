// SPDX-License-Identifier: Apache-2.0
/*
 * stats.c - what a pmem device counts, and how long its syncs took.
 */
#include "pmem.h"

#define FIRST_BUCKET_BITS 10u /* the first bucket ends at 2^10 ns */

static uint64_t value(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void set(_Atomic uint64_t *counter, uint64_t val)
{
	atomic_store_explicit(counter, val, memory_order_relaxed);
}

static unsigned bucket_of(uint64_t ns)
{
	unsigned bucket = 0;

	for (ns >>= FIRST_BUCKET_BITS; ns && bucket < VPMEM_SYNC_BUCKETS - 1; ns >>= 1)
		bucket++;
	return bucket;
}

void stats_sync_began(struct pmem_stats *stats, uint64_t now_ns)
{
	set(&stats->sync_started_ns, now_ns);
}

void stats_sync_ended(struct pmem_stats *stats, uint64_t now_ns, int rc)
{
	uint64_t ns = now_ns - value(&stats->sync_started_ns);

	set(&stats->sync_started_ns, 0);
	stats_count(&stats->syncs);
	if (rc)
		stats_count(&stats->sync_errors);
	stats_add(&stats->sync_ns, ns);
	if (ns > value(&stats->sync_ns_max))
		set(&stats->sync_ns_max, ns);
	stats_count(&stats->sync_histogram[bucket_of(ns)]);
}

struct vpmem_stats vpmem_device_stats(const struct vpmem_device *dev)
{
	const struct pmem_stats *stats = &dev->stats;
	struct vpmem_stats out = {
		.requests = value(&stats->requests),
		.completed = value(&stats->completed),
		.failed = value(&stats->failed),
		.syncs = value(&stats->syncs),
		.interrupts = value(&stats->interrupts),
		.sync_errors = value(&stats->sync_errors),
		.sync_ns = value(&stats->sync_ns),
		.sync_ns_max = value(&stats->sync_ns_max),
		.sync_started_ns = value(&stats->sync_started_ns),
		.error = vpmem_device_error(dev),
	};

	for (unsigned i = 0; i < VPMEM_SYNC_BUCKETS; i++)
		out.sync_histogram[i] = value(&stats->sync_histogram[i]);
	/* Behind the load of error, before which it was stored. */
	if (out.error)
		out.error_time = atomic_load(&dev->error_time);
	return out;
}
