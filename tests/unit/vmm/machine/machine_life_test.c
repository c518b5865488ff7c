// SPDX-License-Identifier: Apache-2.0
// stop and cont, and what they do when something was found meanwhile.
#include "machine.h"

#include "fake_host.h"
#include "machine_fault.h"
#include "machine_store.h"

#include <errno.h>
#include <string.h>

#include "unit_test.h"

static struct machine *m;
static struct vpmem_error err;

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	if (rc < 0)
		return rc;
	m->kvm.vm_fd = -1;
	fake_host_memdev("mem1");
	fake_host_pmem("nv1", "mem1");
	return 0;
}

static void is_in(enum run_state state)
{
	assert_string_equal(run_state_name(m->run_state), run_state_name(state));
	assert_int_equal(m->vcpus.running, state == RUN_STATE_RUNNING);
}

static void stop_and_cont_are_events(void **state)
{
	(void)state;
	machine_stop(m);
	is_in(RUN_STATE_PAUSED);
	assert_true(m->devices[0]->vp->paused);
	machine_stop(m);
	assert_int_equal(machine_cont(m, &err), 0);
	is_in(RUN_STATE_RUNNING);
	assert_false(m->devices[0]->vp->paused);
	assert_int_equal(machine_cont(m, &err), 0);
	assert_int_equal(fake_host->nevents, 2);
	assert_int_equal(fake_host->events[0].kind, MACHINE_EVENT_STOP);
	assert_int_equal(fake_host->events[1].kind, MACHINE_EVENT_RESUME);
}

static void only_a_reset_leads_out_of_some_states(void **state)
{
	const enum run_state states[] = { RUN_STATE_SHUTDOWN, RUN_STATE_INTERNAL_ERROR };

	(void)state;
	for (unsigned i = 0; i < COUNT(states); i++) {
		m->run_state = states[i];
		assert_int_equal(machine_cont(m, &err), -EPERM);
		assert_string_equal(err.text, "Resetting the Virtual Machine is required");
		is_in(states[i]);
	}
	assert_int_equal(fake_host->nevents, 0);
}

/* A vCPU completes its exit while it is parked, and KVM cannot go on with it. */
static void an_internal_error_behind_a_stop_is_found_by_cont(void **state)
{
	(void)state;
	machine_stop(m);
	m->internal_error = true;
	assert_int_equal(machine_cont(m, &err), -EPERM);
	is_in(RUN_STATE_INTERNAL_ERROR);
	assert_false(m->internal_error);
}

/* Both were found: what only a reset mends decides. */
static void an_internal_error_outweighs_an_io_error(void **state)
{
	(void)state;
	machine_stop(m);
	m->internal_error = m->io_error = true;
	assert_int_equal(machine_cont(m, &err), -EPERM);
	is_in(RUN_STATE_INTERNAL_ERROR);
	m->run_state = RUN_STATE_IO_ERROR;
	m->internal_error = true;
	assert_int_equal(machine_cont(m, &err), -EPERM);
	is_in(RUN_STATE_INTERNAL_ERROR);
}

static void an_io_error_behind_a_stop_needs_a_second_cont(void **state)
{
	(void)state;
	machine_stop(m);
	m->io_error = true;
	assert_int_equal(machine_cont(m, &err), -EIO);
	is_in(RUN_STATE_IO_ERROR);
	assert_int_equal(machine_cont(m, &err), 0);
	is_in(RUN_STATE_RUNNING);
}

/* cont does the stores itself, and stays where it is while one fails. */
static void cont_does_the_stores_that_wait(void **state)
{
	struct vpmem_backing *backing = m->memdevs[0]->backing;
	char data[] = "aaaa";

	(void)state;
	backing->store_error = -EFAULT;
	backing->room = -ENOSPC;
	machine_pmem_access(m->pmems[0], 0, data, 4, true);
	machine_find_reason(m);
	assert_true(m->io_error);
	machine_stop(m);
	m->io_error = false;
	m->run_state = RUN_STATE_IO_ERROR;
	assert_int_equal(machine_cont(m, &err), -ENOSPC);
	is_in(RUN_STATE_IO_ERROR);
	backing->room = 0;
	assert_int_equal(machine_cont(m, &err), -EFAULT);
	is_in(RUN_STATE_IO_ERROR);
	backing->store_error = 0;
	assert_int_equal(machine_cont(m, &err), 0);
	assert_memory_equal(backing->bytes, "aaaa", 4);
	is_in(RUN_STATE_RUNNING);
}

