// SPDX-License-Identifier: Apache-2.0
// How threads begin: name, stack, what confines them, and that none runs that could not be confined.
#include "thread.h"
#include "unit_test.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static bool is_refused;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque)
{
	return is_refused ? EAGAIN : __real_pthread_create(thread, attr, entry, opaque);
}

static struct {
	pthread_t confined, ran;
	enum thread_kind kind;
	unsigned nconfined, nran;
	char name[THREAD_NAME_SIZE];
	size_t stack_size;
	bool is_detached;
	sigset_t blocked;
	void *opaque;
	int confine_rc;
	sem_t done;
} seen;

static int setup(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	is_refused = false;
	thread_set_confine(NULL);
	return sem_init(&seen.done, 0, 0);
}

static int confine(enum thread_kind kind)
{
	seen.confined = pthread_self();
	seen.kind = kind;
	seen.nconfined++;
	return seen.confine_rc;
}

static void run(void *opaque)
{
	pthread_attr_t attr;
	int detach;

	seen.opaque = opaque;
	seen.ran = pthread_self();
	seen.nran++;
	pthread_getname_np(pthread_self(), seen.name, sizeof(seen.name));
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &seen.stack_size);
	pthread_attr_getdetachstate(&attr, &detach);
	seen.is_detached = detach == PTHREAD_CREATE_DETACHED;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_BLOCK, NULL, &seen.blocked);
	sem_post(&seen.done);
}

static const struct thread_options options = { .kind = THREAD_VCPU, .run = run, .opaque = &seen };

static void it_has_a_name_and_a_small_stack(void **state)
{
	struct thread t;

	(void)state;
	assert_int_equal(thread_start(&t, &options, "CPU %u/KVM", 7u), 0);
	assert_int_equal(pthread_join(t.id, NULL), 0);
	assert_int_equal(seen.nran, 1);
	assert_ptr_equal(seen.opaque, &seen);
	assert_int_equal(seen.nconfined, 0);
	assert_string_equal(seen.name, "CPU 7/KVM");
	// A sanitizer makes it larger; the default is 8 MiB.
	assert_in_range(seen.stack_size, 64 << 10, 1 << 20);
	assert_false(seen.is_detached);
}

static bool is_blocked(int signo)
{
	return sigismember(&seen.blocked, signo) == 1;
}

static void signals_are_for_others(void **state)
{
	struct thread_options opts = options;
	struct thread t;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		opts.signo = i == 0 ? 0 : SIGUSR1;
		assert_int_equal(thread_start(&t, &opts, "worker"), 0);
		assert_int_equal(pthread_join(t.id, NULL), 0);
		assert_true(is_blocked(SIGTERM) && is_blocked(SIGCONT) && is_blocked(SIGPIPE));
		assert_int_equal(is_blocked(SIGUSR1), i == 0);
		assert_false(is_blocked(SIGSYS) || is_blocked(SIGSEGV));
	}
}

static void on_signal(int signo)
{
	(void)signo;
	sem_post(&seen.done);
}

static void wait_for_signal(void *opaque)
{
	(void)opaque;
	while (sem_wait(&seen.done) < 0)
		;
}

static void a_signal_reaches_it(void **state)
{
	const struct sigaction action = { .sa_handler = on_signal };
	const struct thread_options opts = { .signo = SIGUSR1, .run = wait_for_signal };
	struct thread t;

	(void)state;
	sigaction(SIGUSR1, &action, NULL);
	for (unsigned i = 0; i < 2; i++) {
		thread_set_confine(i == 0 ? NULL : confine);
		assert_int_equal(thread_process_id(), getpid());
		assert_int_equal(thread_start(&t, &opts, "worker"), 0);
		// Before it has begun, it gets none.
		while (t.tid == 0)
			sched_yield();
		thread_signal(&t, SIGUSR1);
		assert_int_equal(pthread_join(t.id, NULL), 0);
	}
	t.tid = 0;
	thread_signal(&t, SIGUSR1);
}

static void a_long_name_is_truncated(void **state)
{
	struct thread t;

	(void)state;
	assert_int_equal(thread_start(&t, &options, "net/%s", "a card with a long name"), 0);
	assert_int_equal(pthread_join(t.id, NULL), 0);
	assert_string_equal(seen.name, "net/a card with");
}

static void a_detached_one_needs_no_join(void **state)
{
	struct thread_options opts = options;
	struct thread t;

	(void)state;
	opts.detached = true;
	assert_int_equal(thread_start(&t, &opts, "reaper"), 0);
	assert_int_equal(sem_wait(&seen.done), 0);
	assert_true(seen.is_detached);
}

static void it_is_confined_before_it_runs(void **state)
{
	struct thread t;

	(void)state;
	thread_set_confine(confine);
	assert_ptr_equal(thread_get_confine(), confine);
	assert_int_equal(thread_start(&t, &options, "CPU 0/KVM"), 0);
	// The starter has waited for it.
	assert_int_equal(seen.nconfined, 1);
	assert_int_equal(pthread_join(t.id, NULL), 0);
	assert_int_equal(seen.nran, 1);
	assert_int_equal(seen.kind, THREAD_VCPU);
	assert_true(pthread_equal(seen.confined, seen.ran));
}

static void one_that_cannot_be_confined_does_not_run(void **state)
{
	struct thread_options opts = options;
	struct thread t;

	(void)state;
	thread_set_confine(confine);
	seen.confine_rc = -ENOMEM;
	for (unsigned i = 0; i < 2; i++) {
		opts.detached = i == 1;
		assert_int_equal(thread_start(&t, &opts, "CPU 0/KVM"), -ENOMEM);
		assert_int_equal(seen.nconfined, i + 1);
	}
	assert_int_equal(seen.nran, 0);
}

static void one_that_the_host_refuses_is_an_error(void **state)
{
	struct thread t;

	(void)state;
	thread_set_confine(confine);
	is_refused = true;
	assert_int_equal(thread_start(&t, &options, "CPU 0/KVM"), -EAGAIN);
	assert_int_equal(seen.nconfined, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_has_a_name_and_a_small_stack, setup),
		cmocka_unit_test_setup(signals_are_for_others, setup),
		cmocka_unit_test_setup(a_signal_reaches_it, setup),
		cmocka_unit_test_setup(a_long_name_is_truncated, setup),
		cmocka_unit_test_setup(a_detached_one_needs_no_join, setup),
		cmocka_unit_test_setup(it_is_confined_before_it_runs, setup),
		cmocka_unit_test_setup(one_that_cannot_be_confined_does_not_run, setup),
		cmocka_unit_test_setup(one_that_the_host_refuses_is_an_error, setup),
	};

	return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
