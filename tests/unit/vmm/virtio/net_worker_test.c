// SPDX-License-Identifier: Apache-2.0
/* net_worker_test.c - frames between a port and a pair of queues, and drivers that write anything into them. */
#include "fake_log.h"
#include "net_rig.h"

#include <linux/virtio_net.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BIT(n) (UINT64_C(1) << (n))
#define MERGES BIT(VIRTIO_NET_F_MRG_RXBUF)
#define INDIRECT BIT(VIRTIO_F_INDIRECT_DESC)
#define EVENT_IDX BIT(VIRTIO_F_EVENT_IDX)
#define ROOM 0x1000u /* for the buffer of each descriptor */
#define DATA(n) (RIG_DATA + ROOM * (n))

static struct net_rig rig;
static struct net_wait wait_set;
static uint8_t frame[NET_WORKER_FRAME_MAX + 1];

static int setup_with(uint64_t features)
{
	fake_log_clear();
	net_rig_init(&rig, features);
	for (unsigned i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7 + i / 256);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(MERGES | INDIRECT);
}

static int setup_small(void **state)
{
	(void)state;
	return setup_with(0);
}

static int setup_events(void **state)
{
	(void)state;
	return setup_with(MERGES | EVENT_IDX);
}

static int teardown(void **state)
{
	(void)state;
	net_rig_fini(&rig);
	return 0;
}

static void serve_all(void)
{
	for (unsigned i = 0; net_rig_serve(&rig, &wait_set); i++)
		assert_true(i < 100);
}

static void fill(uint64_t gpa, const uint8_t *bytes, size_t len)
{
	memcpy(net_rig_hva(&rig, gpa), bytes, len);
}

// ---- from the guest

/* A header in a buffer of its own, then the frame in another. */
static void offer_frame(uint16_t head, uint32_t len)
{
	fill(DATA(head + 1), frame, len);
	net_rig_desc(&rig, RIG_DESC(NET_TX), head, DATA(head), NET_HEADER_SIZE, RIG_NEXT, head + 1u);
	net_rig_desc(&rig, RIG_DESC(NET_TX), head + 1, DATA(head + 1), len, 0, 0);
	net_rig_offer(&rig, NET_TX, head);
}

static void a_frame_is_sent_without_its_header(void **state)
{
	uint16_t head;

	(void)state;
	offer_frame(2, 60);
	serve_all();
	assert_int_equal(rig.port.nsent, 1);
	assert_int_equal(rig.port.sent_len, 60);
	assert_memory_equal(rig.port.sent, frame, 60);
	assert_int_equal(net_rig_used(&rig, NET_TX, &head), 0);
	assert_int_equal(head, 2);
	assert_int_equal(net_rig_ncalls(&rig, NET_TX), 1);
	assert_int_equal(wait_set.kick_efds[NET_TX], rig.kick_efds[NET_TX]);
}

/* The driver may lay it out as it wants: the header and the frame in one buffer, or each byte in one. */
static void the_layout_of_a_frame_does_not_matter(void **state)
{
	(void)state;
	fill(DATA(0) + NET_HEADER_SIZE, frame, 120);
	net_rig_desc(&rig, RIG_DESC(NET_TX), 0, DATA(0), NET_HEADER_SIZE + 100, 0, 0);
	net_rig_offer(&rig, NET_TX, 0);
	serve_all();
	assert_int_equal(rig.port.sent_len, 100);
	assert_memory_equal(rig.port.sent, frame, 100);
	for (unsigned i = 0; i < 15; i++)
		net_rig_desc(&rig, RIG_INDIRECT, i, DATA(0) + 8 * i, 8, i < 14 ? RIG_NEXT : 0, i + 1);
	net_rig_desc(&rig, RIG_DESC(NET_TX), 1, RIG_INDIRECT, 15 * 16, RIG_IS_INDIRECT, 0);
	net_rig_offer(&rig, NET_TX, 1);
	serve_all();
	assert_int_equal(rig.port.nsent, 2);
	assert_int_equal(rig.port.sent_len, 15 * 8 - NET_HEADER_SIZE);
	assert_memory_equal(rig.port.sent, frame, rig.port.sent_len);
}

