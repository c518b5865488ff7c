// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_net_test.c - virtio-net-pci on a fake tap and a fake kernel: what is offered and set, the control queue, pairs of
 * queues, the link.
 */
#include "vhost_net.h"
#include "vhost_rig.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define CONFIG 0x5000u /* it changes by itself: trapped */
#define TAP_FD 1000    /* and above: nobody opens it */
#define GUEST_OFFLOADS                                                                                \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
	 BIT(VIRTIO_NET_F_GUEST_ECN))
#define HOST_OFFLOADS                                                                         \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 BIT(VIRTIO_NET_F_HOST_ECN))
#define ALWAYS                                                                                               \
	(BIT(VIRTIO_F_VERSION_1) | BIT(28) | BIT(29) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_MAC) | \
	 BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |                  \
	 BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))
static const uint8_t MAC[MAC_SIZE] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

struct fixture {
	struct vhost_rig *r;
	struct vhost_net_options cfg;
	unsigned nfilters; /* changes that were reported */
	uint64_t offloads; /* as the tap has them */
	unsigned npairs, nset_offloads;
	int set_error;
};

static int tap_fd(void *tap, unsigned idx)
{
	(void)tap;
	return TAP_FD + (int)idx;
}

static int tap_set_offloads(void *tap, uint64_t features)
{
	struct fixture *f = tap;

	f->nset_offloads++;
	if (f->set_error == 0)
		f->offloads = features;
	return f->set_error;
}

static int tap_set_queues(void *tap, unsigned npairs)
{
	struct fixture *f = tap;

	if (f->set_error == 0)
		f->npairs = npairs;
	return f->set_error;
}

static void on_filter_changed(void *owner)
{
	((struct fixture *)owner)->nfilters++;
}

static struct fixture *fixture_new(unsigned npairs)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->r = vhost_rig_new();
	/* vhost_net has this one, and not vsock's bit 1. */
	fake_vhost.features = (fake_vhost.features & ~BIT(1)) | BIT(VIRTIO_NET_F_MRG_RXBUF);
	f->cfg = (struct vhost_net_options) {
		.pci = vhost_rig_place(f->r),
		.mem = &f->r->mem,
		.owner = { .filter_changed = on_filter_changed, .owner = f },
		.queue_size = 256,
		.tap = { .fd = tap_fd,
		         .set_offloads = tap_set_offloads,
		         .set_queues = tap_set_queues,
		         .tap = f,
		         .npairs = npairs,
		         .offloads = GUEST_OFFLOADS },
	};
	memcpy(f->cfg.mac, MAC, MAC_SIZE);
	return f;
}

static void plug(struct fixture *f)
{
	assert_int_equal(vhost_net_create(&f->cfg, &f->r->vp, NULL), 0);
	probe(f->r);
}

static int setup(void **state)
{
	struct fixture *f = fixture_new(1);

	plug(f);
	*state = f;
	return 0;
}

static int setup_multiqueue(void **state)
{
	struct fixture *f = fixture_new(4);

	plug(f);
	*state = f;
	return 0;
}

static int setup_bare(void **state)
{
	*state = fixture_new(1);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vhost_rig_free(f->r);
	free(f);
	return 0;
}

/* How many pairs the kernel serves now. */
static unsigned nrunning(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_VHOST_DEVICES; i++) {
		const struct fake_vhost_device *dev = &fake_vhost.devices[i];

		if (!dev->used || dev->queues[0].backend_fd < 0)
			continue;
		assert_int_equal(dev->queues[0].backend_fd, TAP_FD + (int)i);
		assert_int_equal(dev->queues[1].backend_fd, TAP_FD + (int)i);
		n++;
	}
	return n;
}

/* ---- what is offered ------------------------------------------------------------------------------------------- */

