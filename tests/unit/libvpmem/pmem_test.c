// SPDX-License-Identifier: Apache-2.0
/*
 * pmem_test.c - the flush path: what a request gets for an answer, what one sync covers, in which framings,
 * and what a failed sync means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "pmem_fixture.h"

/* ---- one flush ----------------------------------------------------------------------------------- */

static void a_flush_gets_0_after_one_sync(void **state)
{
	struct fixture *f = *state;
	struct vpmem_stats stats;

	start(&f->d, FEATURE_EVENT_IDX, 8);
	driver_submit(&f->d, driver_flush(&f->d, 1));
	assert_true(driver_wait_irq(&f->d, 1));
	assert_int_equal(driver_used_idx(&f->d), 1);
	assert_used(&f->d, 0, 2, 4);
	assert_int_equal(driver_status(&f->d, 1), 0);
	assert_int_equal(fake_backing_nsyncs(f->backing), 1);
	assert_true(worker_settle(f->d.dev));
	stats = vpmem_device_stats(f->d.dev);
	assert_int_equal(stats.requests, 1);
	assert_int_equal(stats.completed, 1);
	assert_int_equal(stats.failed, 0);
	assert_int_equal(stats.syncs, 1);
	assert_int_equal(stats.interrupts, 1);
	assert_int_equal(f->d.seen.nqueue_irqs, 1);
}

/* The three system calls: read, the sync, and what the interrupt callback does. */
static void an_uncontended_flush_reads_once(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	start(&f->d, 0, 8);
	assert_true(worker_settle(f->d.dev));
	before = worker_nreads();
	for (unsigned i = 1; i <= 100; i++) {
		driver_submit(&f->d, driver_flush(&f->d, 0));
		assert_true(driver_wait_irq(&f->d, 1));
		/* back in read, for one kick: exactly one more */
		while (worker_nreads() != before + i)
			assert_true(worker_nreads() - before <= i);
	}
	assert_int_equal(fake_backing_nsyncs(f->backing), 100);
	assert_int_equal(f->d.seen.nqueue_irqs, 100);
}

/* Everything is in memory before used.idx moves, and the sync is over by then. */
static void nothing_is_visible_before_the_sync_is_over(void **state)
{
	struct fixture *f = *state;

	fake_backing_hold(f->backing, 1);
	start(&f->d, 0, 8);
	driver_submit(&f->d, driver_flush(&f->d, 0));
	assert_true(fake_backing_wait_held(f->backing, 1));
	assert_int_equal(driver_used_idx(&f->d), 0);
	assert_int_equal(driver_status(&f->d, 0), POISON);
	assert_int_equal(f->d.seen.nqueue_irqs, 0);
	fake_backing_release(f->backing, 1);
	assert_true(driver_wait_irq(&f->d, 1));
	assert_int_equal(driver_used_idx(&f->d), 1);
	assert_int_equal(driver_status(&f->d, 0), 0);
}

/* ---- what one sync covers ------------------------------------------------------------------------ */

static void one_kick_serves_many_flushes(void **state)
{
	struct fixture *f = *state;

	start(&f->d, FEATURE_EVENT_IDX | FEATURE_INDIRECT, 128);
	for (unsigned i = 0; i < 128; i++)
		driver_avail(&f->d, driver_flush_indirect(&f->d, i));
	driver_kick(&f->d);
	assert_true(driver_wait_irq(&f->d, 1));
	assert_int_equal(driver_used_idx(&f->d), 128);
	for (unsigned i = 0; i < 128; i++) {
		assert_used(&f->d, i, i, 4);
		assert_int_equal(driver_status(&f->d, i), 0);
	}
	assert_int_equal(fake_backing_nsyncs(f->backing), 1);
}

/*
 * The coalescing race: a flush that is submitted while a sync runs is not answered by that sync, although
 * it has become visible before its end.
 */
static void a_flush_during_a_sync_waits_for_the_next(void **state)
{
	struct fixture *f = *state;

	fake_backing_hold(f->backing, 1);
	start(&f->d, FEATURE_EVENT_IDX, 8);
	driver_submit(&f->d, driver_flush(&f->d, 0));
	assert_true(fake_backing_wait_held(f->backing, 1));
	driver_submit(&f->d, driver_flush(&f->d, 1));
	driver_submit(&f->d, driver_flush(&f->d, 2));
	fake_backing_release(f->backing, 1);
	assert_true(fake_backing_wait_held(f->backing, 2));
	assert_int_equal(driver_used_idx(&f->d), 1);
	assert_int_equal(driver_status(&f->d, 0), 0);
	assert_int_equal(driver_status(&f->d, 1), POISON);
	assert_int_equal(driver_status(&f->d, 2), POISON);
	fake_backing_release(f->backing, 2);
	assert_true(driver_wait_used(&f->d, 3));
	assert_int_equal(driver_status(&f->d, 1), 0);
	assert_int_equal(driver_status(&f->d, 2), 0);
	assert_int_equal(fake_backing_nsyncs(f->backing), 2);
}

