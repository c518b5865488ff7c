// SPDX-License-Identifier: Apache-2.0
/*
 * pmem_life_test.c - the flush path in time: before DRIVER_OK, resets while a sync runs, destroy, kicks and
 * interrupts that must not be lost.
 *
 * VPMEM_TEST_LONG=1 in the environment makes the search for lost interrupts 1 000 000 flushes long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "pmem_fixture.h"

/* ---- life cycle ---------------------------------------------------------------------------------- */

static void nothing_is_consumed_before_driver_ok(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;

	driver_features(d, FEATURE_EVENT_IDX);
	driver_queue(d, 8);
	driver_submit(d, driver_flush(d, 0));
	vpmem_queue_kick(d->dev, 0);
	assert_true(worker_settle(d->dev));
	assert_int_equal(driver_used_idx(d), 0);
	assert_int_equal(driver_load(d, USED_GPA + 4 + 64, 2), 0);
	assert_int_equal(d->seen.nqueue_irqs, 0);
	/* The kick came too early, and is not repeated: the request is served all the same. */
	driver_ok(d);
	assert_true(driver_wait_irq(d, 1));
	assert_int_equal(driver_status(d, 0), 0);
}

static void a_request_before_a_queue_is_enabled_again_is_not_lost(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	struct vpmem_queue regs;

	start(d, FEATURE_RING_RESET | FEATURE_EVENT_IDX, 8);
	regs = vpmem_queue_get(d->dev, 0);
	vpmem_queue_reset(d->dev, 0);
	driver_submit(d, driver_flush(d, 0));
	assert_true(worker_settle(d->dev));
	assert_int_equal(driver_used_idx(d), 0);
	vpmem_queue_set(d->dev, 0, &regs);
	vpmem_queue_enable(d->dev, 0);
	assert_true(driver_wait_irq(d, 1));
	assert_int_equal(driver_status(d, 0), 0);
}