static void names_and_features(void **state)
{
	struct fixture *f = *state;
	struct vhost_rig *r = f->r;

	assert_int_equal(ecam_read(&r->rig, SLOT, 0, 4), 0x10411af4);
	assert_int_equal(ecam_read(&r->rig, SLOT, 8, 4) >> 8, 0x020000);
	assert_int_equal(rd(r, VIRTIO_PCI_COMMON_NUMQ, 2), 3);
	wr(r, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(rd(r, VIRTIO_PCI_COMMON_Q_SIZE, 2), 256);
	assert_int_equal(offered_features(r),
	                 ALWAYS | GUEST_OFFLOADS | HOST_OFFLOADS | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
	for (unsigned i = 0; i < MAC_SIZE; i++)
		assert_int_equal(rd(r, CONFIG + i, 1), MAC[i]);
	assert_int_equal(rd(r, CONFIG + 6, 2), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(rd(r, CONFIG + 8, 2), 1);
}

static void a_tap_without_headers_has_no_offloads(void **state)
{
	struct fixture *f = *state;

	f->cfg.tap.offloads = 0;
	f->cfg.tap.no_header = true;
	f->cfg.host_mtu = 9000;
	f->cfg.features_off = BIT(29) | BIT(VIRTIO_NET_F_CTRL_RX);
	fake_vhost.features |= BIT(27);
	plug(f);
	assert_int_equal(offered_features(f->r),
	                 (ALWAYS | BIT(VIRTIO_NET_F_MTU)) & ~(BIT(29) | BIT(VIRTIO_NET_F_CTRL_RX)));
	assert_int_equal(rd(f->r, CONFIG + 10, 2), 9000);
	start(f->r, BIT(VIRTIO_NET_F_MTU), 2);
	/* vhost adds the header. */
	assert_int_equal(fake_vhost_one()->features, BIT(VIRTIO_F_VERSION_1) | BIT(27));
	assert_int_equal(f->nset_offloads, 0);
}

static void a_feature_is_not_offered_without_the_one_that_it_needs(void **state)
{
	static const struct {
		uint64_t off, also_off;
	} cases[] = {
		{ BIT(VIRTIO_NET_F_CTRL_VQ),
		  BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) },
		{ BIT(VIRTIO_NET_F_GUEST_CSUM), GUEST_OFFLOADS },
		{ BIT(VIRTIO_NET_F_CSUM), HOST_OFFLOADS },
		{ BIT(VIRTIO_NET_F_HOST_TSO4), 0 },
		{ BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6), BIT(VIRTIO_NET_F_HOST_ECN) },
		{ BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6), BIT(VIRTIO_NET_F_GUEST_ECN) },
	};
	const uint64_t all = ALWAYS | GUEST_OFFLOADS | HOST_OFFLOADS | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->cfg.features_off = cases[i].off;
		plug(f);
		assert_int_equal(offered_features(f->r), all & ~(cases[i].off | cases[i].also_off));
		virtio_pci_destroy(f->r->vp);
		f->r->vp = NULL;
	}
}

/* ---- start and stop ---------------------------------------------------------------------------------------------- */

static void the_tap_is_attached_at_driver_ok(void **state)
{
	struct fixture *f = *state;
	struct vhost_rig *r = f->r;

	start(r, BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_CSUM), 2);
	assert_true(fake_vhost_logged("VHOST_SET_VRING_KICK", "VHOST_NET_SET_BACKEND", "VHOST_NET_SET_BACKEND", NULL));
	assert_int_equal(nrunning(), 1);
	assert_int_equal(f->offloads, BIT(VIRTIO_NET_F_GUEST_CSUM));
	assert_int_equal(fake_vhost_one()->features, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF));
	for (unsigned i = 0; i < 2; i++) {
		const struct fake_vhost_queue *q = &fake_vhost_one()->queues[i];

		assert_int_equal(q->kick_efd, fake_vm_ioeventfd(&r->rig.fake, r->regs + NOTIFY + 4 * i));
		assert_true(is_bound(r, i, q->call_efd));
	}
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(nrunning(), 0);
	assert_int_equal(f->offloads, 0);
	assert_int_equal(fake_vhost.nopened, 1); /* nothing to disconnect: the same descriptor */
	start(r, 0, 3);
	assert_int_equal(nrunning(), 1);
}

static void a_tap_that_refuses_needs_a_reset(void **state)
{
	struct fixture *f = *state;

	f->set_error = -EINVAL;
	start(f->r, 0, 2);
	assert_int_equal(nrunning(), 0);
	assert_int_equal(status(f->r) & NEEDS_RESET, NEEDS_RESET);
	f->set_error = 0;
	start(f->r, 0, 2);
	assert_int_equal(nrunning(), 1);
	fake_vhost.fail = "VHOST_NET_SET_BACKEND";
	fake_vhost.fail_error = -ENOTSOCK;
	fake_vhost.fail_after = 2 + 1; /* the detaching of the reset, and the first queue */
	start(f->r, 0, 2);
	assert_null(fake_vhost.fail);
	assert_int_equal(nrunning(), 0);
	assert_int_equal(status(f->r), S_RUNNING | NEEDS_RESET);
	start(f->r, 0, 2);
	assert_int_equal(nrunning(), 1);
}

