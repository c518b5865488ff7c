// SPDX-License-Identifier: Apache-2.0
/*
 * sync_histogram.h - how long syncs took: the histogram of query-pmem, its difference over a while, and quantiles.
 */
#ifndef PMVM_SYNC_HISTOGRAM_H
#define PMVM_SYNC_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define SYNC_HISTOGRAM_MAX 64u

struct json_object;

/* Bucket i counts syncs from below_ns[i - 1] (the first one: from 0) to less than below_ns[i]. The last has no limit. */
struct sync_histogram {
	unsigned n; /* buckets; 0: there is no histogram */
	uint64_t below_ns[SYNC_HISTOGRAM_MAX];
	uint64_t count[SYNC_HISTOGRAM_MAX];
};

/* Out of the object of a device. False, and an empty histogram: there is none, or its limits do not rise. */
bool sync_histogram_read(struct sync_histogram *h, struct json_object *pmem);

/* now - before. Where a counter has become less, or the buckets are others, the device is a new one: that is now. */
struct sync_histogram sync_histogram_since(const struct sync_histogram *now, const struct sync_histogram *before);

uint64_t sync_histogram_total(const struct sync_histogram *h);

/*
 * The time that a share (0 to 1) of the syncs did not exceed, in seconds: within its bucket as if the syncs were spread
 * evenly. Of the last bucket, its lower limit. Negative: there are no syncs.
 */
double sync_histogram_quantile(const struct sync_histogram *h, double share);

#endif
