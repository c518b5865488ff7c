// SPDX-License-Identifier: Apache-2.0
/*
 * virtq_fixture.h - a queue without a device, driven directly; the rings are built by the tests' guest. To be
 * included after cmocka.h.
 */
#ifndef TEST_VIRTQ_FIXTURE_H
#define TEST_VIRTQ_FIXTURE_H

#include "virtq.h"
#include "driver.h"

#include <string.h>

#define ENTRIES(array) (sizeof(array) / sizeof((array)[0]))

struct fixture {
	struct driver d;
	struct virtq q;
};

static inline int setup(void **state)
{
	static struct fixture f;

	driver_ram_init(&f.d);
	memset(&f.q, 0, sizeof(f.q));
	virtq_init(&f.q, VPMEM_QUEUE_SIZE_MAX);
	*state = &f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	driver_ram_free(&f->d);
	return 0;
}

static inline void enable(struct fixture *f, uint16_t size, bool event_idx, bool indirect)
{
	f->d.size = size;
	f->d.event_idx = event_idx;
	f->q.regs.size = size;
	f->q.regs.desc_gpa = DESC_GPA;
	f->q.regs.driver_gpa = AVAIL_GPA;
	f->q.regs.device_gpa = USED_GPA;
	assert_int_equal(virtq_enable(&f->q, &f->d.mem, event_idx, indirect), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
