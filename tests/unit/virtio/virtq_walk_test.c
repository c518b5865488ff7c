// SPDX-License-Identifier: Apache-2.0
/*
 * virtq_walk_test.c - walks of descriptor chains, direct and indirect, and what they refuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "virtq_fixture.h"

/* Pops one chain and walks it; returns the walk's last result, and how many buffers it gave. */
static int walk(struct fixture *f, unsigned *nbufs)
{
	struct virtq_chain chain;
	struct virtq_buf buf;
	int rc;

	*nbufs = 0;
	assert_int_equal(virtq_available(&f->q), 1);
	assert_int_equal(virtq_pop(&f->q, &chain), 0);
	while ((rc = virtq_chain_next(&chain, &buf)) > 0) {
		(*nbufs)++;
		assert_in_range(*nbufs, 1, f->q.regs.size);
	}
	/* It is over for good. */
	assert_int_equal(virtq_chain_next(&chain, &buf), 0);
	return rc;
}

/* Puts one chain with this head into the ring and walks it. */
static int walk_head(struct fixture *f, uint16_t head, unsigned *nbufs)
{
	driver_avail(&f->d, head);
	return walk(f, nbufs);
}

static void walk_gives_the_buffers_in_order(void **state)
{
	struct fixture *f = *state;
	struct virtq_chain chain;
	struct virtq_buf buf;

	enable(f, 4, false, false);
	driver_desc(&f->d, 2, DATA_GPA + 1, 3, F_NEXT, 0);
	driver_desc(&f->d, 0, GUEST_END - 1, 1, F_WRITE, 3);
	driver_avail(&f->d, 2);
	assert_int_equal(virtq_available(&f->q), 1);
	assert_int_equal(virtq_pop(&f->q, &chain), 0);
	assert_int_equal(virtq_chain_next(&chain, &buf), 1);
	assert_ptr_equal(buf.hva, driver_hva(&f->d, DATA_GPA + 1));
	assert_int_equal(buf.len, 3);
	assert_false(buf.writable);
	assert_int_equal(virtq_chain_next(&chain, &buf), 1);
	assert_ptr_equal(buf.hva, driver_hva(&f->d, GUEST_END - 1));
	assert_true(buf.writable);
	assert_int_equal(virtq_chain_next(&chain, &buf), 0);
}

static void a_next_outside_the_table_is_a_fault(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;

	enable(f, 4, false, false);
	driver_desc(&f->d, 0, DATA_GPA, 4, F_NEXT, 4);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
	assert_int_equal(nbufs, 1);
	driver_desc(&f->d, 0, DATA_GPA, 4, F_NEXT, 0xffff);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
	/* without NEXT the field means nothing */
	driver_desc(&f->d, 0, DATA_GPA, 4, 0, 0xffff);
	assert_int_equal(walk_head(f, 0, &nbufs), 0);
}

