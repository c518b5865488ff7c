// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_fault_test.c - what a vhost-user back end may do and seldom does: refuse a configuration, report changes of it at
 * any moment, on a channel that it closes or fills, read nothing, answer with numbers out of range.
 */
#include "failing_calls.h"
#include "user_rig.h"
#include "vhost_user.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define CHANGE VHOST_USER_BACKEND_CONFIG_CHANGE_MSG

static void misbehaves(struct rig_user *u, enum vhost_user_request request, enum fake_user_how how)
{
	/* It may still be at a request that it does not answer. */
	fake_user_be_bad(&u->fake, request, how);
}

static void turns(struct rig_user *u, unsigned n)
{
	while (n-- > 0)
		loop_turn(u->r);
}

static unsigned count(struct rig_user *u, enum vhost_user_request request)
{
	return fake_user_count(&u->fake, request);
}

/* ---- configuration ------------------------------------------------------------------------------------------------ */

static void a_refused_write_changes_nothing(void **state)
{
	struct rig_user *u = *state;

	u->fake.config[WCE_OFF] = 1;
	plug_new(u);
	negotiate(u->r, BIT(32) | F_WCE);
	misbehaves(u, VHOST_USER_SET_CONFIG, FAKE_USER_REFUSE);
	wr(u->r, CONFIG + WCE_OFF, 1, 0);
	assert_int_equal(count(u, VHOST_USER_SET_CONFIG), 2);
	assert_int_equal(rd(u->r, CONFIG + WCE_OFF, 1), 1);
	assert_true(state_of(u).connected);
	misbehaves(u, 0, FAKE_USER_FINE);
	wr(u->r, CONFIG + WCE_OFF, 1, 0);
	assert_int_equal(rd(u->r, CONFIG + WCE_OFF, 1), 0);
}

static void what_it_said_is_confirmed_only_if_the_guest_may_write_it(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	/* Such a back end has no setting to change. */
	misbehaves(u, VHOST_USER_SET_CONFIG, FAKE_USER_REFUSE);
	plug_new(u);
	assert_int_equal(count(u, VHOST_USER_SET_CONFIG), 1);
	remove_device(u);
	misbehaves(u, VHOST_USER_SET_CONFIG, FAKE_USER_CLOSE);
	assert_true(open_device(u) < 0);
	assert_string_equal(u->err.text,
	                    "vhost_backend_init failed: VHOST_USER_SET_CONFIG: the back end has closed the "
	                    "connection");
	fake_user_end(&u->fake);
	misbehaves(u, 0, FAKE_USER_FINE);
	u->fake.features &= ~F_WCE;
	plug_new(u);
	assert_int_equal(count(u, VHOST_USER_SET_CONFIG), 0);
	remove_device(u);
	u->fake.features |= F_WCE;
	opts.writable_size = 0;
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	assert_int_equal(count(u, VHOST_USER_SET_CONFIG), 0);
}

static void what_may_always_be_written_needs_no_feature(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	opts.always_writable = true;
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	assert_int_equal(count(u, VHOST_USER_SET_CONFIG), 0);
	negotiate(u->r, BIT(32));
	wr(u->r, CONFIG + WCE_OFF, 1, 3);
	assert_int_equal(count(u, VHOST_USER_SET_CONFIG), 1);
	assert_int_equal(u->fake.written.bytes[0], 3);
	assert_int_equal(rd(u->r, CONFIG + WCE_OFF, 1), 3);
	/* Without a back end there is nobody to take it. */
	fake_user_end(&u->fake);
	turn_until_lost(u);
	wr(u->r, CONFIG + WCE_OFF, 1, 4);
	assert_int_equal(rd(u->r, CONFIG + WCE_OFF, 1), 3);
	remove_device(u);
	/* Nor if the back end knows no configuration. */
	opts.backend_config = false;
	u->fake.protocol_features = ~BIT(VHOST_USER_PROTOCOL_F_CONFIG);
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	negotiate(u->r, BIT(32));
	wr(u->r, CONFIG + WCE_OFF, 1, 3);
	assert_int_equal(count(u, VHOST_USER_SET_CONFIG), 0);
	assert_int_equal(rd(u->r, CONFIG + WCE_OFF, 1), 0);
}

