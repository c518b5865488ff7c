// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_queue_test.c - the queue's registers and resets, who may be created, and many threads at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "virtio_fixture.h"

/* ---- queue registers ----------------------------------------------------------------------------- */

static void queue_registers_are_latched_by_enable(void **state)
{
	struct fixture *f = *state;
	struct vpmem_queue q, other = {
		.size = 64,
		.desc_gpa = DATA_GPA,
		.driver_gpa = DATA_GPA,
		.device_gpa = DATA_GPA,
	};

	driver_start(&f->d, 0, 8);
	vpmem_queue_set(f->d.dev, 0, &other);
	vpmem_queue_enable(f->d.dev, 0);
	q = vpmem_queue_get(f->d.dev, 0);
	assert_true(q.enabled);
	assert_int_equal(q.size, 8);
	assert_int_equal(q.desc_gpa, DESC_GPA);
	assert_int_equal(q.driver_gpa, AVAIL_GPA);
	assert_int_equal(q.device_gpa, USED_GPA);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

static void a_queue_size_is_a_power_of_two(void **state)
{
	struct vpmem_device *dev = device(state);
	struct vpmem_queue regs = { 0 };
	uint16_t expected = VPMEM_QUEUE_SIZE_MAX;

	for (uint32_t size = 0; size <= UINT16_MAX; size++) {
		bool valid = size && size <= VPMEM_QUEUE_SIZE_MAX && (size & (size - 1)) == 0;

		regs.size = (uint16_t)size;
		vpmem_queue_set(dev, 0, &regs);
		expected = valid ? (uint16_t)size : expected;
		assert_int_equal(vpmem_queue_get(dev, 0).size, expected);
	}
}

static void a_queue_that_does_not_exist_is_ignored(void **state)
{
	struct fixture *f = *state;
	static const uint16_t indices[] = { 1, 2, 128, 0x7fff, 0x8000, 0xffff };

	driver_start(&f->d, FEATURE_RING_RESET, 8);
	for (unsigned i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
		const struct vpmem_queue none = { 0 };
		struct vpmem_queue q;

		vpmem_queue_set(f->d.dev, indices[i], &(struct vpmem_queue) { .size = 4, .desc_gpa = 16 });
		vpmem_queue_enable(f->d.dev, indices[i]);
		vpmem_queue_reset(f->d.dev, indices[i]);
		vpmem_queue_kick(f->d.dev, indices[i]);
		q = vpmem_queue_get(f->d.dev, indices[i]);
		assert_int_equal(q.size | q.enabled | q.desc_gpa | q.driver_gpa | q.device_gpa, none.size);
		assert_int_equal(vpmem_queue_kick_efd(f->d.dev, indices[i]), -1);
	}
	assert_true(vpmem_queue_kick_efd(f->d.dev, 0) >= 0);
	assert_true(vpmem_queue_get(f->d.dev, 0).enabled);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

/* Seen while the worker is busy, and so cannot take the kick. */
static void a_kick_of_a_queue_that_does_not_exist_is_ignored(void **state)
{
	struct fixture *f = *state;
	struct pollfd kick = { .fd = vpmem_queue_kick_efd(f->d.dev, 0), .events = POLLIN };

	driver_start(&f->d, 0, 8);
	assert_true(worker_settle(f->d.dev));
	fake_backing_hold(f->backing, 1);
	driver_submit(&f->d, driver_flush(&f->d, 0));
	assert_true(fake_backing_wait_held(f->backing, 1));
	vpmem_queue_kick(f->d.dev, 1);
	vpmem_queue_kick(f->d.dev, 0xffff);
	assert_int_equal(poll(&kick, 1, 0), 0);
	vpmem_queue_kick(f->d.dev, 0);
	assert_int_equal(poll(&kick, 1, 0), 1);
	fake_backing_release(f->backing, 1);
	assert_true(driver_wait_used(&f->d, 1));
}

static void a_queue_is_not_enabled_before_features_ok(void **state)
{
	struct fixture *f = *state;

	driver_queue(&f->d, 8);
	assert_false(vpmem_queue_get(f->d.dev, 0).enabled);
	assert_int_equal(vpmem_queue_get(f->d.dev, 0).desc_gpa, DESC_GPA);
	assert_int_equal(vpmem_device_status(f->d.dev), 0);
}

static void rings_outside_ram_need_a_reset(void **state)
{
	struct fixture *f = *state;
	struct vpmem_queue regs = {
		.size = 8,
		.desc_gpa = PMEM_GPA,
		.driver_gpa = AVAIL_GPA,
		.device_gpa = USED_GPA,
	};

	driver_features(&f->d, 0);
	vpmem_queue_set(f->d.dev, 0, &regs);
	vpmem_queue_enable(f->d.dev, 0);
	assert_false(vpmem_queue_get(f->d.dev, 0).enabled);
	assert_true(vpmem_device_status(f->d.dev) & STATUS_NEEDS_RESET);
	assert_int_equal(f->d.seen.nguest_faults, 1);
	/* No interrupt, because the driver is not running yet */
	assert_int_equal(f->d.seen.nconfig_irqs, 0);
	driver_start(&f->d, 0, 8);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

static void bad_rings_in_a_running_device_raise_an_interrupt(void **state)
{
	struct fixture *f = *state;

	driver_features(&f->d, 0);
	driver_ok(&f->d);
	vpmem_queue_set(f->d.dev, 0, &(struct vpmem_queue) { .size = 8 });
	vpmem_queue_enable(f->d.dev, 0);
	assert_true(vpmem_device_status(f->d.dev) & STATUS_NEEDS_RESET);
	assert_int_equal(f->d.seen.nconfig_irqs, 1);
	assert_non_null(strstr(f->d.seen.text, "nv1"));
}

static void queue_reset_puts_the_queue_back(void **state)
{
	struct fixture *f = *state;
	struct vpmem_queue q;

	driver_start(&f->d, FEATURE_RING_RESET, 8);
	assert_int_equal(driver_flush_now(&f->d), 0);
	vpmem_queue_reset(f->d.dev, 0);
	q = vpmem_queue_get(f->d.dev, 0);
	assert_false(q.enabled);
	assert_int_equal(q.size, VPMEM_QUEUE_SIZE_MAX);
	assert_int_equal(q.desc_gpa, 0);
	assert_int_equal(vpmem_device_status(f->d.dev), STATUS_RUNNING);
	/* enabled again with another size, from index 0 */
	driver_queue(&f->d, 4);
	assert_int_equal(vpmem_queue_get(f->d.dev, 0).size, 4);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(driver_flush_now(&f->d), 0);
}

static void queue_reset_is_ignored_if_not_negotiated(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0, 8);
	vpmem_queue_reset(f->d.dev, 0);
	assert_true(vpmem_queue_get(f->d.dev, 0).enabled);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

/* ---- creation ------------------------------------------------------------------------------------ */

static int create(struct driver *d, uint64_t size, uint64_t gpa, struct vpmem_error *err)
{
	struct vpmem_backing *backing = fake_backing_create(size);
	struct vpmem_device_options opts = {
		.name = "nv1",
		.gmem = d->gmem,
		.backing = backing,
		.gpa = gpa,
		.callbacks = driver_callbacks(d),
	};
	struct vpmem_device *dev = NULL;
	int rc = vpmem_device_create(&opts, &dev, err);

	if (rc == 0)
		vpmem_device_destroy(dev);
	fake_backing_destroy(backing);
	return rc;
}

static void size_is_a_multiple_of_2_mib(void **state)
{
	struct fixture *f = *state;
	struct vpmem_error err;
	static const struct {
		uint64_t size;
		const char *below, *above;
	} cases[] = {
		{ 3 << 20, "2097152 bytes (2 MiB)", "4194304 bytes (4 MiB)" },
		{ 1, "2097152 bytes (2 MiB)", "4194304 bytes (4 MiB)" },
		{ 0, "2097152 bytes (2 MiB)", "4194304 bytes (4 MiB)" },
		{ (UINT64_C(4) << 30) + 4096, "4294967296 bytes (4096 MiB)", "4297064448 bytes (4098 MiB)" },
	};

	assert_int_equal(create(&f->d, VPMEM_GRANULE, 0, &err), 0);
	assert_int_equal(create(&f->d, 7 * VPMEM_GRANULE, 0, &err), 0);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(create(&f->d, cases[i].size, 0, &err), -EINVAL);
		assert_non_null(strstr(err.text, cases[i].below));
		assert_non_null(strstr(err.text, cases[i].above));
		assert_non_null(strstr(err.text, "mem1"));
		assert_non_null(strstr(err.hint, "truncate"));
	}
	assert_int_equal(create(&f->d, 1, 0, NULL), -EINVAL);
}

static void an_address_that_wraps_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(create(&f->d, VPMEM_GRANULE, UINT64_MAX - VPMEM_GRANULE + 2, NULL), -EINVAL);
}

static void incomplete_options_are_refused(void **state)
{
	struct fixture *f = *state;
	const struct vpmem_device_options good = {
		.name = "nv1",
		.gmem = f->d.gmem,
		.backing = f->backing,
		.callbacks = driver_callbacks(&f->d),
	};
	struct vpmem_device_options opts[4] = { good, good, good, good };
	struct vpmem_device *dev;
	struct vpmem_error err;

	opts[0].name = NULL;
	opts[1].gmem = NULL;
	opts[2].backing = NULL;
	opts[3].callbacks.interrupt = NULL;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(vpmem_device_create(&opts[i], &dev, &err), -EINVAL);
	vpmem_device_destroy(NULL);
}

/* ---- many threads -------------------------------------------------------------------------------- */

#define STRESS_ROUNDS 2000

static void *stress_registers(void *opaque)
{
	struct vpmem_device *dev = opaque;
	uint8_t buf[16];

	for (unsigned i = 0; i < STRESS_ROUNDS; i++) {
		vpmem_device_set_driver_features(dev, i & 1, (uint32_t)(FEATURE_EVENT_IDX | FEATURE_VERSION_1 >> 32));
		vpmem_device_set_status(dev, (uint8_t)(i % 7 ? STATUS_RUNNING : 0));
		vpmem_queue_set(dev, 0,
		                &(struct vpmem_queue) { .size = (uint16_t)(1 << i % 8),
		                                        .desc_gpa = DESC_GPA,
		                                        .driver_gpa = AVAIL_GPA,
		                                        .device_gpa = i % 11 ? USED_GPA : 0 });
		vpmem_queue_enable(dev, 0);
		vpmem_device_config_read(dev, i % 16, buf, 4);
		vpmem_queue_get(dev, 0);
		vpmem_queue_reset(dev, 0);
		(void)vpmem_device_clear_error(dev, vpmem_device_stats(dev).sync_errors);
	}
	return NULL;
}

static void *stress_kicks(void *opaque)
{
	struct vpmem_device *dev = opaque;

	for (unsigned i = 0; i < STRESS_ROUNDS; i++) {
		vpmem_queue_kick(dev, 0);
		vpmem_device_status(dev);
		vpmem_device_config_generation(dev);
		vpmem_device_error(dev);
		vpmem_device_stats(dev);
	}
	return NULL;
}

/* For the thread sanitizer, mostly: one vCPU writes registers while others kick. */
static void registers_and_kicks_may_come_at_the_same_time(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[3];

	driver_features(&f->d, FEATURE_EVENT_IDX);
	driver_queue(&f->d, 8);
	for (unsigned i = 0; i < 4; i++)
		driver_avail(&f->d, driver_flush(&f->d, i % 4));
	assert_int_equal(pthread_create(&threads[0], NULL, stress_registers, f->d.dev), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, stress_registers, f->d.dev), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, stress_kicks, f->d.dev), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	/* and it still works */
	driver_start(&f->d, FEATURE_EVENT_IDX, 8);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(queue_registers_are_latched_by_enable),
		CASE(a_queue_size_is_a_power_of_two),
		CASE(a_queue_that_does_not_exist_is_ignored),
		CASE(a_kick_of_a_queue_that_does_not_exist_is_ignored),
		CASE(a_queue_is_not_enabled_before_features_ok),
		CASE(rings_outside_ram_need_a_reset),
		CASE(bad_rings_in_a_running_device_raise_an_interrupt),
		CASE(queue_reset_puts_the_queue_back),
		CASE(queue_reset_is_ignored_if_not_negotiated),
		CASE(size_is_a_multiple_of_2_mib),
		CASE(an_address_that_wraps_is_refused),
		CASE(incomplete_options_are_refused),
		CASE(registers_and_kicks_may_come_at_the_same_time),
	};

	return cmocka_run_group_tests_name("virtio_queue", tests, NULL, NULL);
}