/* ---- requests in any framing, and wrong ones ------------------------------------------------------ */

/* A chain from 0 on: pairs of a length in bytes (r: read by the device, w: written), type value at its start. */
static uint16_t chain(struct driver *d, const char *shape, uint32_t type)
{
	uint64_t read_gpa = DATA_GPA, write_gpa = DATA_GPA + 0x800;
	unsigned n = 0;

	driver_store(d, read_gpa, type, 4);
	driver_store(d, read_gpa + 4, 0, 4);
	driver_store(d, write_gpa, POISON, 4);
	driver_store(d, write_gpa + 4, POISON, 4);
	for (const char *s = shape; *s; s += 2, n++) {
		uint32_t len = (uint32_t)(s[1] - '0');
		unsigned next = s[2] ? F_NEXT : 0;

		if (s[0] == 'r') {
			driver_desc(d, n, read_gpa, len, next, n + 1);
			read_gpa += len;
		} else {
			driver_desc(d, n, write_gpa, len, next | F_WRITE, n + 1);
			write_gpa += len;
		}
	}
	return 0;
}

static uint32_t chain_status(struct driver *d)
{
	return (uint32_t)driver_load(d, DATA_GPA + 0x800, 4);
}

static void a_request_may_have_any_framing(void **state)
{
	struct fixture *f = *state;
	static const char *const shapes[] = {
		"r4w4",     "r1r1r1r1w4", "r4w1w1w1w1", "r1r3w3w1", "r2r2w2w2",
		"r3r1w1w3", "r4w8",       "r4w1w7",     "r4w4w4",   "r1r1r1r1w1w1w1w1",
	};
	unsigned i;

	start(&f->d, 0, 8);
	for (i = 0; i < ENTRIES(shapes); i++) {
		driver_submit(&f->d, chain(&f->d, shapes[i], 0));
		assert_true(driver_wait_irq(&f->d, 1));
		assert_used(&f->d, i, 0, 4);
		assert_int_equal(chain_status(&f->d), 0);
		/* what is beyond the status is not written */
		assert_int_equal(driver_load(&f->d, DATA_GPA + 0x804, 4), POISON);
		assert_int_equal(fake_backing_nsyncs(f->backing), i + 1);
	}
	/* a wrong type is seen in every byte, in every framing */
	for (unsigned byte = 0; byte < 4; byte++) {
		driver_submit(&f->d, chain(&f->d, "r1r2r1w1w3", 1u << (8 * byte)));
		assert_true(driver_wait_irq(&f->d, 1));
		assert_int_equal(chain_status(&f->d), FAILED);
	}
	assert_int_equal(fake_backing_nsyncs(f->backing), i);
	assert_int_equal(vpmem_device_status(f->d.dev), STATUS_RUNNING);
}

/* Returned with -1 and without a sync; the device goes on. */
static void wrong_requests_fail_alone(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *shape;
		uint32_t type;
		unsigned written_len;
	} cases[] = {
		{ "r4w4", 1, 4 }, /* unknown type */
		{ "r4w4", UINT32_MAX, 4 },
		{ "r4w4", 0x100, 4 },
		{ "r3w4", 0, 4 }, /* too short */
		{ "r1r2w4", 0, 4 },
		{ "r5w4", 0, 4 }, /* too long */
		{ "r4r1w4", 0, 4 },
		{ "w4", 0, 4 },   /* no type */
		{ "w4r4", 0, 4 }, /* status before type */
		{ "r2w4r2", 0, 4 },
		{ "r4r4", 0, 0 }, /* status not writable */
		{ "r4", 0, 0 },   /* no status */
		{ "r4w3", 0, 0 }, /* no room for a whole status */
		{ "r4w1w2", 0, 0 },
		{ "r4r0w4", 0, 0 }, /* a buffer of length 0: what is behind it is not looked at */
		{ "r4w4r0", 0, 4 },
		{ "r4w4w0", 0, 4 },
	};

	start(&f->d, 0, 8);
	for (unsigned i = 0; i < ENTRIES(cases); i++) {
		driver_submit(&f->d, chain(&f->d, cases[i].shape, cases[i].type));
		assert_true(driver_wait_irq(&f->d, 1));
		assert_used(&f->d, i, 0, cases[i].written_len);
		assert_int_equal(chain_status(&f->d), cases[i].written_len ? FAILED : POISON);
	}
	assert_int_equal(fake_backing_nsyncs(f->backing), 0);
	assert_int_equal(vpmem_device_stats(f->d.dev).failed, ENTRIES(cases));
	assert_int_equal(vpmem_device_status(f->d.dev), STATUS_RUNNING);
	assert_int_equal(f->d.seen.nguest_faults, 0);
	assert_int_equal(vpmem_device_error(f->d.dev), 0);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

