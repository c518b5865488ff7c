// SPDX-License-Identifier: Apache-2.0
/*
 * reset_in_flight_test.c - 10,000 resets while a sync runs, of the device and of its queue: once the reset has returned,
 * no byte of guest memory changes and no interrupt comes; and the next driver finds a device as new.
 *
 * In these rounds the sync is held until the reset is over. In as many others, between them, the reset meets the
 * worker wherever it is. The thread sanitizer sees a write that would come too late also where the bytes are the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pmem_fixture.h"

#define HELD_ROUNDS 10000u
#define ROUNDS (2 * HELD_ROUNDS)
#define QUEUE_LEN 8u
#define FLUSHES_MAX 4u
#define SPINS_MAX 3000u
#define USED_LEN (DATA_GPA + 0x400 - GUEST_GPA) /* all that a driver of these rounds uses */

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)random_state * limit) >> 32);
}

static void spin(unsigned n)
{
	for (volatile unsigned i = 0; i < n; i++)
		;
}

/* The reset in one of its two forms; it is over when this returns. */
static void reset(struct driver *d, bool queue_only)
{
	if (queue_only)
		vpmem_queue_reset(d->dev, 0);
	else
		vpmem_device_set_status(d->dev, 0);
	assert_false(vpmem_queue_get(d->dev, 0).enabled);
}

static void submit_some(struct driver *d)
{
	unsigned nflushes = 1 + random_below(FLUSHES_MAX);
	bool indirect = random_below(2);

	for (unsigned slot = 0; slot < nflushes; slot++)
		driver_submit(d, indirect ? driver_flush_indirect(d, slot) : driver_flush(d, slot));
}

static void one_round(struct fixture *f, unsigned round)
{
	static uint8_t after_reset[USED_LEN];
	struct driver *d = &f->d;
	bool held = round % 2, queue_only = round / 2 % 2;
	unsigned next_sync = fake_backing_nsyncs(f->backing) + 1, nirqs;

	driver_start(d, FEATURE_RING_RESET | FEATURE_INDIRECT | (round & 4 ? FEATURE_EVENT_IDX : 0), QUEUE_LEN);
	if (held)
		fake_backing_hold(f->backing, next_sync);
	submit_some(d);
	if (held)
		assert_true(fake_backing_wait_held(f->backing, next_sync));
	else
		spin(random_below(SPINS_MAX));

	reset(d, queue_only);
	memcpy(after_reset, d->ram, USED_LEN);
	nirqs = atomic_load(&d->seen.nqueue_irqs);
	fake_backing_hold(f->backing, 0);
	assert_true(worker_settle(d->dev));
	assert_memory_equal(after_reset, d->ram, USED_LEN);
	assert_int_equal(atomic_load(&d->seen.nqueue_irqs), nirqs);
	if (held)
		assert_int_equal(driver_used_idx(d), 0);
}

static void nothing_is_written_after_a_reset(void **state)
{
	struct fixture *f = *state;
	struct vpmem_stats stats;

	for (unsigned round = 0; round < ROUNDS; round++)
		one_round(f, round);
	stats = vpmem_device_stats(f->d.dev);
	/* In every held round at least one request was dropped. */
	assert_true(stats.requests - stats.completed >= HELD_ROUNDS);
	assert_int_equal(stats.failed, 0);
	assert_int_equal(f->d.seen.nguest_faults, 0);

	start(&f->d, 0, QUEUE_LEN);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nothing_is_written_after_a_reset),
	};

	return cmocka_run_group_tests_name("reset_in_flight", tests, NULL, NULL);
}
