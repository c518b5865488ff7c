// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_test.c - vhost_user*.c with a fake back end: what it gets and when, memory that comes and goes, and back ends
 * that die, hang, refuse, or send nonsense.
 */
#include "user_rig.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what the back end gets -------------------------------------------------------------------------------------- */

static void all_is_set_before_the_rings_run(void **state)
{
	struct rig_user *u = *state;
	static const enum vhost_user_request opening[] = {
		VHOST_USER_GET_FEATURES,  VHOST_USER_GET_PROTOCOL_FEATURES, VHOST_USER_SET_PROTOCOL_FEATURES,
		VHOST_USER_GET_QUEUE_NUM, VHOST_USER_GET_MAX_MEM_SLOTS,     VHOST_USER_SET_OWNER,
		VHOST_USER_GET_CONFIG,    VHOST_USER_SET_BACKEND_REQ_FD,    VHOST_USER_SET_CONFIG,
	};
	static const enum vhost_user_request starting[] = {
		VHOST_USER_SET_FEATURES,   VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_SET_INFLIGHT_FD,
		VHOST_USER_ADD_MEM_REG,    VHOST_USER_SET_VRING_NUM,   VHOST_USER_SET_VRING_BASE,
		VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_CALL,  VHOST_USER_SET_VRING_ERR,
		VHOST_USER_SET_VRING_KICK,
	};
	const unsigned nopening = sizeof(opening) / sizeof(opening[0]);

	plug_new(u);
	assert_int_equal(u->fake.nlog, nopening);
	assert_memory_equal(u->fake.log, opening, sizeof(opening));
	assert_int_equal(u->fake.set_protocol_features, BIT(0) | BIT(3) | BIT(5) | BIT(9) | BIT(12) | BIT(15));
	assert_int_equal(ecam_read(&u->r->rig, SLOT, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(ecam_read(&u->r->rig, SLOT, PCI_CLASS_REVISION, 4) >> 8, 0x010000);
	assert_int_equal(offered_features(u->r), BIT(32) | F_EVENT_IDX | F_WCE | F_MQ | 0xff);
	assert_true(state_of(u).connected && !state_of(u).running);

	start_driver(u);
	assert_int_equal(status(u->r), S_RUNNING);
	assert_memory_equal(u->fake.log + nopening, starting, sizeof(starting));
	assert_int_equal(u->fake.log[u->fake.nlog - 1], VHOST_USER_SET_VRING_ENABLE);
	assert_int_equal(u->fake.set_features, BIT(32) | F_EVENT_IDX | F_PROTOCOL);
	assert_int_equal(u->fake.nregions, 1);
	assert_int_equal(u->fake.regions[0].gpa, RAM_GPA);
	assert_int_equal(u->fake.regions[0].size, RAM_SIZE);
	assert_int_equal(u->fake.regions[0].hva, (uintptr_t)u->r->ram);
	assert_int_equal(u->fake.regions[0].fd_off, 0x2000);
	assert_int_equal(u->fake.nfds_wrong, 0);
	for (unsigned i = 0; i < NQUEUES; i++) {
		const struct fake_user_ring *ring = &u->fake.rings[i];
		uintptr_t at = (uintptr_t)u->r->ram + QUEUE_GPA(i) - RAM_GPA;

		assert_true(ring->kick && ring->call && ring->err && ring->enabled);
		assert_int_equal(ring->num, QUEUE_SIZE);
		assert_int_equal(ring->addr.desc, at);
		assert_int_equal(ring->addr.avail, at + AVAIL_OFF);
		assert_int_equal(ring->addr.used, at + USED_OFF);
	}
	assert_true(state_of(u).running);
}

static void a_stopped_machine_goes_on_where_it_was(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	start_driver(u);
	u->fake.stop_base = 7;
	virtio_pci_set_paused(u->r->vp, true);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_GET_VRING_BASE), NQUEUES);
	assert_false(state_of(u).running || u->fake.rings[0].kick);
	virtio_pci_set_paused(u->r->vp, false);
	assert_int_equal(u->fake.rings[0].base, 7);
	assert_int_equal(u->fake.rings[1].base, 7);
	assert_true(state_of(u).running);
	/* The regions are still there, and are not sent again. */
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_ADD_MEM_REG), 1);
	/* A driver that resets begins at 0. */
	wr(u->r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_false(state_of(u).running);
	start_driver(u);
	assert_int_equal(u->fake.rings[0].base, 0);
	assert_false(needs_reset(u));
}

