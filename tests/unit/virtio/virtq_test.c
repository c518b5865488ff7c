// SPDX-License-Identifier: Apache-2.0
/*
 * virtq_test.c - the split virtqueue: where its rings may lie, its positions, who is notified when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "virtq_fixture.h"

/* ---- registers and rings ------------------------------------------------------------------------- */

static void reset_starts_a_new_life(void **state)
{
	struct fixture *f = *state;
	uint64_t generation = f->q.generation;

	enable(f, 4, true, true);
	virtq_reset(&f->q);
	assert_false(f->q.regs.enabled);
	assert_int_equal(f->q.regs.size, VPMEM_QUEUE_SIZE_MAX);
	assert_int_equal(f->q.regs.desc_gpa | f->q.regs.driver_gpa | f->q.regs.device_gpa, 0);
	assert_int_equal(f->q.avail_idx | f->q.used_idx | f->q.published_idx, 0);
	assert_true(f->q.generation > generation);
}

static void rings_are_aligned_and_in_ram(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t desc, avail, used;
		bool ok;
	} cases[] = {
		{ DESC_GPA, AVAIL_GPA, USED_GPA, true },
		/* the last bytes of RAM are RAM: 8 descriptors; 4 + 2 * 8 + 2; 4 + 8 * 8 + 2 (to a multiple of 4) */
		{ GUEST_END - 128, AVAIL_GPA, USED_GPA, true },
		{ DESC_GPA, GUEST_END - 22, USED_GPA, true },
		{ DESC_GPA, AVAIL_GPA, GUEST_END - 72, true },
		{ GUEST_END - 112, AVAIL_GPA, USED_GPA, false },
		{ DESC_GPA, GUEST_END - 20, USED_GPA, false },
		{ DESC_GPA, AVAIL_GPA, GUEST_END - 68, false },
		{ DESC_GPA + 8, AVAIL_GPA, USED_GPA, false },
		{ DESC_GPA, AVAIL_GPA + 1, USED_GPA, false },
		{ DESC_GPA, AVAIL_GPA, USED_GPA + 2, false },
		{ 0, AVAIL_GPA, USED_GPA, false },
		{ DESC_GPA, 0, USED_GPA, false },
		{ DESC_GPA, AVAIL_GPA, 0, false },
		/* in the persistent memory, which is not RAM */
		{ PMEM_GPA, AVAIL_GPA, USED_GPA, false },
		{ DESC_GPA, PMEM_GPA, USED_GPA, false },
		{ DESC_GPA, AVAIL_GPA, PMEM_GPA, false },
		{ UINT64_MAX - 15, AVAIL_GPA, USED_GPA, false },
	};

	for (unsigned i = 0; i < ENTRIES(cases); i++) {
		virtq_reset(&f->q);
		f->q.regs.size = 8;
		f->q.regs.desc_gpa = cases[i].desc;
		f->q.regs.driver_gpa = cases[i].avail;
		f->q.regs.device_gpa = cases[i].used;
		assert_int_equal(virtq_enable(&f->q, &f->d.mem, true, true), cases[i].ok ? 0 : -EPROTO);
		assert_int_equal(f->q.regs.enabled, cases[i].ok);
	}
}

static void without_event_idx_the_rings_are_two_bytes_shorter(void **state)
{
	struct fixture *f = *state;

	f->q.regs.size = 8;
	f->q.regs.desc_gpa = DESC_GPA;
	f->q.regs.driver_gpa = GUEST_END - 20;
	f->q.regs.device_gpa = GUEST_END - 68;
	assert_int_equal(virtq_enable(&f->q, &f->d.mem, true, true), -EPROTO);
	assert_int_equal(virtq_enable(&f->q, &f->d.mem, false, true), 0);
}

static void an_available_index_that_jumps_is_a_fault(void **state)
{
	struct fixture *f = *state;

	enable(f, 4, false, false);
	driver_store(&f->d, AVAIL_GPA + 2, 4, 2);
	assert_int_equal(virtq_available(&f->q), 4);
	driver_store(&f->d, AVAIL_GPA + 2, 5, 2);
	assert_int_equal(virtq_available(&f->q), -EPROTO);
	driver_store(&f->d, AVAIL_GPA + 2, 0xffff, 2);
	assert_int_equal(virtq_available(&f->q), -EPROTO);
}

