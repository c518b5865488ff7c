// SPDX-License-Identifier: Apache-2.0
// The entropy device: requests, the quota, files that are short, slow or at their end, and drivers that are hostile.
#include "fake_log.h"
#include "rng_rig.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct rng_rig rig;
static int timeout_ms;

static int setup(void **state)
{
	(void)state;
	fake_log_clear();
	rng_rig_init(&rig, -1, INT64_MAX, 65536);
	rng_rig_start(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rng_rig_fini(&rig);
	return 0;
}

static void again(int source_fd, uint64_t max_bytes, uint32_t period_ms)
{
	rng_rig_fini(&rig);
	rng_rig_init(&rig, source_fd, max_bytes, period_ms);
	rng_rig_start(&rig);
}

static void serves(enum rng_wait wait, int want_timeout_ms)
{
	assert_int_equal(rng_rig_serve(&rig, &timeout_ms), wait);
	assert_int_equal(timeout_ms, want_timeout_ms);
}

static void used(uint16_t want_head, int64_t want_len)
{
	uint16_t head = UINT16_MAX;

	assert_int_equal(rng_rig_used(&rig, &head), want_len);
	if (want_len >= 0)
		assert_int_equal(head, want_head);
}

static void nothing_used(void)
{
	assert_int_equal(rng_rig_used(&rig, NULL), -1);
}

/* len bytes of this value, and the next one untouched. */
static void has(uint64_t gpa, uint8_t val, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		assert_int_equal(rng_rig_hva(&rig, gpa)[i], val);
	assert_int_equal(rng_rig_hva(&rig, gpa)[len], 0);
}

static bool needs_reset(void)
{
	return virtio_status(&rig.rng.dev.virtio) & VIRTIO_STATUS_NEEDS_RESET;
}

// ---- requests

static void each_request_gets_its_own_bytes(void **state)
{
	(void)state;
	rng_rig_request(&rig, 0, 64);
	rng_rig_request(&rig, 3, 5);
	serves(RNG_WAIT_KICK, -1);
	used(0, 64);
	used(3, 5);
	nothing_used();
	has(RIG_DATA, 1, 64);
	has(RIG_DATA + 0x3000, 2, 5);
	assert_int_equal(rig.ninterrupts, 2);
	// What was given is not kept.
	for (unsigned i = 0; i < sizeof(rig.rng.chunk); i++)
		assert_int_equal(rig.rng.chunk[i], 0);
}

static void without_a_request_nothing_is_read(void **state)
{
	(void)state;
	serves(RNG_WAIT_KICK, -1);
	assert_int_equal(rig.nrandom, 0);
	assert_int_equal(rig.ninterrupts, 0);
}

static void several_buffers_are_filled_in_order(void **state)
{
	(void)state;
	rng_rig_desc(&rig, RIG_DESC, 0, RIG_DATA, 3, RIG_WRITE | RIG_NEXT, 1);
	rng_rig_desc(&rig, RIG_DESC, 1, RIG_DATA + 0x100, 4, RIG_WRITE, 0);
	rng_rig_offer(&rig, 0);
	rng_rig_desc(&rig, RIG_INDIRECT, 0, RIG_DATA + 0x200, 5, RIG_WRITE | RIG_NEXT, 1);
	rng_rig_desc(&rig, RIG_INDIRECT, 1, RIG_DATA + 0x300, 6, RIG_WRITE, 0);
	rng_rig_desc(&rig, RIG_DESC, 2, RIG_INDIRECT, 32, RIG_IS_INDIRECT, 0);
	rng_rig_offer(&rig, 2);
	serves(RNG_WAIT_KICK, -1);
	used(0, 7);
	used(2, 11);
	has(RIG_DATA, 1, 3);
	has(RIG_DATA + 0x100, 1, 4);
	has(RIG_DATA + 0x200, 2, 5);
	has(RIG_DATA + 0x300, 2, 6);
}

static void a_huge_request_gets_a_bounded_part(void **state)
{
	(void)state;
	rng_rig_desc(&rig, RIG_DESC, 0, RIG_DATA, RIG_RAM_SIZE - 0x8000, RIG_WRITE, 0);
	rng_rig_offer(&rig, 0);
	serves(RNG_WAIT_KICK, -1);
	used(0, VIRTIO_RNG_CHUNK_SIZE);
	has(RIG_DATA, 1, VIRTIO_RNG_CHUNK_SIZE);
}

static void nothing_is_done_before_the_driver_runs(void **state)
{
	(void)state;
	virtio_reset(&rig.rng.dev.virtio);
	rng_rig_request(&rig, 0, 64);
	serves(RNG_WAIT_KICK, -1);
	nothing_used();
	assert_int_equal(rig.nrandom, 0);
}

// ---- hostile drivers

static void a_request_without_room_is_returned_empty(void **state)
{
	(void)state;
	rng_rig_desc(&rig, RIG_DESC, 0, RIG_DATA, 64, 0, 0);
	rng_rig_offer(&rig, 0);
	rng_rig_request(&rig, 1, 8);
	serves(RNG_WAIT_KICK, -1);
	used(0, 0);
	used(1, 8);
	has(RIG_DATA, 0, 64);
	assert_false(needs_reset());
}

static void what_is_readable_is_left_alone(void **state)
{
	(void)state;
	rng_rig_desc(&rig, RIG_DESC, 0, RIG_DATA, 64, RIG_NEXT, 1);
	rng_rig_desc(&rig, RIG_DESC, 1, RIG_DATA + 0x100, 8, RIG_WRITE, 0);
	rng_rig_offer(&rig, 0);
	serves(RNG_WAIT_KICK, -1);
	used(0, 8);
	has(RIG_DATA, 0, 64);
	has(RIG_DATA + 0x100, 1, 8);
}

static void an_empty_buffer_breaks_the_request_alone(void **state)
{
	(void)state;
	rng_rig_desc(&rig, RIG_DESC, 0, RIG_DATA, 8, RIG_WRITE | RIG_NEXT, 1);
	rng_rig_desc(&rig, RIG_DESC, 1, RIG_DATA + 0x100, 0, RIG_WRITE, 0);
	rng_rig_offer(&rig, 0);
	rng_rig_request(&rig, 2, 8);
	serves(RNG_WAIT_KICK, -1);
	used(0, 0);
	used(2, 8);
	has(RIG_DATA, 0, 8);
	assert_false(needs_reset());
}

static void a_buffer_outside_of_memory_asks_for_a_reset(void **state)
{
	const struct {
		uint64_t gpa;
		uint32_t len;
	} buffers[] = { { RIG_RAM_GPA + RIG_RAM_SIZE - 8, 64 }, { UINT64_MAX - 8, UINT32_MAX }, { 0, 1 } };

	(void)state;
	for (unsigned i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
		virtio_reset(&rig.rng.dev.virtio);
		rng_rig_start(&rig);
		rng_rig_desc(&rig, RIG_DESC, 0, buffers[i].gpa, buffers[i].len, RIG_WRITE, 0);
		rng_rig_offer(&rig, 0);
		serves(RNG_WAIT_KICK, -1);
		used(0, 0);
		assert_true(needs_reset());
	}
	has(RIG_RAM_GPA + RIG_RAM_SIZE - 9, 0, 8);
	assert_int_equal(rig.nrandom, 0);
}

static void a_loop_asks_for_a_reset(void **state)
{
	(void)state;
	rng_rig_desc(&rig, RIG_DESC, 0, RIG_DATA, 8, RIG_WRITE | RIG_NEXT, 0);
	rng_rig_offer(&rig, 0);
	rng_rig_request(&rig, 1, 8);
	serves(RNG_WAIT_KICK, -1);
	used(0, 0);
	nothing_used();
	assert_true(needs_reset());
	assert_int_equal(rig.nconfig_interrupts, 1);
	// Nothing more before the reset.
	serves(RNG_WAIT_KICK, -1);
	nothing_used();
}

static void an_index_that_is_too_far_ahead_asks_for_a_reset(void **state)
{
	(void)state;
	rig.avail_idx = RNG_QUEUE_SIZE_MAX;
	rng_rig_request(&rig, 0, 8);
	serves(RNG_WAIT_KICK, -1);
	assert_true(needs_reset());
	nothing_used();
}

// ---- the quota

static void a_period_has_its_quota(void **state)
{
	(void)state;
	again(-1, 100, 1000);
	// The period begins with the first request, not with the device.
	rig.now_ms += 5000;
	rng_rig_request(&rig, 0, 64);
	rng_rig_request(&rig, 1, 64);
	rng_rig_request(&rig, 2, 64);
	serves(RNG_WAIT_QUOTA, 1000);
	used(0, 64);
	used(1, 36);
	nothing_used();
	has(RIG_DATA + 0x1000, 2, 36);
	rig.now_ms += 999;
	serves(RNG_WAIT_QUOTA, 1);
	nothing_used();
	rig.now_ms += 1;
	serves(RNG_WAIT_KICK, -1);
	used(2, 64);
}

/* The rest of the quota is not carried over. */
static void a_quiet_period_is_lost(void **state)
{
	(void)state;
	again(-1, 100, 1000);
	rng_rig_request(&rig, 0, 10);
	serves(RNG_WAIT_KICK, -1);
	used(0, 10);
	rig.now_ms += 10000;
	rng_rig_request(&rig, 1, 90);
	rng_rig_request(&rig, 2, 90);
	serves(RNG_WAIT_KICK, -1);
	used(1, 90);
	used(2, 10);
}

static void a_reset_does_not_renew_the_quota(void **state)
{
	(void)state;
	again(-1, 100, 1000);
	rng_rig_request(&rig, 0, 100);
	serves(RNG_WAIT_KICK, -1);
	virtio_reset(&rig.rng.dev.virtio);
	rng_rig_start(&rig);
	rng_rig_request(&rig, 0, 100);
	serves(RNG_WAIT_QUOTA, 1000);
	nothing_used();
}

static void no_bytes_at_all_may_be_the_quota(void **state)
{
	(void)state;
	again(-1, 0, UINT32_MAX);
	rng_rig_request(&rig, 0, 100);
	serves(RNG_WAIT_QUOTA, INT_MAX);
	rig.now_ms += UINT32_MAX;
	serves(RNG_WAIT_QUOTA, INT_MAX);
	nothing_used();
	assert_int_equal(rig.nrandom, 0);
}

// ---- files

static void a_slow_file_gives_what_it_has(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	again(fds[0], INT64_MAX, 65536);
	assert_int_equal(write(fds[1], "\7\7\7", 3), 3);
	rng_rig_request(&rig, 0, 64);
	rng_rig_request(&rig, 1, 64);
	serves(RNG_WAIT_SOURCE, -1);
	used(0, 3);
	has(RIG_DATA, 7, 3);
	nothing_used();
	// The request that waits is the first to be served.
	rng_rig_request(&rig, 2, 1);
	serves(RNG_WAIT_SOURCE, -1);
	assert_int_equal(write(fds[1], "\5\5\5\5", 4), 4);
	serves(RNG_WAIT_SOURCE, -1);
	used(1, 4);
	has(RIG_DATA + 0x1000, 5, 4);
	assert_string_equal(fake_log_text, "");
	close(fds[0]);
	close(fds[1]);
}

static void at_the_end_of_a_file_one_line_says_so(void **state)
{
	FILE *file = tmpfile();
	int fd = fileno(file);

	(void)state;
	again(fd, INT64_MAX, 65536);
	rng_rig_request(&rig, 0, 64);
	serves(RNG_WAIT_RETRY, RNG_RETRY_MS);
	serves(RNG_WAIT_RETRY, RNG_RETRY_MS);
	nothing_used();
	assert_string_equal(fake_log_text, "warning: rng0: no random bytes: end of file: the guest waits for them\n");
	assert_int_equal(pwrite(fd, "\3\3", 2, 0), 2);
	serves(RNG_WAIT_KICK, -1);
	used(0, 2);
	has(RIG_DATA, 3, 2);
	fclose(file);
}

static void a_file_that_cannot_be_read_is_tried_again(void **state)
{
	int fd = open("/", O_RDONLY | O_CLOEXEC);

	(void)state;
	again(fd, INT64_MAX, 65536);
	rng_rig_request(&rig, 0, 64);
	serves(RNG_WAIT_RETRY, RNG_RETRY_MS);
	assert_non_null(strstr(fake_log_text, "rng0: no random bytes: Is a directory"));
	nothing_used();
	close(fd);
}

/* The request waited from one period into the next, whose quota it takes. */
static void bytes_belong_to_the_period_in_which_they_come(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	again(fds[0], 100, 1000);
	rng_rig_request(&rig, 0, 100);
	rng_rig_request(&rig, 1, 100);
	serves(RNG_WAIT_SOURCE, -1);
	rig.now_ms += 1000;
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(write(fds[1], "\5", 1), 1);
	serves(RNG_WAIT_QUOTA, 1000);
	used(0, 100);
	nothing_used();
	close(fds[0]);
	close(fds[1]);
}

static void a_reset_forgets_the_request_that_waits(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	again(fds[0], INT64_MAX, 65536);
	rng_rig_request(&rig, 5, 64);
	serves(RNG_WAIT_SOURCE, -1);
	virtio_reset(&rig.rng.dev.virtio);
	assert_int_equal(write(fds[1], "\7\7", 2), 2);
	serves(RNG_WAIT_KICK, -1);
	has(RIG_DATA + 0x5000, 0, 64);
	rng_rig_start(&rig);
	rng_rig_request(&rig, 0, 1);
	serves(RNG_WAIT_KICK, -1);
	used(0, 1);
	nothing_used();
	// The device may be in its next life already.
	rng_rig_request(&rig, 4, 64);
	serves(RNG_WAIT_KICK, -1);
	used(4, 1);
	rng_rig_request(&rig, 5, 64);
	serves(RNG_WAIT_SOURCE, -1);
	virtio_reset(&rig.rng.dev.virtio);
	rng_rig_start(&rig);
	assert_int_equal(write(fds[1], "\7\7", 2), 2);
	serves(RNG_WAIT_KICK, -1);
	nothing_used();
	rng_rig_request(&rig, 0, 1);
	serves(RNG_WAIT_KICK, -1);
	used(0, 1);
	// The same for a queue alone.
	rng_rig_request(&rig, 1, 64);
	rng_rig_request(&rig, 2, 64);
	serves(RNG_WAIT_SOURCE, -1);
	used(1, 1);
	virtio_queue_reset(&rig.rng.dev.virtio, 0);
	assert_int_equal(write(fds[1], "\7\7", 2), 2);
	serves(RNG_WAIT_KICK, -1);
	nothing_used();
	close(fds[0]);
	close(fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_request_gets_its_own_bytes),
		TEST(without_a_request_nothing_is_read),
		TEST(several_buffers_are_filled_in_order),
		TEST(a_huge_request_gets_a_bounded_part),
		TEST(nothing_is_done_before_the_driver_runs),
		TEST(a_request_without_room_is_returned_empty),
		TEST(what_is_readable_is_left_alone),
		TEST(an_empty_buffer_breaks_the_request_alone),
		TEST(a_buffer_outside_of_memory_asks_for_a_reset),
		TEST(a_loop_asks_for_a_reset),
		TEST(an_index_that_is_too_far_ahead_asks_for_a_reset),
		TEST(a_period_has_its_quota),
		TEST(a_quiet_period_is_lost),
		TEST(a_reset_does_not_renew_the_quota),
		TEST(no_bytes_at_all_may_be_the_quota),
		TEST(a_slow_file_gives_what_it_has),
		TEST(at_the_end_of_a_file_one_line_says_so),
		TEST(a_file_that_cannot_be_read_is_tried_again),
		TEST(bytes_belong_to_the_period_in_which_they_come),
		TEST(a_reset_forgets_the_request_that_waits),
	};

	return cmocka_run_group_tests_name("virtio_rng_serve", tests, NULL, NULL);
}
