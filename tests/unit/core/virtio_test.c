// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_test.c - the device's registers: features, status, configuration, queue registers, resets; and
 * who may be created.
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

#include "driver.h"
#include "fake_backing.h"
#include "worker_probe.h"

#define SIZE (4 * VPMEM_GRANULE)
#define ALL_OFFERED (FEATURE_INDIRECT | FEATURE_EVENT_IDX | FEATURE_VERSION_1 | FEATURE_RING_RESET)

struct fixture {
	struct driver d;
	struct vpmem_backing *backing;
};

static struct fixture fixture;

static int setup_with(void **state, const struct vpmem_device_options *opts)
{
	fixture.backing = fake_backing_create(SIZE);
	driver_init(&fixture.d, fixture.backing, opts);
	worker_probe(fixture.d.dev);
	*state = &fixture;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, NULL);
}

static int setup_shmem(void **state)
{
	return setup_with(state, &(struct vpmem_device_options){ .shmem = true });
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	driver_free(&f->d);
	fake_backing_destroy(f->backing);
	return 0;
}

static struct vpmem_device *device(void **state)
{
	return ((struct fixture *)*state)->d.dev;
}

static uint64_t offered(struct vpmem_device *dev)
{
	return vpmem_device_features(dev, 0) | (uint64_t)vpmem_device_features(dev, 1) << 32;
}

static uint64_t config(struct vpmem_device *dev, uint32_t off)
{
	uint8_t bytes[8];
	uint64_t val = 0;

	vpmem_device_config_read(dev, off, bytes, sizeof(bytes));
	for (unsigned i = 0; i < 8; i++)
		val |= (uint64_t)bytes[i] << (8 * i);
	return val;
}

/* ---- features ------------------------------------------------------------------------------------ */

static void g3_features_offered(void **state)
{
	struct vpmem_device *dev = device(state);

	assert_int_equal(offered(dev), ALL_OFFERED);
	assert_int_equal(vpmem_device_features(dev, 2), 0);
	assert_int_equal(vpmem_device_features(dev, UINT32_MAX), 0);
}

static void features_can_be_withheld(void **state)
{
	static const struct {
		struct vpmem_device_options opts;
		uint64_t features;
	} cases[] = {
		{ { .no_event_idx = true }, ALL_OFFERED & ~FEATURE_EVENT_IDX },
		{ { .no_indirect_desc = true }, ALL_OFFERED & ~FEATURE_INDIRECT },
		{ { .no_ring_reset = true }, ALL_OFFERED & ~FEATURE_RING_RESET },
		{ { .shmem = true }, ALL_OFFERED | FEATURE_SHMEM },
	};
	struct vpmem_backing *backing = fake_backing_create(SIZE);
	struct driver d;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		driver_init(&d, backing, &cases[i].opts);
		assert_int_equal(offered(d.dev), cases[i].features);
		/* and what is withheld cannot be accepted */
		driver_features(&d, ALL_OFFERED);
		assert_int_equal(!!(vpmem_device_status(d.dev) & STATUS_FEATURES_OK),
		                 (ALL_OFFERED & ~cases[i].features) == 0);
		driver_free(&d);
	}
	fake_backing_destroy(backing);
}

static void p8_features_ok_is_refused_for_what_was_not_offered(void **state)
{
	struct fixture *f = *state;

	for (unsigned bit = 0; bit < 64; bit++) {
		driver_features(&f->d, FEATURE(bit));
		assert_int_equal(!!(vpmem_device_status(f->d.dev) & STATUS_FEATURES_OK), ALL_OFFERED >> bit & 1);
	}
}

static void p8_features_ok_is_refused_without_version_1(void **state)
{
	struct vpmem_device *dev = device(state);

	vpmem_device_set_driver_features(dev, 0, (uint32_t)FEATURE_EVENT_IDX);
	vpmem_device_set_status(dev, STATUS_ACK | STATUS_DRIVER | STATUS_FEATURES_OK);
	assert_int_equal(vpmem_device_status(dev), STATUS_ACK | STATUS_DRIVER);
	/* the driver may try again without a reset */
	vpmem_device_set_driver_features(dev, 1, 1);
	vpmem_device_set_status(dev, STATUS_ACK | STATUS_DRIVER | STATUS_FEATURES_OK);
	assert_int_equal(vpmem_device_status(dev), STATUS_ACK | STATUS_DRIVER | STATUS_FEATURES_OK);
}

