// SPDX-License-Identifier: Apache-2.0
/*
 * pmem_guest_fault_test.c - a guest that breaks the specification, by mistake or on purpose: its requests are
 * returned, the others are served, the device asks for a reset, and the monitor is never harmed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "pmem_fixture.h"

/* ---- guest faults -------------------------------------------------------------------------------- */

/* The three requests of a batch, of which the second breaks a MUST: all are returned, then the device is done for. */
static void check_chain_fault(struct fixture *f, uint32_t bad_written_len)
{
	struct driver *d = &f->d;
	unsigned nfaults = d->seen.nguest_faults, nconfig = d->seen.nconfig_irqs;
	unsigned nsyncs = fake_backing_nsyncs(f->backing);

	driver_avail(d, driver_flush(d, 4));
	driver_avail(d, 0);
	driver_avail(d, driver_flush(d, 5));
	driver_kick(d);
	assert_true(driver_wait_count(&d->seen.nguest_faults, nfaults + 1));
	assert_int_equal(driver_used_idx(d), 3);
	assert_used(d, 0, 8, 4);
	assert_used(d, 1, 0, bad_written_len);
	assert_used(d, 2, 10, 4);
	assert_int_equal(driver_status(d, 4), 0);
	assert_int_equal(driver_status(d, 5), 0);
	assert_int_equal(fake_backing_nsyncs(f->backing), nsyncs + 1);
	assert_true(vpmem_device_status(d->dev) & STATUS_NEEDS_RESET);
	assert_int_equal(d->seen.nconfig_irqs, nconfig + 1);
	assert_non_null(strstr(d->seen.text, "nv1"));

	/* not served any more */
	driver_avail(d, driver_flush(d, 4));
	vpmem_queue_kick(d->dev, 0);
	assert_true(worker_settle(d->dev));
	assert_int_equal(driver_used_idx(d), 3);
	assert_int_equal(driver_status(d, 4), POISON);
}

static void a_faulty_chain_asks_for_a_reset(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	enum { NEXT, LOOP, LONG, INDIRECT_NEXT, NESTED, TABLE_LEN, TABLE_GONE, OUTSIDE, STRADDLES, WRAPS, PMEM, END };

	for (unsigned i = NEXT; i < END; i++) {
		uint32_t written_len = 0;

		start(d, FEATURE_INDIRECT, 16);
		driver_flush(d, 0);
		switch (i) {
		case NEXT: /* after a place for the status was found */
			driver_desc(d, 1, STATUS_GPA(0), 4, F_WRITE | F_NEXT, 16);
			written_len = 4;
			break;
		case LOOP:
			driver_desc(d, 1, STATUS_GPA(0), 4, F_WRITE | F_NEXT, 0);
			written_len = 4;
			break;
		case LONG: /* an indirect table with one buffer more than the queue has entries */
			for (unsigned j = 0; j < 17; j++)
				driver_table_desc(d, TABLE_GPA, j, TYPE_GPA(0), 1, j < 16 ? F_NEXT : 0, j + 1);
			driver_desc(d, 0, TABLE_GPA, 17 * 16, F_INDIRECT, 0);
			break;
		case INDIRECT_NEXT:
			driver_flush_indirect(d, 0);
			driver_desc(d, 0, TABLE_GPA, 32, F_INDIRECT | F_NEXT, 1);
			break;
		case NESTED:
			driver_desc(d, 0, TABLE_GPA, 16, F_INDIRECT, 0);
			driver_table_desc(d, TABLE_GPA, 0, TABLE_GPA + 32, 16, F_INDIRECT, 0);
			break;
		case TABLE_LEN:
			driver_flush_indirect(d, 0);
			driver_desc(d, 0, TABLE_GPA, 40, F_INDIRECT, 0);
			break;
		case TABLE_GONE:
			driver_desc(d, 0, GUEST_END, 32, F_INDIRECT, 0);
			break;
		case OUTSIDE:
			driver_desc(d, 1, GUEST_END, 4, F_WRITE, 0);
			break;
		case STRADDLES:
			driver_desc(d, 1, GUEST_END - 3, 4, F_WRITE, 0);
			break;
		case WRAPS:
			driver_desc(d, 1, UINT64_MAX - 1, 4, F_WRITE, 0);
			break;
		case PMEM: /* The persistent memory is no place for requests */
			driver_desc(d, 1, PMEM_GPA, 4, F_WRITE, 0);
			break;
		default:
			break;
		}
		check_chain_fault(f, written_len);
		assert_int_equal(driver_status(d, 0), written_len ? FAILED : POISON);
	}
	start(d, FEATURE_INDIRECT, 16);
	assert_int_equal(driver_flush_now(d), 0);
}