static void the_link_stops_the_packets_and_they_go_on(void **state)
{
	struct fixture *f = *state;
	struct vhost_rig *r = f->r;
	uint64_t generation;

	start(r, BIT(VIRTIO_NET_F_STATUS), 2);
	generation = rd(r, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	fake_vhost_one()->queues[0].base = 7; /* so far the kernel came */
	vhost_net_set_link(r->vp, false);
	assert_false(vhost_net_link_is_up(r->vp));
	assert_int_equal(nrunning(), 0);
	assert_int_equal(rd(r, CONFIG + 6, 2), 0);
	assert_int_equal(rd(r, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (generation + 1) & 0xff);
	assert_int_equal(fake_efd_take(fake_vm_route(&r->rig.fake, MSG_ADDR, 0x40)->efd), 1);
	fake_vhost_one()->queues[0].base = 0;
	vhost_net_set_link(r->vp, true);
	vhost_net_set_link(r->vp, true);
	assert_int_equal(fake_efd_take(fake_vm_route(&r->rig.fake, MSG_ADDR, 0x40)->efd), 1);
	assert_int_equal(nrunning(), 1);
	assert_int_equal(fake_vhost_one()->queues[0].base, 7);
	assert_int_equal(fake_vhost_one()->queues[1].base, 0);
	assert_int_equal(rd(r, CONFIG + 6, 2), VIRTIO_NET_S_LINK_UP);
	/* A driver that starts without a link gets none. */
	vhost_net_set_link(r->vp, false);
	start(r, BIT(VIRTIO_NET_F_STATUS), 2);
	assert_int_equal(nrunning(), 0);
	assert_int_equal(status(r), S_RUNNING);
	vhost_net_set_link(r->vp, true);
	assert_int_equal(nrunning(), 1);
	assert_int_equal(fake_vhost_one()->queues[0].base, 0);
}

/* ---- the control queue --------------------------------------------------------------------------------------------- */

#define DATA_GPA (RAM_GPA + 0x80000)
#define ACK_GPA (DATA_GPA + 0x1000)

static void *ram(struct fixture *f, uint64_t gpa)
{
	return f->r->ram + (gpa - RAM_GPA);
}

/* Makes a request available, without a notification: header and data in one buffer, then the answer's byte. */
static void submit(struct fixture *f, unsigned idx, const void *bytes, uint32_t len)
{
	struct vring_desc *desc = ram(f, QUEUE_GPA(idx));
	struct vring_avail *avail = ram(f, QUEUE_GPA(idx) + AVAIL_OFF);

	memcpy(ram(f, DATA_GPA), bytes, len);
	*(uint8_t *)ram(f, ACK_GPA) = 0xee;
	desc[0] = (struct vring_desc) { DATA_GPA, len, VRING_DESC_F_NEXT, 1 };
	desc[1] = (struct vring_desc) { ACK_GPA, 1, VRING_DESC_F_WRITE, 0 };
	avail->ring[avail->idx % QUEUE_SIZE] = 0;
	avail->idx++;
}

static uint8_t command(struct fixture *f, unsigned idx, const void *bytes, uint32_t len)
{
	const struct vring_used *used = ram(f, QUEUE_GPA(idx) + USED_OFF);
	uint16_t before = used->idx;

	submit(f, idx, bytes, len);
	assert_int_equal(eventfd_write(fake_vm_ioeventfd(&f->r->rig.fake, f->r->regs + NOTIFY + 4 * idx), 1), 0);
	loop_turn(f->r);
	assert_int_equal(used->idx, (uint16_t)(before + 1));
	assert_int_equal(used->ring[before % QUEUE_SIZE].len, 1);
	return *(uint8_t *)ram(f, ACK_GPA);
}
#define COMMAND(f, idx, ...) \
	command(f, idx, (const uint8_t[]) { __VA_ARGS__ }, sizeof((const uint8_t[]) { __VA_ARGS__ }))

static void rings_clear(struct fixture *f)
{
	memset(f->r->ram, 0, 0x80000);
}

static void the_driver_sets_its_address(void **state)
{
	struct fixture *f = *state;

	start(f->r, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_RX), 3);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 1, 2, 3, 4, 5),
	                 VIRTIO_NET_OK);
	assert_int_equal(vhost_net_mac(f->r->vp)[5], 5);
	assert_int_equal(rd(f->r, CONFIG, 4), 0x03020102);
	assert_int_equal(fake_efd_take(fake_vm_route(&f->r->rig.fake, MSG_ADDR, 0x43)->efd), 1);
	/* After a reset the address is the user's. */
	rings_clear(f);
	start(f->r, 0, 3);
	assert_memory_equal(vhost_net_mac(f->r->vp), MAC, MAC_SIZE);
}