static void g3_every_subset_is_accepted_again_and_again(void **state)
{
	static const unsigned bits[] = { 28, 29, 40 };
	struct fixture *f = *state;

	for (unsigned subset = 0; subset < 8; subset++) {
		uint64_t features = 0;

		for (unsigned i = 0; i < 3; i++)
			features |= subset >> i & 1 ? FEATURE(bits[i]) : 0;
		for (unsigned again = 0; again < 2; again++) {
			driver_start(&f->d, features, 8);
			assert_int_equal(driver_flush_now(&f->d), 0);
		}
	}
}

static void features_do_not_change_after_features_ok(void **state)
{
	struct fixture *f = *state;
	struct vpmem_device *dev = f->d.dev;

	driver_features(&f->d, FEATURE_EVENT_IDX);
	vpmem_device_set_driver_features(dev, 0, UINT32_MAX);
	vpmem_device_set_driver_features(dev, 1, 0);
	assert_int_equal(vpmem_device_driver_features(dev, 0), FEATURE_EVENT_IDX);
	assert_int_equal(vpmem_device_driver_features(dev, 1), FEATURE_VERSION_1 >> 32);
	vpmem_device_set_status(dev, 0);
	assert_int_equal(vpmem_device_driver_features(dev, 1), 0);
}

static void p5_driver_features_read_back(void **state)
{
	struct vpmem_device *dev = device(state);

	vpmem_device_set_driver_features(dev, 0, 0x30000000);
	vpmem_device_set_driver_features(dev, 1, 0x101);
	vpmem_device_set_driver_features(dev, 2, UINT32_MAX);
	vpmem_device_set_driver_features(dev, UINT32_MAX, UINT32_MAX);
	assert_int_equal(vpmem_device_driver_features(dev, 0), 0x30000000);
	assert_int_equal(vpmem_device_driver_features(dev, 1), 0x101);
	assert_int_equal(vpmem_device_driver_features(dev, 2), 0);
	assert_int_equal(vpmem_device_driver_features(dev, UINT32_MAX), 0);
}

/* ---- status -------------------------------------------------------------------------------------- */

static void p8_driver_ok_needs_features_ok(void **state)
{
	struct vpmem_device *dev = device(state);

	vpmem_device_set_status(dev, STATUS_ACK | STATUS_DRIVER | STATUS_DRIVER_OK);
	assert_int_equal(vpmem_device_status(dev), STATUS_ACK | STATUS_DRIVER);
	/* refused features take DRIVER_OK with them */
	vpmem_device_set_status(dev, STATUS_RUNNING);
	assert_int_equal(vpmem_device_status(dev), STATUS_ACK | STATUS_DRIVER);
}

static void p8_driver_ok_twice_is_harmless(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0, 8);
	assert_int_equal(driver_flush_now(&f->d), 0);
	driver_ok(&f->d);
	assert_int_equal(vpmem_device_status(f->d.dev), STATUS_RUNNING);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

static void p8_status_bits_go_away_only_by_reset(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0, 8);
	vpmem_device_set_status(f->d.dev, STATUS_ACK);
	assert_int_equal(vpmem_device_status(f->d.dev), STATUS_RUNNING);
	vpmem_device_set_status(f->d.dev, 0x80);
	assert_int_equal(vpmem_device_status(f->d.dev), STATUS_RUNNING | 0x80);
	vpmem_device_set_status(f->d.dev, 0);
	assert_int_equal(vpmem_device_status(f->d.dev), 0);
}

static void p8_a_driver_cannot_set_the_device_s_bits(void **state)
{
	struct vpmem_device *dev = device(state);

	/* reserved bits and DEVICE_NEEDS_RESET; ACKNOWLEDGE in the same write counts */
	vpmem_device_set_status(dev, 0x70 | STATUS_ACK);
	assert_int_equal(vpmem_device_status(dev), STATUS_ACK);
}

static void p6_reset_puts_all_registers_back(void **state)
{
	struct fixture *f = *state;
	struct vpmem_queue q;

	driver_start(&f->d, FEATURE_EVENT_IDX, 8);
	vpmem_device_set_status(f->d.dev, 0);
	q = vpmem_queue_get(f->d.dev, 0);
	assert_int_equal(vpmem_device_status(f->d.dev), 0);
	assert_false(q.enabled);
	assert_int_equal(q.size, VPMEM_QUEUE_SIZE_MAX);
	assert_int_equal(q.desc_gpa | q.driver_gpa | q.device_gpa, 0);
	assert_int_equal(vpmem_device_driver_features(f->d.dev, 0), 0);
}