static void a_head_outside_the_table_is_a_fault(void **state)
{
	struct fixture *f = *state;
	struct virtq_chain chain;

	enable(f, 4, false, false);
	driver_avail(&f->d, 3);
	driver_avail(&f->d, 4);
	driver_avail(&f->d, 0xffff);
	assert_int_equal(virtq_available(&f->q), 3);
	assert_int_equal(virtq_pop(&f->q, &chain), 0);
	assert_int_equal(chain.head, 3);
	assert_int_equal(virtq_pop(&f->q, &chain), -EPROTO);
}

static void indices_wrap_at_65536(void **state)
{
	struct fixture *f = *state;
	struct virtq_chain chain;

	enable(f, 4, true, false);
	for (uint32_t i = 0; i < 3 * 65536 + 7; i++) {
		driver_avail(&f->d, (uint16_t)(i % 4));
		assert_int_equal(virtq_available(&f->q), 1);
		assert_int_equal(virtq_pop(&f->q, &chain), 0);
		assert_int_equal(chain.head, i % 4);
		virtq_push(&f->q, chain.head, i);
		virtq_publish(&f->q);
		assert_int_equal(driver_used_idx(&f->d), (uint16_t)(i + 1));
		assert_int_equal(driver_used(&f->d, i).id, i % 4);
		assert_int_equal(driver_used(&f->d, i).len, i);
	}
}

static void pushes_are_invisible_until_published(void **state)
{
	struct fixture *f = *state;

	enable(f, 4, false, false);
	virtq_push(&f->q, 1, 4);
	virtq_push(&f->q, 2, 0);
	assert_int_equal(driver_used_idx(&f->d), 0);
	virtq_publish(&f->q);
	assert_int_equal(driver_used_idx(&f->d), 2);
	assert_int_equal(driver_used(&f->d, 1).id, 2);
}

/* ---- notifications ------------------------------------------------------------------------------- */

static void flags_ask_for_interrupts(void **state)
{
	struct fixture *f = *state;

	enable(f, 4, false, false);
	virtq_push(&f->q, 0, 0);
	assert_true(virtq_publish(&f->q));
	driver_store(&f->d, AVAIL_GPA, 1, 2);
	virtq_push(&f->q, 0, 0);
	assert_false(virtq_publish(&f->q));
	/* only the low bit counts */
	driver_store(&f->d, AVAIL_GPA, 0xfffe, 2);
	virtq_push(&f->q, 0, 0);
	assert_true(virtq_publish(&f->q));
}

/* An interrupt exactly when the step from old to new passes used_event, at every offset and over the wrap. */
static void used_event_asks_for_interrupts(void **state)
{
	struct fixture *f = *state;

	enable(f, 8, true, false);
	driver_store(&f->d, AVAIL_GPA, 1, 2); /* flags MUST be ignored */
	for (uint32_t start = 65530; start < 65542; start++) {
		for (uint16_t nnew = 1; nnew <= 8; nnew++) {
			for (int event_off = -10; event_off < 10; event_off++) {
				uint16_t event = (uint16_t)((int)start + event_off);
				bool passed = event_off >= 0 && event_off < nnew;

				f->q.used_idx = f->q.published_idx = (uint16_t)start;
				driver_store(&f->d, AVAIL_GPA + 4 + 16, event, 2);
				for (unsigned i = 0; i < nnew; i++)
					virtq_push(&f->q, 0, 0);
				assert_int_equal(virtq_publish(&f->q), passed);
			}
		}
	}
	assert_int_equal(driver_load(&f->d, USED_GPA, 2), 0);
}

static void flags_ask_for_kicks(void **state)
{
	struct fixture *f = *state;

	enable(f, 4, false, false);
	virtq_kicks_off(&f->q);
	assert_int_equal(driver_load(&f->d, USED_GPA, 2), 1);
	virtq_kicks_on(&f->q);
	assert_int_equal(driver_load(&f->d, USED_GPA, 2), 0);
}

static void avail_event_asks_for_kicks(void **state)
{
	struct fixture *f = *state;
	struct virtq_chain chain;

	enable(f, 4, true, false);
	for (unsigned i = 0; i < 3; i++) {
		driver_avail(&f->d, 0);
		assert_int_equal(virtq_pop(&f->q, &chain), 0);
	}
	virtq_kicks_off(&f->q);
	assert_int_equal(driver_load(&f->d, USED_GPA + 4 + 32, 2), 0);
	virtq_kicks_on(&f->q);
	assert_int_equal(driver_load(&f->d, USED_GPA + 4 + 32, 2), 3);
	assert_int_equal(driver_load(&f->d, USED_GPA, 2), 0); /* flags MUST stay 0 */
}

/* ---- the barriers -------------------------------------------------------------------------------- */

