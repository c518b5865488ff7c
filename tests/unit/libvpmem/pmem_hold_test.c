// SPDX-License-Identifier: Apache-2.0
/*
 * pmem_hold_test.c - hold_on_error: after a failed sync the guest hears nothing before the monitor says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "pmem_fixture.h"

static int setup_hold(void **state)
{
	static struct fixture f;
	const struct vpmem_device_options opts = { .hold_on_error = true };

	f.backing = fake_backing_create(SIZE);
	driver_init(&f.d, f.backing, &opts);
	*state = &f;
	return 0;
}

/* A flush whose sync fails: the event has come, and no answer. */
static void fail_one(struct fixture *f)
{
	driver_start(&f->d, 0, 8);
	fake_backing_fail(f->backing, 1, -EIO);
	driver_submit(&f->d, driver_flush(&f->d, 0));
	assert_true(driver_wait_count(&f->d.seen.nsync_failures, 1));
	assert_int_equal(vpmem_device_error(f->d.dev), -EIO);
	assert_int_equal(driver_used_idx(&f->d), 0);
	assert_int_equal(driver_status(&f->d, 0), POISON);
}

static void released_it_fails(void **state)
{
	struct fixture *f = *state;

	fail_one(f);
	vpmem_device_release(f->d.dev);
	assert_true(driver_wait_used(&f->d, 1));
	assert_int_equal(driver_status(&f->d, 0), FAILED);
	/* Later ones are not held: the operator knows. */
	assert_int_equal(driver_flush_now(&f->d), FAILED);
	assert_int_equal(fake_backing_nsyncs(f->backing), 1);
}

static void cleared_and_released_it_is_tried_again(void **state)
{
	struct fixture *f = *state;

	fail_one(f);
	fake_backing_fail(f->backing, 0, 0);
	(void)vpmem_device_clear_error(f->d.dev, vpmem_device_stats(f->d.dev).sync_errors);
	assert_int_equal(driver_used_idx(&f->d), 0);
	vpmem_device_release(f->d.dev);
	assert_true(driver_wait_used(&f->d, 1));
	assert_int_equal(driver_status(&f->d, 0), 0);
	assert_int_equal(fake_backing_nsyncs(f->backing), 2);
}

static void what_failed_since_the_operator_looked_is_not_cleared(void **state)
{
	struct fixture *f = *state;
	uint64_t nseen = vpmem_device_stats(f->d.dev).sync_errors;

	fail_one(f);
	fake_backing_fail(f->backing, 0, 0);
	assert_int_equal(vpmem_device_clear_error(f->d.dev, nseen), -EAGAIN);
	vpmem_device_release(f->d.dev);
	assert_true(driver_wait_used(&f->d, 1));
	assert_int_equal(driver_status(&f->d, 0), FAILED);
	assert_int_equal(fake_backing_nsyncs(f->backing), 1);
}

static void it_may_fail_again(void **state)
{
	struct fixture *f = *state;

	fail_one(f);
	(void)vpmem_device_clear_error(f->d.dev, vpmem_device_stats(f->d.dev).sync_errors);
	vpmem_device_release(f->d.dev);
	assert_true(driver_wait_count(&f->d.seen.nsync_failures, 2));
	assert_int_equal(driver_used_idx(&f->d), 0);
	vpmem_device_release(f->d.dev);
	assert_true(driver_wait_used(&f->d, 1));
	assert_int_equal(driver_status(&f->d, 0), FAILED);
}

static void a_reset_ends_the_wait_and_forgets_the_request(void **state)
{
	struct fixture *f = *state;

	fail_one(f);
	vpmem_device_set_status(f->d.dev, 0);
	assert_int_equal(driver_status(&f->d, 0), POISON);
	(void)vpmem_device_clear_error(f->d.dev, vpmem_device_stats(f->d.dev).sync_errors);
	fake_backing_fail(f->backing, 0, 0);
	driver_start(&f->d, 0, 8);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

/* The tear-down destroys the device, which must not wait for a release. */
static void the_end_of_the_device_ends_the_wait(void **state)
{
	fail_one(*state);
}

static void a_release_without_a_wait_does_nothing(void **state)
{
	struct fixture *f = *state;

	vpmem_device_release(f->d.dev);
	fail_one(f);
	vpmem_device_release(f->d.dev);
	assert_true(driver_wait_used(&f->d, 1));
}

/* The monitor found that data is lost, while a sync was under way that succeeds. */
static void an_error_that_was_set_fails_the_sync_under_way_too(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0, 8);
	fake_backing_hold(f->backing, 1);
	driver_submit(&f->d, driver_flush(&f->d, 0));
	assert_true(fake_backing_wait_held(f->backing, 1));
	vpmem_device_set_error(f->d.dev, -EIO);
	fake_backing_hold(f->backing, 0);
	assert_true(driver_wait_used(&f->d, 1));
	assert_int_equal(driver_status(&f->d, 0), FAILED);
	assert_true(vpmem_device_stats(f->d.dev).error_time > 0);
}

#define HOLD(name) cmocka_unit_test_setup_teardown(name, setup_hold, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOLD(released_it_fails),
		HOLD(cleared_and_released_it_is_tried_again),
		HOLD(what_failed_since_the_operator_looked_is_not_cleared),
		HOLD(it_may_fail_again),
		HOLD(a_reset_ends_the_wait_and_forgets_the_request),
		HOLD(the_end_of_the_device_ends_the_wait),
		HOLD(a_release_without_a_wait_does_nothing),
		CASE(an_error_that_was_set_fails_the_sync_under_way_too),
	};

	return cmocka_run_group_tests_name("pmem_hold", tests, NULL, NULL);
}
