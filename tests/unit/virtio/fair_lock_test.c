// SPDX-License-Identifier: Apache-2.0
// A worker that takes its lock again and again hands it over to a thread that asked.
#include "fair_lock.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#define ROUNDS 50u

static struct fair_lock lock;
static unsigned nothers; // guarded by the lock

static void *ask(void *unused)
{
	fair_lock_take(&lock);
	nothers++;
	fair_lock_release(&lock);
	return unused;
}

/* The worker holds the lock when somebody asks, and takes it again at once. */
static void who_asked_is_served_before_the_worker_goes_on(void **state)
{
	(void)state;
	fair_lock_init(&lock);
	fair_lock_worker_take(&lock);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		pthread_t threads[2];

		for (unsigned k = 0; k < 2; k++)
			assert_int_equal(pthread_create(&threads[k], NULL, ask, NULL), 0);
		while (atomic_load(&lock.nasked) < 2 * i)
			sched_yield();
		assert_int_equal(nothers, 2 * i - 2);
		fair_lock_worker_release(&lock);
		fair_lock_worker_take(&lock);
		assert_int_equal(nothers, 2 * i);
		for (unsigned k = 0; k < 2; k++)
			pthread_join(threads[k], NULL);
	}
	assert_int_equal(lock.nasked, lock.nserved);
	fair_lock_worker_release(&lock);
	fair_lock_destroy(&lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_asked_is_served_before_the_worker_goes_on),
	};

	return cmocka_run_group_tests_name("fair_lock", tests, NULL, NULL);
}