static void a_change_that_cannot_be_read_changes_nothing(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	u->fake.config[0] = 77;
	misbehaves(u, VHOST_USER_GET_CONFIG, FAKE_USER_REFUSE);
	request_of_back_end(u, CHANGE, VHOST_USER_VERSION, 0);
	turns(u, 3);
	assert_int_equal(count(u, VHOST_USER_GET_CONFIG), 2);
	assert_int_equal(rd(u->r, CONFIG, 1), 0);
	assert_true(state_of(u).connected);
	/* The same again is no change: the generation stays. */
	misbehaves(u, 0, FAKE_USER_FINE);
	u->fake.config[0] = 0;
	request_of_back_end(u, CHANGE, VHOST_USER_VERSION, 0);
	turns(u, 3);
	assert_int_equal(count(u, VHOST_USER_GET_CONFIG), 3);
	assert_int_equal(rd(u->r, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 0);
	misbehaves(u, VHOST_USER_GET_CONFIG, FAKE_USER_HANG);
	request_of_back_end(u, CHANGE, VHOST_USER_VERSION, 0);
	turn_until_lost(u);
	assert_string_equal(state_of(u).why, "the back end does not answer");
}

static void a_change_is_not_read_of_a_configuration_of_our_own(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	opts.backend_config = false;
	opts.config[0] = 5;
	opts.nqueues_off = 0;
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	assert_int_equal(rd(u->r, CONFIG + NQUEUES_OFF, 2), 0);
	request_of_back_end(u, CHANGE, VHOST_USER_VERSION, 0);
	turns(u, 3);
	assert_int_equal(count(u, VHOST_USER_GET_CONFIG), 0);
	assert_int_equal(rd(u->r, CONFIG, 1), 5);
	assert_true(state_of(u).connected);
}

static void a_device_without_an_owner_is_lost_as_well(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	opts.owner.changed = NULL;
	opts.id = NULL;
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	start_driver(u);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	assert_true(needs_reset(u));
	u->fake.nqueues = 1;
	assert_int_equal(another_back_end(u), -EPROTO);
	u->fake.nqueues = NQUEUES;
	assert_int_equal(another_back_end(u), 0);
	start_driver(u);
	assert_true(state_of(u).running);
}

/* ---- its own channel -------------------------------------------------------------------------------------------------- */

/* The bytes of all answers that have come by now. */
static size_t answered(struct rig_user *u)
{
	uint8_t buf[4096];
	ssize_t n = recv(u->fake.channel_fd, buf, sizeof(buf), MSG_DONTWAIT);

	return n < 0 ? 0 : (size_t)n;
}

static void a_request_may_come_in_parts(void **state)
{
	static const struct vhost_user_header header = { .request = CHANGE, .flags = VHOST_USER_VERSION };
	struct rig_user *u = *state;

	plug_new(u);
	u->fake.config[0] = 77;
	assert_int_equal(send(u->fake.channel_fd, &header, 5, MSG_NOSIGNAL), 5);
	turns(u, 2);
	assert_int_equal(rd(u->r, CONFIG, 1), 0);
	assert_int_equal(send(u->fake.channel_fd, (const uint8_t *)&header + 5, 7, MSG_NOSIGNAL), 7);
	turns(u, 3);
	assert_int_equal(rd(u->r, CONFIG, 1), 77);
	/* It asked for no answer. */
	assert_int_equal(answered(u), 0);
}

static void requests_without_end_let_others_go_on(void **state)
{
	const size_t answer_len = sizeof(struct vhost_user_header) + sizeof(uint64_t);
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	/* One that is the back end's would be read, which serves requests as well. */
	opts.backend_config = false;
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	for (unsigned i = 0; i < 40; i++)
		request_of_back_end(u, CHANGE, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, 0);
	turns(u, 1);
	assert_int_equal(answered(u), 16 * answer_len);
	turns(u, 1);
	assert_int_equal(answered(u), 16 * answer_len);
	turns(u, 1);
	assert_int_equal(answered(u), 8 * answer_len);
	assert_true(state_of(u).connected);
}

static void answers_that_are_not_read_end_the_connection(void **state)
{
	struct rig_user *u = *state;
	const struct vhost_user_header header = { .request = CHANGE,
		                                  .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY };

	plug_new(u);
	start_driver(u);
	for (unsigned i = 0; i < 10000 && state_of(u).connected; i++) {
		(void)send(u->fake.channel_fd, &header, sizeof(header), MSG_NOSIGNAL | MSG_DONTWAIT);
		loop_turn(u->r);
	}
	assert_false(state_of(u).connected);
	assert_string_equal(state_of(u).why, "the back end does not read the answers to its own requests");
	assert_true(needs_reset(u));
}

/* As qemu-storage-daemon does it: it waits for its own answer before it gives one. */
static void a_request_is_answered_while_an_answer_is_awaited(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	misbehaves(u, VHOST_USER_SET_VRING_ADDR, FAKE_USER_ASKS);
	u->fake.config[0] = 77;
	start_driver(u);
	assert_int_equal(status(u->r), S_RUNNING);
	assert_true(state_of(u).running);
	turns(u, 2);
	assert_int_equal(rd(u->r, CONFIG, 1), 77);
	/* Also before the device is plugged, whose configuration has just been read. */
	remove_device(u);
	misbehaves(u, VHOST_USER_SET_CONFIG, FAKE_USER_ASKS);
	plug_new(u);
	assert_int_equal(count(u, VHOST_USER_GET_CONFIG), 1);
}

static void nonsense_is_noticed_while_an_answer_is_awaited(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	misbehaves(u, VHOST_USER_SET_VRING_ADDR, FAKE_USER_ASKS_NONSENSE);
	start_driver(u);
	assert_true(needs_reset(u));
	turn_until_lost(u);
	assert_string_equal(state_of(u).why, "the back end makes request 99 with 0 bytes");
}

static void a_channel_that_ends_while_an_answer_is_awaited_is_no_loss(void **state)
{
	struct rig_user *u = *state;

	misbehaves(u, VHOST_USER_SET_CONFIG, FAKE_USER_CLOSES_CHANNEL);
	assert_int_equal(open_device(u), -ETIMEDOUT);
	assert_string_equal(u->err.text,
	                    "vhost_backend_init failed: VHOST_USER_SET_CONFIG: the back end does not answer");
}

/* ---- the socket ---------------------------------------------------------------------------------------------------------- */

/* One without acknowledgements, whose requests thus pile up, and with little room for them. */
static void open_narrow(struct rig_user *u)
{
	struct vhost_user_options opts = user_options(u);
	int fd, size = 1;

	u->fake.protocol_features = BIT(VHOST_USER_PROTOCOL_F_CONFIG);
	fd = fake_user_start(&u->fake);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	assert_int_equal(vhost_user_device_open(&opts, fd, &u->dev, &u->err), 0);
	plug_device(u);
}

static void one_that_reads_nothing_is_disconnected(void **state)
{
	struct rig_user *u = *state;

	open_narrow(u);
	misbehaves(u, VHOST_USER_SET_VRING_NUM, FAKE_USER_STOPS_READING);
	start_driver(u);
	assert_true(needs_reset(u));
	turn_until_lost(u);
	assert_string_equal(state_of(u).why, "the back end does not answer");
	assert_false(vhost_user_device_was_closed(u->dev));
}

static void one_that_reads_late_gets_all(void **state)
{
	struct rig_user *u = *state;

	open_narrow(u);
	misbehaves(u, VHOST_USER_SET_VRING_NUM, FAKE_USER_READS_LATE);
	start_driver(u);
	assert_int_equal(status(u->r), S_RUNNING);
	assert_true(state_of(u).running);
	virtio_pci_set_paused(u->r->vp, true);
	for (unsigned i = 0; i < NQUEUES; i++)
		assert_true(u->fake.rings[i].call && u->fake.rings[i].err && u->fake.rings[i].enabled);
	assert_int_equal(u->fake.nfds_wrong, 0);
}

static void a_request_that_cannot_be_sent_ends_the_connection(void **state)
{
	static const struct {
		int error;
		const char *why;
	} ends[] = {
		{ ETOOMANYREFS, "cannot send to the back end: Too many references: cannot splice" },
		{ EPIPE, "the back end has closed the connection" },
		{ ECONNRESET, "the back end has closed the connection" },
	};

	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct rig_user *u = *state;

		plug_new(u);
		fail_sendmsg(ends[i].error);
		start_driver(u);
		fail_sendmsg(0);
		assert_true(needs_reset(u));
		turn_until_lost(u);
		assert_string_equal(state_of(u).why, ends[i].why);
		user_rig_teardown(state);
		user_rig_setup(state);
	}
}

