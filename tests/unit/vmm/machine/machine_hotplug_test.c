// SPDX-License-Identifier: Apache-2.0
// How devices leave: asked or not, in time or late, with a sync under way; the guest is three registers here.
#include "machine_hotplug.h"

#include "fake_host.h"
#include "machine_find.h"
#include "machine_store.h"
#include "memory_map.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "unit_test.h"

#define REG_DOWN 0x04u
#define REG_EJECT 0x08u
#define REG_OST 0x0cu
#define OST_EJECT_FAILED (3u << 8 | 1u << 16)

static bool no_threads; /* pthread_create fails */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg)
{
	return no_threads ? EAGAIN : __real_pthread_create(thread, attr, main, arg);
}

static struct machine *m;
static struct pmem *nv1;

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	if (rc < 0)
		return rc;
	m = &fake_host->m;
	no_threads = false;
	fake_host_memdev("mem1");
	nv1 = fake_host_pmem("nv1", "mem1");
	return 0;
}

// ---- the guest

static uint32_t asked_slots(void)
{
	return (uint32_t)io_read(&m->pio, PCI_HOTPLUG_PORT + REG_DOWN, 4);
}

static void guest_ejects(unsigned slot)
{
	io_write(&m->pio, PCI_HOTPLUG_PORT + REG_EJECT, 4, UINT32_C(1) << slot);
}

static void guest_refuses(unsigned slot)
{
	io_write(&m->pio, PCI_HOTPLUG_PORT + REG_OST, 4, slot | OST_EJECT_FAILED);
}

static bool is_woken(void)
{
	eventfd_t count;

	return eventfd_read(m->loop.wake_efd, &count) == 0;
}

static void is_gone(void)
{
	machine_join_unplugs(m);
	assert_int_equal(m->npmems, 0);
	assert_int_equal(fake_host->ndevices, 0);
	assert_int_equal(fake_host->slots[0].size, 0);
	assert_false(m->memdevs[0]->obj.in_use);
	assert_int_equal(fake_host->nevents, 2);
	assert_int_equal(fake_host->events[0].kind, MACHINE_EVENT_DEVICE_DELETED);
	assert_string_equal(fake_host->events[0].device, "");
	assert_string_equal(fake_host->events[0].path, "/machine/peripheral/nv1/virtio-backend");
	assert_int_equal(fake_host->events[1].kind, MACHINE_EVENT_DEVICE_DELETED);
	assert_string_equal(fake_host->events[1].device, "nv1");
	assert_string_equal(fake_host->events[1].path, "/machine/peripheral/nv1");
}

static void stays(void)
{
	assert_int_equal(m->npmems, 1);
	assert_int_equal(nv1->dev.unplug, UNPLUG_NONE);
	assert_int_equal(fake_host->nevents, 1);
	assert_int_equal(fake_host->events[0].kind, MACHINE_EVENT_DEVICE_UNPLUG_GUEST_ERROR);
	assert_string_equal(fake_host->events[0].device, "nv1");
	assert_int_equal(m->loop.ntimers, 0);
}

// ---- the tests

static void a_device_leaves_when_the_guest_ejects_it(void **state)
{
	unsigned slot = nv1->dev.slot;

	(void)state;
	assert_int_equal(machine_device_del(m, "nv1", NULL), 0);
	assert_int_equal(fake_host->nevents, 0);
	assert_int_equal(asked_slots(), UINT32_C(1) << slot);
	guest_ejects(slot);
	is_gone();
	// By a thread of its own, so that a slow sync does not hold the machine lock.
	assert_true(fake_host->destroy_unlocked);
	assert_int_equal(m->loop.ntimers, 0);
}

static void a_path_names_a_device_as_its_id_does(void **state)
{
	(void)state;
	assert_int_equal(machine_device_del(m, "/machine/peripheral/nv1", NULL), 0);
	assert_int_equal(nv1->dev.unplug, UNPLUG_REQUESTED);
}

static void what_is_not_there_or_asked_already_is_refused(void **state)
{
	struct vpmem_error err;

	(void)state;
	assert_int_equal(machine_device_del(m, "nv9", &err), -ENODEV);
	assert_string_equal(err.text, "Device 'nv9' not found");
	assert_int_equal(machine_device_del(m, "nv1", &err), 0);
	assert_int_equal(machine_device_del(m, "nv1", &err), -EBUSY);
	assert_string_equal(err.text, "Device nv1 is already in the process of unplug");
}

