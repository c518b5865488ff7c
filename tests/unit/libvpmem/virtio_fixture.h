// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_fixture.h - a device on a fake backing, in its reset state, for the tests of the registers. To be
 * included after cmocka.h.
 */
#ifndef TEST_VIRTIO_FIXTURE_H
#define TEST_VIRTIO_FIXTURE_H

#include "driver.h"
#include "fake_backing.h"
#include "worker_probe.h"

#define SIZE (4 * VPMEM_GRANULE)

struct fixture {
	struct driver d;
	struct vpmem_backing *backing;
};

static inline int setup_with(void **state, const struct vpmem_device_options *opts)
{
	static struct fixture fixture;

	fixture.backing = fake_backing_create(SIZE);
	driver_init(&fixture.d, fixture.backing, opts);
	worker_probe(fixture.d.dev);
	*state = &fixture;
	return 0;
}

static inline int setup(void **state)
{
	return setup_with(state, NULL);
}

static inline int setup_shmem(void **state)
{
	return setup_with(state, &(struct vpmem_device_options) { .shmem = true });
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	driver_free(&f->d);
	fake_backing_destroy(f->backing);
	return 0;
}

static inline struct vpmem_device *device(void **state)
{
	return ((struct fixture *)*state)->d.dev;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_SHMEM(name) cmocka_unit_test_setup_teardown(name, setup_shmem, teardown)

#endif