static void what_is_no_frame_is_not_sent(void **state)
{
	static const struct {
		uint64_t gpa;
		uint32_t len;
		unsigned flags;
	} cases[] = {
		{ DATA(0), 4, 0 },                                              /* not even a header */
		{ DATA(0), NET_HEADER_SIZE, 0 },                                /* nothing else */
		{ DATA(0), NET_HEADER_SIZE + NET_FRAME_MIN - 1, 0 },            /* too short */
		{ RIG_RAM_GPA, NET_HEADER_SIZE + NET_WORKER_FRAME_MAX + 1, 0 }, /* too long */
		{ DATA(0), 100, RIG_WRITE },                                    /* not readable */
		{ RIG_RAM_GPA + RIG_RAM_SIZE - 4, 100, 0 },                     /* outside memory */
		{ UINT64_MAX - 4, 100, 0 },
		{ DATA(0), 0, 0 },                     /* empty */
		{ DATA(0), 100, RIG_NEXT },            /* a loop */
		{ RIG_INDIRECT, 24, RIG_IS_INDIRECT }, /* no table */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		net_rig_desc(&rig, RIG_DESC(NET_TX), 3, cases[i].gpa, cases[i].len, cases[i].flags, 3);
		net_rig_offer(&rig, NET_TX, 3);
		serve_all();
		assert_int_equal(rig.port.nsent, 0);
		/* It is given back: the driver goes on. */
		assert_int_equal(net_rig_used(&rig, NET_TX, NULL), 0);
		assert_false(net_rig_is_broken(&rig));
	}
	offer_frame(4, NET_FRAME_MIN);
	serve_all();
	assert_int_equal(rig.port.nsent, 1);
}

/* Nothing is taken from the ring while the port takes nothing, so nothing is lost by a stop in between. */
static void a_port_that_takes_nothing_stops_only_this_queue(void **state)
{
	(void)state;
	rig.port.blocked = true;
	offer_frame(0, 60);
	rig.port.next = frame;
	rig.port.next_len = 60;
	rig.port.nnext = 1;
	net_rig_desc(&rig, RIG_DESC(NET_RX), 0, DATA(8), ROOM, RIG_WRITE, 0);
	net_rig_offer(&rig, NET_RX, 0);
	serve_all();
	assert_int_equal(net_rig_used(&rig, NET_TX, NULL), -1);
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), 72);
	assert_true(wait_set.port_events & POLLOUT);
	/* A flood of notifications is not even read. */
	assert_int_equal(wait_set.kick_efds[NET_TX], -1);
	net_rig_restart(&rig, false);
	rig.port.blocked = false;
	serve_all();
	assert_int_equal(rig.port.nsent, 1);
	assert_int_equal(net_rig_used(&rig, NET_TX, NULL), 0);
}

static void the_rest_of_a_frame_goes_first(void **state)
{
	(void)state;
	rig.port.unflushed = true;
	offer_frame(0, 60);
	serve_all();
	assert_int_equal(rig.port.nsent, 0);
	assert_true(wait_set.port_events & POLLOUT);
	rig.port.unflushed = false;
	serve_all();
	assert_int_equal(rig.port.nsent, 1);
}

// ---- to the guest

static void next_frame(size_t len, unsigned n)
{
	rig.port.next = frame;
	rig.port.next_len = len;
	rig.port.nnext = n;
}

static void offer_room(uint16_t head, uint32_t len)
{
	net_rig_desc(&rig, RIG_DESC(NET_RX), head, DATA(head), len, RIG_WRITE, 0);
	net_rig_offer(&rig, NET_RX, head);
}

static unsigned num_buffers(uint16_t head)
{
	const uint8_t *header = net_rig_hva(&rig, DATA(head));

	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(header[i], 0);
	return header[10] | (unsigned)header[11] << 8;
}

static void a_frame_comes_with_a_header(void **state)
{
	uint16_t head;

	(void)state;
	memset(net_rig_hva(&rig, DATA(5)), 0xff, ROOM);
	offer_room(5, ROOM);
	next_frame(60, 1);
	serve_all();
	assert_int_equal(net_rig_used(&rig, NET_RX, &head), 72);
	assert_int_equal(head, 5);
	assert_int_equal(num_buffers(5), 1);
	assert_memory_equal(net_rig_hva(&rig, DATA(5)) + NET_HEADER_SIZE, frame, 60);
	assert_int_equal(net_rig_hva(&rig, DATA(5))[72], 0xff);
	assert_int_equal(net_rig_ncalls(&rig, NET_RX), 1);
	assert_int_equal(rig.port.ndropped, 1);
}

