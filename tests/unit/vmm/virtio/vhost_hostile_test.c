// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_hostile_test.c - drivers that write anything anywhere, on a network card and on vsock: whatever they do, the kernel
 * gets rings that lie in guest memory and calls in an order that it takes, and after a reset the device works.
 *
 * The steps follow from a seed, which a failure prints; VHOST_HOSTILE_SEED and VHOST_HOSTILE_STEPS set others.
 */
#include "vhost_net.h"
#include "vhost_rig.h"
#include "vhost_vsock.h"

#include <linux/pci_regs.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#define STEPS 20000u
#define SEEDS 4u
#define TAP_FD 1000

static uint64_t random_state;

/* splitmix64 */
static uint64_t random_u64(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static unsigned below(unsigned n)
{
	return (unsigned)(random_u64() % n);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* ---- devices ------------------------------------------------------------------------------------------------- */

static int tap_fd(void *tap, unsigned idx)
{
	(void)tap;
	return TAP_FD + (int)idx;
}

static int tap_set_offloads(void *tap, uint64_t features)
{
	(void)tap, (void)features;
	return 0;
}

static int tap_set_queues(void *tap, unsigned npairs)
{
	(void)tap;
	assert_in_range(npairs, 1, 2);
	return 0;
}

static void plug_net(struct vhost_rig *r)
{
	const struct vhost_net_options cfg = {
		.pci = vhost_rig_place(r),
		.mem = &r->mem,
		.queue_size = 256,
		.tap = { .fd = tap_fd, .set_offloads = tap_set_offloads, .set_queues = tap_set_queues, .npairs = 2 },
	};

	assert_int_equal(vhost_net_create(&cfg, &r->vp, NULL), 0);
}

static void plug_vsock(struct vhost_rig *r)
{
	const struct vhost_vsock_options cfg = {
		.pci = vhost_rig_place(r), .mem = &r->mem, .guest_cid = 42, .vhost_fd = -1
	};

	assert_int_equal(vhost_vsock_create(&cfg, &r->vp, NULL), 0);
}

/* ---- what must hold ---------------------------------------------------------------------------------------------- */

static void assert_in_ram(const struct vhost_rig *r, uint64_t hva, uint64_t len)
{
	uint64_t off = hva - (uintptr_t)r->ram;

	assert_true(off < RAM_SIZE && len <= RAM_SIZE - off);
}

/* Returns how many queues the kernel serves. */
static unsigned check_kernel(const struct vhost_rig *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_VHOST_DEVICES; i++) {
		const struct fake_vhost_device *dev = &fake_vhost.devices[i];

		for (unsigned q = 0; dev->used && q < FAKE_VHOST_QUEUES; q++) {
			const struct fake_vhost_queue *queue = &dev->queues[q];

			if (!dev->running && queue->backend_fd < 0)
				continue;
			assert_in_range(queue->num, 1, 256);
			assert_in_ram(r, queue->desc, 16 * queue->num);
			assert_in_ram(r, queue->avail, 4 + 2 * queue->num + (dev->features & BIT(29) ? 2 : 0));
			assert_in_ram(r, queue->used, 4 + 8 * queue->num + (dev->features & BIT(29) ? 2 : 0));
			n++;
		}
	}
	return n;
}

/* ---- what a driver may do ------------------------------------------------------------------------------------------ */

static uint64_t any_address(void)
{
	switch (below(4)) {
	case 0:
		return random_u64();
	case 1:
		return RAM_GPA + RAM_SIZE - below(0x2000);
	default:
		return RAM_GPA + below((unsigned)RAM_SIZE);
	}
}

static void write_register(struct vhost_rig *r)
{
	static const uint8_t widths[] = { 1, 2, 4, 8 };
	/* Rather where something is: the common configuration, notifications, vectors. */
	static const unsigned pages[] = { 0, 0, 0, 0, NOTIFY, TABLE, 0x800, 0x5000 };
	unsigned off = pages[below(8)] + below(64);

	wr(r, off, widths[below(4)], below(3) ? random_u64() : below(4));
}

static void write_status(struct vhost_rig *r)
{
	static const uint8_t statuses[] = { 0, 1, S_DRIVER, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK, S_RUNNING, 0xff };

	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, statuses[below(6)]);
}

