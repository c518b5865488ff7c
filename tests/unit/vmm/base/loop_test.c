// SPDX-License-Identifier: Apache-2.0
// Tests of the event loop: loop.c.
#include "loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop loop;

struct event {
	struct loop_source source;
	unsigned nready;
	struct event *remove; // another one that the callback takes out of the loop
	struct event *add;    // and one that it adds
	struct event *change; // and one that waits for other events from then on
	short changed;
};

static void on_ready(void *owner, short revents)
{
	struct event *event = owner;
	eventfd_t count;

	assert_true(revents & POLLIN);
	assert_int_equal(eventfd_read(event->source.fd, &count), 0);
	event->nready++;
	if (event->remove)
		loop_del(&loop, &event->remove->source);
	if (event->add)
		assert_int_equal(loop_add(&loop, &event->add->source), 0);
	event->add = NULL;
	if (event->change)
		loop_set_events(&loop, &event->change->source, event->changed);
}

static void event_init(struct event *event)
{
	*event = (struct event) {
		.source = { .fd = eventfd(0, EFD_NONBLOCK), .events = POLLIN, .ready = on_ready, .owner = event }
	};
	assert_int_equal(loop_add(&loop, &event->source), 0);
}

static int setup(void **state)
{
	(void)state;
	pthread_mutex_lock(&lock);
	return loop_init(&loop, &lock);
}

static int teardown(void **state)
{
	(void)state;
	loop_fini(&loop);
	pthread_mutex_unlock(&lock);
	return 0;
}

// One turn of the loop, whether or not anything is ready.
static void settle(void)
{
	loop_wake(&loop);
	assert_int_equal(loop_once(&loop), 0);
}

static void serves_what_is_ready(void **state)
{
	struct event a, b;

	(void)state;
	event_init(&a);
	event_init(&b);
	settle();
	eventfd_write(b.source.fd, 1);
	assert_int_equal(loop_once(&loop), 0);
	assert_int_equal(a.nready, 0);
	assert_int_equal(b.nready, 1);
	close(a.source.fd);
	close(b.source.fd);
}

static void a_resting_source_is_not_served(void **state)
{
	struct event a;

	(void)state;
	event_init(&a);
	eventfd_write(a.source.fd, 1);
	loop_set_events(&loop, &a.source, 0);
	settle();
	assert_int_equal(a.nready, 0);
	loop_set_events(&loop, &a.source, POLLIN);
	settle();
	assert_int_equal(a.nready, 1);
	close(a.source.fd);
}

static void a_removed_neighbour_is_not_served(void **state)
{
	struct event a, b;

	(void)state;
	event_init(&a);
	event_init(&b);
	a.remove = &b;
	b.remove = &a;
	eventfd_write(a.source.fd, 1);
	eventfd_write(b.source.fd, 1);
	settle();
	assert_int_equal(a.nready + b.nready, 1);
	close(a.source.fd);
	close(b.source.fd);
}

// What was ready before is not what it waits for.
static void a_neighbour_whose_events_were_changed_is_not_served(void **state)
{
	const short changed[] = { 0, POLLOUT };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct event a, b;

		event_init(&a);
		event_init(&b);
		a.change = &b;
		a.changed = changed[i];
		eventfd_write(a.source.fd, 1);
		eventfd_write(b.source.fd, 1);
		settle();
		assert_int_equal(a.nready, 1);
		assert_int_equal(b.nready, 0);
		loop_set_events(&loop, &b.source, POLLIN);
		settle();
		assert_int_equal(b.nready, 1);
		loop_del(&loop, &a.source);
		loop_del(&loop, &b.source);
		close(a.source.fd);
		close(b.source.fd);
	}
}

// A descriptor that is closed and opened again has the same number: what was ready belongs to the former one.
static void a_source_with_the_number_of_a_removed_one_waits_for_the_next_turn(void **state)
{
	struct event a, b, c;

	(void)state;
	event_init(&a);
	event_init(&b);
	c = b;
	c.source.owner = &c;
	a.remove = &b;
	a.add = &c;
	eventfd_write(a.source.fd, 1);
	eventfd_write(b.source.fd, 1);
	settle();
	assert_int_equal(a.nready, 1);
	assert_int_equal(b.nready + c.nready, 0);
	settle();
	assert_int_equal(c.nready, 1);
	assert_int_equal(loop.nsources, 2);
	close(a.source.fd);
	close(b.source.fd);
}

static void on_expired(void *owner)
{
	++*(unsigned *)owner;
}

static void a_timer_expires_once(void **state)
{
	unsigned nexpired = 0;
	struct loop_timer timer = { .expired = on_expired, .owner = &nexpired };

	(void)state;
	assert_int_equal(loop_add_timer(&loop, &timer), 0);
	settle();
	assert_int_equal(nexpired, 0);
	loop_arm(&loop, &timer, 5);
	while (nexpired == 0)
		assert_int_equal(loop_once(&loop), 0);
	assert_int_equal(timer.deadline_ms, 0);
	settle();
	assert_int_equal(nexpired, 1);
}

static void *wake_from_elsewhere(void *arg)
{
	struct event *event = arg;

	// Succeeds only because the loop releases the lock while it sleeps.
	pthread_mutex_lock(&lock);
	eventfd_write(event->source.fd, 1);
	loop_set_events(&loop, &event->source, POLLIN);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void a_sleeping_loop_sees_changes(void **state)
{
	struct event a;
	pthread_t thread;

	(void)state;
	event_init(&a);
	loop_set_events(&loop, &a.source, 0);
	settle();
	pthread_create(&thread, NULL, wake_from_elsewhere, &a);
	while (a.nready == 0)
		assert_int_equal(loop_once(&loop), 0);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	pthread_mutex_lock(&lock);
	close(a.source.fd);
}

static void a_loop_that_is_awake_needs_no_wake_up(void **state)
{
	unsigned nexpired = 0;
	struct loop_timer timer = { .expired = on_expired, .owner = &nexpired };
	struct event a;
	eventfd_t count;

	(void)state;
	event_init(&a);
	loop_set_events(&loop, &a.source, 0);
	assert_int_equal(loop_add_timer(&loop, &timer), 0);
	loop_arm(&loop, &timer, 1000);
	assert_int_equal(eventfd_read(loop.wake_efd, &count), -1);
	close(a.source.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(serves_what_is_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(a_resting_source_is_not_served, setup, teardown),
		cmocka_unit_test_setup_teardown(a_removed_neighbour_is_not_served, setup, teardown),
		cmocka_unit_test_setup_teardown(a_neighbour_whose_events_were_changed_is_not_served, setup, teardown),
		cmocka_unit_test_setup_teardown(a_source_with_the_number_of_a_removed_one_waits_for_the_next_turn,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(a_timer_expires_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sleeping_loop_sees_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_loop_that_is_awake_needs_no_wake_up, setup, teardown),
	};

	// A lost wake-up would sleep for ever.
	alarm(300);
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