static void a_frame_takes_several_buffers(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 4; i++)
		offer_room(i, 100);
	next_frame(300, 1);
	serve_all();
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(net_rig_used(&rig, NET_RX, NULL), 100);
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), 12);
	assert_int_equal(num_buffers(0), 4);
	assert_memory_equal(net_rig_hva(&rig, DATA(0)) + NET_HEADER_SIZE, frame, 88);
	assert_memory_equal(net_rig_hva(&rig, DATA(1)), frame + 88, 100);
	assert_memory_equal(net_rig_hva(&rig, DATA(3)), frame + 288, 12);
}

/* Nothing of it is shown before it is whole; and it is tried again only when the driver says that there is more. */
static void a_frame_waits_for_buffers(void **state)
{
	(void)state;
	offer_room(0, 100);
	next_frame(300, 2);
	serve_all();
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), -1);
	assert_int_equal(net_rig_ncalls(&rig, NET_RX), 0);
	assert_int_equal(rig.port.ndropped, 0);
	assert_int_equal(wait_set.kick_efds[NET_RX], rig.kick_efds[NET_RX]);
	assert_false(wait_set.port_events & POLLIN);
	offer_room(1, ROOM);
	rig.worker.rx_starved = false;
	serve_all();
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), 100);
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), 212);
	assert_int_equal(num_buffers(0), 2);
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), -1);
	assert_int_equal(rig.port.ndropped, 1);
	/* After a stop in between, the second one comes to the same place of the ring. */
	net_rig_restart(&rig, false);
	offer_room(2, ROOM);
	serve_all();
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), 312);
}

/* With too few buffers, the driver has to notify for the next one: avail_event is behind all that there are. */
static void a_starved_queue_asks_for_a_notification(void **state)
{
	const uint8_t *event = net_rig_hva(&rig, RIG_USED(NET_RX)) + 4 + 8 * RIG_QUEUE_SIZE;

	(void)state;
	for (uint16_t i = 0; i < 3; i++)
		offer_room(i, 50);
	next_frame(1000, 1);
	serve_all();
	assert_int_equal(event[0], 3);
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), -1);
}

static void a_frame_that_no_buffer_can_have_is_dropped(void **state)
{
	(void)state;
	offer_room(0, 100);
	next_frame(300, 1);
	serve_all();
	assert_int_equal(rig.port.ndropped, 1);
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), -1);
	/* The buffer is still there. */
	next_frame(88, 1);
	serve_all();
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), 100);
	assert_int_equal(num_buffers(0), 1);
}

/* The bytes of the header may also be anywhere. */
static void a_header_in_pieces(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 14; i++)
		net_rig_desc(&rig, RIG_INDIRECT, i, DATA(i), i < 13 ? 1 : ROOM, RIG_WRITE | (i < 13 ? RIG_NEXT : 0),
		             i + 1);
	net_rig_desc(&rig, RIG_DESC(NET_RX), 0, RIG_INDIRECT, 14 * 16, RIG_IS_INDIRECT, 0);
	net_rig_offer(&rig, NET_RX, 0);
	next_frame(60, 1);
	serve_all();
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), 72);
	assert_int_equal(*net_rig_hva(&rig, DATA(10)), 1);
	assert_int_equal(*net_rig_hva(&rig, DATA(11)), 0);
	assert_int_equal(*net_rig_hva(&rig, DATA(12)), frame[0]);
	assert_memory_equal(net_rig_hva(&rig, DATA(13)), frame + 1, 59);
}

