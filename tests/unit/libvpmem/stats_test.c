// SPDX-License-Identifier: Apache-2.0
/*
 * stats_test.c - what a device counts: syncs by duration, the one under way, failures and their time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "stats.h"
#include "pmem_fixture.h"

#define LAST (VPMEM_SYNC_BUCKETS - 1)

static uint64_t sum(const struct vpmem_stats *stats)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < VPMEM_SYNC_BUCKETS; i++)
		n += stats->sync_histogram[i];
	return n;
}

/* ---- durations, given ---------------------------------------------------------------------------- */

/* The bucket in which a sync of this length is counted. */
static unsigned bucket_of(uint64_t ns)
{
	struct pmem_stats stats = { 0 };
	unsigned found = VPMEM_SYNC_BUCKETS, nfound = 0;

	stats_sync_began(&stats, 1000);
	stats_sync_ended(&stats, 1000 + ns, 0);
	for (unsigned i = 0; i < VPMEM_SYNC_BUCKETS; i++) {
		if (stats.sync_histogram[i]) {
			assert_int_equal(stats.sync_histogram[i], 1);
			found = i;
			nfound++;
		}
	}
	assert_int_equal(nfound, 1);
	return found;
}

static void a_bucket_ends_below_a_power_of_two(void **state)
{
	(void)state;
	assert_int_equal(bucket_of(0), 0);
	assert_int_equal(bucket_of(1023), 0);
	for (unsigned i = 0; i < LAST; i++) {
		uint64_t end = UINT64_C(1) << (i + 10);

		assert_int_equal(bucket_of(end - 1), i);
		assert_int_equal(bucket_of(end), i + 1);
	}
	assert_int_equal(bucket_of(UINT64_C(1) << 36), LAST);
	assert_int_equal(bucket_of(UINT64_MAX - 1000), LAST);
}

static void syncs_add_up(void **state)
{
	struct pmem_stats stats = { 0 };

	(void)state;
	stats_sync_began(&stats, 50);
	assert_int_equal(stats.sync_started_ns, 50);
	assert_int_equal(stats.syncs, 0);
	stats_sync_ended(&stats, 3050, 0);
	assert_int_equal(stats.sync_started_ns, 0);
	stats_sync_began(&stats, 4000);
	stats_sync_ended(&stats, 9000, -EIO);
	stats_sync_began(&stats, 9000);
	stats_sync_ended(&stats, 9007, 0);
	assert_int_equal(stats.syncs, 3);
	assert_int_equal(stats.sync_errors, 1);
	assert_int_equal(stats.sync_ns, 3000 + 5000 + 7);
	assert_int_equal(stats.sync_ns_max, 5000);
}

/* ---- of a device --------------------------------------------------------------------------------- */

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void a_sync_is_seen_while_it_runs(void **state)
{
	struct fixture *f = *state;
	uint64_t before = monotonic_ns();
	struct vpmem_stats stats;

	fake_backing_hold(f->backing, 1);
	start(&f->d, 0, 8);
	assert_int_equal(vpmem_device_stats(f->d.dev).sync_started_ns, 0);
	driver_submit(&f->d, driver_flush(&f->d, 0));
	assert_true(fake_backing_wait_held(f->backing, 1));
	stats = vpmem_device_stats(f->d.dev);
	assert_in_range(stats.sync_started_ns, before, monotonic_ns());
	assert_int_equal(stats.syncs, 0);
	assert_int_equal(sum(&stats), 0);

	fake_backing_release(f->backing, 1);
	assert_true(driver_wait_irq(&f->d, 1));
	assert_true(worker_settle(f->d.dev));
	stats = vpmem_device_stats(f->d.dev);
	assert_int_equal(stats.sync_started_ns, 0);
	assert_int_equal(stats.syncs, 1);
	assert_int_equal(stats.sync_errors, 0);
	assert_int_equal(sum(&stats), 1);
	assert_true(stats.sync_ns > 0);
	assert_int_equal(stats.sync_ns_max, stats.sync_ns);
}