/* ---- configuration ------------------------------------------------------------------------------- */

static void d5_config_has_start_and_size(void **state)
{
	struct fixture *f = *state;

	/* G5: before FEATURES_OK too */
	assert_int_equal(config(f->d.dev, 0), PMEM_GPA);
	assert_int_equal(config(f->d.dev, 8), SIZE);
	driver_start(&f->d, 0, 8);
	assert_int_equal(config(f->d.dev, 0), PMEM_GPA);
	assert_int_equal(config(f->d.dev, 8), SIZE);
}

static void config_reads_of_any_offset_and_length(void **state)
{
	struct vpmem_device *dev = device(state);
	uint8_t all[32], some[34];

	vpmem_device_config_read(dev, 0, all, sizeof(all));
	for (unsigned i = 16; i < 32; i++)
		assert_int_equal(all[i], 0);
	for (uint32_t off = 0; off < 24; off++) {
		for (uint32_t len = 0; len <= 8; len++) {
			memset(some, 0xa5, sizeof(some));
			vpmem_device_config_read(dev, off, some, len);
			assert_memory_equal(some, all + off, len);
			assert_int_equal(some[len], 0xa5);
		}
	}
	memset(some, 0xa5, sizeof(some));
	vpmem_device_config_read(dev, UINT32_MAX, some, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(some[i], 0);
}

static void d3_config_is_zero_with_shmem(void **state)
{
	struct fixture *f = *state;
	struct vpmem_device *dev = f->d.dev;
	uint8_t generation = vpmem_device_config_generation(dev);

	/* G5: before FEATURES_OK the configuration can be read: nothing is negotiated yet */
	assert_int_equal(config(dev, 0), PMEM_GPA);
	assert_int_equal(config(dev, 8), SIZE);
	driver_features(&f->d, FEATURE_SHMEM);
	assert_int_equal(config(dev, 0), 0);
	assert_int_equal(config(dev, 8), 0);
	/* P5: it reads differently now */
	assert_int_not_equal(vpmem_device_config_generation(dev), generation);
	generation = vpmem_device_config_generation(dev);
	vpmem_device_set_status(dev, 0);
	assert_int_equal(config(dev, 8), SIZE);
	assert_int_not_equal(vpmem_device_config_generation(dev), generation);
}

static void d5_config_has_start_and_size_if_shmem_is_not_accepted(void **state)
{
	struct fixture *f = *state;
	uint8_t generation = vpmem_device_config_generation(f->d.dev);

	driver_start(&f->d, 0, 8);
	assert_int_equal(config(f->d.dev, 0), PMEM_GPA);
	assert_int_equal(config(f->d.dev, 8), SIZE);
	assert_int_equal(vpmem_device_config_generation(f->d.dev), generation);
}

/* ---- queue registers ----------------------------------------------------------------------------- */

static void p1_queue_registers_are_latched_by_enable(void **state)
{
	struct fixture *f = *state;
	struct vpmem_queue q, other = {
		.size = 64, .desc_gpa = DATA_GPA, .driver_gpa = DATA_GPA, .device_gpa = DATA_GPA,
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

static void p3_queue_size(void **state)
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

static void p2_a_queue_that_does_not_exist(void **state)
{
	struct fixture *f = *state;
	static const uint16_t indices[] = { 1, 2, 128, 0x7fff, 0x8000, 0xffff };

	driver_start(&f->d, FEATURE_RING_RESET, 8);
	for (unsigned i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
		const struct vpmem_queue none = { 0 };
		struct vpmem_queue q;

		vpmem_queue_set(f->d.dev, indices[i], &(struct vpmem_queue){ .size = 4, .desc_gpa = 16 });
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

/* P4: seen while the worker is busy, and so cannot take the kick. */
static void p4_a_kick_of_a_queue_that_does_not_exist(void **state)
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

static void q9_rings_outside_ram_need_a_reset(void **state)
{
	struct fixture *f = *state;
	struct vpmem_queue regs = {
		.size = 8, .desc_gpa = PMEM_GPA, .driver_gpa = AVAIL_GPA, .device_gpa = USED_GPA,
	};

	driver_features(&f->d, 0);
	vpmem_queue_set(f->d.dev, 0, &regs);
	vpmem_queue_enable(f->d.dev, 0);
	assert_false(vpmem_queue_get(f->d.dev, 0).enabled);
	assert_true(vpmem_device_status(f->d.dev) & STATUS_NEEDS_RESET);
	assert_int_equal(f->d.seen.nguest_faults, 1);
	/* G1, G2: no interrupt, because the driver is not running yet */
	assert_int_equal(f->d.seen.nconfig_irqs, 0);
	driver_start(&f->d, 0, 8);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

static void q9_bad_rings_in_a_running_device_raise_an_interrupt(void **state)
{
	struct fixture *f = *state;

	driver_features(&f->d, 0);
	driver_ok(&f->d);
	vpmem_queue_set(f->d.dev, 0, &(struct vpmem_queue){ .size = 8 });
	vpmem_queue_enable(f->d.dev, 0);
	assert_true(vpmem_device_status(f->d.dev) & STATUS_NEEDS_RESET);
	assert_int_equal(f->d.seen.nconfig_irqs, 1);
	assert_non_null(strstr(f->d.seen.text, "nv1"));
}

static void g6_queue_reset_puts_the_queue_back(void **state)
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
		.name = "nv1", .gmem = d->gmem, .backing = backing, .gpa = gpa, .callbacks = driver_callbacks(d),
	};
	struct vpmem_device *dev = NULL;
	int rc = vpmem_device_create(&opts, &dev, err);

	if (rc == 0)
		vpmem_device_destroy(dev);
	fake_backing_destroy(backing);
	return rc;
}

static void d6_size_is_a_multiple_of_2_mib(void **state)
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
		.name = "nv1", .gmem = f->d.gmem, .backing = f->backing, .callbacks = driver_callbacks(&f->d),
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
		vpmem_queue_set(dev, 0, &(struct vpmem_queue){ .size = (uint16_t)(1 << i % 8),
			.desc_gpa = DESC_GPA, .driver_gpa = AVAIL_GPA, .device_gpa = i % 11 ? USED_GPA : 0 });
		vpmem_queue_enable(dev, 0);
		vpmem_device_config_read(dev, i % 16, buf, 4);
		vpmem_queue_get(dev, 0);
		vpmem_queue_reset(dev, 0);
		vpmem_device_clear_error(dev);
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
static void p11_registers_and_kicks_at_the_same_time(void **state)
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

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_SHMEM(name) cmocka_unit_test_setup_teardown(name, setup_shmem, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(g3_features_offered),
		cmocka_unit_test(features_can_be_withheld),
		CASE(p8_features_ok_is_refused_for_what_was_not_offered),
		CASE(p8_features_ok_is_refused_without_version_1),
		CASE(g3_every_subset_is_accepted_again_and_again),
		CASE(features_do_not_change_after_features_ok),
		CASE(p5_driver_features_read_back),
		CASE(p8_driver_ok_needs_features_ok),
		CASE(p8_driver_ok_twice_is_harmless),
		CASE(p8_status_bits_go_away_only_by_reset),
		CASE(p8_a_driver_cannot_set_the_device_s_bits),
		CASE(p6_reset_puts_all_registers_back),
		CASE(d5_config_has_start_and_size),
		CASE(config_reads_of_any_offset_and_length),
		CASE_SHMEM(d3_config_is_zero_with_shmem),
		CASE_SHMEM(d5_config_has_start_and_size_if_shmem_is_not_accepted),
		CASE(p1_queue_registers_are_latched_by_enable),
		CASE(p3_queue_size),
		CASE(p2_a_queue_that_does_not_exist),
		CASE(p4_a_kick_of_a_queue_that_does_not_exist),
		CASE(a_queue_is_not_enabled_before_features_ok),
		CASE(q9_rings_outside_ram_need_a_reset),
		CASE(q9_bad_rings_in_a_running_device_raise_an_interrupt),
		CASE(g6_queue_reset_puts_the_queue_back),
		CASE(queue_reset_is_ignored_if_not_negotiated),
		CASE(d6_size_is_a_multiple_of_2_mib),
		CASE(an_address_that_wraps_is_refused),
		CASE(incomplete_options_are_refused),
		CASE(p11_registers_and_kicks_at_the_same_time),
	};

	return cmocka_run_group_tests_name("virtio", tests, NULL, NULL);
}
