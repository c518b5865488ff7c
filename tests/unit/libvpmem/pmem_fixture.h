// SPDX-License-Identifier: Apache-2.0
/*
 * pmem_fixture.h - a running device on a fake backing, for the tests of the flush path. To be included
 * after cmocka.h.
 */
#ifndef TEST_PMEM_FIXTURE_H
#define TEST_PMEM_FIXTURE_H

#include "driver.h"
#include "fake_backing.h"
#include "worker_probe.h"

#define ENTRIES(array) (sizeof(array) / sizeof((array)[0]))
#define SIZE (2 * VPMEM_GRANULE)
#define FAILED UINT32_MAX /* a status of -1 */

struct fixture {
	struct driver d;
	struct vpmem_backing *backing;
};

/* cmocka set-up and tear-down; *state is a struct fixture. */
static inline int setup(void **state)
{
	static struct fixture f;

	f.backing = fake_backing_create(SIZE);
	driver_init(&f.d, f.backing, NULL);
	worker_probe(f.d.dev);
	*state = &f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	bool timed_out;

	driver_free(&f->d);
	timed_out = fake_backing_timed_out(f->backing);
	fake_backing_destroy(f->backing);
	return timed_out ? -1 : 0;
}

/* The driver is running, and the worker has looked at the queue because of that, and sleeps. */
static inline void start(struct driver *d, uint64_t features, uint16_t size)
{
	driver_start(d, features, size);
	assert_true(worker_settle(d->dev));
}

/* The n-th used entry names this head and says that this many bytes were written. */
#define assert_used(d, n, head, written_len)                          \
	do {                                                          \
		assert_int_equal(driver_used(d, n).id, head);         \
		assert_int_equal(driver_used(d, n).len, written_len); \
	} while (0)

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