static void a_window_is_in_the_table_while_it_is_there(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	start_driver(u);
	add_other(u, u->ram_fd);
	assert_int_equal(u->fake.nregions, 2);
	assert_int_equal(u->fake.regions[1].gpa, OTHER_GPA);
	del_other(u);
	assert_int_equal(u->fake.nregions, 1);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_REM_MEM_REG), 1);
	/* One that is private to this process is no business of the back end. */
	add_other(u, -1);
	assert_int_equal(u->fake.nregions, 1);
	del_other(u);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_REM_MEM_REG), 1);
	assert_int_equal(u->fake.nfds_wrong, 0);
	assert_false(needs_reset(u));
}

static void without_slots_the_table_comes_whole(void **state)
{
	struct rig_user *u = *state;

	u->fake.protocol_features = 0;
	assert_int_equal(open_device(u), -ENOTSUP);
	assert_string_equal(u->err.text, "vhost_backend_init failed: VHOST_USER_GET_CONFIG: Operation not supported");
	fake_user_end(&u->fake);
	u->fake.protocol_features = BIT(9); /* CONFIG; neither REPLY_ACK nor INFLIGHT_SHMFD */
	u->fake.nqueues = 0;                /* not asked for */
	plug_new(u);
	start_driver(u);
	assert_int_equal(u->fake.nregions, 1);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_ADD_MEM_REG), 0);
	add_other(u, u->ram_fd);
	assert_int_equal(u->fake.nregions, 2);
	/* The answer to another request shows that it is done. */
	del_other(u);
	assert_int_equal(u->fake.nregions, 1);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_SET_MEM_TABLE), 3);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_GET_FEATURES), 4);
	assert_int_equal(u->fake.nfds_wrong, 0);
}

static void an_old_back_end_has_no_protocol_features(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	u->fake.features &= ~F_PROTOCOL;
	opts.backend_config = false;
	opts.config[0] = 5;
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_GET_PROTOCOL_FEATURES), 0);
	assert_int_equal(rd(u->r, CONFIG, 4), 5);
	start_driver(u);
	assert_int_equal(u->fake.set_features, BIT(32) | F_EVENT_IDX);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_SET_VRING_ENABLE), 0);
	assert_true(state_of(u).running);
}

static void it_has_no_more_regions_than_the_back_end_can_have(void **state)
{
	struct rig_user *u = *state;
	struct virtio_pci_config place = vhost_rig_place(u->r);
	const struct vm_memory_region region = { .gpa = OTHER_GPA, .size = 4096, .hva = u->r->window, .fd = u->ram_fd };

	u->fake.nslots = 1;
	plug_new(u);
	assert_int_equal(vm_memory_add_region(&u->r->rig.fake.vm, &region, false), -E2BIG);
	remove_device(u);
	add_other(u, u->ram_fd);
	assert_int_equal(open_device(u), 0);
	assert_int_equal(vhost_user_device_plug(u->dev, &place, &u->r->vp, &u->err), -E2BIG);
	assert_null(strstr(u->err.hint, "max_mem_regions"));
	del_other(u);
}

/* ---- configuration ------------------------------------------------------------------------------------------------ */

static void the_configuration_is_the_back_end_s(void **state)
{
	struct rig_user *u = *state;

	for (unsigned i = 0; i < CONFIG_SIZE; i++)
		u->fake.config[i] = (uint8_t)(i + 1);
	plug_new(u);
	assert_int_equal(rd(u->r, CONFIG, 8), 0x0807060504030201);
	assert_int_equal(rd(u->r, CONFIG + NQUEUES_OFF, 2), NQUEUES);
	/* What the guest reads is so. */
	assert_int_equal(u->fake.written.off, WCE_OFF);
	assert_int_equal(u->fake.written.size, 1);
	assert_int_equal(u->fake.written.bytes[0], WCE_OFF + 1);
	/* Not before the feature is negotiated, and no other byte. */
	negotiate(u->r, BIT(32));
	wr(u->r, CONFIG + WCE_OFF, 1, 0);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_SET_CONFIG), 1);
	negotiate(u->r, BIT(32) | F_WCE);
	wr(u->r, CONFIG, 8, 0);
	wr(u->r, CONFIG + WCE_OFF - 1, 1, 0);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_SET_CONFIG), 1);
	wr(u->r, CONFIG + WCE_OFF, 1, 0);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_SET_CONFIG), 2);
	assert_int_equal(u->fake.written.off, WCE_OFF);
	assert_int_equal(u->fake.written.size, 1);
	assert_int_equal(u->fake.written.flags, 0);
	assert_int_equal(u->fake.written.bytes[0], 0);
	assert_int_equal(rd(u->r, CONFIG + WCE_OFF, 1), 0);
	wr(u->r, CONFIG + WCE_OFF - 2, 4, 0xffffffff);
	assert_int_equal(u->fake.written.off, WCE_OFF);
	assert_int_equal(u->fake.written.bytes[0], 0xff);
	assert_int_equal(rd(u->r, CONFIG + WCE_OFF - 1, 1), WCE_OFF);
}

