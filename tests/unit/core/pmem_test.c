// SPDX-License-Identifier: Apache-2.0
/*
 * pmem_test.c - the flush path: what a request gets for an answer, what one sync covers, errors, resets in
 * flight, notifications.
 *
 * VPMEM_TEST_LONG=1 in the environment makes the search for lost interrupts 1 000 000 flushes long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"
#include "fake_backing.h"
#include "worker_probe.h"

#define ENTRIES(array) (sizeof(array) / sizeof((array)[0]))
#define SIZE (2 * VPMEM_GRANULE)
#define FAILED UINT32_MAX

struct fixture {
	struct driver d;
	struct vpmem_backing *backing;
};

static int setup(void **state)
{
	static struct fixture f;

	f.backing = fake_backing_create(SIZE);
	driver_init(&f.d, f.backing, NULL);
	worker_probe(f.d.dev);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	bool timed_out;

	driver_free(&f->d);
	timed_out = fake_backing_timed_out(f->backing);
	fake_backing_destroy(f->backing);
	return timed_out ? -1 : 0;
}

/* The driver is running, and the worker has looked at the queue because of that, and sleeps. */
static void start(struct driver *d, uint64_t features, uint16_t size)
{
	driver_start(d, features, size);
	assert_true(worker_settle(d->dev));
}

/* The n-th used entry names this head and says that this many bytes were written. */
#define assert_used(d, n, head, written_len)                            \
	do {                                                            \
		assert_int_equal(driver_used(d, n).id, head);           \
		assert_int_equal(driver_used(d, n).len, written_len);   \
	} while (0)

/* ---- one flush ----------------------------------------------------------------------------------- */

static void d7_a_flush_gets_0_after_one_sync(void **state)
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

/* D3, S5: everything is in memory before used.idx moves, and the sync is over by then. */
static void d3_nothing_is_visible_before_the_sync_is_over(void **state)
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

static void q10_many_flushes_on_one_kick(void **state)
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
static void d2_a_flush_during_a_sync_waits_for_the_next(void **state)
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