static void broken_receive_queues_end_in_a_reset(void **state)
{
	static const struct {
		uint64_t gpa;
		uint32_t len;
		unsigned flags;
	} cases[] = {
		{ DATA(0), 100, 0 },                                /* not writable */
		{ RIG_RAM_GPA + RIG_RAM_SIZE - 4, 100, RIG_WRITE }, /* outside memory */
		{ DATA(0), 1, RIG_WRITE | RIG_NEXT },               /* a loop */
		{ DATA(0), 0, RIG_WRITE },
		{ RIG_INDIRECT, 0, RIG_IS_INDIRECT },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		net_rig_restart(&rig, true);
		net_rig_desc(&rig, RIG_DESC(NET_RX), 3, cases[i].gpa, cases[i].len, cases[i].flags, 3);
		net_rig_offer(&rig, NET_RX, 3);
		next_frame(60, 1);
		serve_all();
		assert_true(net_rig_is_broken(&rig));
		/* Nothing is served any more. */
		rig.port.nsent = 0;
		offer_frame(2, 60);
		serve_all();
		assert_int_equal(rig.port.nsent, 0);
		assert_int_equal(wait_set.kick_efds[NET_RX], -1);
		assert_int_equal(wait_set.kick_efds[NET_TX], -1);
		assert_int_equal(wait_set.port_events, 0);
	}
	net_rig_restart(&rig, true);
	offer_frame(2, 60);
	serve_all();
	assert_int_equal(rig.port.nsent, 1);
}

static void an_index_that_is_no_index_ends_in_a_reset(void **state)
{
	(void)state;
	for (unsigned queue = 0; queue < 2; queue++) {
		net_rig_restart(&rig, true);
		next_frame(60, 1);
		rig.avail_idx[queue] = RIG_QUEUE_SIZE + 5;
		net_rig_offer(&rig, queue, 0);
		serve_all();
		assert_true(net_rig_is_broken(&rig));
		net_rig_restart(&rig, true);
		net_rig_offer(&rig, queue, RIG_QUEUE_SIZE);
		serve_all();
		assert_true(net_rig_is_broken(&rig));
	}
}

// ---- both

/* Each call does a bounded amount of work, also in a flood, and serves both directions. */
static void a_flood_is_served_in_bounded_turns(void **state)
{
	unsigned nturns = 0;

	(void)state;
	rig.port.next = frame;
	rig.port.next_len = 5; /* too short for the guest: it needs no buffers */
	rig.port.nnext = 1000;
	offer_frame(0, 60);
	while (net_rig_serve(&rig, &wait_set)) {
		nturns++;
		assert_true(rig.port.ndropped <= nturns * NET_BATCH_FRAMES);
	}
	assert_int_equal(rig.port.ndropped, 1000);
	assert_int_equal(rig.port.nsent, 1);
}

static void without_a_link_frames_are_dropped(void **state)
{
	struct vhost_backend *backend = net_worker_backend(&rig.worker);

	(void)state;
	backend->ops->stop(backend);
	offer_room(0, ROOM);
	offer_frame(0, 60);
	next_frame(60, 100);
	serve_all();
	assert_int_equal(rig.port.ndropped, 0);
	assert_int_equal(wait_set.port_events, 0);
	net_worker_set_discard(&rig.worker, true);
	serve_all();
	assert_int_equal(rig.port.ndropped, 100);
	assert_true(wait_set.port_events & POLLIN);
	/* Guest memory is not touched. */
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), -1);
	assert_int_equal(rig.port.nsent, 0);
	net_worker_set_discard(&rig.worker, false);
	backend->ops->run(backend);
	next_frame(60, 1);
	serve_all();
	assert_int_equal(net_rig_used(&rig, NET_RX, NULL), 72);
	assert_int_equal(rig.port.nsent, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_frame_is_sent_without_its_header),
		TEST(the_layout_of_a_frame_does_not_matter),
		TEST(what_is_no_frame_is_not_sent),
		TEST(a_port_that_takes_nothing_stops_only_this_queue),
		TEST(the_rest_of_a_frame_goes_first),
		TEST(a_frame_comes_with_a_header),
		TEST(a_frame_takes_several_buffers),
		TEST(a_frame_waits_for_buffers),
		cmocka_unit_test_setup_teardown(a_starved_queue_asks_for_a_notification, setup_events, teardown),
		cmocka_unit_test_setup_teardown(a_frame_that_no_buffer_can_have_is_dropped, setup_small, teardown),
		TEST(a_header_in_pieces),
		TEST(broken_receive_queues_end_in_a_reset),
		TEST(an_index_that_is_no_index_ends_in_a_reset),
		TEST(a_flood_is_served_in_bounded_turns),
		TEST(without_a_link_frames_are_dropped),
	};

	return cmocka_run_group_tests_name("net_worker", tests, NULL, NULL);
}