static void a_changed_configuration_is_read_again(void **state)
{
	struct rig_user *u = *state;
	uint64_t generation, answer[3] = { 0 };

	plug_new(u);
	start_driver(u);
	generation = rd(u->r, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	u->fake.config[0] = 77;
	request_of_back_end(u, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, 0);
	for (unsigned i = 0; i < LIMIT && rd(u->r, CONFIG, 1) != 77; i++)
		loop_turn(u->r);
	assert_int_equal(rd(u->r, CONFIG, 1), 77);
	assert_int_not_equal(rd(u->r, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	assert_int_equal(recv(u->fake.channel_fd, answer, sizeof(answer), MSG_DONTWAIT), 20);
	assert_true(state_of(u).connected);
}

static void other_requests_of_the_back_end_end_the_connection(void **state)
{
	static const uint32_t requests[][3] = {
		{ 3, VHOST_USER_VERSION, 0 },
		{ VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_VERSION, 8 },
		{ VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, 0 },
		{ UINT32_MAX, UINT32_MAX, UINT32_MAX },
	};

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct rig_user *u = *state;

		plug_new(u);
		start_driver(u);
		request_of_back_end(u, requests[i][0], requests[i][1], requests[i][2]);
		turn_until_lost(u);
		assert_non_null(strstr(state_of(u).why, "the back end makes request"));
		assert_true(needs_reset(u));
		user_rig_teardown(state);
		user_rig_setup(state);
	}
}

/* A process that dies closes its descriptors one after the other. */
static void a_closed_channel_is_no_loss(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	vhost_user_device_expect(u->dev, true);
	start_driver(u);
	close(u->fake.channel_fd);
	u->fake.channel_fd = -1;
	for (unsigned i = 0; i < 3; i++)
		loop_turn(u->r);
	assert_true(state_of(u).running && !needs_reset(u));
	fake_user_end(&u->fake);
	turn_until_lost(u);
	assert_true(vhost_user_device_was_closed(u->dev));
	assert_false(needs_reset(u));
}

/* ---- queues ---------------------------------------------------------------------------------------------------------- */

static void there_are_no_more_queues_than_the_back_end_has(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	u->fake.nqueues = 1;
	assert_int_equal(open_device(u), -EINVAL);
	assert_string_equal(u->err.text, "The maximum number of queues supported by the backend is 1");
	fake_user_end(&u->fake);
	opts.fewer_queues = true;
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	assert_int_equal(rd(u->r, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	assert_int_equal(rd(u->r, CONFIG + NQUEUES_OFF, 2), 1);
	assert_false(offered_features(u->r) & F_MQ);
}

/* ---- back ends that misbehave ------------------------------------------------------------------------------------------ */

static void one_that_misbehaves_at_first_is_not_used(void **state)
{
	static const enum vhost_user_request requests[] = {
		VHOST_USER_GET_FEATURES,
		VHOST_USER_GET_PROTOCOL_FEATURES,
		VHOST_USER_SET_PROTOCOL_FEATURES,
		VHOST_USER_GET_QUEUE_NUM,
		VHOST_USER_SET_OWNER,
		VHOST_USER_GET_CONFIG,
		VHOST_USER_GET_MAX_MEM_SLOTS,
		VHOST_USER_SET_BACKEND_REQ_FD,
	};
	struct rig_user *u = *state;

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		for (enum fake_user_how how = FAKE_USER_CLOSE; how <= FAKE_USER_LONG; how++) {
			/* It is not acknowledged before it is in effect. */
			if (requests[i] == VHOST_USER_SET_PROTOCOL_FEATURES && how != FAKE_USER_CLOSE)
				continue;
			u->fake.bad = requests[i];
			u->fake.how = how;
			assert_true(open_device(u) < 0);
			assert_ptr_equal(strstr(u->err.text, "vhost_backend_init failed: VHOST_USER_"), u->err.text);
			fake_user_end(&u->fake);
		}
	}
}

static void numbers_that_make_no_sense_are_not_used(void **state)
{
	struct rig_user *u = *state;

	u->fake.bad = VHOST_USER_GET_CONFIG;
	u->fake.how = FAKE_USER_VALUE;
	assert_int_equal(open_device(u), -EPROTO);
	fake_user_end(&u->fake);
	u->fake.how = FAKE_USER_REFUSE;
	assert_int_equal(open_device(u), -EREMOTEIO);
	fake_user_end(&u->fake);
	u->fake.bad = VHOST_USER_GET_MAX_MEM_SLOTS;
	u->fake.how = FAKE_USER_VALUE;
	plug_new(u);
	assert_int_equal(vm_memory_regions_max(&u->r->rig.fake.vm), VM_MEMORY_REGIONS_MAX);
	remove_device(u);
	u->fake.bad = 0;
	u->fake.features &= ~BIT(32);
	assert_int_equal(open_device(u), -ENOSYS);
}

static void descriptors_in_an_answer_are_dropped(void **state)
{
	struct rig_user *u = *state;
	unsigned nfds;

	plug_new(u);
	nfds = count_fds();
	remove_device(u);
	u->fake.bad = VHOST_USER_GET_FEATURES;
	u->fake.how = FAKE_USER_WITH_FD;
	plug_new(u);
	assert_int_equal(count_fds(), nfds);
	start_driver(u);
	assert_true(state_of(u).running);
}

static void one_that_misbehaves_at_the_start_stops_the_device(void **state)
{
	static const enum vhost_user_request requests[] = {
		VHOST_USER_SET_FEATURES,    VHOST_USER_ADD_MEM_REG,    VHOST_USER_SET_VRING_NUM,
		VHOST_USER_SET_VRING_BASE,  VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_CALL,
		VHOST_USER_SET_VRING_ERR,   VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_ENABLE,
		VHOST_USER_SET_INFLIGHT_FD,
	};

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		for (enum fake_user_how how = FAKE_USER_CLOSE; how <= FAKE_USER_LONG; how++) {
			struct rig_user *u = *state;

			plug_new(u);
			u->fake.bad = requests[i];
			u->fake.how = how;
			start_driver(u);
			assert_true(needs_reset(u));
			turn_until_lost(u);
			assert_int_equal(u->nchanges, 1);
			assert_true(state_of(u).why[0]);
			/* The driver tries again: there is nobody. */
			start_driver(u);
			assert_true(needs_reset(u));
			user_rig_teardown(state);
			user_rig_setup(state);
		}
	}
}

static void one_that_refuses_stays_connected(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	u->fake.bad = VHOST_USER_SET_VRING_ADDR;
	u->fake.how = FAKE_USER_REFUSE;
	start_driver(u);
	assert_true(needs_reset(u));
	loop_turn(u->r);
	assert_true(state_of(u).connected);
	assert_int_equal(u->nchanges, 0);
	u->fake.how = FAKE_USER_FINE;
	start_driver(u);
	assert_int_equal(status(u->r), S_RUNNING);
	assert_true(state_of(u).running);
}

static void one_that_misbehaves_at_the_stop_is_disconnected(void **state)
{
	for (enum fake_user_how how = FAKE_USER_CLOSE; how <= FAKE_USER_VALUE; how++) {
		struct rig_user *u = *state;

		if (how == FAKE_USER_WITH_FD || how == FAKE_USER_REFUSE)
			continue;
		plug_new(u);
		start_driver(u);
		u->fake.bad = VHOST_USER_GET_VRING_BASE;
		u->fake.how = how;
		wr(u->r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		assert_int_equal(status(u->r), 0);
		turn_until_lost(u);
		/* A device that does not run loses nothing. */
		assert_int_equal(status(u->r), 0);
		user_rig_teardown(state);
		user_rig_setup(state);
	}
}

static void one_that_takes_memory_badly_stops_the_device(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	start_driver(u);
	add_other(u, u->ram_fd);
	u->fake.bad = VHOST_USER_REM_MEM_REG;
	u->fake.how = FAKE_USER_HANG;
	del_other(u);
	assert_true(needs_reset(u));
	turn_until_lost(u);
	assert_false(vhost_user_device_was_closed(u->dev));
	assert_string_equal(state_of(u).why, "the back end does not answer");
}

static void what_nobody_asked_for_ends_the_connection(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	start_driver(u);
	assert_int_equal(send(u->fake.fd, "x", 1, MSG_NOSIGNAL), 1);
	turn_until_lost(u);
	assert_true(needs_reset(u));
	assert_string_equal(state_of(u).why, "the back end sends what nobody asked for");
	assert_false(vhost_user_device_was_closed(u->dev));
}

static void a_socket_must_pass_descriptors(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(vhost_user_device_open(&opts, fd, &u->dev, &u->err), -EPROTO);
	assert_non_null(strstr(u->err.text, "Unix domain socket"));
}

/* ---- back ends that come and go ------------------------------------------------------------------------------------------ */

static void store16(struct rig_user *u, uint64_t gpa, uint16_t val)
{
	memcpy(u->r->ram + (gpa - RAM_GPA), &val, sizeof(val));
}

/* How many requests the driver made of queue 0, and how many of them are done. */
static void requests(struct rig_user *u, uint16_t navail, uint16_t nused)
{
	store16(u, QUEUE_GPA(0) + AVAIL_OFF + 2, navail);
	store16(u, QUEUE_GPA(0) + USED_OFF + 2, nused);
}

static void one_that_dies_stops_the_device(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	start_driver(u);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	assert_int_equal(u->nchanges, 1);
	assert_true(needs_reset(u) && !state_of(u).running);
	assert_true(vhost_user_device_was_closed(u->dev));
	assert_string_equal(state_of(u).why, "the back end has closed the connection");
	/* Another one comes: it waits for the driver. */
	assert_int_equal(another_back_end(u), 0);
	assert_true(needs_reset(u) && !state_of(u).running);
	assert_int_equal(u->nchanges, 2);
	start_driver(u);
	assert_int_equal(status(u->r), S_RUNNING);
	assert_true(state_of(u).running);
}

static void an_idle_device_goes_on_with_another_back_end(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	vhost_user_device_expect(u->dev, true);
	start_driver(u);
	requests(u, 9, 9);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	assert_false(needs_reset(u));
	assert_false(state_of(u).running);
	assert_int_equal(another_back_end(u), 0);
	assert_true(state_of(u).running);
	/* An interrupt that the former one did not send any more is sent. */
	assert_int_equal(fake_efd_take(vhost_queue_call_efd(u->dev, 0)), 1);
	assert_int_equal(u->fake.rings[0].base, 9);
	assert_int_equal(u->fake.rings[1].base, 0);
	assert_int_equal(u->fake.nregions, 1);
}

static void requests_under_way_need_a_reset(void **state)
{
	struct rig_user *u = *state;

	u->fake.protocol_features &= ~BIT(12); /* INFLIGHT_SHMFD: vhost_user_inflight_test.c */
	plug_new(u);
	vhost_user_device_expect(u->dev, true);
	start_driver(u);
	requests(u, 10, 9);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	assert_true(needs_reset(u));
	assert_int_equal(another_back_end(u), 0);
	assert_false(state_of(u).running);
}

static void requests_under_way_are_repeated_where_that_is_wanted(void **state)
{
	struct rig_user *u = *state;
	struct vhost_user_options opts = user_options(u);

	u->fake.protocol_features &= ~BIT(12); /* INFLIGHT_SHMFD */
	opts.repeats = true;
	assert_int_equal(open_with(u, &opts), 0);
	plug_device(u);
	vhost_user_device_expect(u->dev, true);
	start_driver(u);
	requests(u, 10, 9);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	assert_false(needs_reset(u));
	assert_int_equal(another_back_end(u), 0);
	assert_true(state_of(u).running);
	assert_int_equal(u->fake.rings[0].base, 9);
}

static void a_driver_that_starts_meanwhile_waits(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	vhost_user_device_expect(u->dev, true);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	start_driver(u);
	assert_int_equal(status(u->r), S_RUNNING);
	assert_false(state_of(u).running);
	assert_int_equal(another_back_end(u), 0);
	assert_true(state_of(u).running);
}

static void another_back_end_must_be_as_good(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	vhost_user_device_expect(u->dev, true);
	fake_user_end(&u->fake);
	turn_until_lost(u);
	u->fake.features &= ~F_EVENT_IDX;
	assert_int_equal(another_back_end(u), -EPROTO);
	assert_string_equal(state_of(u).why, "the back end lacks features of the former one: 0x20000000");
	u->fake.features |= F_EVENT_IDX;
	u->fake.nqueues = 1;
	assert_int_equal(another_back_end(u), -EPROTO);
	assert_string_equal(state_of(u).why, "the back end has 1 queues, not 2");
	u->fake.nqueues = 2;
	u->fake.nslots = 0;
	assert_int_equal(another_back_end(u), -EPROTO);
	assert_string_equal(state_of(u).why, "VHOST_USER_GET_MAX_MEM_SLOTS: the back end can have no region of memory");
	add_other(u, u->ram_fd);
	u->fake.nslots = 1;
	assert_int_equal(another_back_end(u), -EPROTO);
	assert_string_equal(state_of(u).why, "the back end can have 1 regions of memory, not 2");
	del_other(u);
	u->fake.nslots = 8;
	u->fake.bad = VHOST_USER_GET_FEATURES;
	u->fake.how = FAKE_USER_HANG;
	assert_int_equal(another_back_end(u), -ETIMEDOUT);
	assert_false(vhost_user_device_was_closed(u->dev));
	u->fake.bad = 0;
	u->fake.config[3] = 9;
	assert_int_equal(another_back_end(u), 0);
	assert_int_equal(rd(u->r, CONFIG + 3, 1), 9);
	assert_int_equal(state_of(u).why[0], 0);
}

static void unplugged_at_work_it_leaves_nothing(void **state)
{
	struct rig_user *u = *state;

	plug_new(u);
	start_driver(u);
	virtio_pci_unplug(u->r->vp);
	assert_int_equal(fake_user_count(&u->fake, VHOST_USER_GET_VRING_BASE), NQUEUES);
	assert_int_equal(u->r->loop.nsources, 0);
	assert_int_equal(u->r->loop.ntimers, 0);
	virtio_pci_destroy(u->r->vp);
	u->r->vp = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, user_rig_setup, user_rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_is_set_before_the_rings_run),
		TEST(a_stopped_machine_goes_on_where_it_was),
		TEST(a_window_is_in_the_table_while_it_is_there),
		TEST(without_slots_the_table_comes_whole),
		TEST(an_old_back_end_has_no_protocol_features),
		TEST(it_has_no_more_regions_than_the_back_end_can_have),
		TEST(the_configuration_is_the_back_end_s),
		TEST(a_changed_configuration_is_read_again),
		TEST(other_requests_of_the_back_end_end_the_connection),
		TEST(a_closed_channel_is_no_loss),
		TEST(there_are_no_more_queues_than_the_back_end_has),
		TEST(one_that_misbehaves_at_first_is_not_used),
		TEST(numbers_that_make_no_sense_are_not_used),
		TEST(descriptors_in_an_answer_are_dropped),
		TEST(one_that_misbehaves_at_the_start_stops_the_device),
		TEST(one_that_refuses_stays_connected),
		TEST(one_that_misbehaves_at_the_stop_is_disconnected),
		TEST(one_that_takes_memory_badly_stops_the_device),
		TEST(what_nobody_asked_for_ends_the_connection),
		TEST(a_socket_must_pass_descriptors),
		TEST(one_that_dies_stops_the_device),
		TEST(an_idle_device_goes_on_with_another_back_end),
		TEST(requests_under_way_need_a_reset),
		TEST(requests_under_way_are_repeated_where_that_is_wanted),
		TEST(a_driver_that_starts_meanwhile_waits),
		TEST(another_back_end_must_be_as_good),
		TEST(unplugged_at_work_it_leaves_nothing),
	};

	return cmocka_run_group_tests_name("vhost_user", tests, NULL, NULL);
}
