// SPDX-License-Identifier: Apache-2.0
// How long syncs took: differences and quantiles of histograms.
#include "sync_histogram.h"

#include "json_at.h"

bool sync_histogram_read(struct sync_histogram *h, struct json_object *pmem)
{
	struct json_object *list = json_at(pmem, "syncs.histogram");
	size_t n = json_at_length(list, "");
	bool is_good = n >= 1 && n <= SYNC_HISTOGRAM_MAX;

	*h = (struct sync_histogram) { 0 };
	for (unsigned i = 0; i < n && is_good; i++) {
		struct json_object *bucket = json_object_array_get_idx(list, i);
		bool is_limited = json_at_uint(bucket, "below-ns", &h->below_ns[i]);

		is_good = json_at_uint(bucket, "count", &h->count[i]) && is_limited == (i < n - 1) &&
		          (!is_limited || h->below_ns[i] > (i > 0 ? h->below_ns[i - 1] : 0));
	}
	if (is_good)
		h->n = (unsigned)n;
	else
		*h = (struct sync_histogram) { 0 };
	return is_good;
}

struct sync_histogram sync_histogram_since(const struct sync_histogram *now, const struct sync_histogram *before)
{
	struct sync_histogram since = *now;

	if (now->n != before->n)
		return *now;
	for (unsigned i = 0; i < now->n; i++) {
		if (now->below_ns[i] != before->below_ns[i] || now->count[i] < before->count[i])
			return *now;
		since.count[i] -= before->count[i];
	}
	return since;
}

uint64_t sync_histogram_total(const struct sync_histogram *h)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < h->n; i++)
		total += h->count[i];
	return total;
}

double sync_histogram_quantile(const struct sync_histogram *h, double share)
{
	double rank = share * (double)sync_histogram_total(h), below = 0;

	for (unsigned i = 0; i < h->n; i++) {
		double count = (double)h->count[i], from = i > 0 ? (double)h->below_ns[i - 1] : 0;

		if (count > 0 && below + count >= rank) {
			double width = i < h->n - 1 ? (double)h->below_ns[i] - from : 0;

			return (from + width * (rank - below) / count) / 1e9;
		}
		below += count;
	}
	return -1;
}