static void a_guest_may_refuse_and_be_asked_again(void **state)
{
	(void)state;
	assert_int_equal(machine_device_del(m, "nv1", NULL), 0);
	guest_refuses(nv1->dev.slot);
	stays();
	assert_int_equal(asked_slots(), 0);
	assert_int_equal(machine_device_del(m, "nv1", NULL), 0);
	assert_int_equal(nv1->dev.unplug, UNPLUG_REQUESTED);
}

static void a_refusal_that_nobody_asked_for_is_ignored(void **state)
{
	(void)state;
	guest_refuses(nv1->dev.slot);
	guest_refuses(nv1->dev.slot + 1);
	assert_int_equal(fake_host->nevents, 0);
	assert_int_equal(m->npmems, 1);
}

static void a_guest_that_does_not_answer_keeps_the_device(void **state)
{
	(void)state;
	assert_int_equal(machine_device_del(m, "nv1", NULL), 0);
	nv1->dev.unplug_timer.expired(nv1->dev.unplug_timer.owner);
	stays();
	// It may still let go later.
	fake_host->nevents = 0;
	guest_ejects(nv1->dev.slot);
	is_gone();
}

static void a_guest_that_is_paused_has_its_time_afterwards(void **state)
{
	(void)state;
	assert_int_equal(machine_device_del(m, "nv1", NULL), 0);
	m->run_state = RUN_STATE_PAUSED;
	nv1->dev.unplug_timer.deadline_ms = 0;
	nv1->dev.unplug_timer.expired(nv1->dev.unplug_timer.owner);
	assert_int_equal(nv1->dev.unplug, UNPLUG_REQUESTED);
	assert_int_not_equal(nv1->dev.unplug_timer.deadline_ms, 0);
	nv1->dev.unplug_timer.deadline_ms = 1;
	machine_restart_unplug_timers(m);
	assert_true(nv1->dev.unplug_timer.deadline_ms > 1);
}

static void a_guest_may_eject_without_being_asked(void **state)
{
	(void)state;
	guest_ejects(nv1->dev.slot);
	is_gone();
}

static void an_empty_slot_is_ejected_in_vain(void **state)
{
	(void)state;
	guest_ejects(nv1->dev.slot + 1);
	assert_int_equal(m->npmems, 1);
	assert_int_equal(fake_host->nevents, 0);
}

static void while_its_last_sync_runs_the_device_is_out_of_reach(void **state)
{
	gpa_t gpa = virtio_pmem_gpa(nv1->dev.vp);
	uint64_t off;

	(void)state;
	assert_ptr_equal(machine_find_pmem_at(m, gpa + 5, &off), nv1);
	assert_int_equal(off, 5);
	guest_ejects(nv1->dev.slot);
	// The main loop is woken, and has not come to it yet.
	assert_true(is_woken());
	assert_int_equal(m->nejected, 1);
	assert_int_equal(m->nreapers, 1);
	assert_int_equal(nv1->dev.unplug, UNPLUG_EJECTED);
	assert_true(nv1->dev.vp->unplugged);
	assert_null(machine_find_pmem_at(m, gpa + 5, &off));
	assert_null(machine_find_device_in_slot(m, nv1->dev.slot));
	assert_int_equal(machine_device_del(m, "nv1", NULL), -EBUSY);
	guest_ejects(nv1->dev.slot);
	// The lock was not released: the thread has not begun.
	machine_start_reapers(m);
	assert_int_equal(m->nejected, 0);
	assert_int_equal(m->nreapers, 1);
	assert_int_equal(machine_device_del(m, "nv1", NULL), -EBUSY);
	is_gone();
}

static void a_failed_last_sync_is_kept_for_the_next_device(void **state)
{
	(void)state;
	fake_host->destroy_error = -EIO;
	guest_ejects(nv1->dev.slot);
	is_gone();
	assert_int_equal(m->close_error, -EIO);
	assert_int_equal(m->memdevs[0]->sync_error, -EIO);
	fake_host->destroy_error = 0;
	fake_host_pmem("nv2", "mem1");
	assert_int_equal(fake_host->set_error, -EIO);
}