static void an_indirect_table_needs_the_feature(void **state)
{
	struct fixture *f = *state;

	start(&f->d, 0, 16);
	driver_flush_indirect(&f->d, 0);
	check_chain_fault(f, 0);
}

static void an_available_index_that_jumps_is_a_fault(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;

	start(d, 0, 8);
	driver_flush(d, 0);
	driver_store(d, AVAIL_GPA + 2, 9, 2);
	vpmem_queue_kick(d->dev, 0);
	assert_true(driver_wait_count(&d->seen.nguest_faults, 1));
	assert_int_equal(vpmem_device_status(d->dev), STATUS_RUNNING | STATUS_NEEDS_RESET);
	assert_int_equal(d->seen.nconfig_irqs, 1);
	assert_true(worker_settle(d->dev));
	assert_int_equal(driver_used_idx(d), 0);
	assert_int_equal(d->seen.nqueue_irqs, 0);
	/* once is enough */
	assert_int_equal(d->seen.nguest_faults, 1);
	assert_int_equal(d->seen.nconfig_irqs, 1);
	start(d, 0, 8);
	assert_int_equal(driver_flush_now(d), 0);
}

/* What was popped before the bad head is served. */
static void a_head_outside_the_table_is_a_fault(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;

	start(d, 0, 8);
	driver_avail(d, driver_flush(d, 0));
	driver_avail(d, 8);
	driver_avail(d, driver_flush(d, 1));
	driver_kick(d);
	assert_true(driver_wait_count(&d->seen.nguest_faults, 1));
	assert_true(vpmem_device_status(d->dev) & STATUS_NEEDS_RESET);
	assert_true(worker_settle(d->dev));
	assert_int_equal(driver_used_idx(d), 1);
	assert_int_equal(driver_status(d, 0), 0);
	assert_int_equal(driver_status(d, 1), POISON);
}

/* A driver whose status lies on its own rings harms itself only. */
static void requests_on_top_of_the_rings_do_no_harm(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	static const uint64_t places[] = { DESC_GPA, AVAIL_GPA, USED_GPA, USED_GPA + 4, AVAIL_GPA + 4 };

	for (unsigned i = 0; i < ENTRIES(places); i++) {
		start(d, 0, 8);
		driver_flush(d, 0);
		driver_desc(d, 1, places[i], 4, F_WRITE, 0);
		driver_submit(d, 0);
		assert_true(worker_settle(d->dev));
	}
	start(d, 0, 8);
	assert_int_equal(driver_flush_now(d), 0);
}

/* All three rings in one place: the device's own writes look like new requests to it, but not for ever. */
static void rings_on_top_of_each_other_do_no_harm(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	struct vpmem_queue regs = {
		.size = 4,
		.desc_gpa = DESC_GPA,
		.driver_gpa = DESC_GPA,
		.device_gpa = DESC_GPA,
	};

	for (unsigned i = 1; i < 8; i++) {
		driver_features(d, FEATURE_EVENT_IDX);
		vpmem_queue_set(d->dev, 0, &regs);
		memset(d->ram, (int)i, 64);
		driver_store(d, DESC_GPA + 2, i, 2);
		vpmem_queue_enable(d->dev, 0);
		driver_ok(d);
		vpmem_queue_kick(d->dev, 0);
	}
	start(d, 0, 8);
	assert_int_equal(driver_flush_now(d), 0);
}

/* ---- a hostile guest ----------------------------------------------------------------------------- */

/* The indices of both rings go round more than once, in batches. */
static void indices_wrap(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;

	start(d, FEATURE_EVENT_IDX | FEATURE_INDIRECT, 128);
	for (unsigned i = 0; i < 128; i++)
		driver_flush_indirect(d, i);
	for (unsigned batch = 1; batch <= 2 * 65536 / 128 + 3; batch++) {
		for (unsigned i = 0; i < 128; i++) {
			driver_store(d, STATUS_GPA(i), POISON, 4);
			driver_avail(d, (uint16_t)i);
		}
		driver_kick(d);
		assert_true(driver_wait_used(d, (uint16_t)(batch * 128)));
		for (unsigned i = 0; i < 128; i++)
			assert_int_equal(driver_status(d, i), 0);
	}
}