static uint8_t set_mode(struct fixture *f, uint8_t mode, uint8_t on)
{
	return COMMAND(f, 2, VIRTIO_NET_CTRL_RX, mode, on);
}

static void the_monitor_learns_what_the_driver_wants(void **state)
{
	static const uint8_t table[] = { VIRTIO_NET_CTRL_MAC,
		                         VIRTIO_NET_CTRL_MAC_TABLE_SET,
		                         1,
		                         0,
		                         0,
		                         0,
		                         2,
		                         1,
		                         1,
		                         1,
		                         1,
		                         1,
		                         2,
		                         0,
		                         0,
		                         0,
		                         3,
		                         2,
		                         2,
		                         2,
		                         2,
		                         2,
		                         3,
		                         4,
		                         4,
		                         4,
		                         4,
		                         4 };
	struct fixture *f = *state;
	const struct vhost_net_filter *filter = vhost_net_filter(f->r->vp);

	assert_true(filter->modes[VIRTIO_NET_CTRL_RX_PROMISC]);
	start(f->r, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX), 3);
	assert_int_equal(f->nfilters, 0);
	assert_int_equal(set_mode(f, VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
	assert_int_equal(set_mode(f, VIRTIO_NET_CTRL_RX_ALLMULTI, 1), VIRTIO_NET_OK);
	assert_int_equal(set_mode(f, VIRTIO_NET_CTRL_RX_NOBCAST, 1), VIRTIO_NET_OK);
	assert_int_equal(set_mode(f, VIRTIO_NET_CTRL_RX_NOBCAST + 1, 1), VIRTIO_NET_ERR);
	/* Once, until somebody asks. */
	assert_int_equal(f->nfilters, 1);
	filter = vhost_net_filter(f->r->vp);
	assert_true(filter->modes[VIRTIO_NET_CTRL_RX_ALLMULTI] && filter->modes[VIRTIO_NET_CTRL_RX_NOBCAST]);
	assert_false(filter->modes[VIRTIO_NET_CTRL_RX_PROMISC] || filter->modes[VIRTIO_NET_CTRL_RX_ALLUNI]);
	assert_int_equal(command(f, 2, table, sizeof(table)), VIRTIO_NET_OK);
	assert_int_equal(f->nfilters, 2);
	assert_int_equal(filter->nunicast, 1);
	assert_int_equal(filter->nmulticast, 2);
	assert_false(filter->unicast_overflow || filter->multicast_overflow);
	assert_memory_equal(filter->macs[0], table + 6, MAC_SIZE);
	assert_memory_equal(filter->macs[1], table + 16, 2 * MAC_SIZE);
	/* An address is a change as well. */
	vhost_net_filter(f->r->vp);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 1, 2, 3, 4, 5),
	                 VIRTIO_NET_OK);
	assert_int_equal(f->nfilters, 3);
	/* The next driver begins anew. */
	wr(f->r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	filter = vhost_net_filter(f->r->vp);
	assert_true(filter->modes[VIRTIO_NET_CTRL_RX_PROMISC]);
	assert_false(filter->modes[VIRTIO_NET_CTRL_RX_ALLMULTI]);
	assert_int_equal(filter->nunicast + filter->nmulticast, 0);
}

/* A table with so many addresses of both kinds, whose lists are so much longer than they should be. */
static uint8_t set_table(struct fixture *f, uint32_t nunicast, uint32_t nmulticast, int more)
{
	uint8_t bytes[2048] = { VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET };
	size_t second = 6 + nunicast * MAC_SIZE, len = second + 4 + nmulticast * MAC_SIZE;

	memset(bytes + 6, 2, sizeof(bytes) - 6);
	memcpy(bytes + 2, &nunicast, sizeof(nunicast));
	memcpy(bytes + second, &nmulticast, sizeof(nmulticast));
	return command(f, 2, bytes, (uint32_t)((int)len + more));
}

