// SPDX-License-Identifier: Apache-2.0
/*
 * pmem_bound_test.c - what a guest can make the worker do while it holds the device's lock is bounded, and others get the
 * lock in turn. Nothing here measures time: calls between pmem.c and virtq.c are counted (linker option --wrap), which
 * the worker makes with the lock held.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pmem.h"
#include "pmem_fixture.h"

int __real_virtq_available(struct virtq *q);
int __wrap_virtq_available(struct virtq *q);
int __real_virtq_pop(struct virtq *q, struct virtq_chain *chain);
int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain);
bool __real_virtq_publish(struct virtq *q);
bool __wrap_virtq_publish(struct virtq *q);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

/* Holds of the lock, as the worker passes through them. */
static struct {
	unsigned npopped, npopped_max; /* in this hold; in any */
	struct driver *flooded;        /* the ring is filled again after each batch */
	/* A thread waits for the lock since the hold in which `place` was reached. */
	enum place { NOWHERE, AT_POP, AT_PUBLISH } place;
	_Atomic bool armed, ask;
	unsigned asked; /* nasked at that moment; 0: nobody waits */
	atomic_uint nlate;
} hold;

static _Thread_local unsigned nlocks;

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	nlocks++;
	return __real_pthread_mutex_lock(mutex);
}

/* In the worker, with the lock held: lets the other thread ask for it, and goes on when it has. */
static void reached(enum place place)
{
	struct vpmem_device *dev = hold.flooded ? hold.flooded->dev : NULL;

	if (!dev || hold.place != place || !atomic_exchange(&hold.armed, false))
		return;
	atomic_store(&hold.ask, true);
	while (atomic_load(&dev->lock.nasked) == dev->lock.nserved)
		sched_yield();
	hold.asked = atomic_load(&dev->lock.nasked);
}

/* In the worker, at the beginning of another hold. */
static void check_served(void)
{
	if (hold.asked && (int)(hold.asked - hold.flooded->dev->lock.nserved) > 0)
		atomic_fetch_add(&hold.nlate, 1);
	hold.asked = 0;
}

int __wrap_virtq_available(struct virtq *q)
{
	check_served();
	hold.npopped = 0;
	return __real_virtq_available(q);
}

int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
	if (++hold.npopped > hold.npopped_max)
		hold.npopped_max = hold.npopped;
	reached(AT_POP);
	return __real_virtq_pop(q, chain);
}

/* A flush in due form, and requests that are none: both kinds of batch end without a sync that slows the worker. */
static void fill(struct driver *d)
{
	driver_avail(d, driver_flush(d, 0));
	for (unsigned slot = 1; slot < 4; slot++) {
		driver_flush(d, slot);
		driver_store(d, TYPE_GPA(slot), 77, 4);
		driver_avail(d, (uint16_t)(2 * slot));
	}
}

bool __wrap_virtq_publish(struct virtq *q)
{
	bool wanted;

	check_served();
	wanted = __real_virtq_publish(q);
	if (hold.flooded)
		fill(hold.flooded);
	reached(AT_PUBLISH);
	return wanted;
}

static int setup_hold(void **state)
{
	memset(&hold, 0, sizeof(hold));
	return setup(state);
}

/* ---- descriptors ------------------------------------------------------------------------------------- */

/* A flush in due form of n buffers: type and status byte by byte, then room that nobody needs. */
static void flush_of(struct driver *d, unsigned head, unsigned n, bool indirect)
{
	driver_store(d, TYPE_GPA(0), 0, 4);
	driver_store(d, STATUS_GPA(0), POISON, 4);
	for (unsigned i = 0; i < n; i++)
		driver_table_desc(d, indirect ? TABLE_GPA : DESC_GPA, i,
		                  i < 8 ? TYPE_GPA(0) + i : DATA_GPA + 0x1000 + i, 1,
		                  (i < 4 ? 0 : F_WRITE) | (i < n - 1 ? F_NEXT : 0), i + 1);
	if (indirect)
		driver_desc(d, head, TABLE_GPA, 16 * n, F_INDIRECT, 0);
}

static void a_chain_of_16_buffers_is_served(void **state)
{
	struct driver *d = &((struct fixture *)*state)->d;

	for (unsigned indirect = 0; indirect < 2; indirect++) {
		start(d, FEATURE_INDIRECT, 128);
		flush_of(d, 0, 16, indirect);
		driver_submit(d, 0);
		assert_true(driver_wait_used(d, 1));
		assert_int_equal(driver_status(d, 0), 0);
		assert_used(d, 0, 0, 4);
		assert_int_equal(vpmem_device_status(d->dev), STATUS_RUNNING);
	}
}

