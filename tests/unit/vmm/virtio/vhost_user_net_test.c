// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_net_test.c - a network card whose queues another process has: what is offered, which rings run and are enabled,
 * and back ends that end and are followed by others.
 */
#include "vhost_user_net.h"

#include "fake_user.h"
#include "vhost.h"
#include "vhost_net.h"
#include "vhost_rig.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT 20u /* turns of the loop */
#define F_MQ BIT(VIRTIO_NET_F_MQ)
#define F_PROTOCOL BIT(30)
#define OFFLOADS                                                                                      \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
	 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |         \
	 BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN))
#define RINGS (BIT(32) | BIT(28) | BIT(29))
#define OWN                                                                                                         \
	(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | \
	 BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_MTU))

struct rig_net {
	struct vhost_rig *r;
	struct fake_user fake;
	struct vhost_user_net *net;
	struct vhost_backend *list[1];
	struct vpmem_error err;
	int ram_fd;
	unsigned nlost;
	bool again;
};

static void on_lost(void *owner, bool again)
{
	struct rig_net *n = owner;

	n->nlost++;
	n->again = again;
	if (n->r->vp)
		vhost_net_set_link(n->r->vp, false);
}

static int open_net(struct rig_net *n, unsigned npairs)
{
	const struct vhost_user_net_options opts = {
		.id = "n0", .npairs = npairs, .loop = &n->r->loop, .lost = on_lost, .owner = n
	};

	return vhost_user_net_open(&opts, fake_user_start(&n->fake), &n->net, &n->err);
}

static int set_pairs(void *net, unsigned npairs)
{
	return vhost_user_net_set_pairs(net, npairs);
}

static void describe(void *net, uint16_t mtu, const uint8_t *mac)
{
	vhost_user_net_describe(net, mtu, mac);
}

static void plug(struct rig_net *n, unsigned npairs)
{
	struct vhost_net_options cfg = {
		.pci = vhost_rig_place(n->r),
		.mem = &n->r->mem,
		.queue_size = 256,
		.host_mtu = 9000,
		.mac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 },
		.tap = { .set_queues = set_pairs, .describe = describe, .npairs = npairs },
		.backends = { .list = n->list, .is_one = true },
	};

	assert_int_equal(open_net(n, npairs), 0);
	assert_int_equal(vhost_user_net_watch(n->net), 0);
	n->list[0] = vhost_user_net_backend(n->net);
	cfg.tap.tap = n->net;
	cfg.backends.features = vhost_user_net_features(n->net);
	cfg.backends.regions_max = vhost_user_net_regions_max(n->net);
	assert_int_equal(vhost_net_create(&cfg, &n->r->vp, &n->err), 0);
	probe(n->r);
}

static int setup(void **state)
{
	struct rig_net *n = calloc(1, sizeof(*n));

	n->r = vhost_rig_new();
	n->ram_fd = vhost_rig_share_ram(n->r, 0);
	fake_user_init(&n->fake);
	n->fake.features = RINGS | F_PROTOCOL | BIT(VIRTIO_NET_F_MRG_RXBUF) | OFFLOADS | F_MQ |
	                   BIT(VIRTIO_NET_F_GUEST_UFO) | BIT(26);
	*state = n;
	return 0;
}

static int teardown(void **state)
{
	struct rig_net *n = *state;

	fake_user_end(&n->fake);
	if (n->r->vp)
		virtio_pci_destroy(n->r->vp);
	n->r->vp = NULL;
	vhost_user_net_close(n->net);
	close(n->ram_fd);
	vhost_rig_free(n->r);
	free(n);
	return 0;
}

static void wait_lost(struct rig_net *n, unsigned nlost)
{
	for (unsigned i = 0; i < LIMIT && n->nlost < nlost; i++)
		loop_turn(n->r);
	assert_int_equal(n->nlost, nlost);
}