static void a_reset_completes_what_was_asked_for(void **state)
{
	(void)state;
	fake_host_memdev("mem2");
	fake_host_pmem("nv2", "mem2");
	assert_int_equal(machine_device_del(m, "nv1", NULL), 0);
	machine_eject_requested(m);
	machine_join_unplugs(m);
	assert_int_equal(m->npmems, 1);
	assert_string_equal(m->pmems[0]->dev.cfg->id, "nv2");
	assert_int_equal(fake_host->nevents, 2);
}

static void without_a_thread_the_main_loop_waits(void **state)
{
	(void)state;
	no_threads = true;
	assert_int_equal(machine_device_del(m, "nv1", NULL), 0);
	guest_ejects(nv1->dev.slot);
	machine_start_reapers(m);
	assert_int_equal(m->nreapers, 0);
	assert_false(fake_host->destroy_unlocked);
	is_gone();
}

/* From the end, as one that is finished at once leaves the list. */
static void a_reset_without_threads_ejects_all_that_were_asked(void **state)
{
	(void)state;
	no_threads = true;
	fake_host_memdev("mem2");
	fake_host_pmem("nv2", "mem2");
	assert_int_equal(machine_device_del(m, "nv1", NULL), 0);
	assert_int_equal(machine_device_del(m, "nv2", NULL), 0);
	machine_eject_requested(m);
	assert_int_equal(m->npmems, 0);
	assert_int_equal(fake_host->nevents, 4);
}

static void stores_that_wait_are_done_before_the_device_goes(void **state)
{
	struct vpmem_backing *backing = nv1->memdev->backing;
	char data[] = "aaaa";

	(void)state;
	backing->store_error = -EFAULT;
	backing->room = -ENOSPC;
	machine_pmem_access(nv1, 8, data, 4, true);
	assert_int_equal(m->nstores, 1);
	fake_host->nevents = 0;
	backing->store_error = 0;
	guest_ejects(nv1->dev.slot);
	assert_memory_equal(backing->bytes + 8, "aaaa", 4);
	assert_int_equal(m->nstores, 0);
	is_gone();
	assert_int_equal(m->close_error, 0);
}

static void stores_that_are_lost_show_in_the_exit_status(void **state)
{
	char data[] = "aaaa";

	(void)state;
	nv1->memdev->backing->store_error = -EFAULT;
	machine_pmem_access(nv1, 8, data, 4, true);
	fake_host->nevents = 0;
	guest_ejects(nv1->dev.slot);
	is_gone();
	assert_int_equal(m->close_error, -EFAULT);
}

static void a_new_device_is_announced_to_the_guest(void **state)
{
	struct device_config *cfg;

	(void)state;
	fake_host_memdev("mem2");
	cfg = &fake_host_config("nv2", "mem2")->dev;
	assert_int_equal(machine_device_add(m, &cfg, NULL), 0);
	assert_int_equal(io_read(&m->pio, PCI_HOTPLUG_PORT, 4), UINT32_C(1) << m->pmems[1]->dev.slot);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_leaves_when_the_guest_ejects_it),
		TEST(a_path_names_a_device_as_its_id_does),
		TEST(what_is_not_there_or_asked_already_is_refused),
		TEST(a_guest_may_refuse_and_be_asked_again),
		TEST(a_refusal_that_nobody_asked_for_is_ignored),
		TEST(a_guest_that_does_not_answer_keeps_the_device),
		TEST(a_guest_that_is_paused_has_its_time_afterwards),
		TEST(a_guest_may_eject_without_being_asked),
		TEST(an_empty_slot_is_ejected_in_vain),
		TEST(while_its_last_sync_runs_the_device_is_out_of_reach),
		TEST(a_failed_last_sync_is_kept_for_the_next_device),
		TEST(a_reset_completes_what_was_asked_for),
		TEST(without_a_thread_the_main_loop_waits),
		TEST(a_reset_without_threads_ejects_all_that_were_asked),
		TEST(stores_that_wait_are_done_before_the_device_goes),
		TEST(stores_that_are_lost_show_in_the_exit_status),
		TEST(a_new_device_is_announced_to_the_guest),
	};

	return cmocka_run_group_tests_name("machine_hotplug", tests, NULL, NULL);
}