static void spurious_kicks_are_harmless(void **state)
{
	struct fixture *f = *state;

	vpmem_queue_kick(f->d.dev, 0);
	assert_true(worker_settle(f->d.dev));
	start(&f->d, 0, 8);
	for (unsigned i = 0; i < 100; i++)
		vpmem_queue_kick(f->d.dev, 0);
	assert_true(worker_settle(f->d.dev));
	assert_int_equal(driver_used_idx(&f->d), 0);
	assert_int_equal(f->d.seen.nqueue_irqs, 0);
	assert_int_equal(fake_backing_nsyncs(f->backing), 0);
	assert_int_equal(vpmem_device_status(f->d.dev), STATUS_RUNNING);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

enum reset_kind { RESET_DEVICE, RESET_QUEUE };

/*
 * A reset while a sync runs: it does not wait, and afterwards not one byte of guest memory changes and no
 * interrupt comes, although the sync succeeds.
 */
static void check_reset_in_flight(struct fixture *f, enum reset_kind kind)
{
	static uint8_t before[GUEST_RAM_SIZE];
	struct driver *d = &f->d;
	struct vpmem_stats stats;
	unsigned nirqs;

	fake_backing_hold(f->backing, 1);
	start(d, FEATURE_RING_RESET, 8);
	driver_submit(d, driver_flush(d, 0));
	assert_true(fake_backing_wait_held(f->backing, 1));
	driver_avail(d, driver_flush(d, 1));
	if (kind == RESET_DEVICE) {
		vpmem_device_set_status(d->dev, 0);
		assert_int_equal(vpmem_device_status(d->dev), 0);
	} else {
		vpmem_queue_reset(d->dev, 0);
		assert_false(vpmem_queue_get(d->dev, 0).enabled);
	}
	/* did not wait: the sync still runs */
	assert_true(fake_backing_wait_held(f->backing, 1));
	memcpy(before, d->ram, sizeof(before));
	nirqs = d->seen.nqueue_irqs;
	fake_backing_hold(f->backing, 0);
	assert_true(worker_settle(d->dev));
	assert_memory_equal(before, d->ram, sizeof(before));
	assert_int_equal(d->seen.nqueue_irqs, nirqs);
	stats = vpmem_device_stats(d->dev);
	assert_int_equal(stats.requests, 1);
	assert_int_equal(stats.completed, 0);

	start(d, 0, 8);
	assert_int_equal(driver_flush_now(d), 0);
	assert_int_equal(driver_used_idx(d), 1);
}

static void a_device_reset_drops_what_is_in_flight(void **state)
{
	check_reset_in_flight(*state, RESET_DEVICE);
}

static void a_queue_reset_drops_what_is_in_flight(void **state)
{
	check_reset_in_flight(*state, RESET_QUEUE);
}

/* A new driver comes while the old one's sync still runs, on the same memory: it gets its own sync. */
static void a_device_starts_again_while_the_old_sync_runs(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;

	fake_backing_hold(f->backing, 1);
	start(d, 0, 8);
	driver_submit(d, driver_flush(d, 0));
	assert_true(fake_backing_wait_held(f->backing, 1));
	driver_start(d, 0, 8);
	driver_submit(d, driver_flush(d, 0));
	fake_backing_release(f->backing, 1);
	assert_true(fake_backing_wait_held(f->backing, 2));
	assert_int_equal(driver_used_idx(d), 0);
	assert_int_equal(driver_status(d, 0), POISON);
	assert_int_equal(d->seen.nqueue_irqs, 0);
	fake_backing_release(f->backing, 2);
	assert_true(driver_wait_irq(d, 1));
	assert_int_equal(driver_used_idx(d), 1);
	assert_int_equal(driver_status(d, 0), 0);
}

struct destroyed {
	struct vpmem_device *dev;
	struct vpmem_backing *backing;
};

/* Releases the sync when the destroy has begun with its reset. If it does not wait, this uses what is freed. */
static void *release_when_reset(void *opaque)
{
	struct destroyed *destroyed = opaque;

	while (vpmem_device_status(destroyed->dev))
		sched_yield();
	fake_backing_release(destroyed->backing, 1);
	return NULL;
}

static void destroy_waits_for_the_sync(void **state)
{
	struct vpmem_backing *backing = fake_backing_create(SIZE);
	struct destroyed destroyed = { .backing = backing };
	struct driver d;
	pthread_t thread;

	(void)state;
	fake_backing_hold(backing, 1);
	driver_init(&d, backing, NULL);
	driver_start(&d, 0, 8);
	driver_submit(&d, driver_flush(&d, 0));
	assert_true(fake_backing_wait_held(backing, 1));
	destroyed.dev = d.dev;
	assert_int_equal(pthread_create(&thread, NULL, release_when_reset, &destroyed), 0);
	vpmem_device_destroy(d.dev);
	assert_int_equal(driver_used_idx(&d), 0);
	assert_int_equal(d.seen.nqueue_irqs, 0);
	pthread_join(thread, NULL);
	assert_false(fake_backing_timed_out(backing));
	driver_ram_free(&d);
	fake_backing_destroy(backing);
}

/* ---- notifications ------------------------------------------------------------------------------- */

static void no_interrupt_that_is_not_wanted(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;

	start(d, 0, 8);
	driver_store(d, AVAIL_GPA, 1, 2);
	assert_int_equal(driver_flush_now(d), 0);
	assert_true(worker_settle(d->dev));
	assert_int_equal(d->seen.nqueue_irqs, 0);

	start(d, FEATURE_EVENT_IDX, 8);
	driver_store(d, AVAIL_GPA + 4 + 16, 2, 2);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(driver_flush_now(d), 0);
		assert_true(worker_settle(d->dev));
		assert_int_equal(d->seen.nqueue_irqs, i >= 2);
	}
}

