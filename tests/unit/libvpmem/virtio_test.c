// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_test.c - the device's registers: features, status, configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "virtio_fixture.h"

#define ALL_OFFERED (FEATURE_INDIRECT | FEATURE_EVENT_IDX | FEATURE_VERSION_1 | FEATURE_RING_RESET)

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

static void all_features_are_offered(void **state)
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

static void features_ok_is_refused_for_what_was_not_offered(void **state)
{
	struct fixture *f = *state;

	for (unsigned bit = 0; bit < 64; bit++) {
		driver_features(&f->d, FEATURE(bit));
		assert_int_equal(!!(vpmem_device_status(f->d.dev) & STATUS_FEATURES_OK), ALL_OFFERED >> bit & 1);
	}
}

static void features_ok_is_refused_without_version_1(void **state)
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

static void every_subset_is_accepted_again_and_again(void **state)
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

static void driver_features_can_be_read_back(void **state)
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

static void driver_ok_needs_features_ok(void **state)
{
	struct vpmem_device *dev = device(state);

	vpmem_device_set_status(dev, STATUS_ACK | STATUS_DRIVER | STATUS_DRIVER_OK);
	assert_int_equal(vpmem_device_status(dev), STATUS_ACK | STATUS_DRIVER);
	/* refused features take DRIVER_OK with them */
	vpmem_device_set_status(dev, STATUS_RUNNING);
	assert_int_equal(vpmem_device_status(dev), STATUS_ACK | STATUS_DRIVER);
}

static void driver_ok_twice_is_harmless(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0, 8);
	assert_int_equal(driver_flush_now(&f->d), 0);
	driver_ok(&f->d);
	assert_int_equal(vpmem_device_status(f->d.dev), STATUS_RUNNING);
	assert_int_equal(driver_flush_now(&f->d), 0);
}

static void status_bits_go_away_only_by_reset(void **state)
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

static void a_driver_cannot_set_the_device_s_bits(void **state)
{
	struct vpmem_device *dev = device(state);

	/* reserved bits and DEVICE_NEEDS_RESET; ACKNOWLEDGE in the same write counts */
	vpmem_device_set_status(dev, 0x70 | STATUS_ACK);
	assert_int_equal(vpmem_device_status(dev), STATUS_ACK);
}

static void reset_puts_all_registers_back(void **state)
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

static void config_has_start_and_size(void **state)
{
	struct fixture *f = *state;

	/* Before FEATURES_OK too */
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

static void config_is_zero_with_shmem(void **state)
{
	struct fixture *f = *state;
	struct vpmem_device *dev = f->d.dev;
	uint8_t generation = vpmem_device_config_generation(dev);

	/* Before FEATURES_OK the configuration can be read: nothing is negotiated yet */
	assert_int_equal(config(dev, 0), PMEM_GPA);
	assert_int_equal(config(dev, 8), SIZE);
	driver_features(&f->d, FEATURE_SHMEM);
	assert_int_equal(config(dev, 0), 0);
	assert_int_equal(config(dev, 8), 0);
	/* It reads differently now */
	assert_int_not_equal(vpmem_device_config_generation(dev), generation);
	generation = vpmem_device_config_generation(dev);
	vpmem_device_set_status(dev, 0);
	assert_int_equal(config(dev, 8), SIZE);
	assert_int_not_equal(vpmem_device_config_generation(dev), generation);
}

static void config_has_start_and_size_if_shmem_is_not_accepted(void **state)
{
	struct fixture *f = *state;
	uint8_t generation = vpmem_device_config_generation(f->d.dev);

	driver_start(&f->d, 0, 8);
	assert_int_equal(config(f->d.dev, 0), PMEM_GPA);
	assert_int_equal(config(f->d.dev, 8), SIZE);
	assert_int_equal(vpmem_device_config_generation(f->d.dev), generation);
}

static void a_new_address_is_a_new_configuration(void **state)
{
	struct fixture *f = *state;
	struct vpmem_device *dev = f->d.dev;
	uint8_t generation = vpmem_device_config_generation(dev);

	vpmem_device_set_gpa(dev, PMEM_GPA);
	assert_int_equal(vpmem_device_config_generation(dev), generation);
	vpmem_device_set_gpa(dev, 2 * PMEM_GPA);
	assert_int_equal(config(dev, 0), 2 * PMEM_GPA);
	assert_int_not_equal(vpmem_device_config_generation(dev), generation);
	/* not what the driver cannot see */
	driver_features(&f->d, FEATURE_SHMEM);
	generation = vpmem_device_config_generation(dev);
	vpmem_device_set_gpa(dev, PMEM_GPA);
	assert_int_equal(config(dev, 0), 0);
	assert_int_equal(vpmem_device_config_generation(dev), generation);
	vpmem_device_set_status(dev, 0);
	assert_int_equal(config(dev, 0), PMEM_GPA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(all_features_are_offered),
		cmocka_unit_test(features_can_be_withheld),
		CASE(features_ok_is_refused_for_what_was_not_offered),
		CASE(features_ok_is_refused_without_version_1),
		CASE(every_subset_is_accepted_again_and_again),
		CASE(features_do_not_change_after_features_ok),
		CASE(driver_features_can_be_read_back),
		CASE(driver_ok_needs_features_ok),
		CASE(driver_ok_twice_is_harmless),
		CASE(status_bits_go_away_only_by_reset),
		CASE(a_driver_cannot_set_the_device_s_bits),
		CASE(reset_puts_all_registers_back),
		CASE(config_has_start_and_size),
		CASE(config_reads_of_any_offset_and_length),
		CASE_SHMEM(config_is_zero_with_shmem),
		CASE_SHMEM(config_has_start_and_size_if_shmem_is_not_accepted),
		CASE_SHMEM(a_new_address_is_a_new_configuration),
	};

	return cmocka_run_group_tests_name("virtio", tests, NULL, NULL);
}
