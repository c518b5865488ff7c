// SPDX-License-Identifier: Apache-2.0
// Who gets the machine's events, with and without an observer; which of several requests wins.
#include "machine_event.h"

#include "machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit_test.h"

static struct machine *m;
static struct {
	int up_error;
	unsigned nup, ndown, nevents;
	struct machine_event event;
} seen;

static int on_up(struct machine *machine, void **state, struct vpmem_error *err)
{
	(void)err;
	assert_ptr_equal(machine, m);
	// What happens meanwhile is not reported: the observer is not up.
	machine_event_send(m, &(struct machine_event) { .kind = MACHINE_EVENT_STOP });
	seen.nup++;
	*state = seen.up_error ? NULL : &seen;
	return seen.up_error;
}

static void on_down(void *state)
{
	assert_ptr_equal(state, &seen);
	machine_event_send(m, &(struct machine_event) { .kind = MACHINE_EVENT_STOP });
	seen.ndown++;
}

static void on_event(void *state, const struct machine_event *event)
{
	assert_ptr_equal(state, &seen);
	seen.nevents++;
	seen.event = *event;
}

static const struct machine_observer observer = { .up = on_up, .down = on_down, .event = on_event };

static int setup(void **state)
{
	m = calloc(1, sizeof(*m));
	*state = m;
	memset(&seen, 0, sizeof(seen));
	return m && loop_init(&m->loop, &m->lock) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_fini(&m->loop);
	free(m);
	return 0;
}

static void a_machine_without_an_observer_sends_nothing(void **state)
{
	(void)state;
	assert_int_equal(machine_observer_up(m, NULL), 0);
	machine_event_send(m, &(struct machine_event) { .kind = MACHINE_EVENT_STOP });
	machine_event_send_pmem(m, NULL, MACHINE_EVENT_PMEM_ERROR, -EIO);
	machine_observer_down(m);
}

static void an_observer_gets_events_while_it_is_up(void **state)
{
	(void)state;
	m->observer = &observer;
	machine_event_send(m, &(struct machine_event) { .kind = MACHINE_EVENT_STOP });
	assert_int_equal(machine_observer_up(m, NULL), 0);
	assert_int_equal(seen.nevents, 0);
	machine_event_send(m, &(struct machine_event) { .kind = MACHINE_EVENT_RESET, .cause = CAUSE_GUEST_RESET });
	assert_int_equal(seen.nevents, 1);
	assert_int_equal(seen.event.kind, MACHINE_EVENT_RESET);
	assert_int_equal(seen.event.cause, CAUSE_GUEST_RESET);
	machine_observer_down(m);
	assert_int_equal(seen.ndown, 1);
	machine_event_send(m, &(struct machine_event) { .kind = MACHINE_EVENT_STOP });
	assert_int_equal(seen.nevents, 1);
	machine_observer_down(m);
	assert_int_equal(seen.ndown, 1);
}

static void an_observer_that_does_not_come_up_is_not_taken_down(void **state)
{
	(void)state;
	m->observer = &observer;
	seen.up_error = -EADDRINUSE;
	assert_int_equal(machine_observer_up(m, NULL), -EADDRINUSE);
	machine_event_send(m, &(struct machine_event) { .kind = MACHINE_EVENT_STOP });
	machine_observer_down(m);
	assert_int_equal(seen.nup, 1);
	assert_int_equal(seen.ndown + seen.nevents, 0);
}

static void an_event_of_a_device_has_its_names(void **state)
{
	struct device_config cfg = { .id = (char *)"nv1" };
	struct memdev memdev = { .obj.in_use = true };
	struct pmem pmem = { .dev = { .cfg = &cfg, .path = (char *)"/machine/peripheral/nv1" }, .memdev = &memdev };

	(void)state;
	m->observer = &observer;
	assert_int_equal(machine_observer_up(m, NULL), 0);
	machine_event_send_pmem(m, &pmem, MACHINE_EVENT_PMEM_NOSPACE, -ENOSPC);
	assert_int_equal(seen.event.error, ENOSPC);
	assert_string_equal(seen.event.device, "nv1");
	assert_string_equal(seen.event.path, "/machine/peripheral/nv1");
	assert_string_equal(seen.event.file, "a.img");
}

const char *vpmem_backing_path(const struct vpmem_backing *backing)
{
	(void)backing;
	return "a.img";
}

static void the_highest_request_wins_with_its_cause(void **state)
{
	(void)state;
	machine_request(m, REQUEST_POWER_OFF, CAUSE_GUEST_SHUTDOWN);
	machine_request(m, REQUEST_RESET, CAUSE_GUEST_RESET);
	assert_int_equal(m->requested, REQUEST_POWER_OFF);
	assert_int_equal(m->requested_cause, CAUSE_GUEST_SHUTDOWN);
	machine_request(m, REQUEST_QUIT, CAUSE_HOST_SIGNAL);
	assert_int_equal(m->requested, REQUEST_QUIT);
	assert_int_equal(m->requested_cause, CAUSE_HOST_SIGNAL);
}

/* A request stops the guest at once: the main thread serves it later. */
static void a_request_stops_the_vcpus(void **state)
{
	(void)state;
	m->vcpus.running = true;
	machine_request(m, REQUEST_RESET, CAUSE_GUEST_RESET);
	assert_false(m->vcpus.running);
}

/* The monitor's schema is made of these lists. */
static void every_run_state_and_cause_has_a_word(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RUN_STATES; i++)
		assert_non_null(run_state_names[i]);
	assert_null(run_state_names[RUN_STATES]);
	for (unsigned i = 0; i < MACHINE_CAUSES; i++)
		assert_non_null(machine_cause_names[i]);
	assert_null(machine_cause_names[MACHINE_CAUSES]);
	assert_string_equal(run_state_name(RUN_STATE_INTERNAL_ERROR), "internal-error");
	assert_true(run_state_needs_reset(RUN_STATE_INTERNAL_ERROR) && run_state_needs_reset(RUN_STATE_SHUTDOWN));
	assert_false(run_state_needs_reset(RUN_STATE_IO_ERROR) || run_state_needs_reset(RUN_STATE_PAUSED));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_machine_without_an_observer_sends_nothing),
		TEST(an_observer_gets_events_while_it_is_up),
		TEST(an_observer_that_does_not_come_up_is_not_taken_down),
		TEST(an_event_of_a_device_has_its_names),
		TEST(the_highest_request_wins_with_its_cause),
		TEST(a_request_stops_the_vcpus),
		TEST(every_run_state_and_cause_has_a_word),
	};

	return cmocka_run_group_tests_name("machine_event", tests, NULL, NULL);
}