/* Legal by its length, but the device "MAY have a reasonable limit"; and it could be the first 17 of a loop. */
static void a_chain_of_17_buffers_asks_for_a_reset(void **state)
{
	struct driver *d = &((struct fixture *)*state)->d;
	unsigned nfaults = d->seen.nguest_faults;

	for (unsigned indirect = 0; indirect < 2; indirect++) {
		start(d, FEATURE_INDIRECT, 128);
		flush_of(d, 0, 17, indirect);
		driver_submit(d, 0);
		assert_true(driver_wait_count(&d->seen.nguest_faults, ++nfaults));
		assert_int_equal(driver_used_idx(d), 1);
		assert_int_equal(driver_status(d, 0), FAILED);
		assert_true(vpmem_device_status(d->dev) & STATUS_NEEDS_RESET);
	}
	start(d, 0, 128);
	assert_int_equal(driver_flush_now(d), 0);
}

/* 128 chains of 17 descriptors each: none is lost, and in no hold more than 512 descriptors are read. */
static void the_descriptors_of_one_hold_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	unsigned nsyncs = fake_backing_nsyncs(f->backing);

	start(d, FEATURE_INDIRECT, 128);
	for (unsigned head = 0; head < 128; head++) {
		flush_of(d, head, 16, true);
		driver_avail(d, (uint16_t)head);
	}
	driver_kick(d);
	assert_true(driver_wait_used(d, 128));
	assert_true(worker_settle(d->dev));
	assert_int_equal(vpmem_device_stats(d->dev).failed, 0);
	assert_int_equal(hold.npopped_max, PMEM_HOLD_DESCRIPTORS / VIRTQ_CHAIN_DESCS_MAX);
	assert_true(hold.npopped_max * VIRTQ_CHAIN_DESCS_MAX <= PMEM_HOLD_DESCRIPTORS);
	assert_int_equal(fake_backing_nsyncs(f->backing) - nsyncs, 5);
}

/* The bound does not cost a driver that flushes a second sync. */
static void a_full_ring_of_flushes_is_one_batch(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	unsigned nsyncs = fake_backing_nsyncs(f->backing);

	start(d, FEATURE_INDIRECT, 128);
	for (unsigned i = 0; i < 128; i++)
		driver_avail(d, driver_flush_indirect(d, i));
	driver_kick(d);
	assert_true(driver_wait_used(d, 128));
	assert_int_equal(hold.npopped_max, 128);
	assert_int_equal(fake_backing_nsyncs(f->backing) - nsyncs, 1);
}

/* ---- the lock ---------------------------------------------------------------------------------------- */

static bool wait_flag(_Atomic bool *flag)
{
	for (unsigned i = 0; i < WAIT_MS * 5; i++) {
		if (atomic_exchange(flag, false))
			return true;
		nanosleep(&(struct timespec) { .tv_nsec = 200000 }, NULL);
	}
	return false;
}

/* The worker never finds the ring empty, and its syncs return at once; so it never sleeps. */
static void check_waiter(struct fixture *f, enum place place)
{
	struct driver *d = &f->d;

	start(d, 0, 8);
	hold.place = place;
	hold.flooded = d;
	fill(d);
	vpmem_queue_kick(d->dev, 0);
	for (unsigned i = 0; i < 200; i++) {
		atomic_store(&hold.armed, true);
		assert_true(wait_flag(&hold.ask));
		/* Returns with the lock had: in the present hold it was asked for, and the next hold comes after it. */
		assert_int_equal(vpmem_queue_get(d->dev, 0).size, 8);
	}
	/* A reset ends the flood. */
	vpmem_device_set_status(d->dev, 0);
	assert_true(worker_settle(d->dev));
	hold.flooded = NULL;
	assert_int_equal(hold.nlate, 0);
}

static void a_waiter_gets_the_lock_before_the_next_batch_is_taken(void **state)
{
	check_waiter(*state, AT_PUBLISH);
}

static void a_waiter_gets_the_lock_before_a_taken_batch_is_completed(void **state)
{
	check_waiter(*state, AT_POP);
}

/* With the sticky error there is no sync: nothing but the hand-over ends the worker's turn. */
static void a_waiter_gets_the_lock_also_while_every_flush_fails(void **state)
{
	struct fixture *f = *state;

	vpmem_device_set_error(f->d.dev, -5);
	check_waiter(f, AT_POP);
	assert_int_equal(fake_backing_nsyncs(f->backing), 0);
}

static void a_register_access_takes_the_lock_once(void **state)
{
	struct vpmem_device *dev = ((struct fixture *)*state)->d.dev;
	const struct vpmem_select select = { .device_feature_word = 1 };
	struct vpmem_snapshot now;
	uint8_t bytes[16];

	nlocks = 0;
	vpmem_device_snapshot(dev, &select, &now);
	assert_int_equal(nlocks, 1);
	vpmem_queue_get(dev, 0);
	vpmem_queue_set(dev, 0, &(struct vpmem_queue) { .size = 8 });
	vpmem_device_config_read(dev, 0, bytes, sizeof(bytes));
	vpmem_device_set_driver_features(dev, 0, 0);
	assert_int_equal(nlocks, 5);
	vpmem_device_status(dev);
	vpmem_device_config_generation(dev);
	vpmem_device_features(dev, 0);
	assert_int_equal(nlocks, 5);
}