static void a_table_has_its_bounds(void **state)
{
	static const struct {
		uint32_t nunicast, nmulticast;
		bool unicast_overflow, multicast_overflow;
	} cases[] = {
		{ 0, 0, false, false },  { 64, 0, false, false }, { 0, 64, false, false },
		{ 60, 4, false, false }, { 60, 5, false, true },  { 0, 65, false, true },
		{ 65, 0, true, true },   { 65, 2, true, true },   { 100, 100, true, true },
	};
	struct fixture *f = *state;
	const struct vhost_net_filter *filter = vhost_net_filter(f->r->vp);

	start(f->r, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX), 3);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(set_table(f, cases[i].nunicast, cases[i].nmulticast, 0), VIRTIO_NET_OK);
		assert_int_equal(filter->unicast_overflow, cases[i].unicast_overflow);
		assert_int_equal(filter->multicast_overflow, cases[i].multicast_overflow);
		assert_int_equal(filter->nunicast, cases[i].unicast_overflow ? 0 : cases[i].nunicast);
		assert_int_equal(filter->nmulticast, cases[i].multicast_overflow ? 0 : cases[i].nmulticast);
	}
	/* What is refused changes nothing. */
	assert_int_equal(set_table(f, 3, 4, 0), VIRTIO_NET_OK);
	assert_int_equal(set_table(f, 5, 6, 1), VIRTIO_NET_ERR);
	assert_int_equal(set_table(f, 5, 6, -1), VIRTIO_NET_ERR);
	assert_int_equal(set_table(f, 5, 6, 6), VIRTIO_NET_ERR);
	assert_int_equal(set_table(f, 5, 6, -36), VIRTIO_NET_ERR);
	assert_int_equal(set_table(f, 5, 0, -4), VIRTIO_NET_ERR);
	assert_int_equal(set_table(f, 5, 0, -10), VIRTIO_NET_ERR);
	assert_int_equal(set_table(f, 0, 0, -5), VIRTIO_NET_ERR);
	/* A list too long to be kept, and shorter than it says. */
	assert_int_equal(set_table(f, VHOST_NET_MACS_MAX + 1, 0, -10), VIRTIO_NET_ERR);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 255, 255, 255, 255, 0, 0, 0,
	                         0),
	                 VIRTIO_NET_ERR);
	assert_int_equal(filter->nunicast, 3);
	assert_int_equal(filter->nmulticast, 4);
}

static void bad_requests_are_answered(void **state)
{
	struct fixture *f = *state;
	uint8_t longest[64] = { VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET };

	start(f->r, BIT(VIRTIO_NET_F_CTRL_VQ), 3);
	assert_int_equal(COMMAND(f, 2, 99, 0, 0), VIRTIO_NET_ERR);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_MAC), VIRTIO_NET_ERR);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_MAC, 9, 0, 0, 0, 0, 0, 0), VIRTIO_NET_ERR);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 1, 2), VIRTIO_NET_ERR);
	assert_int_equal(command(f, 2, longest, sizeof(longest)), VIRTIO_NET_ERR);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_MQ, 0, 1, 0), VIRTIO_NET_ERR);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_VLAN, 0, 1, 0), VIRTIO_NET_ERR);
	assert_memory_equal(vhost_net_mac(f->r->vp), MAC, MAC_SIZE);
	assert_int_equal(nrunning(), 1);
}

static void a_broken_control_queue_stops_the_device(void **state)
{
	struct fixture *f = *state;
	struct vring_avail *avail = ram(f, QUEUE_GPA(2) + AVAIL_OFF);

	start(f->r, BIT(VIRTIO_NET_F_CTRL_VQ), 3);
	avail->idx = 0x4000;
	assert_int_equal(eventfd_write(fake_vm_ioeventfd(&f->r->rig.fake, f->r->regs + NOTIFY + 8), 1), 0);
	loop_turn(f->r);
	assert_int_equal(status(f->r), S_RUNNING | NEEDS_RESET);
	assert_int_equal(nrunning(), 0);
	rings_clear(f);
	start(f->r, BIT(VIRTIO_NET_F_CTRL_VQ), 3);
	avail->ring[0] = 0xffff;
	avail->idx = 1;
	assert_int_equal(eventfd_write(fake_vm_ioeventfd(&f->r->rig.fake, f->r->regs + NOTIFY + 8), 1), 0);
	loop_turn(f->r);
	assert_int_equal(status(f->r), S_RUNNING | NEEDS_RESET);
}

