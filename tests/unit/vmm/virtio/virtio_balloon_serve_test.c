// SPDX-License-Identifier: Apache-2.0
// The balloon device from a request to the answer: which memory goes back to the host, and when.
#include "balloon_rig.h"
#include "fake_log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BIT(n) (UINT32_C(1) << (n))
#define HUGE_PAGES 512u /* pages in a huge one */
#define PAGE (RIG_PFN(RIG_RAM_GPA) + 0x80)
#define PAGE_GPA ((uint64_t)PAGE << 12)

static struct balloon_rig rig;

static int setup(void **state)
{
	(void)state;
	fake_log_clear();
	balloon_rig_init(&rig, false);
	balloon_rig_start(&rig, BIT(BALLOON_F_REPORTING) | BIT(BALLOON_F_STATS_VQ));
	return 0;
}

static int setup_huge(void **state)
{
	(void)state;
	fake_log_clear();
	balloon_rig_init(&rig, true);
	balloon_rig_start(&rig, BIT(BALLOON_F_REPORTING) | BIT(BALLOON_F_MUST_TELL_HOST));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	balloon_rig_fini(&rig);
	return 0;
}

static void expect_return(unsigned idx, uint64_t gpa, uint64_t size)
{
	assert_true(idx < rig.nreturns);
	assert_int_equal(rig.returns[idx].gpa, gpa);
	assert_int_equal(rig.returns[idx].size, size);
}

static void expect_used(unsigned queue, uint16_t head)
{
	uint16_t got = 0xffff;

	assert_true(balloon_rig_used(&rig, queue, &got));
	assert_int_equal(got, head);
}

static void serve(void)
{
	(void)balloon_serve(&rig.b);
}

static void give(uint32_t pfn, unsigned n)
{
	balloon_rig_pages(&rig, BALLOON_INFLATE, 0, pfn, n, 1);
	serve();
	expect_used(BALLOON_INFLATE, 0);
}

static void take(uint32_t pfn, unsigned n)
{
	balloon_rig_pages(&rig, BALLOON_DEFLATE, 0, pfn, n, 1);
	serve();
	expect_used(BALLOON_DEFLATE, 0);
}

// ---- pages

static void neighbours_go_back_together(void **state)
{
	(void)state;
	balloon_rig_pages(&rig, BALLOON_INFLATE, 0, PAGE, 8, 1);
	balloon_rig_pages(&rig, BALLOON_INFLATE, 1, PAGE + 31, 8, -1);
	balloon_rig_pages(&rig, BALLOON_INFLATE, 2, PAGE + 40, 2, 2);
	serve();
	for (uint16_t i = 0; i < 3; i++)
		expect_used(BALLOON_INFLATE, i);
	assert_int_equal(rig.nreturns, 4);
	expect_return(0, PAGE_GPA, 8 * 4096);
	expect_return(1, PAGE_GPA + 24 * 4096, 8 * 4096);
	expect_return(2, PAGE_GPA + 40 * 4096, 4096);
	expect_return(3, PAGE_GPA + 42 * 4096, 4096);
	assert_int_equal(rig.ninterrupts[BALLOON_INFLATE], 3);
}

static void what_is_no_ram_is_ignored(void **state)
{
	static const uint32_t pfns[] = { 0, 0xff, 0x200, 0xffffffff, 0x80000000, RIG_HUGE_PFN };

	(void)state;
	for (unsigned i = 0; i < sizeof(pfns) / sizeof(pfns[0]); i++)
		give(pfns[i], 1);
	assert_int_equal(rig.nreturns, 0);
	// The last page of RAM, and the one behind it.
	give(RIG_PFN(RIG_RAM_GPA + RIG_RAM_SIZE) - 1, 2);
	assert_int_equal(rig.nreturns, 1);
	expect_return(0, RIG_RAM_GPA + RIG_RAM_SIZE - 4096, 4096);
}