/* ---- requests that are not in due form ---------------------------------------------------------------- */

static void bad_requests(struct driver *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t idx = (uint16_t)(driver_used_idx(d) + 1);

		driver_flush(d, 0);
		driver_store(d, TYPE_GPA(0), 77, 4);
		driver_submit(d, 0);
		assert_true(driver_wait_used(d, idx));
		assert_int_equal(driver_status(d, 0), FAILED);
	}
	assert_true(worker_settle(d->dev));
}

static void only_bad_requests_end_in_a_reset(void **state)
{
	struct driver *d = &((struct fixture *)*state)->d;

	start(d, 0, 8);
	bad_requests(d, PMEM_BAD_BATCHES_MAX - 1);
	assert_int_equal(vpmem_device_status(d->dev), STATUS_RUNNING);
	assert_int_equal(driver_flush_now(d), 0);
	bad_requests(d, PMEM_BAD_BATCHES_MAX - 1);
	assert_int_equal(vpmem_device_status(d->dev), STATUS_RUNNING);
	bad_requests(d, 1);
	assert_int_equal(vpmem_device_status(d->dev), STATUS_RUNNING | STATUS_NEEDS_RESET);
	assert_int_equal(d->seen.nguest_faults, 1);
	assert_int_equal(d->seen.nconfig_irqs, 1);
	assert_non_null(strstr(d->seen.text, "no flush in due form"));
	/* A new driver begins anew. */
	start(d, 0, 8);
	bad_requests(d, PMEM_BAD_BATCHES_MAX - 1);
	assert_int_equal(driver_flush_now(d), 0);
	assert_int_equal(vpmem_device_status(d->dev), STATUS_RUNNING);
}

static void a_reset_of_the_queue_begins_anew(void **state)
{
	struct driver *d = &((struct fixture *)*state)->d;

	start(d, FEATURE_RING_RESET, 8);
	bad_requests(d, PMEM_BAD_BATCHES_MAX - 1);
	vpmem_queue_reset(d->dev, 0);
	driver_queue(d, 8);
	bad_requests(d, PMEM_BAD_BATCHES_MAX - 1);
	assert_int_equal(vpmem_device_status(d->dev), STATUS_RUNNING);
}

/* The ring is full again before the worker looks: it stops all the same, after as many batches as it may serve. */
static void a_flood_of_bad_requests_ends(void **state)
{
	struct driver *d = &((struct fixture *)*state)->d;

	start(d, 0, 8);
	for (unsigned i = 0; i < 4; i++) {
		driver_flush(d, i);
		driver_store(d, TYPE_GPA(i), 77, 4);
	}
	/* A worker that never runs leaves the ring full. */
	alarm(300);
	for (unsigned n = 0; !(vpmem_device_status(d->dev) & STATUS_NEEDS_RESET);) {
		/* A batch has at most 4 requests. */
		assert_true(n <= 8 * PMEM_BAD_BATCHES_MAX);
		if ((uint16_t)(d->avail_idx - driver_used_idx(d)) < 4)
			driver_submit(d, (uint16_t)(2 * (n++ % 4)));
		else
			sched_yield();
	}
	alarm(0);
	assert_true(worker_settle(d->dev));
	assert_in_range(vpmem_device_stats(d->dev).completed, PMEM_BAD_BATCHES_MAX, 8 * PMEM_BAD_BATCHES_MAX);
	assert_int_equal(vpmem_device_stats(d->dev).syncs, 0);
}

int main(void)
{
#define HOLD_CASE(name) cmocka_unit_test_setup_teardown(name, setup_hold, teardown)
	const struct CMUnitTest tests[] = {
		HOLD_CASE(a_chain_of_16_buffers_is_served),
		HOLD_CASE(a_chain_of_17_buffers_asks_for_a_reset),
		HOLD_CASE(the_descriptors_of_one_hold_are_bounded),
		HOLD_CASE(a_full_ring_of_flushes_is_one_batch),
		HOLD_CASE(a_waiter_gets_the_lock_before_the_next_batch_is_taken),
		HOLD_CASE(a_waiter_gets_the_lock_before_a_taken_batch_is_completed),
		HOLD_CASE(a_waiter_gets_the_lock_also_while_every_flush_fails),
		HOLD_CASE(a_register_access_takes_the_lock_once),
		HOLD_CASE(only_bad_requests_end_in_a_reset),
		HOLD_CASE(a_reset_of_the_queue_begins_anew),
		HOLD_CASE(a_flood_of_bad_requests_ends),
	};

	return cmocka_run_group_tests_name("pmem_bound", tests, NULL, NULL);
}
