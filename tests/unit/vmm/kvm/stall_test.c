// SPDX-License-Identifier: Apache-2.0
// When a vCPU counts as one that is at an access that never succeeds.
#include "stall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void sample(struct stall *stall, uint64_t nfaults, uint64_t rip, uint64_t rcx)
{
	stall_add(stall, (struct kvm_faults) { .taken = nfaults, .fixed = nfaults },
	          &(struct kvm_regs) { .rip = rip, .rcx = rcx });
}

static void nothing_seen_is_no_stall(void **state)
{
	(void)state;
	assert_false(stall_is_one(&(struct stall) { 0 }));
}

static void the_same_place_and_faults_are_a_stall(void **state)
{
	struct stall stall = { 0 };

	(void)state;
	for (unsigned i = 0; i < STALL_SAME_MIN; i++) {
		assert_false(stall_is_one(&stall));
		sample(&stall, 100 + 10 * i, 0x1000, 5);
	}
	assert_true(stall_is_one(&stall));
}

static void the_same_place_without_faults_is_none(void **state)
{
	struct stall stall = { 0 };

	(void)state;
	for (unsigned i = 0; i < STALL_SAMPLES; i++)
		sample(&stall, 100 + (i == STALL_SAMPLES - 1) * (STALL_FAULTS_MIN - 1), 0x1000, 5);
	assert_false(stall_is_one(&stall));
}

/* An instruction with a prefix of repetition stays where it is, and its counter goes on. */
static void a_copy_that_goes_on_is_none(void **state)
{
	struct stall stall = { 0 };

	(void)state;
	for (unsigned i = 0; i < STALL_SAMPLES; i++)
		sample(&stall, 100 * i, 0x1000, 5000 - i);
	assert_false(stall_is_one(&stall));
}

static void interrupts_in_between_do_not_hide_it(void **state)
{
	struct stall stall = { 0 };

	(void)state;
	for (unsigned i = 0; i < STALL_SAMPLES; i++)
		sample(&stall, 100 * i, i % 2 ? 0x1000 : 0x2000 + i, 5);
	assert_true(stall_is_one(&stall));
}

static void old_samples_are_dropped(void **state)
{
	struct stall stall = { 0 };

	(void)state;
	for (unsigned i = 0; i < STALL_SAME_MIN; i++)
		sample(&stall, 100 * i, 0x1000, 5);
	for (unsigned i = 0; i < STALL_SAMPLES - STALL_SAME_MIN + 1; i++)
		sample(&stall, 1000 + i, 0x2000, i);
	assert_int_equal(stall.nsamples, STALL_SAMPLES);
	assert_false(stall_is_one(&stall));
}

/* A guest that polls while its other tasks take faults is also at one place; but they get their pages. */
static void faults_that_are_not_resolved_are_refused(void **state)
{
	struct stall stall = { 0 };
	struct kvm_regs regs = { .rip = 0x1000 };

	(void)state;
	for (unsigned i = 0; i < STALL_SAME_MIN; i++) {
		assert_false(stall_is_refused(&stall));
		stall_add(&stall, (struct kvm_faults) { .taken = 100 + 10 * i, .fixed = 50 + i }, &regs);
	}
	assert_true(stall_is_refused(&stall));
	stall = (struct stall) { 0 };
	for (unsigned i = 0; i < STALL_SAMPLES; i++)
		stall_add(&stall, (struct kvm_faults) { .taken = 100 + 10 * i, .fixed = 50 + 9 * i }, &regs);
	assert_true(stall_is_one(&stall));
	assert_false(stall_is_refused(&stall));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_seen_is_no_stall),
		cmocka_unit_test(the_same_place_and_faults_are_a_stall),
		cmocka_unit_test(the_same_place_without_faults_is_none),
		cmocka_unit_test(a_copy_that_goes_on_is_none),
		cmocka_unit_test(interrupts_in_between_do_not_hide_it),
		cmocka_unit_test(old_samples_are_dropped),
		cmocka_unit_test(faults_that_are_not_resolved_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