static void offloads_change_while_it_runs(void **state)
{
	static const struct {
		uint8_t bytes[10];
		uint8_t ack;
	} sets[] = {
		{ { VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 0x82 }, VIRTIO_NET_OK },  /* CSUM, TSO4 */
		{ { VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 0x02 }, VIRTIO_NET_OK },  /* CSUM */
		{ { VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 0, 1 }, VIRTIO_NET_ERR }, /* TSO6 was not negotiated */
		{ { VIRTIO_NET_CTRL_GUEST_OFFLOADS, 1, 0x02 }, VIRTIO_NET_ERR },
	};
	static const uint64_t after[] = { 0x82, 0x02, 0x02, 0x02 };
	struct fixture *f = *state;

	start(f->r,
	      BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
	              BIT(VIRTIO_NET_F_GUEST_TSO4),
	      3);
	for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		assert_int_equal(command(f, 2, sets[i].bytes, 10), sets[i].ack);
		assert_int_equal(f->offloads, after[i]);
	}
}

static void many_requests_are_served_in_batches(void **state)
{
	struct fixture *f = *state;
	const struct vring_used *used = ram(f, QUEUE_GPA(2) + USED_OFF);
	const uint8_t promiscuous[] = { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1 };

	start(f->r, BIT(VIRTIO_NET_F_CTRL_VQ), 3);
	/* One notification for all, also for what came before the loop took a turn. */
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		submit(f, 2, promiscuous, sizeof(promiscuous));
	wr(f->r, NOTIFY + 8, 2, 2);
	loop_turn(f->r);
	assert_int_equal(used->idx, QUEUE_SIZE);
}

/* With EVENT_IDX, a driver notifies only if the device asked for it: avail_event, behind the used ring. */
static void each_request_asks_for_the_next_notification(void **state)
{
	struct fixture *f = *state;
	const uint16_t *avail_event = ram(f, QUEUE_GPA(2) + USED_OFF + 4 + 8 * QUEUE_SIZE);

	start(f->r, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(29), 3);
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(*avail_event, i);
		assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1), VIRTIO_NET_OK);
	}
}

/* ---- several pairs ---------------------------------------------------------------------------------------------------- */

static void the_driver_chooses_how_many_pairs(void **state)
{
	struct fixture *f = *state;
	struct vhost_rig *r = f->r;

	assert_int_equal(rd(r, CONFIG + 8, 2), 4);
	assert_int_equal(rd(r, VIRTIO_PCI_COMMON_NUMQ, 2), 9);
	assert_true(offered_features(r) & BIT(VIRTIO_NET_F_MQ));
	start(r, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ), 9);
	assert_int_equal(nrunning(), 4);
	assert_int_equal(f->npairs, 1);
	assert_int_equal(COMMAND(f, 8, VIRTIO_NET_CTRL_MQ, 0, 3, 0), VIRTIO_NET_OK);
	assert_int_equal(f->npairs, 3);
	assert_int_equal(COMMAND(f, 8, VIRTIO_NET_CTRL_MQ, 0, 5, 0), VIRTIO_NET_ERR);
	assert_int_equal(COMMAND(f, 8, VIRTIO_NET_CTRL_MQ, 0, 0, 0), VIRTIO_NET_ERR);
	assert_int_equal(COMMAND(f, 8, VIRTIO_NET_CTRL_MQ, 1, 2, 0), VIRTIO_NET_ERR);
	assert_int_equal(f->npairs, 3);
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(f->npairs, 1);
	assert_int_equal(nrunning(), 0);
}

static void without_the_feature_the_third_queue_is_the_control_queue(void **state)
{
	struct fixture *f = *state;

	start(f->r, BIT(VIRTIO_NET_F_CTRL_VQ), 9);
	assert_int_equal(nrunning(), 1);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1), VIRTIO_NET_OK);
	assert_int_equal(COMMAND(f, 2, VIRTIO_NET_CTRL_MQ, 0, 1, 0), VIRTIO_NET_ERR);
	assert_int_equal(f->npairs, 1);
}

static void a_pair_without_rings_does_not_run(void **state)
{
	struct fixture *f = *state;

	start(f->r, BIT(VIRTIO_NET_F_MQ), 5);
	assert_int_equal(nrunning(), 2);
	assert_int_equal(status(f->r), S_RUNNING);
	queue_setup(f->r, 5);
	assert_int_equal(nrunning(), 3);
}