/* A bit for each ring that was started, and for each that is enabled. */
static unsigned started(struct rig_net *n)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < FAKE_USER_QUEUES; i++)
		bits |= (unsigned)n->fake.rings[i].kick << i;
	return bits;
}

static unsigned enabled(struct rig_net *n)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < FAKE_USER_QUEUES; i++)
		bits |= (unsigned)n->fake.rings[i].enabled << i;
	return bits;
}

/* ---- what is offered -------------------------------------------------------------------------------------------- */

static void the_guest_gets_what_the_back_end_can(void **state)
{
	struct rig_net *n = *state;

	plug(n, 1);
	/* No MQ with one pair, and no change of offloads: the back end would not notice. */
	assert_int_equal(offered_features(n->r), RINGS | BIT(VIRTIO_NET_F_MRG_RXBUF) | OFFLOADS | OWN);
	start(n->r, BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_CTRL_VQ), 3);
	assert_int_equal(status(n->r), S_RUNNING);
	assert_int_equal(n->fake.set_features,
	                 BIT(32) | F_PROTOCOL | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CSUM));
	/* The control queue is this side's. */
	assert_int_equal(started(n), 3);
	assert_int_equal(enabled(n), 3);
	assert_int_equal(n->fake.nregions, 1);
	assert_int_equal(n->fake.nfds_wrong, 0);
}

static void a_back_end_without_offloads_has_none(void **state)
{
	struct rig_net *n = *state;

	n->fake.features = BIT(32) | F_PROTOCOL;
	plug(n, 2);
	assert_int_equal(offered_features(n->r), BIT(32) | OWN);
	/* The guest does not know of the second pair. */
	start(n->r, BIT(VIRTIO_NET_F_CTRL_VQ), 3);
	assert_int_equal(started(n), 3);
}

/* ---- MTU and announcement ------------------------------------------------------------------------------------------ */

static void the_back_end_gets_the_mtu_that_the_driver_negotiates(void **state)
{
	struct rig_net *n = *state;

	plug(n, 1);
	start(n->r, 0, 2);
	assert_int_equal(fake_user_count(&n->fake, VHOST_USER_NET_SET_MTU), 0);
	start(n->r, BIT(VIRTIO_NET_F_MTU), 2);
	assert_int_equal(n->fake.mtu, 9000);
	assert_int_equal(started(n), 3);
	/* The next one as well. */
	fake_user_end(&n->fake);
	wait_lost(n, 1);
	n->fake.mtu = 0;
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), 0);
	vhost_net_set_link(n->r->vp, true);
	assert_int_equal(n->fake.mtu, 9000);
}

static void an_mtu_that_is_refused_stops_the_card(void **state)
{
	struct rig_net *n = *state;

	plug(n, 1);
	n->fake.bad = VHOST_USER_NET_SET_MTU;
	n->fake.how = FAKE_USER_REFUSE;
	start(n->r, BIT(VIRTIO_NET_F_MTU), 2);
	assert_int_equal(status(n->r), S_RUNNING | NEEDS_RESET);
	assert_int_equal(n->nlost, 0);
	start(n->r, 0, 2);
	assert_int_equal(status(n->r), S_RUNNING);
}

static void a_back_end_without_mtu_and_rarp_gets_neither(void **state)
{
	struct rig_net *n = *state;

	n->fake.protocol_features &= ~(BIT(2) | BIT(4));
	plug(n, 1);
	start(n->r, BIT(VIRTIO_NET_F_MTU), 2);
	fake_user_end(&n->fake);
	wait_lost(n, 1);
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), 0);
	vhost_net_set_link(n->r->vp, true);
	assert_int_equal(fake_user_count(&n->fake, VHOST_USER_NET_SET_MTU), 0);
	assert_int_equal(fake_user_count(&n->fake, VHOST_USER_SEND_RARP), 0);
	assert_int_equal(started(n), 3);
}