/* A driver that never reads what comes back: all is served, from no more memory than before. */
static void requests_without_end_take_no_more_memory(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	unsigned before;
	uint16_t head;

	start(d, 0, 8);
	head = driver_flush(d, 0);
	driver_submit(d, head);
	assert_true(driver_wait_used(d, 1));
	before = worker_nallocs();
	for (unsigned i = 2; i < 20000; i++) {
		driver_submit(d, head);
		if (i % 8 == 0)
			assert_true(driver_wait_used(d, (uint16_t)i));
	}
	assert_true(worker_settle(d->dev));
	assert_int_equal(worker_nallocs(), before);
	assert_int_equal(vpmem_device_stats(d->dev).completed, 19999);
	assert_int_equal(vpmem_device_status(d->dev), STATUS_RUNNING);
}

struct mutator {
	struct driver *d;
	atomic_bool stop;
};

/* A vCPU that changes descriptors while the device reads them, mostly between good values and deadly ones. */
static void *mutate(void *opaque)
{
	struct mutator *m = opaque;
	static const uint64_t addrs[] = { TYPE_GPA(0), GUEST_END, STATUS_GPA(0), GUEST_END - 2, 0, UINT64_MAX - 1 };
	static const uint32_t lens[] = { 4, UINT32_MAX, 4, 0, 4, 0x20000 };
	static const uint16_t flags[] = { F_NEXT, F_WRITE, F_INDIRECT, F_NEXT | F_WRITE, 0, F_INDIRECT | F_NEXT };
	static const uint16_t nexts[] = { 1, 0xffff, 0, 8, 1, 1 };

	for (unsigned i = 0; !atomic_load(&m->stop); i++) {
		unsigned idx = i / 3 % 2, pick = i * 7 / 5 % 6;

		driver_store(m->d, DESC_GPA + 16 * idx, addrs[pick], 8);
		driver_store(m->d, DESC_GPA + 16 * idx + 8, lens[(pick + i) % 6], 4);
		driver_store(m->d, DESC_GPA + 16 * idx + 12, flags[(pick + i / 2) % 6], 2);
		driver_store(m->d, DESC_GPA + 16 * idx + 14, nexts[(pick + i / 4) % 6], 2);
		driver_store(m->d, AVAIL_GPA + 4 + 2 * (i % 8), i % 64 ? 0 : 0xffff, 2);
	}
	return NULL;
}

/* After a fault: running again, on the rings as they are. */
static void recover(struct driver *d)
{
	struct vpmem_queue regs = {
		.size = 8,
		.desc_gpa = DESC_GPA,
		.driver_gpa = AVAIL_GPA,
		.device_gpa = USED_GPA,
	};

	driver_features(d, FEATURE_INDIRECT);
	d->avail_idx = d->kicked_idx = 0;
	driver_store16(d, AVAIL_GPA + 2, 0);
	vpmem_queue_set(d->dev, 0, &regs);
	vpmem_queue_enable(d->dev, 0);
	driver_ok(d);
}

/*
 * With a real second vCPU: RAM has a page that faults on either side, and the thread sanitizer watches.
 * (guest_access_test has the guest that always hits.)
 */
static void descriptors_may_change_while_they_are_read(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	struct mutator m = { .d = d };
	pthread_t thread;

	start(d, FEATURE_INDIRECT, 8);
	assert_int_equal(pthread_create(&thread, NULL, mutate, &m), 0);
	for (unsigned i = 1; i <= 5000; i++) {
		driver_submit(d, 0);
		while (vpmem_device_stats(d->dev).requests < i && !(vpmem_device_status(d->dev) & STATUS_NEEDS_RESET))
			sched_yield();
		/* a bad head is no request */
		i = (unsigned)vpmem_device_stats(d->dev).requests;
		if (vpmem_device_status(d->dev) & STATUS_NEEDS_RESET)
			recover(d);
	}
	atomic_store(&m.stop, true);
	pthread_join(thread, NULL);
	start(d, 0, 8);
	assert_int_equal(driver_flush_now(d), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_faulty_chain_asks_for_a_reset),
		CASE(an_indirect_table_needs_the_feature),
		CASE(an_available_index_that_jumps_is_a_fault),
		CASE(a_head_outside_the_table_is_a_fault),
		CASE(requests_on_top_of_the_rings_do_no_harm),
		CASE(rings_on_top_of_each_other_do_no_harm),
		CASE(indices_wrap),
		CASE(requests_without_end_take_no_more_memory),
		CASE(descriptors_may_change_while_they_are_read),
	};

	return cmocka_run_group_tests_name("pmem_guest_fault", tests, NULL, NULL);
}
