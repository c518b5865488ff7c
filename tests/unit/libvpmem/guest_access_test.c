// SPDX-License-Identifier: Apache-2.0
/*
 * guest_access_test.c - each field of a descriptor and of a request is read once, and what was checked is
 * what is used; the order of the accesses, and the barriers between them.
 *
 * virtq.c and pmem.c are built with guest_access_probe.h, so this test sees every access and can play the
 * fastest guest there can be: one that turns each byte into something deadly right after it was read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "pmem.h"
#include "driver.h"
#include "fake_backing.h"
#include "guest_access_probe.h"

/* A device without a worker: the test serves the queue itself. */
struct fixture {
	struct driver d;
	struct vpmem_device dev;
	struct vpmem_backing *backing;
};

static struct fixture fixture;

/* What the device did with each byte of RAM in this test. */
static unsigned nloads[GUEST_RAM_SIZE];
static struct {
	bool watching, hostile;
	bool status_stored, entry_stored;
	/* since the last store of the thing, was there a barrier? */
	bool used_idx_barrier, kicks_barrier;
	unsigned nused_idx, nkicks, nwanted, nlooks;
} probe;

/* Which thing in the rings is at this address? */
static bool is(uint64_t gpa, uint64_t thing_gpa, unsigned len)
{
	return gpa >= thing_gpa && gpa < thing_gpa + len;
}

#define AVAIL_FLAGS AVAIL_GPA, 2u
#define AVAIL_IDX (AVAIL_GPA + 2), 2u
#define USED_EVENT (AVAIL_GPA + 4 + 2u * fixture.d.size), 2u
#define USED_FLAGS USED_GPA, 2u
#define USED_IDX (USED_GPA + 2), 2u
#define USED_ENTRIES (USED_GPA + 4), (8u * fixture.d.size)
#define AVAIL_EVENT (USED_GPA + 4 + 8u * fixture.d.size), 2u

static void loaded(enum guest_access kind, uint64_t gpa, unsigned len)
{
	uint64_t off = gpa - GUEST_GPA;

	if (is(gpa, AVAIL_IDX)) {
		/* (B): what is read next was written before the index */
		assert_int_equal(kind, ACCESS_LOAD_ACQUIRE);
		/* (F): looked at again only after the wish for kicks is out */
		assert_true(probe.kicks_barrier);
		probe.nlooks++;
		return;
	}
	if (is(gpa, AVAIL_FLAGS) || is(gpa, USED_EVENT)) {
		/* (D): after used.idx is out */
		assert_true(probe.used_idx_barrier);
		probe.nwanted++;
		return;
	}
	for (unsigned i = 0; i < len; i++) {
		nloads[off + i]++;
		if (probe.hostile)
			fixture.d.ram[off + i] = 0xff;
	}
}

static void storing(enum guest_access kind, uint64_t gpa)
{
	if (gpa >= DATA_GPA)
		probe.status_stored = true;
	else if (is(gpa, USED_ENTRIES))
		probe.entry_stored = true;
	else if (is(gpa, USED_IDX)) {
		/* (C): statuses and entries are out before the index */
		assert_int_equal(kind, ACCESS_STORE_RELEASE);
		assert_true(probe.status_stored && probe.entry_stored);
		probe.used_idx_barrier = false;
		probe.nused_idx++;
	} else if (is(gpa, AVAIL_EVENT) || is(gpa, USED_FLAGS)) {
		probe.kicks_barrier = false;
		probe.nkicks++;
	} else {
		fail_msg("a store to 0x%llx", (unsigned long long)gpa);
	}
}

void guest_accessed(enum guest_access kind, const uint8_t *hva, unsigned len)
{
	uint64_t off = hva ? (uint64_t)(hva - fixture.d.ram) : 0;

	if (!probe.watching)
		return;
	if (kind == ACCESS_BARRIER) {
		probe.used_idx_barrier = probe.kicks_barrier = true;
		return;
	}
	assert_true(off < GUEST_RAM_SIZE);
	if (kind == ACCESS_LOAD || kind == ACCESS_LOAD_ACQUIRE)
		loaded(kind, GUEST_GPA + off, len);
	else
		storing(kind, GUEST_GPA + off);
}