static void the_next_one_announces_the_address(void **state)
{
	struct rig_net *n = *state;

	plug(n, 1);
	start(n->r, 0, 2);
	assert_int_equal(fake_user_count(&n->fake, VHOST_USER_SEND_RARP), 0);
	fake_user_end(&n->fake);
	wait_lost(n, 1);
	/* One that refuses, serves the card all the same. */
	n->fake.bad = VHOST_USER_SEND_RARP;
	n->fake.how = FAKE_USER_REFUSE;
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), 0);
	vhost_net_set_link(n->r->vp, true);
	assert_int_equal(n->fake.rarp, 0x563412005452);
	assert_int_equal(n->fake.log[n->fake.nlog - 1], VHOST_USER_SEND_RARP);
	assert_int_equal(status(n->r), S_RUNNING);
	/* Once. */
	vhost_net_set_link(n->r->vp, false);
	vhost_net_set_link(n->r->vp, true);
	assert_int_equal(fake_user_count(&n->fake, VHOST_USER_SEND_RARP), 1);
}

/* ---- pairs --------------------------------------------------------------------------------------------------------- */

static void a_driver_begins_with_one_pair(void **state)
{
	struct rig_net *n = *state;

	plug(n, 2);
	assert_true(offered_features(n->r) & F_MQ);
	start(n->r, F_MQ | BIT(VIRTIO_NET_F_CTRL_VQ), 5);
	assert_int_equal(status(n->r), S_RUNNING);
	assert_true(n->fake.set_features & F_MQ);
	assert_int_equal(started(n), 15);
	assert_int_equal(enabled(n), 3);
	assert_int_equal(vhost_user_net_set_pairs(n->net, 2), 0);
	assert_int_equal(enabled(n), 15);
	assert_int_equal(vhost_user_net_set_pairs(n->net, 1), 0);
	assert_int_equal(enabled(n), 3);
	/* Until the next reset it is what the driver said. */
	assert_int_equal(vhost_user_net_set_pairs(n->net, 2), 0);
	virtio_pci_set_paused(n->r->vp, true);
	assert_int_equal(started(n), 0);
	memset(n->fake.rings, 0, sizeof(n->fake.rings));
	virtio_pci_set_paused(n->r->vp, false);
	assert_int_equal(started(n), 15);
	assert_int_equal(enabled(n), 15);
	/* A driver without MQ. */
	wr(n->r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	memset(n->fake.rings, 0, sizeof(n->fake.rings));
	start(n->r, 0, 2);
	assert_int_equal(started(n), 3);
	assert_int_equal(enabled(n), 3);
}

static bool driver_sets_pairs(struct rig_net *n, unsigned npairs)
{
	return vhost_user_net_set_pairs(n->net, npairs) == 0;
}

static void a_pair_that_is_refused_is_not_enabled(void **state)
{
	struct rig_net *n = *state;

	plug(n, 2);
	start(n->r, F_MQ | BIT(VIRTIO_NET_F_CTRL_VQ), 5);
	assert_int_equal(enabled(n), 3);
	n->fake.refuses_enable = 1 << 3;
	/* The second time it is asked again, and what was enabled is not any more. */
	for (unsigned i = 0; i < 2; i++) {
		assert_false(driver_sets_pairs(n, 2));
		assert_int_equal(enabled(n), 3);
	}
	n->fake.refuses_enable = 0;
	assert_true(driver_sets_pairs(n, 2));
	assert_int_equal(enabled(n), 15);
	/* The same in the other direction. */
	n->fake.refuses_disable = 1 << 3;
	assert_false(driver_sets_pairs(n, 1));
	assert_int_equal(enabled(n), 15);
	assert_int_equal(n->nlost, 0);
}

static void one_that_refuses_a_pair_both_ways_is_disconnected(void **state)
{
	struct rig_net *n = *state;

	plug(n, 2);
	start(n->r, F_MQ | BIT(VIRTIO_NET_F_CTRL_VQ), 5);
	n->fake.refuses_enable = 1 << 3;
	n->fake.refuses_disable = 1 << 2;
	assert_false(driver_sets_pairs(n, 2));
	wait_lost(n, 1);
	assert_false(n->again);
}

static void no_more_pairs_than_the_back_end_has(void **state)
{
	struct rig_net *n = *state;

	n->fake.nqueues = 1;
	assert_int_equal(open_net(n, 2), -EPROTO);
	assert_string_equal(n->err.text,
	                    "failed to init vhost_net for queue 0: you are asking more queues than supported: 1");
	fake_user_end(&n->fake);
	n->net = NULL;
	/* Without the protocol feature MQ it is not asked. */
	n->fake.nqueues = 9;
	n->fake.protocol_features = BIT(3);
	assert_int_equal(open_net(n, 2), -EPROTO);
	assert_non_null(strstr(n->err.text, "than supported: 1"));
	n->net = NULL;
}

static void an_old_back_end_is_refused(void **state)
{
	struct rig_net *n = *state;

	n->fake.features = F_PROTOCOL;
	assert_int_equal(open_net(n, 1), -EPROTO);
	assert_non_null(strstr(n->err.text, "no VIRTIO_F_VERSION_1"));
	fake_user_end(&n->fake);
	n->net = NULL;
	n->fake.bad = VHOST_USER_GET_FEATURES;
	n->fake.how = FAKE_USER_CLOSE;
	assert_int_equal(open_net(n, 1), -ECONNRESET);
	assert_non_null(strstr(n->err.text, "queue 0: VHOST_USER_GET_FEATURES: "));
	n->net = NULL;
}

static void one_without_memory_is_refused(void **state)
{
	struct rig_net *n = *state;

	n->fake.nslots = 0;
	assert_int_equal(open_net(n, 1), -EPROTO);
	assert_string_equal(n->err.text, "failed to init vhost_net for queue 0: VHOST_USER_GET_MAX_MEM_SLOTS: "
	                                 "the back end can have no region of memory");
	n->net = NULL;
}

/* ---- back ends that end ------------------------------------------------------------------------------------------- */

static void set_used(struct rig_net *n, unsigned queue_idx, uint16_t idx)
{
	memcpy(n->r->ram + (QUEUE_GPA(queue_idx) - RAM_GPA + USED_OFF + 2), &idx, sizeof(idx));
}

/* The driver runs, both rings were used, and the back end has ended. */
static void runs_until_the_end(struct rig_net *n)
{
	plug(n, 1);
	start(n->r, 0, 2);
	set_used(n, 0, 5);
	set_used(n, 1, 9);
	fake_user_end(&n->fake);
	wait_lost(n, 1);
}

static bool was_interrupted(struct rig_net *n, unsigned queue_idx)
{
	const struct fake_vm *fake = &n->r->rig.fake;
	const struct fake_route *route = fake_vm_route(fake, MSG_ADDR, 0x41 + queue_idx);

	for (unsigned i = 0; i < FAKE_MAX; i++)
		if (fake->irqfds[i].used && &fake->routes[fake->irqfds[i].gsi] == route)
			return fake_efd_take(fake->irqfds[i].efd) > 0;
	return false;
}

static void the_next_one_goes_on_where_the_last_one_was(void **state)
{
	struct rig_net *n = *state;

	runs_until_the_end(n);
	assert_true(n->again);
	assert_false(vhost_net_link_is_up(n->r->vp));
	assert_int_equal(status(n->r), S_RUNNING);
	/* A driver that resets meanwhile, or a machine that stops, misses nothing. */
	virtio_pci_set_paused(n->r->vp, true);
	virtio_pci_set_paused(n->r->vp, false);
	memset(n->fake.rings, 0, sizeof(n->fake.rings));
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), 0);
	assert_int_equal(started(n), 0);
	vhost_net_set_link(n->r->vp, true);
	assert_int_equal(started(n), 3);
	assert_int_equal(n->fake.rings[0].base, 5);
	assert_int_equal(n->fake.rings[1].base, 9);
	assert_int_equal(n->fake.nregions, 1);
	assert_true(was_interrupted(n, 0) && was_interrupted(n, 1));
	assert_int_equal(status(n->r), S_RUNNING);
	fake_user_end(&n->fake);
	wait_lost(n, 2);
}