static void loops_end(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;

	enable(f, 4, false, true);
	driver_desc(&f->d, 0, DATA_GPA, 4, F_NEXT, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
	assert_int_equal(nbufs, 4);
	/* in an indirect table, which may be longer than the queue */
	for (unsigned i = 0; i < 16; i++)
		driver_table_desc(&f->d, TABLE_GPA, i, DATA_GPA, 4, F_NEXT, (i + 1) % 16);
	driver_desc(&f->d, 0, TABLE_GPA, 256, F_INDIRECT, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
	assert_int_equal(nbufs, 4);
}

static void a_chain_of_exactly_the_queue_size_is_legal(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;

	enable(f, 4, false, true);
	for (unsigned i = 0; i < 4; i++)
		driver_desc(&f->d, i, DATA_GPA, 4, i < 3 ? F_NEXT : 0, i + 1);
	assert_int_equal(walk_head(f, 0, &nbufs), 0);
	assert_int_equal(nbufs, 4);
	for (unsigned i = 0; i < 4; i++)
		driver_table_desc(&f->d, TABLE_GPA, i, DATA_GPA, 4, i < 3 ? F_NEXT : 0, i + 1);
	driver_desc(&f->d, 0, TABLE_GPA, 64, F_INDIRECT, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), 0);
	assert_int_equal(nbufs, 4);
}

/* A queue may be longer than what the device takes as one chain: loops end there as well. */
static void a_chain_has_at_most_16_buffers(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;

	enable(f, 128, false, true);
	for (unsigned i = 0; i < 17; i++)
		driver_desc(&f->d, i, DATA_GPA, 4, i < 15 ? F_NEXT : 0, i + 1);
	assert_int_equal(walk_head(f, 0, &nbufs), 0);
	assert_int_equal(nbufs, VIRTQ_CHAIN_MAX);
	driver_desc(&f->d, 15, DATA_GPA, 4, F_NEXT, 16);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
	assert_int_equal(nbufs, VIRTQ_CHAIN_MAX);
	driver_desc(&f->d, 16, DATA_GPA, 4, F_NEXT, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
	assert_int_equal(nbufs, VIRTQ_CHAIN_MAX);
	/* Buffers before an indirect table count as well. */
	for (unsigned i = 0; i < 17; i++)
		driver_table_desc(&f->d, TABLE_GPA, i, DATA_GPA, 4, i < 15 ? F_NEXT : 0, i + 1);
	driver_desc(&f->d, 0, TABLE_GPA, 16 * 16, F_INDIRECT, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), 0);
	assert_int_equal(nbufs, VIRTQ_CHAIN_MAX);
	driver_desc(&f->d, 0, DATA_GPA, 4, F_NEXT, 1);
	driver_desc(&f->d, 1, TABLE_GPA, 16 * 16, F_INDIRECT, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
	assert_int_equal(nbufs, VIRTQ_CHAIN_MAX);
}

/* What the caller adds up to keep its work bounded. */
static void a_walk_counts_the_descriptors_that_it_read(void **state)
{
	struct fixture *f = *state;
	struct virtq_chain chain;
	struct virtq_buf buf;

	enable(f, 4, false, true);
	driver_desc(&f->d, 0, DATA_GPA, 4, F_NEXT, 1);
	driver_desc(&f->d, 1, TABLE_GPA, 32, F_INDIRECT, 0);
	driver_table_desc(&f->d, TABLE_GPA, 0, DATA_GPA, 4, F_NEXT, 1);
	driver_table_desc(&f->d, TABLE_GPA, 1, DATA_GPA, 4, 0, 0);
	driver_avail(&f->d, 0);
	assert_int_equal(virtq_available(&f->q), 1);
	assert_int_equal(virtq_pop(&f->q, &chain), 0);
	assert_int_equal(chain.ndescs, 0);
	while (virtq_chain_next(&chain, &buf) > 0)
		;
	assert_int_equal(chain.ndescs, 4);
}

static void indirect_tables_are_checked(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;
	static const struct {
		uint64_t gpa;
		uint32_t len;
		unsigned flags;
		int rc;
	} cases[] = {
		{ TABLE_GPA, 32, F_INDIRECT, 0 },
		{ TABLE_GPA, 32, F_INDIRECT | F_WRITE, 0 }, /* WRITE means nothing here */
		{ TABLE_GPA, 32, F_INDIRECT | F_NEXT, -EPROTO },
		{ TABLE_GPA, 0, F_INDIRECT, -EPROTO },
		{ TABLE_GPA, 8, F_INDIRECT, -EPROTO },
		{ TABLE_GPA, 33, F_INDIRECT, -EPROTO },
		{ TABLE_GPA, 16, F_INDIRECT, -EPROTO }, /* its first entry goes on at 1 */
		{ 0, 32, F_INDIRECT, -EPROTO },
		{ GUEST_END - 16, 32, F_INDIRECT, -EPROTO },
		{ UINT64_MAX - 15, 32, F_INDIRECT, -EPROTO },
		{ TABLE_GPA, 0xfffffff0, F_INDIRECT, -EPROTO },
		{ PMEM_GPA, 32, F_INDIRECT, -EPROTO },
	};

	enable(f, 4, false, true);
	driver_table_desc(&f->d, TABLE_GPA, 0, DATA_GPA, 4, F_NEXT, 1);
	driver_table_desc(&f->d, TABLE_GPA, 1, DATA_GPA + 4, 4, F_WRITE, 0);
	for (unsigned i = 0; i < ENTRIES(cases); i++) {
		driver_desc(&f->d, 0, cases[i].gpa, cases[i].len, cases[i].flags, 1);
		assert_int_equal(walk_head(f, 0, &nbufs), cases[i].rc);
		if (cases[i].rc == 0)
			assert_int_equal(nbufs, 2);
	}
}

static void an_indirect_table_needs_the_feature(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;

	enable(f, 4, false, false);
	driver_table_desc(&f->d, TABLE_GPA, 0, DATA_GPA, 4, 0, 0);
	driver_desc(&f->d, 0, TABLE_GPA, 16, F_INDIRECT, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
	assert_int_equal(nbufs, 0);
}

static void nested_indirect_tables_are_a_fault(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;

	enable(f, 4, false, true);
	driver_table_desc(&f->d, TABLE_GPA, 0, TABLE_GPA + 64, 16, F_INDIRECT, 0);
	driver_table_desc(&f->d, TABLE_GPA + 64, 0, DATA_GPA, 4, 0, 0);
	driver_desc(&f->d, 0, TABLE_GPA, 16, F_INDIRECT, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
	/* a table that contains itself */
	driver_table_desc(&f->d, TABLE_GPA, 0, TABLE_GPA, 16, F_INDIRECT, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), -EPROTO);
}

static void descriptors_may_end_in_an_indirect_table(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;

	enable(f, 4, false, true);
	driver_desc(&f->d, 0, DATA_GPA, 4, F_NEXT, 1);
	driver_desc(&f->d, 1, TABLE_GPA, 16, F_INDIRECT, 0);
	driver_table_desc(&f->d, TABLE_GPA, 0, DATA_GPA + 4, 4, F_WRITE, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), 0);
	assert_int_equal(nbufs, 2);
}

/* The specification asks for no alignment of an indirect table. */
static void an_indirect_table_may_lie_anywhere(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;

	enable(f, 4, false, true);
	for (unsigned shift = 1; shift < 16; shift++) {
		driver_table_desc(&f->d, TABLE_GPA + shift, 0, DATA_GPA, 4, 0, 0);
		driver_desc(&f->d, 0, TABLE_GPA + shift, 16, F_INDIRECT, 0);
		assert_int_equal(walk_head(f, 0, &nbufs), 0);
		assert_int_equal(nbufs, 1);
	}
}

static void buffers_outside_guest_memory_are_a_fault(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;
	static const struct {
		uint64_t gpa;
		uint32_t len;
		int rc;
	} cases[] = {
		{ GUEST_END - 4, 4, 0 },        { GUEST_GPA, GUEST_RAM_SIZE, 0 },
		{ GUEST_END - 3, 4, -EPROTO },  { GUEST_END, 4, -EPROTO },
		{ GUEST_GPA - 1, 4, -EPROTO },  { GUEST_GPA, GUEST_RAM_SIZE + 1, -EPROTO },
		{ UINT64_MAX - 1, 4, -EPROTO }, { UINT64_MAX, UINT32_MAX, -EPROTO },
		{ PMEM_GPA, 4, -EPROTO },       { 0, 4, -EPROTO },
	};

	enable(f, 4, false, false);
	for (unsigned i = 0; i < ENTRIES(cases); i++) {
		driver_desc(&f->d, 0, cases[i].gpa, cases[i].len, 0, 0);
		assert_int_equal(walk_head(f, 0, &nbufs), cases[i].rc);
	}
}

static void a_buffer_of_length_zero_is_refused(void **state)
{
	struct fixture *f = *state;
	unsigned nbufs;

	enable(f, 4, false, false);
	driver_desc(&f->d, 0, DATA_GPA, 0, 0, 0);
	assert_int_equal(walk_head(f, 0, &nbufs), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(walk_gives_the_buffers_in_order),
		CASE(a_next_outside_the_table_is_a_fault),
		CASE(loops_end),
		CASE(a_chain_of_exactly_the_queue_size_is_legal),
		CASE(a_chain_has_at_most_16_buffers),
		CASE(a_walk_counts_the_descriptors_that_it_read),
		CASE(indirect_tables_are_checked),
		CASE(an_indirect_table_needs_the_feature),
		CASE(nested_indirect_tables_are_a_fault),
		CASE(descriptors_may_end_in_an_indirect_table),
		CASE(an_indirect_table_may_lie_anywhere),
		CASE(buffers_outside_guest_memory_are_a_fault),
		CASE(a_buffer_of_length_zero_is_refused),
	};

	return cmocka_run_group_tests_name("virtq_walk", tests, NULL, NULL);
}
