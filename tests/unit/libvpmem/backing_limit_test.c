// SPDX-License-Identifier: Apache-2.0
/*
 * backing_limit_test.c - files beyond the limits of the process (setrlimit): refused with a text, and the signal that
 * comes with it neither ends the process nor changes what the process does with that signal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct rlimit before;
static volatile sig_atomic_t nsignals;

static void limit(__rlimit_resource_t what, rlim_t value)
{
	struct rlimit now;

	assert_int_equal(getrlimit(what, &before), 0);
	now = before;
	now.rlim_cur = value;
	assert_int_equal(setrlimit(what, &now), 0);
}

static void unlimit(__rlimit_resource_t what)
{
	assert_int_equal(setrlimit(what, &before), 0);
}

static bool is_pending(void)
{
	sigset_t set;

	assert_int_equal(sigpending(&set), 0);
	return sigismember(&set, SIGXFSZ);
}

static bool is_blocked(void)
{
	sigset_t set;

	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &set), 0);
	return sigismember(&set, SIGXFSZ);
}

#define TOO_LARGE "can't give backing store %s its size of 4194304 bytes: File too large"

/* The default of the signal would end this test. */
static void a_file_beyond_the_limit_is_refused_and_removed(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);

	limit(RLIMIT_FSIZE, MIB);
	must_refuse(&opts, -EFBIG, TOO_LARGE, "ulimit -f");
	unlimit(RLIMIT_FSIZE);
	assert_int_equal(files_in(d->path), 0);
	assert_false(is_pending());
	assert_false(is_blocked());
	vpmem_backing_close(must_open(&opts));
}

static void an_empty_file_beyond_the_limit_stays_empty(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);

	file_make(d->file, 0, 0);
	opts.prealloc = true;
	limit(RLIMIT_FSIZE, MIB);
	must_refuse(&opts, -EFBIG, TOO_LARGE, "ulimit -f");
	unlimit(RLIMIT_FSIZE);
	assert_int_equal(file_size(d->file), 0);
}

/* The limit is for new sizes: what a file has is used. */
static void a_file_that_is_larger_than_the_limit_is_used(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b;

	file_make(d->file, 4 * MIB, 'a');
	opts.prealloc = true;
	limit(RLIMIT_FSIZE, MIB);
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_room(b), 0);
	assert_int_equal(vpmem_backing_store(b, 4 * MIB - 1, "z", 1), 0);
	assert_int_equal(vpmem_backing_sync(b), 0);
	vpmem_backing_close(b);
	unlimit(RLIMIT_FSIZE);
	assert_int_equal(file_byte(d->file, 4 * MIB - 1), 'z');
}

static void on_signal(int number)
{
	(void)number;
	nsignals++;
}

static void the_programs_handler_stays_and_is_not_called(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct sigaction action = { .sa_handler = on_signal }, now;

	nsignals = 0;
	assert_int_equal(sigaction(SIGXFSZ, &action, NULL), 0);
	limit(RLIMIT_FSIZE, MIB);
	must_refuse(&opts, -EFBIG, TOO_LARGE, "ulimit -f");
	unlimit(RLIMIT_FSIZE);
	assert_int_equal(nsignals, 0);
	assert_int_equal(sigaction(SIGXFSZ, NULL, &now), 0);
	assert_ptr_equal(now.sa_handler, on_signal);
	signal(SIGXFSZ, SIG_DFL);
}

static void a_signal_that_waits_stays_the_programs(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	raise(SIGXFSZ);
	limit(RLIMIT_FSIZE, MIB);
	must_refuse(&opts, -EFBIG, TOO_LARGE, "ulimit -f");
	unlimit(RLIMIT_FSIZE);
	assert_true(is_pending());
	assert_true(is_blocked());
	assert_int_equal(sigtimedwait(&set, NULL, &now), SIGXFSZ);
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}

/* A blocked signal is pending even if the process ignores it, and would stay so for as long as it is blocked. */
static void a_signal_that_is_ignored_is_not_left_pending(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	limit(RLIMIT_FSIZE, MIB);
	must_refuse(&opts, -EFBIG, TOO_LARGE, "ulimit -f");
	unlimit(RLIMIT_FSIZE);
	assert_false(is_pending());
	assert_true(is_blocked());
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
	signal(SIGXFSZ, SIG_DFL);
}

static void too_little_address_space_is_the_reason_of_a_failing_map(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, UINT64_C(1) << 40);

	/* Not much less than what sanitizers need for themselves. */
	limit(RLIMIT_AS, UINT64_C(1) << 39);
	if (before.rlim_cur == RLIM_INFINITY)
		must_refuse(&opts, -ENOMEM, "m1: unable to map backing store %s for guest RAM: Cannot allocate memory",
		            "ulimit -v");
	unlimit(RLIMIT_AS);
	assert_int_equal(files_in(d->path), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_file_beyond_the_limit_is_refused_and_removed),
		CASE(an_empty_file_beyond_the_limit_stays_empty),
		CASE(a_file_that_is_larger_than_the_limit_is_used),
		CASE(the_programs_handler_stays_and_is_not_called),
		CASE(a_signal_that_waits_stays_the_programs),
		CASE(a_signal_that_is_ignored_is_not_left_pending),
		CASE(too_little_address_space_is_the_reason_of_a_failing_map),
	};

	return cmocka_run_group_tests_name("backing_limit", tests, NULL, NULL);
}