static void a_number_may_lie_in_two_buffers(void **state)
{
	(void)state;
	balloon_rig_pages(&rig, BALLOON_INFLATE, 0, PAGE, 3, 1);
	// 12 bytes, of which the guest may make pieces of 3, 7 and 4; the last two are no number any more.
	balloon_rig_desc(&rig, BALLOON_INFLATE, 0, RIG_DATA, 3, RIG_NEXT, 1);
	balloon_rig_desc(&rig, BALLOON_INFLATE, 1, RIG_DATA + 3, 7, RIG_NEXT, 2);
	balloon_rig_desc(&rig, BALLOON_INFLATE, 2, RIG_DATA + 10, 4, 0, 0);
	serve();
	expect_used(BALLOON_INFLATE, 0);
	assert_int_equal(rig.nreturns, 1);
	expect_return(0, PAGE_GPA, 3 * 4096);
}

static void pages_that_are_taken_back_stay(void **state)
{
	(void)state;
	take(PAGE, 256);
	assert_int_equal(rig.nreturns, 0);
}

static void a_long_request_is_served_in_turns(void **state)
{
	(void)state;
	balloon_rig_desc(&rig, BALLOON_INFLATE, 0, RIG_DATA, 4 * 1000, 0, 0);
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t pfn = PAGE + i % 2 * 4;

		memcpy(balloon_rig_hva(&rig, RIG_DATA + 4 * i), &pfn, 4);
	}
	balloon_rig_offer(&rig, BALLOON_INFLATE, 0);
	serve();
	expect_used(BALLOON_INFLATE, 0);
	assert_int_equal(rig.nreturns, 1000);
	assert_true(rig.nturns >= 1000 / BALLOON_TURN_PAGES);
	assert_int_equal(rig.turn_max.ncalls, BALLOON_TURN_PAGES);
}

/* What was asked for in an earlier life of the driver is not done in the next one. */
static void a_reset_ends_a_request(void **state)
{
	(void)state;
	balloon_rig_pages(&rig, BALLOON_INFLATE, 0, PAGE, 8, 1);
	rig.b.request = (struct balloon_request) { .taken = true,
		                                   .queue_idx = BALLOON_INFLATE,
		                                   .generation = rig.b.queues[BALLOON_INFLATE].generation,
		                                   .nbufs = 1,
		                                   .bufs[0] = { balloon_rig_hva(&rig, RIG_DATA), 32 } };
	balloon_rig_reset(&rig);
	serve();
	balloon_rig_start(&rig, 0);
	serve();
	assert_int_equal(rig.nreturns, 0);
	assert_false(rig.b.request.taken);
}

static void a_machine_that_is_stopped_keeps_its_memory(void **state)
{
	uint16_t head;

	(void)state;
	rig.b.paused = true;
	rig.b.stats_interval_s = 1;
	rig.b.stats_due_ms = 1;
	balloon_rig_pages(&rig, BALLOON_INFLATE, 0, PAGE, 8, 1);
	assert_int_equal(balloon_serve(&rig.b), -1);
	assert_int_equal(rig.nreturns, 0);
	assert_false(balloon_rig_used(&rig, BALLOON_INFLATE, &head));
	rig.b.paused = false;
	serve();
	assert_int_equal(rig.nreturns, 1);
}

static void an_error_of_the_host_is_reported_once(void **state)
{
	(void)state;
	rig.return_error = EINVAL;
	give(PAGE, 2);
	give(PAGE, 2);
	assert_string_equal(fake_log_text, "warning: b0: the host does not take memory back: Invalid argument\n");
}

// ---- ranges

static void ranges_go_back_in_whole_pages(void **state)
{
	(void)state;
	balloon_rig_range(&rig, 0, PAGE_GPA, 0x8000);
	balloon_rig_range(&rig, 1, PAGE_GPA + 0x10001, 0x2fff);
	balloon_rig_range(&rig, 2, PAGE_GPA + 0x20001, 0x1ffe);
	balloon_rig_range(&rig, 3, RIG_RAM_GPA + RIG_RAM_SIZE - 0x1000, 0x1000);
	serve();
	for (uint16_t i = 0; i < 4; i++)
		expect_used(BALLOON_REPORTS, i);
	assert_int_equal(rig.nreturns, 3);
	expect_return(0, PAGE_GPA, 0x8000);
	expect_return(1, PAGE_GPA + 0x11000, 0x2000);
	expect_return(2, RIG_RAM_GPA + RIG_RAM_SIZE - 0x1000, 0x1000);
}

