// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_inflight_test.c - the file in which a back end notes the requests that it has begun: whose it is, for how long,
 * who gets it next, and answers that are none.
 */
#include "user_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The driver has made more requests of queue 0 than are done. */
static void begin_requests(struct rig_user *u)
{
	const uint16_t navail = 10, nused = 9;

	memcpy(u->r->ram + (QUEUE_GPA(0) - RAM_GPA + AVAIL_OFF + 2), &navail, sizeof(navail));
	memcpy(u->r->ram + (QUEUE_GPA(0) - RAM_GPA + USED_OFF + 2), &nused, sizeof(nused));
}

/* The driver runs, and waits for an answer of a back end that has ended. Returns the file of its notes. */
static uint64_t end_at_work(struct rig_user *u)
{
	plug_new(u);
	vhost_user_device_expect(u->dev, true);
	start_driver(u);
	begin_requests(u);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	return u->fake.inflight_file;
}

static void the_file_is_as_large_as_the_device(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	start_driver(u);
	assert_int_equal(u->fake.asked.nqueues, NQUEUES);
	assert_int_equal(u->fake.asked.queue_size, 128);
	assert_int_equal(u->fake.inflight.size, 4096);
	assert_int_equal(u->fake.inflight.off, 8);
	assert_int_equal(u->fake.inflight.nqueues, NQUEUES);
	assert_int_equal(u->fake.inflight.queue_size, 128);
	assert_int_not_equal(u->fake.inflight_file, 0);
	assert_int_equal(u->fake.nfds_wrong, 0);
}

static void the_next_one_gets_the_notes_of_the_former_one(void **state)
{
	struct rig_user *u = *state;
	uint64_t file = end_at_work(u);

	assert_false(needs_reset(u));
	u->fake.inflight_file = 0;
	assert_int_equal(another_back_end(u), 0);
	assert_true(state_of(u).running);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_GET_INFLIGHT_FD), 0);
	assert_int_equal(u->fake.inflight_file, file);
	assert_int_equal(u->fake.inflight.size, 4096);
	assert_int_equal(u->fake.rings[0].base, 9);
}

static void a_stopped_machine_goes_on_with_the_same_notes(void **state)
{
	struct rig_user *u = *state;
	uint64_t file;

	plug_new(u);
	start_driver(u);
	file = u->fake.inflight_file;
	virtio_pci_set_paused(u->r->vp, true);
	u->fake.inflight_file = 0;
	virtio_pci_set_paused(u->r->vp, false);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_GET_INFLIGHT_FD), 1);
	assert_int_equal(u->fake.inflight_file, file);
}

static void a_new_driver_has_new_notes(void **state)
{
	struct rig_user *u = *state;
	uint64_t file = end_at_work(u);

	wr(u->r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(another_back_end(u), 0);
	memset(u->r->ram, 0, 0x10000);
	start_driver(u);
	assert_true(state_of(u).running);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_GET_INFLIGHT_FD), 1);
	assert_int_not_equal(u->fake.inflight_file, file);
}

static void an_idle_device_needs_no_notes(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	vhost_user_device_expect(u->dev, true);
	start_driver(u);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	/* Not even of a back end that has none. */
	u->fake.protocol_features &= ~BIT(12);
	assert_int_equal(another_back_end(u), 0);
	assert_true(state_of(u).running);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_SET_INFLIGHT_FD), 0);
}

static void one_that_cannot_read_the_notes_is_no_successor(void **state)
{
	struct rig_user *u = *state;

	end_at_work(u);
	u->fake.protocol_features &= ~BIT(12);
	assert_int_equal(another_back_end(u), -EPROTO);
	assert_string_equal(state_of(u).why,
	                    "requests are under way, and the back end lacks INFLIGHT_SHMFD of the former one");
	assert_true(vhost_user_device_was_closed(u->dev));
	u->fake.protocol_features |= BIT(12);
	assert_int_equal(another_back_end(u), 0);
	assert_true(state_of(u).running && !needs_reset(u));
}

static void notes_are_no_use_where_no_other_one_is_expected(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	start_driver(u);
	begin_requests(u);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	assert_true(needs_reset(u));
	/* Nor are they in the way of one that comes all the same. */
	u->fake.protocol_features &= ~BIT(12);
	assert_int_equal(another_back_end(u), 0);
}

static void a_device_that_cannot_go_on_asks_for_none(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	opts.resumes = false;
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	start_driver(u);
	assert_int_equal(u->fake.set_protocol_features & BIT(12), 0);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_GET_INFLIGHT_FD), 0);
	assert_true(state_of(u).running);
}

static void answers_that_are_none_stop_the_device(void **state)
{
	static const enum fake_user_how hows[] = { FAKE_USER_CLOSE, FAKE_USER_HALF, FAKE_USER_LONG, FAKE_USER_NO_FILE,
		                                   FAKE_USER_NO_ROOM };
	struct rig_user *u = *state;
	unsigned nfds = count_fds();

	for (unsigned i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		plug_new(u);
		fake_user_be_bad(&u->fake, VHOST_USER_GET_INFLIGHT_FD, hows[i]);
		start_driver(u);
		assert_true(needs_reset(u) && !state_of(u).running);
		if (hows[i] == FAKE_USER_NO_ROOM) {
			/* It has said so: the connection goes on. */
			fake_user_be_bad(&u->fake, VHOST_USER_GET_INFLIGHT_FD, FAKE_USER_FINE);
			start_driver(u);
			assert_true(state_of(u).running);
		} else {
			turn_until_lost(u);
			if (hows[i] == FAKE_USER_NO_FILE)
				assert_string_equal(state_of(u).why, "the back end notes its requests in no file");
		}
		fake_user_be_bad(&u->fake, 0, FAKE_USER_FINE);
		remove_device(u);
		assert_int_equal(count_fds(), nfds);
	}
}

static void a_back_end_that_refuses_the_notes_stops_the_device(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	fake_user_be_bad(&u->fake, VHOST_USER_SET_INFLIGHT_FD, FAKE_USER_REFUSE);
	start_driver(u);
	assert_true(needs_reset(u) && !state_of(u).running);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_SET_INFLIGHT_FD), 1);
}

static void nothing_is_left_of_the_file(void **state)
{
	struct rig_user *u = *state;
	unsigned nfds = count_fds();

	end_at_work(u);
	remove_device(u);
	assert_int_equal(count_fds(), nfds);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, user_rig_setup, user_rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_file_is_as_large_as_the_device),
		TEST(the_next_one_gets_the_notes_of_the_former_one),
		TEST(a_stopped_machine_goes_on_with_the_same_notes),
		TEST(a_new_driver_has_new_notes),
		TEST(an_idle_device_needs_no_notes),
		TEST(one_that_cannot_read_the_notes_is_no_successor),
		TEST(notes_are_no_use_where_no_other_one_is_expected),
		TEST(a_device_that_cannot_go_on_asks_for_none),
		TEST(answers_that_are_none_stop_the_device),
		TEST(a_back_end_that_refuses_the_notes_stops_the_device),
		TEST(nothing_is_left_of_the_file),
	};

	return cmocka_run_group_tests_name("vhost_user_inflight", tests, NULL, NULL);
}