/* ---- errors ------------------------------------------------------------------------------------------------------------- */

static void check_error(struct fixture *f, int rc, const char *text, const char *hint)
{
	struct vpmem_error err = { 0 };
	unsigned nfds = count_fds();

	assert_int_equal(vhost_net_create(&f->cfg, &f->r->vp, &err), rc);
	assert_null(f->r->vp);
	assert_string_equal(err.text, text);
	assert_non_null(strstr(err.hint, hint));
	assert_int_equal(count_fds(), nfds);
}

static void what_cannot_be_made_says_why(void **state)
{
	struct fixture *f = *state;
	int fds[2] = { fake_vhost_open(), fake_vhost_open() };

	fake_vhost.open_error = -ENOENT;
	check_error(f, -ENOENT, "tap: open vhost char device failed: No such file or directory", "modprobe vhost_net");
	fake_vhost.open_error = -EACCES;
	check_error(f, -EACCES, "tap: open vhost char device failed: Permission denied", "group kvm");
	fake_vhost.open_error = 0;
	f->cfg.tap.npairs = 2;
	fake_vhost.fail = "VHOST_SET_OWNER";
	fake_vhost.fail_error = -ENOMEM;
	fake_vhost.fail_after = 1;
	check_error(f, -ENOMEM,
	            "vhost-net requested but could not be initialized: VHOST_SET_OWNER: Cannot allocate memory", "");
	f->cfg.vhost_fds = fds;
	fake_vhost.fail = "VHOST_GET_FEATURES";
	fake_vhost.fail_error = -ENOTTY;
	fake_vhost.fail_after = 0;
	check_error(f, -ENOTTY,
	            "vhost-net requested but could not be initialized: VHOST_GET_FEATURES: Inappropriate ioctl for "
	            "device",
	            "vhostfd");
	fake_vhost.fail = NULL;
	close(fds[0]);
	close(fds[1]);
}

static void descriptors_of_the_user_are_taken(void **state)
{
	struct fixture *f = *state;
	int fds[2] = { fake_vhost_open(), fake_vhost_open() };

	f->cfg.tap.npairs = 2;
	f->cfg.vhost_fds = fds;
	/* An earlier device of ours had one of them. */
	fake_vhost.can_reset_owner = true;
	fake_vhost.devices[0].owned = true;
	plug(f);
	assert_int_equal(fake_vhost.nopened, 2);
	start(f->r, BIT(VIRTIO_NET_F_MQ), 5);
	assert_int_equal(nrunning(), 2);
}

static void unplugged_at_work_it_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 3; i++) {
		start(f->r, BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ), 9);
		virtio_pci_unplug(f->r->vp);
		assert_int_equal(nrunning(), 0);
		assert_int_equal(f->r->loop.nsources, 0);
		virtio_pci_destroy(f->r->vp);
		f->r->vp = NULL;
		assert_int_equal(count_fds(), f->r->nfds);
		plug(f);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_MQ(name) cmocka_unit_test_setup_teardown(name, setup_multiqueue, teardown)
#define TEST_BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_and_features),
		TEST_BARE(a_tap_without_headers_has_no_offloads),
		TEST_BARE(a_feature_is_not_offered_without_the_one_that_it_needs),
		TEST(the_tap_is_attached_at_driver_ok),
		TEST(a_tap_that_refuses_needs_a_reset),
		TEST(the_link_stops_the_packets_and_they_go_on),
		TEST(the_driver_sets_its_address),
		TEST(the_monitor_learns_what_the_driver_wants),
		TEST(a_table_has_its_bounds),
		TEST(bad_requests_are_answered),
		TEST(a_broken_control_queue_stops_the_device),
		TEST(offloads_change_while_it_runs),
		TEST(many_requests_are_served_in_batches),
		TEST(each_request_asks_for_the_next_notification),
		TEST_MQ(the_driver_chooses_how_many_pairs),
		TEST_MQ(without_the_feature_the_third_queue_is_the_control_queue),
		TEST_MQ(a_pair_without_rings_does_not_run),
		TEST_BARE(what_cannot_be_made_says_why),
		TEST_BARE(descriptors_of_the_user_are_taken),
		TEST_MQ(unplugged_at_work_it_leaves_nothing),
	};

	return cmocka_run_group_tests_name("vhost_net", tests, NULL, NULL);
}