static void a_report_has_up_to_32_ranges(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 32; i++)
		balloon_rig_desc(&rig, BALLOON_REPORTS, i, PAGE_GPA + 0x2000u * i, 0x1000,
		                 RIG_WRITE | (i < 31 ? RIG_NEXT : 0), i + 1u);
	balloon_rig_offer(&rig, BALLOON_REPORTS, 0);
	serve();
	expect_used(BALLOON_REPORTS, 0);
	assert_int_equal(rig.nreturns, 32);
	for (unsigned i = 0; i < 32; i++)
		expect_return(i, PAGE_GPA + 0x2000u * i, 0x1000);
	// One more is too many.
	balloon_rig_desc(&rig, BALLOON_REPORTS, 31, PAGE_GPA, 0x1000, RIG_WRITE | RIG_NEXT, 32);
	balloon_rig_desc(&rig, BALLOON_REPORTS, 32, PAGE_GPA, 0x1000, RIG_WRITE, 0);
	balloon_rig_offer(&rig, BALLOON_REPORTS, 0);
	serve();
	assert_int_equal(rig.nreturns, 32);
	assert_true(virtio_status(&rig.b.dev.virtio) & VIRTIO_STATUS_NEEDS_RESET);
}

static void memory_with_a_pattern_stays(void **state)
{
	(void)state;
	rig.b.poison_val = 0xaaaaaaaa;
	balloon_rig_range(&rig, 0, PAGE_GPA, 0x8000);
	serve();
	expect_used(BALLOON_REPORTS, 0);
	assert_int_equal(rig.nreturns, 0);
}

static void buffers_of_the_other_direction_are_ignored(void **state)
{
	(void)state;
	balloon_rig_desc(&rig, BALLOON_REPORTS, 0, PAGE_GPA, 0x1000, 0, 0);
	balloon_rig_offer(&rig, BALLOON_REPORTS, 0);
	balloon_rig_pages(&rig, BALLOON_INFLATE, 0, PAGE, 8, 1);
	balloon_rig_desc(&rig, BALLOON_INFLATE, 0, RIG_DATA, 32, RIG_WRITE, 0);
	serve();
	expect_used(BALLOON_REPORTS, 0);
	expect_used(BALLOON_INFLATE, 0);
	assert_int_equal(rig.nreturns, 0);
}

