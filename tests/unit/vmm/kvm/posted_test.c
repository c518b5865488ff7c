// SPDX-License-Identifier: Apache-2.0
// Tests of the writes that KVM collects: posted.c.
#include "posted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#define PAGE_SIZE 4096u
#define ENTRIES ((PAGE_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))
#define PORT 0xcf8u

static struct {
	unsigned nwrites, width;
	uint64_t off, val;
} seen;

static void on_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	(void)owner;
	// In their order: each test writes 1, 2, 3, ...
	assert_int_equal(val, ++seen.nwrites);
	seen.off = off;
	seen.width = width;
	seen.val = val;
}

static union {
	struct kvm_coalesced_mmio_ring ring;
	uint8_t bytes[PAGE_SIZE];
} page;
static struct io_space pio;

static int setup(void **state)
{
	const struct io_region region = { .name = "r", .base = PORT, .size = 4, .write = on_write };

	(void)state;
	memset(&page, 0, sizeof(page));
	memset(&seen, 0, sizeof(seen));
	io_clear(&pio);
	return io_add(&pio, &region);
}

/* As the kernel does; false: the ring is full, and the guest is left. */
static bool post(uint64_t port, uint32_t width, uint32_t val)
{
	struct kvm_coalesced_mmio *entry = &page.ring.coalesced_mmio[page.ring.last];
	uint32_t next = (page.ring.last + 1) % ENTRIES;

	if (next == page.ring.first)
		return false;
	*entry = (struct kvm_coalesced_mmio) { .phys_addr = port, .len = width, .pio = 1 };
	memcpy(entry->data, &val, width);
	page.ring.last = next;
	return true;
}

static void nothing_posted_is_nothing_written(void **state)
{
	(void)state;
	assert_int_equal(posted_take(&page.ring, &pio), 0);
	assert_int_equal(seen.nwrites, 0);
}

static void writes_come_once_and_in_order(void **state)
{
	(void)state;
	assert_true(post(PORT, 4, 1) && post(PORT + 1, 1, 2) && post(PORT + 2, 2, 3));
	assert_int_equal(posted_take(&page.ring, &pio), 3);
	assert_int_equal(seen.off, 2);
	assert_int_equal(seen.width, 2);
	assert_int_equal(posted_take(&page.ring, &pio), 0);
	assert_int_equal(seen.nwrites, 3);
}

/* The kernel's ring has the same number of entries, or what comes behind its end would be read elsewhere. */
static void a_full_ring_is_taken_to_its_end_and_around(void **state)
{
	uint32_t val = 0;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		unsigned before = seen.nwrites;

		while (post(PORT, 4, val + 1))
			val++;
		assert_int_equal(posted_take(&page.ring, &pio), ENTRIES - 1);
		assert_int_equal(seen.nwrites - before, ENTRIES - 1);
	}
	assert_int_equal(page.ring.first, page.ring.last);
}

/* Another vCPU that posts as fast as this one takes. */
static void on_write_post_another(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	on_write(owner, off, width, val);
	if (val < 1000)
		assert_true(post(PORT, 4, (uint32_t)val + 1));
}

static void writes_that_come_meanwhile_wait_for_the_next_call(void **state)
{
	(void)state;
	pio.regions[0].write = on_write_post_another;
	assert_true(post(PORT, 4, 1));
	assert_int_equal(posted_take(&page.ring, &pio), 1);
	assert_int_equal(seen.nwrites, 1);
	assert_int_equal(posted_take(&page.ring, &pio), 1);
	assert_int_equal(seen.nwrites, 2);
}

static void what_no_region_claims_is_dropped(void **state)
{
	(void)state;
	assert_true(post(0x80, 1, 1));
	assert_int_equal(posted_take(&page.ring, &pio), 1);
	assert_int_equal(seen.nwrites, 0);
	assert_int_equal(pio.nunclaimed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_posted_is_nothing_written, setup),
		cmocka_unit_test_setup(writes_come_once_and_in_order, setup),
		cmocka_unit_test_setup(a_full_ring_is_taken_to_its_end_and_around, setup),
		cmocka_unit_test_setup(writes_that_come_meanwhile_wait_for_the_next_call, setup),
		cmocka_unit_test_setup(what_no_region_claims_is_dropped, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
