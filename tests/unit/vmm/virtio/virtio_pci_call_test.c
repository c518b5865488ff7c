// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci_call_test.c - a device whose queues interrupt by eventfds (queue_call_efd), as the kernel's vhost does: to KVM
 * with MSI-X, to the event loop with the pin, to nobody while masked.
 */
#include "echo_device.h"
#include "loop.h"
#include "rig.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#define SLOT 5u
#define GSI (RIG_INTX_GSI + SLOT)
#define MSG_ADDR 0xfee00000u
#define ISR 0x1000u
#define TABLE 0x3000u
#define PBA 0x4000u
#define S_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define S_RUNNING (S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

struct fixture {
	struct rig rig;
	struct gmem mem;
	struct echo echo;
	pthread_mutex_t lock;
	struct loop loop;
	uint64_t regs;
};

static void wr(struct fixture *f, unsigned off, unsigned width, uint64_t val)
{
	io_write(&f->rig.mmio, f->regs + off, width, val);
}

static uint64_t rd(struct fixture *f, unsigned off, unsigned width)
{
	return io_read(&f->rig.mmio, f->regs + off, width);
}

static void msix_enable(struct fixture *f, unsigned flags)
{
	unsigned cap = capability_find(&f->rig, SLOT, PCI_CAP_ID_MSIX, 0);

	ecam_write(&f->rig, SLOT, cap + PCI_MSIX_FLAGS, 2, flags);
}

/* As Linux does it: the vectors before DRIVER_OK. */
static void start(struct fixture *f, bool msix)
{
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	f->regs = bar64_get(&f->rig, SLOT, 0);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER);
	wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_GF, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned i = 0; msix && i < 2; i++) {
		wr(f, TABLE + 16 * (1 + i), 8, MSG_ADDR);
		wr(f, TABLE + 16 * (1 + i) + 8, 8, 0x41 + i);
		wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1 + i);
	}
	if (msix)
		msix_enable(f, PCI_MSIX_FLAGS_ENABLE);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_RUNNING);
}

static bool bound(struct fixture *f, unsigned queue_idx)
{
	const struct fake_route *route = fake_vm_route(&f->rig.fake, MSG_ADDR, 0x41 + queue_idx);

	return route && fake_vm_is_bound(&f->rig.fake, route, f->echo.call_efds[queue_idx]);
}

/* Somebody else reports used buffers, and the event loop takes a turn. */
static void call(struct fixture *f, unsigned queue_idx)
{
	assert_int_equal(eventfd_write(f->echo.call_efds[queue_idx], 1), 0);
	loop_wake(&f->loop);
	assert_int_equal(loop_once(&f->loop), 0);
}

static void plug(struct fixture *f)
{
	const struct virtio_pci_config cfg = { .bus = f->rig.bus, .bus_nr = -1, .slot = SLOT, .loop = &f->loop };

	assert_int_equal(echo_create(&f->echo, &f->mem, 2, cfg), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_init(&f->rig);
	gmem_init(&f->mem);
	pthread_mutex_init(&f->lock, NULL);
	pthread_mutex_lock(&f->lock);
	assert_int_equal(loop_init(&f->loop, &f->lock), 0);
	plug(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_destroy(f->echo.pci);
	assert_int_equal(f->loop.nsources, 0);
	loop_fini(&f->loop);
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_destroy(&f->lock);
	rig_fini(&f->rig);
	free(f);
	return 0;
}

static void with_msix_no_thread_of_ours_takes_part(void **state)
{
	struct fixture *f = *state;

	start(f, true);
	assert_true(bound(f, 0) && bound(f, 1));
	assert_int_equal(f->loop.nsources, 0);
	call(f, 1);
	assert_int_equal(fake_efd_take(f->echo.call_efds[1]), 1); /* it is KVM's */
	assert_false(fake_vm_line(&f->rig.fake, GSI));
}

static void the_pin_is_driven_by_the_event_loop(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	assert_int_equal(f->loop.nsources, 2);
	for (unsigned i = 0; i < 2; i++) {
		call(f, i);
		assert_true(fake_vm_line(&f->rig.fake, GSI));
		assert_int_equal(rd(f, ISR, 1), 1);
		assert_false(fake_vm_line(&f->rig.fake, GSI));
	}
	assert_int_equal(rd(f, ISR, 1), 0);
}

static void who_waits_follows_msix(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	msix_enable(f, PCI_MSIX_FLAGS_ENABLE);
	/* No vector is chosen yet. */
	assert_int_equal(f->loop.nsources, 0);
	call(f, 0);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
	msix_enable(f, 0);
	assert_int_equal(f->loop.nsources, 2);
	/* What it counted meanwhile is not lost. */
	assert_int_equal(loop_once(&f->loop), 0);
	assert_true(fake_vm_line(&f->rig.fake, GSI));
}

static void a_masked_vector_is_pending_until_it_is_unmasked(void **state)
{
	struct fixture *f = *state;

	start(f, true);
	wr(f, TABLE + 16 * 2 + 12, 4, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	assert_true(bound(f, 0));
	assert_false(bound(f, 1));
	assert_int_equal(f->loop.nsources, 0);
	call(f, 1);
	assert_int_equal(rd(f, PBA, 8), 1 << 2);
	wr(f, TABLE + 16 * 2 + 12, 4, 0);
	assert_true(bound(f, 1));
	assert_int_equal(fake_efd_take(f->echo.call_efds[1]), 1); /* KVM sends the message for it */
}

static void without_room_for_an_irqfd_the_event_loop_sends_the_message(void **state)
{
	struct fixture *f = *state;
	const struct fake_route *route;

	f->rig.fake.irqfd_error = -ENOSPC;
	start(f, true);
	assert_int_equal(f->loop.nsources, 2);
	call(f, 0);
	route = fake_vm_route(&f->rig.fake, MSG_ADDR, 0x41);
	assert_non_null(route);
	assert_int_equal(fake_efd_take(route->efd), 1);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
}

static void after_a_reset_nobody_waits(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	assert_int_equal(eventfd_write(f->echo.call_efds[0], 1), 0);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(f->loop.nsources, 0);
	start(f, false);
	loop_wake(&f->loop);
	loop_once(&f->loop);
	/* The interrupt of an earlier life is not delivered. */
	assert_false(fake_vm_line(&f->rig.fake, GSI));

	start(f, true);
	pci_bus_reset(f->rig.bus);
	assert_int_equal(fake_vm_nirqfds(&f->rig.fake), 0);
	assert_int_equal(f->loop.nsources, 0);
	start(f, true);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY); /* bus mastering off */
	assert_int_equal(fake_vm_nirqfds(&f->rig.fake), 0);
}

static void unplugged_it_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 4; i++) {
		start(f, i % 2);
		virtio_pci_unplug(f->echo.pci);
		assert_int_equal(f->loop.nsources, 0);
		assert_int_equal(fake_vm_nirqfds(&f->rig.fake), 0);
		assert_int_equal(eventfd_write(f->echo.call_efds[0], 1), 0);
		virtio_pci_destroy(f->echo.pci);
		plug(f);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(with_msix_no_thread_of_ours_takes_part),
		TEST(the_pin_is_driven_by_the_event_loop),
		TEST(who_waits_follows_msix),
		TEST(a_masked_vector_is_pending_until_it_is_unmasked),
		TEST(without_room_for_an_irqfd_the_event_loop_sends_the_message),
		TEST(after_a_reset_nobody_waits),
		TEST(unplugged_it_leaves_nothing),
	};

	return cmocka_run_group_tests_name("virtio_pci_call", tests, NULL, NULL);
}