/* While a sync runs the driver reads that no kick is needed; before the worker sleeps, that one is needed again. */
static void no_kick_is_asked_for_while_busy(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	static const uint64_t features[] = { 0, FEATURE_EVENT_IDX };

	for (unsigned i = 0; i < 2; i++) {
		unsigned nth = fake_backing_nsyncs(f->backing) + 1;

		start(d, features[i], 8);
		assert_true(worker_settle(d->dev));
		fake_backing_hold(f->backing, nth);
		driver_avail(d, driver_flush(d, 0));
		assert_true(driver_kick(d));
		assert_true(fake_backing_wait_held(f->backing, nth));
		driver_avail(d, driver_flush(d, 1));
		assert_false(driver_kick(d));
		fake_backing_hold(f->backing, 0);
		assert_true(driver_wait_used(d, 2));
		assert_true(worker_settle(d->dev));
		driver_avail(d, driver_flush(d, 2));
		assert_true(driver_kick(d));
		assert_true(driver_wait_used(d, 3));
	}
}

static void publish_without_kick(void *opaque)
{
	struct driver *d = opaque;

	driver_avail(d, driver_flush(d, 3));
}

/*
 * A request that arrives after the worker's last look, and before it asks for kicks, comes without a kick:
 * the driver still read that none is needed. It is served all the same.
 */
static void a_request_just_before_kicks_are_asked_for_is_seen(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	static const uint64_t features[] = { 0, FEATURE_EVENT_IDX };

	for (unsigned i = 0; i < 2; i++) {
		start(d, features[i], 8);
		worker_before_kicks_on(publish_without_kick, d);
		vpmem_queue_kick(d->dev, 0);
		assert_true(driver_wait_used(d, 1));
		assert_int_equal(driver_status(d, 3), 0);
	}
}

static unsigned long nflushes(void)
{
	const char *wanted = getenv("VPMEM_TEST_LONG");

	return wanted && *wanted == '1' ? 1000000 : 20000;
}

/* "Interrupt me for used entry idx", or not at all; what follows pairs with the device's barrier in virtq_publish. */
static void want_interrupt(struct driver *d, bool wanted, uint16_t idx)
{
	if (d->event_idx)
		driver_store16(d, AVAIL_GPA + 4 + 2u * d->size, wanted ? idx : (uint16_t)(idx - 1));
	else
		driver_store16(d, AVAIL_GPA, !wanted);
	__sync_synchronize();
}

/*
 * No kick and no interrupt is lost, however the two sides race: the driver keeps 1 to 3 flushes under way,
 * asks for an interrupt, looks once more, and only then waits. A lost one ends in a wait without end.
 */
static void check_no_loss(struct fixture *f, uint64_t features)
{
	struct driver *d = &f->d;
	uint64_t submitted = 0, completed = 0, total = nflushes();

	start(d, features, 8);
	while (completed < total) {
		for (unsigned depth = (unsigned)(completed % 3) + 1; submitted < completed + depth; submitted++)
			driver_submit(d, driver_flush(d, (unsigned)(submitted % 4)));
		want_interrupt(d, true, (uint16_t)completed);
		/* may be an old one: then there is nothing new, and the next turn waits again */
		if (driver_used_idx(d) == (uint16_t)completed)
			assert_true(driver_wait_irq(d, 1));
		want_interrupt(d, false, (uint16_t)completed);
		for (; (uint16_t)completed != driver_used_idx(d); completed++)
			assert_int_equal(driver_status(d, (unsigned)(completed % 4)), 0);
	}
}

static void no_interrupt_is_lost_with_event_idx(void **state)
{
	check_no_loss(*state, FEATURE_EVENT_IDX);
}

static void no_interrupt_is_lost_with_flags(void **state)
{
	check_no_loss(*state, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nothing_is_consumed_before_driver_ok),
		CASE(a_request_before_a_queue_is_enabled_again_is_not_lost),
		CASE(spurious_kicks_are_harmless),
		CASE(a_device_reset_drops_what_is_in_flight),
		CASE(a_queue_reset_drops_what_is_in_flight),
		CASE(a_device_starts_again_while_the_old_sync_runs),
		cmocka_unit_test(destroy_waits_for_the_sync),
		CASE(no_interrupt_that_is_not_wanted),
		CASE(no_kick_is_asked_for_while_busy),
		CASE(a_request_just_before_kicks_are_asked_for_is_seen),
		CASE(no_interrupt_is_lost_with_event_idx),
		CASE(no_interrupt_is_lost_with_flags),
	};

	return cmocka_run_group_tests_name("pmem_life", tests, NULL, NULL);
}
