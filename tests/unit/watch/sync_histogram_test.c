// SPDX-License-Identifier: Apache-2.0
// Histograms of syncs: what is read as one, differences, quantiles.
#include "sync_histogram.h"
#include "unit_test.h"

#include <json-c/json.h>

static struct sync_histogram read_text(const char *buckets, bool good)
{
	struct json_object *pmem = json_object_new_object(), *syncs = json_object_new_object();
	struct json_object *list = json_tokener_parse(buckets);
	struct sync_histogram h;

	assert_non_null(list);
	json_object_object_add(pmem, "syncs", syncs);
	json_object_object_add(syncs, "histogram", list);
	assert_int_equal(sync_histogram_read(&h, pmem), good);
	json_object_put(pmem);
	return h;
}

static void reads_buckets(void **state)
{
	struct sync_histogram h = read_text(
		"[{\"below-ns\": 1000, \"count\": 3}, {\"below-ns\": 2000, \"count\": 4}, {\"count\": 5}]", true);

	(void)state;
	assert_int_equal(h.n, 3);
	assert_int_equal(h.below_ns[1], 2000);
	assert_int_equal(h.count[2], 5);
	assert_int_equal(sync_histogram_total(&h), 12);
}

static void refuses_others(void **state)
{
	static const char *const wrong[] = {
		"[]",
		"{}",
		"[1]",
		"[{\"below-ns\": 1000, \"count\": 3}]",                                               // no last one
		"[{\"count\": 3}, {\"count\": 3}]",                                                   // two last ones
		"[{\"below-ns\": 9, \"count\": 1}, {\"below-ns\": 9, \"count\": 1}, {\"count\": 1}]", // do not rise
		"[{\"below-ns\": 0, \"count\": 1}, {\"count\": 1}]",
		"[{\"below-ns\": 9, \"count\": -1}, {\"count\": 1}]",
		"[{\"below-ns\": 9}, {\"count\": 1}]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(read_text(wrong[i], false).n, 0);
}

static void differs(void **state)
{
	struct sync_histogram before = { .n = 2, .below_ns = { 1000 }, .count = { 5, 1 } };
	struct sync_histogram now = { .n = 2, .below_ns = { 1000 }, .count = { 7, 1 } };
	struct sync_histogram since = sync_histogram_since(&now, &before);

	(void)state;
	assert_int_equal(since.count[0], 2);
	assert_int_equal(since.count[1], 0);
	assert_int_equal(sync_histogram_total(&since), 2);
}

/* A device of the same name that is another one: its syncs are all new. */
static void of_a_new_device_all_count(void **state)
{
	struct sync_histogram before = { .n = 2, .below_ns = { 1000 }, .count = { 5, 9 } }, none = { 0 };
	struct sync_histogram fewer = { .n = 2, .below_ns = { 1000 }, .count = { 6, 1 } };
	struct sync_histogram others = { .n = 2, .below_ns = { 2000 }, .count = { 6, 10 } };
	struct sync_histogram since;

	(void)state;
	since = sync_histogram_since(&fewer, &before);
	assert_int_equal(sync_histogram_total(&since), 7);
	since = sync_histogram_since(&others, &before);
	assert_int_equal(sync_histogram_total(&since), 16);
	since = sync_histogram_since(&others, &none);
	assert_int_equal(sync_histogram_total(&since), 16);
}

static void expect_quantile(const struct sync_histogram *h, double share, double seconds)
{
	double found = sync_histogram_quantile(h, share);

	assert_true(found > seconds - 1e-12 && found < seconds + 1e-12);
}

static void quantiles(void **state)
{
	const struct sync_histogram h = { .n = 4, .below_ns = { 1000, 2000, 4000 }, .count = { 0, 50, 50, 0 } };

	(void)state;
	expect_quantile(&h, 0.5, 2000e-9);
	expect_quantile(&h, 0.25, 1500e-9);
	expect_quantile(&h, 0.99, 3960e-9);
	expect_quantile(&h, 1, 4000e-9);
	expect_quantile(&h, 0, 1000e-9);
}

static void quantiles_at_the_ends(void **state)
{
	const struct sync_histogram none = { .n = 2, .below_ns = { 1000 } }, empty = { 0 };
	const struct sync_histogram slow = { .n = 2, .below_ns = { 1000 }, .count = { 0, 3 } };
	const struct sync_histogram one = { .n = 1, .count = { 3 } };

	(void)state;
	assert_true(sync_histogram_quantile(&none, 0.5) < 0);
	assert_true(sync_histogram_quantile(&empty, 0.5) < 0);
	expect_quantile(&slow, 0.99, 1000e-9);
	expect_quantile(&one, 0.99, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_buckets), cmocka_unit_test(refuses_others),
		cmocka_unit_test(differs),       cmocka_unit_test(of_a_new_device_all_count),
		cmocka_unit_test(quantiles),     cmocka_unit_test(quantiles_at_the_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