/* KVM does not say where it went: to the device that is read-only, if there is one. */
static void a_store_that_kvm_cannot_emulate_is_counted_where_it_can_be(void **state)
{
	(void)state;
	machine_refuse_unknown_store(m);
	assert_int_equal(fake_host->nevents, 0);
	m->memdevs[0]->backing->rom = true;
	machine_refuse_unknown_store(m);
	assert_int_equal(m->pmems[0]->nrefused, 1);
	assert_int_equal(fake_host->events[0].kind, MACHINE_EVENT_PMEM_STORE_REFUSED);
	assert_string_equal(fake_host->events[0].device, "nv1");
	fake_host_memdev("mem2")->backing->rom = true;
	fake_host_pmem("nv2", "mem2");
	machine_refuse_unknown_store(m);
	assert_int_equal(m->pmems[0]->nrefused + m->pmems[1]->nrefused, 1);
	assert_int_equal(fake_host->nevents, 2);
	assert_string_equal(fake_host->events[1].device, "");
}

// ---- the start: without vCPUs, whose threads vcpu_test.c has

static void start(void)
{
	m->run_state = RUN_STATE_PRELAUNCH;
	assert_int_equal(machine_start(m, &err), 0);
}

static void the_guest_begins_with_the_machine(void **state)
{
	(void)state;
	start();
	is_in(RUN_STATE_RUNNING);
	assert_int_equal(fake_host->nevents, 1);
	assert_int_equal(fake_host->events[0].kind, MACHINE_EVENT_RESUME);
}

static void it_does_not_begin_with_S(void **state)
{
	(void)state;
	fake_host->opts.stopped = true;
	start();
	is_in(RUN_STATE_PRELAUNCH);
	assert_int_equal(fake_host->nevents, 0);
	assert_int_equal(machine_cont(m, &err), 0);
	is_in(RUN_STATE_RUNNING);
}

static void on_turn(void *owner)
{
	(void)owner;
	is_in(RUN_STATE_RUNNING);
	machine_request(m, REQUEST_QUIT, CAUSE_HOST_SIGNAL);
}

/* Its command may still fail after the machine was built, when /dev/null is missing. */
static void a_daemon_begins_when_it_is_ready(void **state)
{
	struct loop_timer timer = { .expired = on_turn };

	(void)state;
	fake_host->opts.daemonize = true;
	start();
	is_in(RUN_STATE_PRELAUNCH);
	assert_int_equal(loop_add_timer(&m->loop, &timer), 0);
	loop_arm(&m->loop, &timer, 0);
	pthread_mutex_unlock(&m->lock);
	assert_int_equal(machine_run(m), 0);
	pthread_mutex_lock(&m->lock);
	loop_del_timer(&m->loop, &timer);
	assert_int_equal(fake_host->events[0].kind, MACHINE_EVENT_RESUME);
}

static void what_was_found_meanwhile_is_for_the_operator(void **state)
{
	(void)state;
	m->io_error = true;
	start();
	is_in(RUN_STATE_IO_ERROR);
	assert_int_equal(fake_host->nevents, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stop_and_cont_are_events),
		TEST(only_a_reset_leads_out_of_some_states),
		TEST(an_internal_error_behind_a_stop_is_found_by_cont),
		TEST(an_internal_error_outweighs_an_io_error),
		TEST(an_io_error_behind_a_stop_needs_a_second_cont),
		TEST(cont_does_the_stores_that_wait),
		TEST(a_store_that_kvm_cannot_emulate_is_counted_where_it_can_be),
		TEST(the_guest_begins_with_the_machine),
		TEST(it_does_not_begin_with_S),
		TEST(a_daemon_begins_when_it_is_ready),
		TEST(what_was_found_meanwhile_is_for_the_operator),
	};

	return cmocka_run_group_tests_name("machine_life", tests, NULL, NULL);
}