/*
 * Two threads, the device's and the driver's, each write one word and then read the other's, at the same
 * moment as nearly as can be. Without a full barrier between the two, both may read the old value, and
 * both sleep. Whether that shows depends on the machine and on luck; with the barriers it never does.
 * (guest_access_test sees that they are there.)
 */
#define LITMUS_ROUNDS 50000u

struct litmus {
	struct fixture *f;
	bool (*device)(struct virtq *q); /* "the driver will have to be woken", or "there is something to do" */
	atomic_uint begun, ended;
	bool device_awake;
};

static void wait_for(atomic_uint *counter, unsigned val)
{
	for (unsigned n = 0; atomic_load(counter) != val; n++) {
		if (n > 10000)
			sched_yield();
	}
}

/* The other thread starts a little later than this one, and how much later varies: try all. */
static void stagger(unsigned i)
{
	for (volatile unsigned n = i % 128; n > 0; n--)
		;
}

static void *litmus_device(void *opaque)
{
	struct litmus *litmus = opaque;

	for (unsigned i = 1; i <= LITMUS_ROUNDS; i++) {
		wait_for(&litmus->begun, i);
		litmus->device_awake = litmus->device(&litmus->f->q);
		atomic_store(&litmus->ended, i);
	}
	return NULL;
}

static bool publish_one(struct virtq *q)
{
	virtq_push(q, 0, 0);
	return virtq_publish(q);
}

static bool ask_for_kicks(struct virtq *q)
{
	virtq_kicks_on(q);
	return virtq_available(q) > 0;
}

static void litmus_start(struct litmus *litmus, pthread_t *thread)
{
	assert_int_equal(pthread_create(thread, NULL, litmus_device, litmus), 0);
}

static void an_interrupt_is_wanted_or_its_cause_is_seen(void **state)
{
	struct fixture *f = *state;
	struct litmus litmus = { .f = f, .device = publish_one };
	pthread_t thread;

	enable(f, 8, true, false);
	litmus_start(&litmus, &thread);
	for (unsigned i = 1; i <= LITMUS_ROUNDS; i++) {
		uint16_t old_idx = (uint16_t)(i - 1), seen_idx;

		driver_store16(&f->d, AVAIL_GPA + 4 + 16, (uint16_t)(old_idx - 1)); /* not for the next one */
		atomic_store(&litmus.begun, i);
		stagger(i);
		driver_store16(&f->d, AVAIL_GPA + 4 + 16, old_idx); /* for the next one */
		__sync_synchronize();
		seen_idx = driver_used_idx(&f->d);
		wait_for(&litmus.ended, i);
		assert_true(litmus.device_awake || seen_idx != old_idx);
	}
	pthread_join(thread, NULL);
}

static void a_kick_is_asked_for_or_the_request_is_seen(void **state)
{
	struct fixture *f = *state;
	struct litmus litmus = { .f = f, .device = ask_for_kicks };
	struct virtq_chain chain;
	pthread_t thread;

	enable(f, 8, true, false);
	litmus_start(&litmus, &thread);
	for (unsigned i = 1; i <= LITMUS_ROUNDS; i++) {
		uint16_t old_idx = (uint16_t)(i - 1), event;

		driver_store16(&f->d, USED_GPA + 4 + 64, (uint16_t)(old_idx - 1)); /* passed: no kick is wanted */
		atomic_store(&litmus.begun, i);
		stagger(i);
		driver_avail(&f->d, 0);
		__sync_synchronize();
		event = driver_load16(&f->d, USED_GPA + 4 + 64);
		wait_for(&litmus.ended, i);
		assert_true(litmus.device_awake || event == old_idx);
		assert_int_equal(virtq_pop(&f->q, &chain), 0);
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reset_starts_a_new_life),
		CASE(rings_are_aligned_and_in_ram),
		CASE(without_event_idx_the_rings_are_two_bytes_shorter),
		CASE(an_available_index_that_jumps_is_a_fault),
		CASE(a_head_outside_the_table_is_a_fault),
		CASE(indices_wrap_at_65536),
		CASE(pushes_are_invisible_until_published),
		CASE(flags_ask_for_interrupts),
		CASE(used_event_asks_for_interrupts),
		CASE(flags_ask_for_kicks),
		CASE(avail_event_asks_for_kicks),
		CASE(an_interrupt_is_wanted_or_its_cause_is_seen),
		CASE(a_kick_is_asked_for_or_the_request_is_seen),
	};

	return cmocka_run_group_tests_name("virtq", tests, NULL, NULL);
}