static void one_that_ends_in_a_start_needs_no_reset(void **state)
{
	static const enum vhost_user_request requests[] = { VHOST_USER_SET_FEATURES, VHOST_USER_SET_VRING_NUM,
		                                            VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_ENABLE };
	struct rig_net *n = *state;
	unsigned nlost = 0;

	plug(n, 1);
	n->fake.how = FAKE_USER_CLOSE;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		/* While the driver starts, and then right after the connection. */
		wr(n->r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		for (unsigned again = 0; again < 2; again++) {
			n->fake.bad = requests[i];
			if (again == 0)
				start(n->r, 0, 2);
			else
				vhost_net_set_link(n->r->vp, true);
			assert_int_equal(status(n->r), S_RUNNING);
			wait_lost(n, ++nlost);
			assert_true(n->again);
			assert_int_equal(status(n->r), S_RUNNING);
			fake_user_end(&n->fake);
			n->fake.bad = 0;
			assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), 0);
		}
		memset(n->fake.rings, 0, sizeof(n->fake.rings));
		vhost_net_set_link(n->r->vp, true);
		assert_int_equal(started(n), 3);
		assert_int_equal(enabled(n), 3);
	}
}

static void a_ring_that_ran_before_the_start_failed_goes_on(void **state)
{
	struct rig_net *n = *state;

	runs_until_the_end(n);
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), 0);
	/* It serves both rings, and then ends. */
	set_used(n, 0, 6);
	set_used(n, 1, 11);
	n->fake.bad = VHOST_USER_SET_VRING_ENABLE;
	n->fake.how = FAKE_USER_CLOSE;
	vhost_net_set_link(n->r->vp, true);
	wait_lost(n, 2);
	fake_user_end(&n->fake);
	n->fake.bad = 0;
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), 0);
	vhost_net_set_link(n->r->vp, true);
	assert_int_equal(started(n), 3);
	assert_int_equal(n->fake.rings[0].base, 6);
	assert_int_equal(n->fake.rings[1].base, 11);
}