static void each_sync_is_in_the_histogram(void **state)
{
	struct fixture *f = *state;
	struct vpmem_stats stats;

	start(&f->d, 0, 8);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(driver_flush_now(&f->d), 0);
	assert_true(worker_settle(f->d.dev));
	stats = vpmem_device_stats(f->d.dev);
	assert_int_equal(stats.syncs, 100);
	assert_int_equal(sum(&stats), 100);
	assert_true(stats.sync_ns_max <= stats.sync_ns);
	assert_int_equal(stats.error, 0);
	assert_int_equal(stats.error_time, 0);
}

static void a_failure_has_its_time_until_it_is_cleared(void **state)
{
	struct fixture *f = *state;
	int64_t before = time(NULL);
	struct vpmem_stats stats;

	fake_backing_fail(f->backing, 1, -EIO);
	start(&f->d, 0, 8);
	assert_int_equal(driver_flush_now(&f->d), FAILED);
	assert_int_equal(driver_flush_now(&f->d), FAILED);
	assert_true(worker_settle(f->d.dev));
	stats = vpmem_device_stats(f->d.dev);
	assert_int_equal(stats.error, -EIO);
	assert_in_range(stats.error_time, before, time(NULL));
	/* the second was refused without a sync */
	assert_int_equal(stats.failed, 2);
	assert_int_equal(stats.sync_errors, 1);
	assert_int_equal(stats.syncs, 1);

	(void)vpmem_device_clear_error(f->d.dev, vpmem_device_stats(f->d.dev).sync_errors);
	stats = vpmem_device_stats(f->d.dev);
	assert_int_equal(stats.error, 0);
	assert_int_equal(stats.error_time, 0);
	assert_int_equal(stats.sync_errors, 1);
}

/* ---- read while the worker counts (for ThreadSanitizer, and for the order of what is seen) ---------- */

struct reader {
	struct vpmem_device *dev;
	atomic_bool end;
	unsigned nwrong;
};

static void *read_on(void *opaque)
{
	struct reader *r = opaque;
	struct vpmem_stats last = { 0 }, now;

	while (!atomic_load(&r->end)) {
		now = vpmem_device_stats(r->dev);
		r->nwrong += now.syncs < last.syncs || now.sync_ns < last.sync_ns ||
		             now.sync_ns_max < last.sync_ns_max || sum(&now) < sum(&last) ||
		             (now.error != 0) != (now.error_time != 0);
		last = now;
	}
	return NULL;
}

static void reading_disturbs_nothing(void **state)
{
	struct fixture *f = *state;
	struct reader r = { .dev = f->d.dev };
	struct vpmem_stats stats;
	pthread_t thread;

	start(&f->d, 0, 8);
	assert_int_equal(pthread_create(&thread, NULL, read_on, &r), 0);
	for (unsigned i = 0; i < 300; i++) {
		bool fail = i % 3 == 0;

		fake_backing_fail(f->backing, fail ? i + 1 : 0, fail ? -EIO : 0);
		assert_int_equal(driver_flush_now(&f->d), fail ? FAILED : 0);
		if (fail)
			(void)vpmem_device_clear_error(f->d.dev, vpmem_device_stats(f->d.dev).sync_errors);
	}
	assert_true(worker_settle(f->d.dev));
	atomic_store(&r.end, true);
	pthread_join(thread, NULL);
	assert_int_equal(r.nwrong, 0);
	stats = vpmem_device_stats(f->d.dev);
	assert_int_equal(stats.syncs, 300);
	assert_int_equal(stats.sync_errors, 100);
	assert_int_equal(sum(&stats), 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_ends_below_a_power_of_two),
		cmocka_unit_test(syncs_add_up),
		CASE(a_sync_is_seen_while_it_runs),
		CASE(each_sync_is_in_the_histogram),
		CASE(a_failure_has_its_time_until_it_is_cleared),
		CASE(reading_disturbs_nothing),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