static int setup(void **state)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	memset(nloads, 0, sizeof(nloads));
	memset(&probe, 0, sizeof(probe));
	driver_ram_init(&f->d);
	f->backing = fake_backing_create(VPMEM_GRANULE);
	f->dev.name = (char *)"nv1";
	f->dev.backing = f->backing;
	f->dev.kick_efd = -1;
	f->dev.callbacks = driver_callbacks(&f->d);
	virtio_init(&f->dev.virtio, &(struct virtio_config) {
					    .mem = &f->d.mem,
					    .features = FEATURE_VERSION_1 | FEATURE_INDIRECT | FEATURE_EVENT_IDX,
					    .queues = f->dev.queues,
					    .nqueues = VPMEM_QUEUE_COUNT,
					    .queue_size_max = VPMEM_QUEUE_SIZE_MAX,
					    .callbacks = pmem_virtio_callbacks(&f->dev),
				    });
	fair_lock_init(&f->dev.lock);
	f->d.dev = &f->dev;
	probe.kicks_barrier = true;
	driver_start(&f->d, FEATURE_INDIRECT | FEATURE_EVENT_IDX, 8);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fair_lock_destroy(&f->dev.lock);
	driver_ram_free(&f->d);
	fake_backing_destroy(f->backing);
	return 0;
}

/* Serves what is available, as friend or foe; no byte was read twice. */
static void serve(struct fixture *f, bool hostile)
{
	probe.watching = true;
	probe.hostile = hostile;
	pmem_serve_queue(&f->dev);
	probe.watching = false;
	for (unsigned i = 0; i < GUEST_RAM_SIZE; i++)
		assert_in_range(nloads[i], 0, 1);
}

static void check_three_flushes(struct fixture *f, bool hostile)
{
	struct driver *d = &f->d;

	driver_avail(d, driver_flush(d, 0));
	driver_avail(d, driver_flush_indirect(d, 4));
	/* type and status in pieces */
	driver_flush(d, 3);
	driver_desc(d, 5, TYPE_GPA(3), 1, F_NEXT, 6);
	driver_desc(d, 6, TYPE_GPA(3) + 1, 3, F_NEXT, 7);
	driver_desc(d, 7, TABLE_GPA + 0x400, 32, F_INDIRECT, 0);
	driver_table_desc(d, TABLE_GPA + 0x400, 0, STATUS_GPA(3), 3, F_WRITE | F_NEXT, 1);
	driver_table_desc(d, TABLE_GPA + 0x400, 1, STATUS_GPA(3) + 3, 1, F_WRITE, 0);
	driver_avail(d, 5);
	serve(f, hostile);
	assert_int_equal(driver_used_idx(d), 3);
	assert_int_equal(driver_status(d, 0), 0);
	assert_int_equal(driver_status(d, 4), 0);
	assert_int_equal(driver_status(d, 3), 0);
	assert_int_equal(fake_backing_nsyncs(f->backing), 1);
	assert_int_equal(vpmem_device_status(&f->dev), STATUS_RUNNING);
	/* the probe is not blind: 8 descriptors and 3 types were read */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(nloads[TYPE_GPA(i == 0 ? 0 : i + 2) - GUEST_GPA], 1);
	assert_int_equal(nloads[DESC_GPA + 16 * 7 + 12 - GUEST_GPA], 1);
	assert_true(probe.status_stored && probe.entry_stored);
}

static void each_byte_is_read_once(void **state)
{
	check_three_flushes(*state, false);
}

static void what_was_checked_is_what_is_used(void **state)
{
	check_three_flushes(*state, true);
}

/* All four orderings of docs/flush-path.md were met on the way: see loaded and storing. */
static void check_orderings(struct fixture *f, uint64_t features)
{
	driver_start(&f->d, features, 8);
	driver_avail(&f->d, driver_flush(&f->d, 0));
	serve(f, false);
	assert_int_equal(driver_status(&f->d, 0), 0);
	assert_int_equal(probe.nused_idx, 1);
	assert_int_equal(probe.nwanted, 1);
	assert_true(probe.nkicks >= 1);
	/* the request; nothing more; nothing more after kicks were asked for */
	assert_int_equal(probe.nlooks, 3);
}

static void barriers_are_kept_with_event_idx(void **state)
{
	check_orderings(*state, FEATURE_EVENT_IDX);
}

static void barriers_are_kept_with_flags(void **state)
{
	check_orderings(*state, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_byte_is_read_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_checked_is_what_is_used, setup, teardown),
		cmocka_unit_test_setup_teardown(barriers_are_kept_with_event_idx, setup, teardown),
		cmocka_unit_test_setup_teardown(barriers_are_kept_with_flags, setup, teardown),
	};

	return cmocka_run_group_tests_name("guest_access", tests, NULL, NULL);
}