static void one_that_ends_while_memory_changes_needs_no_reset(void **state)
{
	struct rig_net *n = *state;
	const struct vm_memory_region region = {
		.gpa = RAM_GPA + RAM_SIZE, .size = 4096, .hva = n->r->ram, .fd = n->ram_fd
	};

	plug(n, 1);
	start(n->r, 0, 2);
	set_used(n, 0, 4);
	n->fake.bad = VHOST_USER_ADD_MEM_REG;
	n->fake.how = FAKE_USER_CLOSE;
	assert_int_equal(vm_memory_add_region(&n->r->rig.fake.vm, &region, false), 0);
	assert_int_equal(status(n->r), S_RUNNING);
	wait_lost(n, 1);
	assert_true(n->again);
	fake_user_end(&n->fake);
	n->fake.bad = 0;
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), 0);
	vhost_net_set_link(n->r->vp, true);
	assert_int_equal(status(n->r), S_RUNNING);
	assert_int_equal(started(n), 3);
	assert_int_equal(n->fake.rings[0].base, 4);
	assert_int_equal(n->fake.nregions, 2);
	vm_memory_del(&n->r->rig.fake.vm, region.gpa, region.size);
}

static void one_that_refuses_or_hangs_in_a_start_needs_a_reset(void **state)
{
	struct rig_net *n = *state;

	plug(n, 1);
	n->fake.bad = VHOST_USER_SET_VRING_ADDR;
	n->fake.how = FAKE_USER_REFUSE;
	start(n->r, 0, 2);
	assert_int_equal(status(n->r), S_RUNNING | NEEDS_RESET);
	wr(n->r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	n->fake.how = FAKE_USER_HANG;
	start(n->r, 0, 2);
	assert_int_equal(status(n->r), S_RUNNING | NEEDS_RESET);
	wait_lost(n, 1);
	assert_false(n->again);
}

static void one_that_can_less_is_no_successor(void **state)
{
	struct rig_net *n = *state;

	plug(n, 2);
	fake_user_end(&n->fake);
	wait_lost(n, 1);
	n->fake.features &= ~BIT(VIRTIO_NET_F_CSUM);
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), -EPROTO);
	fake_user_end(&n->fake);
	n->fake.features |= BIT(VIRTIO_NET_F_CSUM);
	n->fake.nslots = 1;
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), -EPROTO);
	fake_user_end(&n->fake);
	n->fake.nslots = FAKE_USER_REGIONS;
	n->fake.nqueues = 1;
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), -EPROTO);
	assert_true(vhost_user_net_was_closed(n->net));
	fake_user_end(&n->fake);
	n->fake.nqueues = 2;
	/* What no card uses does not count. */
	n->fake.features &= ~BIT(26);
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), 0);
}