static void a_range_outside_of_ram_is_a_fault(void **state)
{
	uint16_t head;

	(void)state;
	balloon_rig_range(&rig, 0, RIG_RAM_GPA + RIG_RAM_SIZE - 0x1000, 0x2000);
	serve();
	assert_true(virtio_status(&rig.b.dev.virtio) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(rig.nreturns, 0);
	assert_false(balloon_rig_used(&rig, BALLOON_REPORTS, &head));
}

// ---- huge pages

static void a_huge_page_goes_back_when_it_is_whole(void **state)
{
	(void)state;
	give(RIG_HUGE_PFN + 256, 256);
	give(RIG_HUGE_PFN + 512, 256);
	assert_int_equal(rig.nreturns, 0);
	give(RIG_HUGE_PFN, 256);
	assert_int_equal(rig.nreturns, 1);
	expect_return(0, RIG_HUGE_GPA, RIG_HUGE_PAGE);
	// Once.
	give(RIG_HUGE_PFN, 256);
	assert_int_equal(rig.nreturns, 1);
	give(RIG_HUGE_PFN + 768, 256);
	assert_int_equal(rig.nreturns, 2);
	expect_return(1, RIG_HUGE_GPA + RIG_HUGE_PAGE, RIG_HUGE_PAGE);
}

static void a_page_that_was_taken_back_keeps_its_huge_page(void **state)
{
	(void)state;
	give(RIG_HUGE_PFN, 256);
	take(RIG_HUGE_PFN + 7, 1);
	take(RIG_HUGE_PFN + 7, 1);
	give(RIG_HUGE_PFN + 256, 256);
	assert_int_equal(rig.nreturns, 0);
	give(RIG_HUGE_PFN + 7, 1);
	assert_int_equal(rig.nreturns, 1);
	// And again, after some of it was used.
	take(RIG_HUGE_PFN + 500, 2);
	give(RIG_HUGE_PFN + 500, 2);
	assert_int_equal(rig.nreturns, 2);
}

static void a_reset_forgets_what_was_given(void **state)
{
	(void)state;
	give(RIG_HUGE_PFN, 511);
	balloon_rig_reset(&rig);
	balloon_rig_start(&rig, BIT(BALLOON_F_MUST_TELL_HOST));
	give(RIG_HUGE_PFN + 511, 1);
	assert_int_equal(rig.nreturns, 0);
	give(RIG_HUGE_PFN, 511);
	assert_int_equal(rig.nreturns, 1);
}

/* The guest may use a page before it says so: only what one request gives is known to be free. */
static void without_must_tell_host_a_request_counts_alone(void **state)
{
	(void)state;
	balloon_rig_reset(&rig);
	balloon_rig_start(&rig, 0);
	give(RIG_HUGE_PFN, 256);
	give(RIG_HUGE_PFN + 256, 256);
	assert_int_equal(rig.nreturns, 0);
	give(RIG_HUGE_PFN, 512);
	assert_int_equal(rig.nreturns, 1);
	// Nor is a part remembered when the request goes on in another huge page, as in QEMU.
	give(RIG_HUGE_PFN + 500, 24);
	give(RIG_HUGE_PFN + 512, 500);
	assert_int_equal(rig.nreturns, 1);
}

static void ranges_of_huge_pages_are_whole_as_well(void **state)
{
	(void)state;
	balloon_rig_range(&rig, 0, RIG_HUGE_GPA + 4096, (uint32_t)(RIG_HUGE_SIZE - 4096));
	balloon_rig_range(&rig, 1, RIG_HUGE_GPA + 4096, (uint32_t)(RIG_HUGE_PAGE - 4096));
	serve();
	expect_used(BALLOON_REPORTS, 0);
	expect_used(BALLOON_REPORTS, 1);
	assert_int_equal(rig.nreturns, 2);
	expect_return(0, RIG_HUGE_GPA + RIG_HUGE_PAGE, BALLOON_TURN_SIZE);
	expect_return(1, RIG_HUGE_GPA + RIG_HUGE_PAGE + BALLOON_TURN_SIZE, RIG_HUGE_PAGE);
	assert_int_equal(rig.turn_max.size, BALLOON_TURN_SIZE);
}

static void a_private_file_and_its_copy_go_back(void **state)
{
	struct balloon_region *region = &rig.b.memory.regions[0];

	(void)state;
	region->fd = RIG_HUGE_FD;
	region->fd_off = RIG_HUGE_FD_OFF;
	region->is_private = true;
	give(PAGE, 8);
	assert_int_equal(rig.nreturns, 2);
	expect_return(0, PAGE_GPA, 8 * 4096);
	// The rig has the other memory for this file.
	expect_return(1, RIG_HUGE_GPA + (PAGE_GPA - RIG_RAM_GPA), 8 * 4096);
}

static void memory_that_is_kept_stays(void **state)
{
	(void)state;
	rig.b.memory.regions[0].keep = true;
	give(PAGE, 8);
	balloon_rig_range(&rig, 0, PAGE_GPA, 0x8000);
	serve();
	expect_used(BALLOON_REPORTS, 0);
	assert_int_equal(rig.nreturns, 0);
}

// ---- statistics

static void offer_stats(uint16_t head, uint16_t tag, uint64_t val)
{
	uint64_t at = RIG_DATA + 0x1000u * head;
	const uint16_t unknown = 99;

	memcpy(balloon_rig_hva(&rig, at), &tag, 2);
	memcpy(balloon_rig_hva(&rig, at + 2), &val, 8);
	memcpy(balloon_rig_hva(&rig, at + 10), &unknown, 2);
	// The last one is not whole.
	balloon_rig_desc(&rig, BALLOON_STATS, head, at, 2 * 10 + 9, 0, 0);
	balloon_rig_offer(&rig, BALLOON_STATS, head);
}

static void statistics_come_at_the_interval(void **state)
{
	uint16_t head;

	(void)state;
	rig.b.stats_interval_s = 2;
	offer_stats(3, 4, 12345);
	assert_int_equal(balloon_serve(&rig.b), 2000);
	assert_int_equal(rig.b.stats.vals[4], 12345);
	assert_true(rig.b.stats.vals[0] == UINT64_MAX && rig.b.stats.updated_s > 0);
	rig.now_ms += 1999;
	assert_int_equal(balloon_serve(&rig.b), 1);
	assert_false(balloon_rig_used(&rig, BALLOON_STATS, &head));
	// The guest gets its buffer back, and fills it again; what it does not report any more is unknown.
	rig.now_ms += 1;
	assert_int_equal(balloon_serve(&rig.b), 2000);
	expect_used(BALLOON_STATS, 3);
	offer_stats(3, 5, 7);
	serve();
	assert_true(rig.b.stats.vals[4] == UINT64_MAX && rig.b.stats.vals[5] == 7);
}

static void without_an_interval_nobody_asks(void **state)
{
	uint16_t head;

	(void)state;
	offer_stats(0, 4, 1);
	assert_int_equal(balloon_serve(&rig.b), -1);
	rig.now_ms += 1u << 30;
	assert_int_equal(balloon_serve(&rig.b), -1);
	assert_false(balloon_rig_used(&rig, BALLOON_STATS, &head));
	assert_int_equal(rig.b.stats.vals[4], 1);
}

static void a_second_buffer_returns_the_first(void **state)
{
	(void)state;
	offer_stats(0, 4, 1);
	offer_stats(1, 4, 2);
	serve();
	expect_used(BALLOON_STATS, 0);
	assert_int_equal(rig.b.stats.vals[4], 2);
}

static void a_reset_forgets_the_buffer(void **state)
{
	uint16_t head;

	(void)state;
	rig.b.stats_interval_s = 1;
	offer_stats(0, 4, 1);
	serve();
	balloon_rig_reset(&rig);
	balloon_rig_start(&rig, BIT(BALLOON_F_STATS_VQ));
	rig.now_ms += 1000;
	serve();
	assert_false(balloon_rig_used(&rig, BALLOON_STATS, &head));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define HUGE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_huge, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(neighbours_go_back_together),
		TEST(what_is_no_ram_is_ignored),
		TEST(a_number_may_lie_in_two_buffers),
		TEST(pages_that_are_taken_back_stay),
		TEST(a_long_request_is_served_in_turns),
		TEST(a_reset_ends_a_request),
		TEST(a_machine_that_is_stopped_keeps_its_memory),
		TEST(an_error_of_the_host_is_reported_once),
		TEST(ranges_go_back_in_whole_pages),
		TEST(a_report_has_up_to_32_ranges),
		TEST(memory_with_a_pattern_stays),
		TEST(buffers_of_the_other_direction_are_ignored),
		TEST(a_range_outside_of_ram_is_a_fault),
		TEST(memory_that_is_kept_stays),
		TEST(a_private_file_and_its_copy_go_back),
		HUGE_TEST(a_huge_page_goes_back_when_it_is_whole),
		HUGE_TEST(a_page_that_was_taken_back_keeps_its_huge_page),
		HUGE_TEST(a_reset_forgets_what_was_given),
		HUGE_TEST(without_must_tell_host_a_request_counts_alone),
		HUGE_TEST(ranges_of_huge_pages_are_whole_as_well),
		TEST(statistics_come_at_the_interval),
		TEST(without_an_interval_nobody_asks),
		TEST(a_second_buffer_returns_the_first),
		TEST(a_reset_forgets_the_buffer),
	};

	return cmocka_run_group_tests_name("virtio_balloon_serve", tests, NULL, NULL);
}