static void set_queue(struct vhost_rig *r, unsigned idx)
{
	uint64_t areas[] = { QUEUE_GPA(idx), QUEUE_GPA(idx) + AVAIL_OFF, QUEUE_GPA(idx) + USED_OFF };
	unsigned what = below(8);

	if (what) {
		/* Often one of the three lies at the end of memory, where it may be too long. */
		if (what > 4)
			areas[below(3)] = RAM_GPA + RAM_SIZE - 16 * below(40);
		queue_set(r, idx, areas[0], areas[1], areas[2], QUEUE_SIZE);
	} else {
		queue_set(r, idx, any_address(), any_address(), any_address(), (unsigned)random_u64() & 0xffff);
	}
	queue_enable(r, idx);
}

static void scribble(struct vhost_rig *r)
{
	uint64_t val = below(2) ? random_u64() : any_address();

	/* Into the rings, which lie at the beginning. */
	memcpy(r->ram + below(0x18000) / 2 * 2, &val, 1 + below(8));
}

static void signal_something(struct vhost_rig *r)
{
	const struct fake_vhost_device *dev = &fake_vhost.devices[below(FAKE_VHOST_DEVICES)];
	const struct fake_vhost_queue *q = &dev->queues[below(2)];
	int efd = below(2) ? q->call_efd : q->err_efd;
	int kick_efd = fake_vm_ioeventfd(&r->rig.fake, r->regs + NOTIFY + 4 * below(5));

	if (dev->used && efd >= 0 && below(8) == 0)
		(void)eventfd_write(efd, 1);
	if (kick_efd >= 0)
		(void)eventfd_write(kick_efd, 1);
	loop_turn(r);
}

static void do_well(struct vhost_rig *r)
{
	memset(r->ram, 0, 0x18000);
	start(r, below(2) ? offered_features(r) : 0, 3);
}

static void do_nearly_well(struct vhost_rig *r)
{
	negotiate(r, BIT(VIRTIO_F_VERSION_1) | (below(2) ? BIT(29) : 0));
	for (unsigned i = 0; i < 3; i++)
		set_queue(r, i);
	driver_ok(r);
}

static void step(struct vhost_rig *r)
{
	switch (below(12)) {
	case 0:
		write_status(r);
		break;
	case 1:
		set_queue(r, below(6));
		break;
	case 2:
	case 3:
		scribble(r);
		break;
	case 4:
		signal_something(r);
		break;
	case 5:
		if (below(4) == 0)
			do_nearly_well(r);
		else if (below(20) == 0)
			do_well(r);
		break;
	case 6:
		if (below(50) == 0)
			command_set(&r->rig, SLOT,
			            (uint16_t)(PCI_COMMAND_MEMORY | (below(2) ? PCI_COMMAND_MASTER : 0)));
		break;
	case 7:
		if (below(20) == 0)
			virtio_pci_set_paused(r->vp, below(2));
		break;
	default:
		write_register(r);
	}
}

static void be_hostile(void (*plug)(struct vhost_rig *r))
{
	uint64_t seed = number_of("VHOST_HOSTILE_SEED", 1);
	unsigned nsteps = (unsigned)number_of("VHOST_HOSTILE_STEPS", STEPS), nstarts = 0;

	for (unsigned i = 0; i < SEEDS; i++, seed++) {
		struct vhost_rig *r = vhost_rig_new();

		print_message("seed %llu\n", (unsigned long long)seed);
		random_state = seed;
		nstarts = 0;
		plug(r);
		probe(r);
		for (unsigned k = 0; k < nsteps; k++) {
			bool ran = check_kernel(r) > 0;

			step(r);
			nstarts += check_kernel(r) > 0 && !ran;
		}
		print_message("the kernel was started %u times\n", nstarts);
		assert_true(nstarts > 0);
		virtio_pci_set_paused(r->vp, false);
		pci_bus_reset(r->rig.bus);
		probe(r);
		do_well(r);
		assert_int_equal(status(r), S_RUNNING);
		vhost_rig_free(r);
	}
}

static void a_network_card_survives(void **state)
{
	(void)state;
	be_hostile(plug_net);
}

static void vsock_survives(void **state)
{
	(void)state;
	be_hostile(plug_vsock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_card_survives),
		cmocka_unit_test(vsock_survives),
	};

	return cmocka_run_group_tests_name("vhost_hostile", tests, NULL, NULL);
}