static void wrong_requests_do_not_harm_the_others(void **state)
{
	struct fixture *f = *state;

	start(&f->d, 0, 16);
	driver_avail(&f->d, driver_flush(&f->d, 0));
	driver_avail(&f->d, driver_flush(&f->d, 1));
	driver_store(&f->d, TYPE_GPA(1), 7, 4);
	driver_avail(&f->d, driver_flush(&f->d, 2));
	driver_kick(&f->d);
	assert_true(driver_wait_irq(&f->d, 1));
	assert_int_equal(driver_used_idx(&f->d), 3);
	assert_int_equal(driver_status(&f->d, 0), 0);
	assert_int_equal(driver_status(&f->d, 1), FAILED);
	assert_int_equal(driver_status(&f->d, 2), 0);
	assert_int_equal(fake_backing_nsyncs(f->backing), 1);
}

/* ---- host faults --------------------------------------------------------------------------------- */

static void a_failed_sync_fails_the_whole_batch_and_all_later_flushes(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;

	fake_backing_fail(f->backing, 1, -EIO);
	start(d, FEATURE_EVENT_IDX, 8);
	driver_avail(d, driver_flush(d, 0));
	driver_avail(d, driver_flush(d, 1));
	driver_kick(d);
	assert_true(driver_wait_irq(d, 1));
	assert_used(d, 0, 0, 4);
	assert_used(d, 1, 2, 4);
	assert_int_equal(driver_status(d, 0), FAILED);
	assert_int_equal(driver_status(d, 1), FAILED);
	assert_int_equal(vpmem_device_error(d->dev), -EIO);
	assert_int_equal(d->seen.nsync_failures, 1);
	assert_int_equal(d->seen.error, -EIO);
	assert_non_null(strstr(d->seen.text, "fake.img"));
	assert_non_null(strstr(d->seen.text, strerror(EIO)));
	/* a host fault is no reason for a reset */
	assert_int_equal(vpmem_device_status(d->dev), STATUS_RUNNING);

	/* the next sync would succeed, and must not be tried */
	fake_backing_fail(f->backing, 0, 0);
	assert_int_equal(driver_flush_now(d), FAILED);
	start(d, 0, 8);
	assert_int_equal(driver_flush_now(d), FAILED);
	assert_int_equal(fake_backing_nsyncs(f->backing), 1);
	assert_int_equal(d->seen.nsync_failures, 1);
	assert_int_equal(vpmem_device_stats(d->dev).failed, 4);

	/* an operator's decision */
	(void)vpmem_device_clear_error(d->dev, vpmem_device_stats(d->dev).sync_errors);
	assert_int_equal(vpmem_device_error(d->dev), 0);
	assert_int_equal(driver_flush_now(d), 0);
	assert_int_equal(fake_backing_nsyncs(f->backing), 2);
	fake_backing_fail(f->backing, 3, -ENOSPC);
	assert_int_equal(driver_flush_now(d), FAILED);
	assert_int_equal(vpmem_device_error(d->dev), -ENOSPC);
	assert_int_equal(d->seen.nsync_failures, 2);
}

/* The error of a sync whose requests were forgotten by a reset is not forgotten. */
static void a_sync_that_fails_after_a_reset_counts(void **state)
{
	struct fixture *f = *state;

	fake_backing_hold(f->backing, 1);
	fake_backing_fail(f->backing, 1, -EIO);
	start(&f->d, 0, 8);
	driver_submit(&f->d, driver_flush(&f->d, 0));
	assert_true(fake_backing_wait_held(f->backing, 1));
	vpmem_device_set_status(f->d.dev, 0);
	fake_backing_hold(f->backing, 0);
	assert_true(driver_wait_count(&f->d.seen.nsync_failures, 1));
	fake_backing_fail(f->backing, 0, 0);
	start(&f->d, 0, 8);
	assert_int_equal(driver_flush_now(&f->d), FAILED);
	assert_int_equal(fake_backing_nsyncs(f->backing), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_flush_gets_0_after_one_sync),
		CASE(an_uncontended_flush_reads_once),
		CASE(nothing_is_visible_before_the_sync_is_over),
		CASE(one_kick_serves_many_flushes),
		CASE(a_flush_during_a_sync_waits_for_the_next),
		CASE(a_request_may_have_any_framing),
		CASE(wrong_requests_fail_alone),
		CASE(wrong_requests_do_not_harm_the_others),
		CASE(a_failed_sync_fails_the_whole_batch_and_all_later_flushes),
		CASE(a_sync_that_fails_after_a_reset_counts),
	};

	return cmocka_run_group_tests_name("pmem", tests, NULL, NULL);
}