/* ---- queues and memory ------------------------------------------------------------------------------------------------------ */

static void a_back_end_without_queues_is_not_used(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	u->fake.nqueues = 0;
	opts.fewer_queues = true;
	assert_int_equal(open_with(u, &opts), -EINVAL);
	assert_string_equal(u->err.text, "The maximum number of queues supported by the backend is 0");
}

static void a_queue_stops_at_an_index_that_it_can_have(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	start_driver(u);
	u->fake.stop_base = 0x10000;
	wr(u->r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	turn_until_lost(u);
	assert_string_equal(state_of(u).why, "the back end stops queue 0 at 0x10000, asked for queue 0");
}

static void a_whole_table_has_only_what_can_be_mapped(void **state)
{
	struct rig_user *u = *state;

	u->fake.protocol_features = BIT(VHOST_USER_PROTOCOL_F_CONFIG) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);
	plug_new(u);
	start_driver(u);
	add_other(u, -1);
	assert_int_equal(u->fake.nregions, 1);
	del_other(u);
	assert_int_equal(u->fake.nregions, 1);
	assert_int_equal(u->fake.nfds_wrong, 0);
	/* The acknowledgement says that it is done: no other request has to. */
	assert_int_equal(count(u, VHOST_USER_SET_MEM_TABLE), 3);
	assert_int_equal(count(u, VHOST_USER_GET_FEATURES), 1);
	misbehaves(u, VHOST_USER_SET_MEM_TABLE, FAKE_USER_REFUSE);
	add_other(u, u->ram_fd);
	assert_true(needs_reset(u));
	assert_true(state_of(u).connected);
	del_other(u);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, user_rig_setup, user_rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_refused_write_changes_nothing),
		TEST(what_it_said_is_confirmed_only_if_the_guest_may_write_it),
		TEST(what_may_always_be_written_needs_no_feature),
		TEST(a_change_that_cannot_be_read_changes_nothing),
		TEST(a_change_is_not_read_of_a_configuration_of_our_own),
		TEST(a_device_without_an_owner_is_lost_as_well),
		TEST(a_request_may_come_in_parts),
		TEST(requests_without_end_let_others_go_on),
		TEST(answers_that_are_not_read_end_the_connection),
		TEST(a_request_is_answered_while_an_answer_is_awaited),
		TEST(nonsense_is_noticed_while_an_answer_is_awaited),
		TEST(a_channel_that_ends_while_an_answer_is_awaited_is_no_loss),
		TEST(one_that_reads_nothing_is_disconnected),
		TEST(one_that_reads_late_gets_all),
		TEST(a_request_that_cannot_be_sent_ends_the_connection),
		TEST(a_back_end_without_queues_is_not_used),
		TEST(a_queue_stops_at_an_index_that_it_can_have),
		TEST(a_whole_table_has_only_what_can_be_mapped),
	};

	return cmocka_run_group_tests_name("vhost_user_fault", tests, NULL, NULL);
}