static void s1_q6_a_request_in_any_framing(void **state)
{
	struct fixture *f = *state;
	static const char *const shapes[] = {
		"r4w4", "r1r1r1r1w4", "r4w1w1w1w1", "r1r3w3w1", "r2r2w2w2", "r3r1w1w3", "r4w8", "r4w1w7", "r4w4w4",
		"r1r1r1r1w1w1w1w1",
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
static void q7_q11_wrong_requests_fail_alone(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *shape;
		uint32_t type;
		unsigned written_len;
	} cases[] = {
		{ "r4w4", 1, 4 },           /* unknown type */
		{ "r4w4", UINT32_MAX, 4 },
		{ "r4w4", 0x100, 4 },
		{ "r3w4", 0, 4 },           /* too short */
		{ "r1r2w4", 0, 4 },
		{ "r5w4", 0, 4 },           /* too long */
		{ "r4r1w4", 0, 4 },
		{ "w4", 0, 4 },             /* no type */
		{ "w4r4", 0, 4 },           /* status before type */
		{ "r2w4r2", 0, 4 },
		{ "r4r4", 0, 0 },           /* status not writable */
		{ "r4", 0, 0 },             /* no status */
		{ "r4w3", 0, 0 },           /* no room for a whole status */
		{ "r4w1w2", 0, 0 },
		{ "r4r0w4", 0, 0 },         /* a buffer of length 0: what is behind it is not looked at */
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

static void q2_q3_q4_q5_chain_faults(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	enum { NEXT, LOOP, LONG, INDIRECT_NEXT, NESTED, TABLE_LEN, TABLE_GONE, OUTSIDE, STRADDLES, WRAPS, PMEM, END };

	for (unsigned i = NEXT; i < END; i++) {
		uint32_t written_len = 0;

		start(d, FEATURE_INDIRECT, 16);
		driver_flush(d, 0);
		switch (i) {
		case NEXT:       /* after a place for the status was found */
			driver_desc(d, 1, STATUS_GPA(0), 4, F_WRITE | F_NEXT, 16);
			written_len = 4;
			break;
		case LOOP:
			driver_desc(d, 1, STATUS_GPA(0), 4, F_WRITE | F_NEXT, 0);
			written_len = 4;
			break;
		case LONG:       /* an indirect table with one buffer more than the queue has entries */
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
			driver_desc(d, 0, TABLE_GPA, 31, F_INDIRECT, 0);
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
		case PMEM:       /* Q9: the persistent memory is no place for requests */
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

static void q4_indirect_without_negotiation(void **state)
{
	struct fixture *f = *state;

	start(&f->d, 0, 16);
	driver_flush_indirect(&f->d, 0);
	check_chain_fault(f, 0);
}

static void q1_available_index_jump(void **state)
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
static void q2_head_outside_the_table(void **state)
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
static void q9_requests_on_top_of_the_rings(void **state)
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
static void q9_rings_on_top_of_each_other(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	struct vpmem_queue regs = {
		.size = 4, .desc_gpa = DESC_GPA, .driver_gpa = DESC_GPA, .device_gpa = DESC_GPA,
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

/* ---- host faults --------------------------------------------------------------------------------- */

static void d4_a_failed_sync_fails_the_whole_batch_and_all_later_flushes(void **state)
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
	vpmem_device_clear_error(d->dev);
	assert_int_equal(vpmem_device_error(d->dev), 0);
	assert_int_equal(driver_flush_now(d), 0);
	assert_int_equal(fake_backing_nsyncs(f->backing), 2);
	fake_backing_fail(f->backing, 3, -ENOSPC);
	assert_int_equal(driver_flush_now(d), FAILED);
	assert_int_equal(vpmem_device_error(d->dev), -ENOSPC);
	assert_int_equal(d->seen.nsync_failures, 2);
}

/* The error of a sync whose requests were forgotten by a reset is not forgotten. */
static void d4_a_sync_that_fails_after_a_reset_counts(void **state)
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

/* ---- life cycle ---------------------------------------------------------------------------------- */

static void g1_nothing_is_consumed_before_driver_ok(void **state)
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

static void g6_a_request_before_a_queue_is_enabled_again_is_not_lost(void **state)
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

static void s6_spurious_kicks_are_harmless(void **state)
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

static void p9_device_reset_in_flight(void **state)
{
	check_reset_in_flight(*state, RESET_DEVICE);
}

static void p9_queue_reset_in_flight(void **state)
{
	check_reset_in_flight(*state, RESET_QUEUE);
}

/* A new driver comes while the old one's sync still runs, on the same memory: it gets its own sync. */
static void p9_a_new_life_while_the_old_sync_runs(void **state)
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

static void d10_destroy_waits_for_the_sync(void **state)
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

static void s4_no_interrupt_that_is_not_wanted(void **state)
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

/* While a sync runs the driver is told not to kick; before the worker sleeps, to kick again. */
static void s4_no_kick_is_asked_for_while_busy(void **state)
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

static void q14_no_interrupt_is_lost_with_event_idx(void **state)
{
	check_no_loss(*state, FEATURE_EVENT_IDX);
}

static void q14_no_interrupt_is_lost_with_flags(void **state)
{
	check_no_loss(*state, 0);
}

/* ---- a hostile guest ----------------------------------------------------------------------------- */

/* Q13: the indices of both rings go round more than once, in batches. */
static void q13_indices_wrap(void **state)
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

/* Q12: a driver that never looks at what comes back: all is served, from no more memory than before. */
static void q12_flood_without_reaping(void **state)
{
	struct fixture *f = *state;
	struct driver *d = &f->d;
	struct mallinfo2 before;
	uint16_t head;

	start(d, 0, 8);
	head = driver_flush(d, 0);
	driver_submit(d, head);
	assert_true(driver_wait_used(d, 1));
	before = mallinfo2();
	for (unsigned i = 2; i < 20000; i++) {
		driver_submit(d, head);
		if (i % 8 == 0)
			assert_true(driver_wait_used(d, (uint16_t)i));
	}
	assert_true(worker_settle(d->dev));
	assert_int_equal(mallinfo2().uordblks, before.uordblks);
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

/* Q8: RAM has a page that faults on either side, so an access that was checked with another value ends the test. */
static void q8_descriptors_change_while_they_are_read(void **state)
{
	struct fixture *f = *state;
	struct mutator m = { .d = &f->d };
	pthread_t thread;

	start(&f->d, FEATURE_INDIRECT, 8);
	assert_int_equal(pthread_create(&thread, NULL, mutate, &m), 0);
	for (unsigned i = 0; i < 20000; i++) {
		driver_submit(&f->d, 0);
		if (vpmem_device_status(f->d.dev) & STATUS_NEEDS_RESET) {
			driver_features(&f->d, FEATURE_INDIRECT);
			vpmem_queue_set(f->d.dev, 0, &(struct vpmem_queue){ .size = 8, .desc_gpa = DESC_GPA,
				.driver_gpa = AVAIL_GPA, .device_gpa = USED_GPA });
			f->d.avail_idx = f->d.kicked_idx = 0;
			driver_store(&f->d, AVAIL_GPA + 2, 0, 2);
			vpmem_queue_enable(f->d.dev, 0);
			driver_ok(&f->d);
		}
	}
	atomic_store(&m.stop, true);
	pthread_join(thread, NULL);
	start(&f->d, 0, 8);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(d7_a_flush_gets_0_after_one_sync),
		CASE(an_uncontended_flush_reads_once),
		CASE(d3_nothing_is_visible_before_the_sync_is_over),
		CASE(q10_many_flushes_on_one_kick),
		CASE(d2_a_flush_during_a_sync_waits_for_the_next),
		CASE(s1_q6_a_request_in_any_framing),
		CASE(q7_q11_wrong_requests_fail_alone),
		CASE(wrong_requests_do_not_harm_the_others),
		CASE(q2_q3_q4_q5_chain_faults),
		CASE(q4_indirect_without_negotiation),
		CASE(q1_available_index_jump),
		CASE(q2_head_outside_the_table),
		CASE(q9_requests_on_top_of_the_rings),
		CASE(q9_rings_on_top_of_each_other),
		CASE(d4_a_failed_sync_fails_the_whole_batch_and_all_later_flushes),
		CASE(d4_a_sync_that_fails_after_a_reset_counts),
		CASE(g1_nothing_is_consumed_before_driver_ok),
		CASE(g6_a_request_before_a_queue_is_enabled_again_is_not_lost),
		CASE(s6_spurious_kicks_are_harmless),
		CASE(p9_device_reset_in_flight),
		CASE(p9_queue_reset_in_flight),
		CASE(p9_a_new_life_while_the_old_sync_runs),
		cmocka_unit_test(d10_destroy_waits_for_the_sync),
		CASE(s4_no_interrupt_that_is_not_wanted),
		CASE(s4_no_kick_is_asked_for_while_busy),
		CASE(q14_no_interrupt_is_lost_with_event_idx),
		CASE(q14_no_interrupt_is_lost_with_flags),
		CASE(q13_indices_wrap),
		CASE(q12_flood_without_reaping),
		CASE(q8_descriptors_change_while_they_are_read),
	};

	return cmocka_run_group_tests_name("pmem", tests, NULL, NULL);
}