static void one_that_hangs_or_sends_nonsense_did_not_close(void **state)
{
	struct rig_net *n = *state;

	plug(n, 1);
	fake_user_end(&n->fake);
	wait_lost(n, 1);
	n->fake.bad = VHOST_USER_GET_FEATURES;
	n->fake.how = FAKE_USER_HANG;
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), -ETIMEDOUT);
	assert_false(vhost_user_net_was_closed(n->net));
	fake_user_end(&n->fake);
	n->fake.how = FAKE_USER_OTHER_REQUEST;
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), -EPROTO);
	assert_false(vhost_user_net_was_closed(n->net));
	fake_user_end(&n->fake);
	n->fake.how = FAKE_USER_CLOSE;
	assert_int_equal(vhost_user_net_connect(n->net, fake_user_start(&n->fake)), -ECONNRESET);
	assert_true(vhost_user_net_was_closed(n->net));
}

static void one_that_hangs_costs_its_time_once(void **state)
{
	struct rig_net *n = *state;

	plug(n, 1);
	start(n->r, 0, 2);
	set_used(n, 0, 3);
	n->fake.bad = VHOST_USER_GET_VRING_BASE;
	n->fake.how = FAKE_USER_HANG;
	virtio_pci_set_paused(n->r->vp, true);
	wait_lost(n, 1);
	assert_false(n->again);
	virtio_pci_set_paused(n->r->vp, false);
	assert_int_equal(status(n->r), S_RUNNING);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_guest_gets_what_the_back_end_can),
		TEST(a_back_end_without_offloads_has_none),
		TEST(the_back_end_gets_the_mtu_that_the_driver_negotiates),
		TEST(an_mtu_that_is_refused_stops_the_card),
		TEST(a_back_end_without_mtu_and_rarp_gets_neither),
		TEST(the_next_one_announces_the_address),
		TEST(a_driver_begins_with_one_pair),
		TEST(no_more_pairs_than_the_back_end_has),
		TEST(an_old_back_end_is_refused),
		TEST(the_next_one_goes_on_where_the_last_one_was),
		TEST(one_that_can_less_is_no_successor),
		TEST(one_that_hangs_costs_its_time_once),
		TEST(one_that_hangs_or_sends_nonsense_did_not_close),
		TEST(one_that_ends_in_a_start_needs_no_reset),
		TEST(a_pair_that_is_refused_is_not_enabled),
		TEST(one_that_refuses_a_pair_both_ways_is_disconnected),
		TEST(one_without_memory_is_refused),
		TEST(a_ring_that_ran_before_the_start_failed_goes_on),
		TEST(one_that_ends_while_memory_changes_needs_no_reset),
		TEST(one_that_refuses_or_hangs_in_a_start_needs_a_reset),
	};

	return cmocka_run_group_tests_name("vhost_user_net", tests, NULL, NULL);
}
