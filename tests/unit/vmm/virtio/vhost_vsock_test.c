// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_vsock_test.c - vhost.c, vhost_kernel.c and vhost_vsock.c on a fake kernel: what the kernel gets and when, hostile
 * drivers, a kernel that refuses, memory that comes and goes.
 */
#include "vhost_rig.h"
#include "vhost_vsock.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define NQUEUES 3u
#define F_SEQPACKET BIT(1)
#define F_EVENT_IDX BIT(29)
#define CID 42u

static int create(struct vhost_rig *r, uint64_t cid, int fd, struct vpmem_error *err)
{
	const struct vhost_vsock_options cfg = {
		.pci = vhost_rig_place(r), .mem = &r->mem, .guest_cid = cid, .vhost_fd = fd
	};

	return vhost_vsock_create(&cfg, &r->vp, err);
}

static void plug(struct vhost_rig *r)
{
	assert_int_equal(create(r, CID, -1, NULL), 0);
	probe(r);
}

static int setup(void **state)
{
	struct vhost_rig *r = vhost_rig_new();

	plug(r);
	*state = r;
	return 0;
}

static int setup_bare(void **state)
{
	*state = vhost_rig_new();
	return 0;
}

static int teardown(void **state)
{
	vhost_rig_free(*state);
	return 0;
}

static bool is_running(void)
{
	return fake_vhost_one()->running;
}

/* ---- what the driver sees ------------------------------------------------------------------------------------ */

static void names_and_features(void **state)
{
	struct vhost_rig *r = *state;

	assert_true(fake_vhost_logged("VHOST_SET_OWNER", "VHOST_GET_FEATURES", "VHOST_VSOCK_SET_GUEST_CID", NULL));
	assert_int_equal(fake_vhost.nlog, 3);
	assert_int_equal(ecam_read(&r->rig, SLOT, PCI_VENDOR_ID, 4), 0x10531af4);
	assert_int_equal(ecam_read(&r->rig, SLOT, PCI_CLASS_REVISION, 4) >> 8, 0x078000);
	assert_int_equal(rd(r, VIRTIO_PCI_COMMON_NUMQ, 2), NQUEUES);
	wr(r, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(rd(r, VIRTIO_PCI_COMMON_Q_SIZE, 2), 128);
	assert_int_equal(rd(r, 0x800, 8), CID);
	assert_int_equal(vhost_vsock_guest_cid(r->vp), CID);
	/* No logging of writes, and no IOMMU, though the kernel has both. */
	assert_int_equal(offered_features(r), F_SEQPACKET | BIT(28) | F_EVENT_IDX | BIT(VIRTIO_F_VERSION_1));
	wr(r, 0x800, 8, 7);
	assert_int_equal(rd(r, 0x800, 8), CID);
}

static void features_that_the_kernel_lacks_are_not_offered(void **state)
{
	struct vhost_rig *r = *state;
	const struct vhost_vsock_options cfg = {
		.pci = vhost_rig_place(r), .mem = &r->mem, .guest_cid = CID, .vhost_fd = -1, .no_event_idx = true
	};
	struct vpmem_error err;

	fake_vhost.features = BIT(VIRTIO_F_VERSION_1) | F_EVENT_IDX;
	assert_int_equal(vhost_vsock_create(&cfg, &r->vp, &err), 0);
	probe(r);
	assert_int_equal(offered_features(r), BIT(VIRTIO_F_VERSION_1));
	virtio_pci_destroy(r->vp);
	r->vp = NULL;
	fake_vhost.features = F_EVENT_IDX;
	assert_int_equal(create(r, CID, -1, &err), -ENOSYS);
	assert_string_equal(err.text, "vhost-vsock: the kernel's vhost is too old: no VIRTIO_F_VERSION_1");
}

/* ---- start and stop -------------------------------------------------------------------------------------------- */

static void check_queue(struct vhost_rig *r, unsigned idx)
{
	const struct fake_vhost_queue *q = &fake_vhost_one()->queues[idx];
	uint8_t *rings = r->ram + (QUEUE_GPA(idx) - RAM_GPA);

	assert_int_equal(q->num, QUEUE_SIZE);
	assert_int_equal(q->base, 0);
	assert_int_equal(q->desc, (uintptr_t)rings);
	assert_int_equal(q->avail, (uintptr_t)rings + AVAIL_OFF);
	assert_int_equal(q->used, (uintptr_t)rings + USED_OFF);
	/* Neither a notification nor an interrupt comes by us. */
	assert_int_equal(q->kick_efd, fake_vm_ioeventfd(&r->rig.fake, r->regs + NOTIFY + 4 * idx));
	assert_true(is_bound(r, idx, q->call_efd));
}

static void the_kernel_gets_all_at_driver_ok(void **state)
{
	struct vhost_rig *r = *state;

	fake_vhost_clear_log();
	negotiate(r, BIT(VIRTIO_F_VERSION_1) | F_SEQPACKET);
	for (unsigned i = 0; i < NQUEUES; i++)
		queue_setup(r, i);
	msix_setup(r, NQUEUES);
	assert_int_equal(fake_vhost.nlog, 0);
	driver_ok(r);
#define RING                                                                                          \
	"VHOST_SET_VRING_NUM", "VHOST_SET_VRING_BASE", "VHOST_SET_VRING_ADDR", "VHOST_SET_VRING_ERR", \
		"VHOST_SET_VRING_CALL", "VHOST_SET_VRING_KICK"
	assert_true(fake_vhost_logged("VHOST_SET_FEATURES", "VHOST_SET_MEM_TABLE", RING, RING,
	                              "VHOST_VSOCK_SET_RUNNING", NULL));
	assert_true(is_running());
	assert_int_equal(fake_vhost_one()->features, BIT(VIRTIO_F_VERSION_1) | F_SEQPACKET);
	for (unsigned i = 0; i < 2; i++)
		check_queue(r, i);
	assert_int_equal(fake_vhost_one()->nregions, 1);
	assert_int_equal(fake_vhost_one()->regions[0].gpa, RAM_GPA);
	assert_int_equal(fake_vhost_one()->regions[0].size, RAM_SIZE);
	assert_int_equal(fake_vhost_one()->regions[0].hva, (uintptr_t)r->ram);
	/* What the driver notified before it was started is seen. */
	assert_int_equal(fake_efd_take(fake_vhost_one()->queues[1].kick_efd), 1);
	assert_int_equal(status(r), S_RUNNING);
	/* A second DRIVER_OK is none. */
	fake_vhost_clear_log();
	driver_ok(r);
	assert_int_equal(fake_vhost.nlog, 0);
}

static void a_reset_ends_the_connections(void **state)
{
	struct vhost_rig *r = *state;
	unsigned nopened = fake_vhost.nopened;
	int call_efd;

	start(r, 0, NQUEUES);
	call_efd = fake_vhost_one()->queues[0].call_efd;
	assert_int_equal(eventfd_write(call_efd, 1), 0);
	fake_vhost_clear_log();
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	/* The descriptor was closed, and the CID is still ours. */
	assert_true(fake_vhost_logged("VHOST_VSOCK_SET_RUNNING", "VHOST_SET_OWNER", "VHOST_VSOCK_SET_GUEST_CID", NULL));
	assert_int_equal(fake_vhost.nopened, nopened + 1);
	assert_int_equal(fake_vhost_one()->cid, CID);
	assert_false(is_running());
	assert_int_equal(fake_efd_take(call_efd), 0); /* of an earlier life */
	start(r, F_EVENT_IDX, NQUEUES);
	assert_true(is_running());
	assert_int_equal(fake_vhost_one()->features, BIT(VIRTIO_F_VERSION_1) | F_EVENT_IDX);
	check_queue(r, 1);
	/* So do a reset of the machine, and the loss of the bus. */
	pci_bus_reset(r->rig.bus);
	assert_false(is_running());
	assert_int_equal(fake_vhost.nopened, nopened + 2);
	probe(r);
	start(r, 0, NQUEUES);
	command_set(&r->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_false(is_running());
}

static void a_descriptor_of_the_user_is_not_opened_again(void **state)
{
	struct vhost_rig *r = *state;
	int fd = fake_vhost_open();

	assert_int_equal(create(r, CID, fd, NULL), 0);
	probe(r);
	start(r, 0, NQUEUES);
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(fake_vhost.nopened, 1);
	assert_int_equal(fake_vhost_one()->fd, fd);
	start(r, 0, NQUEUES);
	assert_true(is_running());
}

static void a_device_that_cannot_be_opened_again_is_tried_at_the_next_start(void **state)
{
	struct vhost_rig *r = *state;

	start(r, 0, NQUEUES);
	fake_vhost.open_error = -EMFILE;
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(fake_vhost.ndevices, 0);
	start(r, 0, NQUEUES);
	assert_int_equal(status(r), S_RUNNING | NEEDS_RESET);
	fake_vhost.open_error = 0;
	start(r, 0, NQUEUES);
	assert_int_equal(status(r), S_RUNNING);
	assert_true(is_running());
}

static void the_pin_works(void **state)
{
	struct vhost_rig *r = *state;

	negotiate(r, BIT(VIRTIO_F_VERSION_1));
	for (unsigned i = 0; i < NQUEUES; i++)
		queue_setup(r, i);
	driver_ok(r);
	assert_int_equal(eventfd_write(fake_vhost_one()->queues[0].call_efd, 1), 0);
	loop_turn(r);
	assert_true(fake_vm_line(&r->rig.fake, GSI));
	assert_int_equal(rd(r, ISR, 1), 1);
	assert_false(fake_vm_line(&r->rig.fake, GSI));
}

static void without_an_ioeventfd_a_notification_reaches_the_kernel(void **state)
{
	struct vhost_rig *r = *state;

	start(r, 0, NQUEUES);
	fake_efd_take(fake_vhost_one()->queues[1].kick_efd);
	wr(r, NOTIFY + 4, 2, 1);
	assert_int_equal(fake_efd_take(fake_vhost_one()->queues[1].kick_efd), 1);
	wr(r, NOTIFY + 8, 2, 2); /* the queue of events */
	assert_int_equal(fake_efd_take(fake_vhost_one()->queues[1].kick_efd), 0);
}

static void unplugged_at_work_it_leaves_nothing(void **state)
{
	struct vhost_rig *r = *state;

	for (unsigned i = 0; i < 3; i++) {
		start(r, 0, NQUEUES);
		virtio_pci_unplug(r->vp);
		assert_false(is_running());
		assert_null(r->rig.fake.vm.memory.listeners);
		assert_int_equal(r->loop.nsources, 0);
		virtio_pci_destroy(r->vp);
		r->vp = NULL;
		assert_int_equal(fake_vhost.ndevices, 0);
		assert_int_equal(count_fds(), r->nfds);
		plug(r);
	}
}

static void a_stopped_machine_goes_on_where_it_was(void **state)
{
	struct vhost_rig *r = *state;
	unsigned nopened = fake_vhost.nopened;

	start(r, 0, NQUEUES);
	fake_vhost_one()->queues[1].base = 9; /* as far as the kernel came */
	virtio_pci_set_paused(r->vp, true);
	assert_false(is_running());
	fake_vhost_one()->queues[1].base = 0;
	assert_int_equal(eventfd_write(fake_vhost_one()->queues[0].call_efd, 1), 0);
	virtio_pci_set_paused(r->vp, false);
	assert_true(is_running());
	assert_int_equal(fake_vhost_one()->queues[0].base, 0);
	assert_int_equal(fake_vhost_one()->queues[1].base, 9);
	/* Its connections and its interrupts are still there. */
	assert_int_equal(fake_vhost.nopened, nopened);
	assert_int_equal(fake_efd_take(fake_vhost_one()->queues[0].call_efd), 1);
	/* A device that is reset meanwhile does not run, and begins anew. */
	virtio_pci_set_paused(r->vp, true);
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	virtio_pci_set_paused(r->vp, false);
	assert_false(is_running());
	start(r, 0, NQUEUES);
	assert_int_equal(fake_vhost_one()->queues[1].base, 0);
	virtio_pci_unplug(r->vp);
	virtio_pci_set_paused(r->vp, true);
	virtio_pci_set_paused(r->vp, false);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void a_window_is_in_the_table_while_it_is_there(void **state)
{
	struct vhost_rig *r = *state;
	struct vm *vm = &r->rig.fake.vm;

	start(r, 0, NQUEUES);
	fake_vhost_clear_log();
	assert_int_equal(vm_memory_add(vm, 0x100000000, 4096, r->window, false), 0);
	assert_true(fake_vhost_logged("VHOST_SET_MEM_TABLE", NULL));
	assert_int_equal(fake_vhost_one()->nregions, 2);
	assert_int_equal(fake_vhost_one()->regions[1].gpa, 0x100000000);
	assert_int_equal(fake_vhost_one()->regions[1].hva, (uintptr_t)r->window);
	vm_memory_del(vm, 0x100000000, 4096);
	assert_int_equal(fake_vhost_one()->nregions, 1);
	/* A device that does not run gets it when it starts. */
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	fake_vhost_clear_log();
	assert_int_equal(vm_memory_add(vm, 0x100000000, 4096, r->window, false), 0);
	assert_int_equal(fake_vhost.nlog, 0);
	start(r, 0, NQUEUES);
	assert_int_equal(fake_vhost_one()->nregions, 2);
	vm_memory_del(vm, 0x100000000, 4096);
}

/* The kernel would go on with a window that is gone. */
static void a_refused_table_stops_the_device(void **state)
{
	struct vhost_rig *r = *state;
	struct vm *vm = &r->rig.fake.vm;

	start(r, 0, NQUEUES);
	assert_int_equal(vm_memory_add(vm, 0x100000000, 4096, r->window, false), 0);
	fake_vhost.fail = "VHOST_SET_MEM_TABLE";
	fake_vhost.fail_error = -ENOMEM;
	vm_memory_del(vm, 0x100000000, 4096);
	assert_false(is_running());
	assert_int_equal(status(r), S_RUNNING | NEEDS_RESET);
	fake_vhost.fail = NULL;
	start(r, 0, NQUEUES);
	assert_true(is_running());
	assert_int_equal(fake_vhost_one()->queues[0].base, 0);
}

static void the_kernel_s_limit_of_regions_counts_windows(void **state)
{
	struct vhost_rig *r = *state;
	struct vm *vm = &r->rig.fake.vm;
	struct vpmem_error err = { 0 };
	unsigned n = 1;

	/* One more than the kernel can have; the fake machine has no slots for so many. */
	vm->memory.nregions = FAKE_VHOST_REGIONS + 1;
	assert_int_equal(create(r, CID, -1, &err), -E2BIG);
	assert_string_equal(err.text,
	                    "vhost backend memory slots limit is less than current number of present memory slots");
	assert_non_null(strstr(err.hint, "max_mem_regions"));
	vm->memory.nregions = FAKE_VHOST_REGIONS;
	plug(r);
	assert_int_equal(vm_memory_add(vm, 0x100000000, 4096, r->window, false), -E2BIG);
	virtio_pci_destroy(r->vp);
	r->vp = NULL;
	assert_int_equal(vm_memory_add(vm, 0x100000000, 4096, r->window, false), 0);
	vm->memory.nregions = FAKE_VHOST_REGIONS + 1;
	vm_memory_del(vm, 0x100000000, 4096);
	vm->memory.nregions = n;
}

/* ---- hostile drivers ------------------------------------------------------------------------------------------------ */

static void rings_outside_of_memory_never_reach_the_kernel(void **state)
{
	static const struct {
		uint64_t desc, avail, used;
	} bad[] = {
		{ 0, RAM_GPA, RAM_GPA },
		{ RAM_GPA, 0, RAM_GPA },
		{ RAM_GPA, RAM_GPA, 0 },
		{ RAM_GPA + 8, RAM_GPA, RAM_GPA },
		{ RAM_GPA, RAM_GPA + 1, RAM_GPA },
		{ RAM_GPA, RAM_GPA, RAM_GPA + 2 },
		{ RAM_GPA + RAM_SIZE - 16 * QUEUE_SIZE + 16, RAM_GPA, RAM_GPA },
		{ RAM_GPA, RAM_GPA + RAM_SIZE - 2 * QUEUE_SIZE, RAM_GPA },
		{ RAM_GPA, RAM_GPA, RAM_GPA + RAM_SIZE - 8 * QUEUE_SIZE },
		{ UINT64_MAX - 15, UINT64_MAX - 1, UINT64_MAX - 3 },
		{ RAM_GPA - 16, RAM_GPA, RAM_GPA },
	};
	struct vhost_rig *r = *state;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		negotiate(r, BIT(VIRTIO_F_VERSION_1));
		queue_setup(r, 0);
		queue_set(r, 1, bad[i].desc, bad[i].avail, bad[i].used, QUEUE_SIZE);
		fake_vhost_clear_log();
		queue_enable(r, 1);
		driver_ok(r);
		assert_int_equal(fake_vhost.nlog, 0);
		assert_int_equal(status(r), S_RUNNING | NEEDS_RESET);
		assert_false(is_running());
	}
	/* The same after DRIVER_OK, when it stops what runs. */
	start(r, 0, 2);
	assert_true(is_running());
	queue_set(r, 2, 0, 0, 0, QUEUE_SIZE);
	queue_enable(r, 2);
	assert_int_equal(status(r), S_RUNNING | NEEDS_RESET);
	assert_false(is_running());
	start(r, 0, NQUEUES);
	assert_int_equal(status(r), S_RUNNING);
}

static void odd_sizes_are_not_taken(void **state)
{
	static const unsigned sizes[] = { 0, 3, 129, 256, 0x8000, 0xffff };
	struct vhost_rig *r = *state;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		negotiate(r, BIT(VIRTIO_F_VERSION_1));
		queue_setup(r, 1);
		queue_set(r, 0, QUEUE_GPA(0), QUEUE_GPA(0) + AVAIL_OFF, QUEUE_GPA(0) + USED_OFF, sizes[i]);
		queue_enable(r, 0);
		driver_ok(r);
		assert_true(is_running());
		assert_int_equal(fake_vhost_one()->queues[0].num, 128);
	}
}

/* In whatever order a driver writes: the kernel is started once all is there, and not before. */
static void the_order_of_writes_is_the_driver_s(void **state)
{
	struct vhost_rig *r = *state;

	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0xff);
	assert_false(is_running());
	queue_enable(r, 0);
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_false(is_running());

	negotiate(r, BIT(VIRTIO_F_VERSION_1));
	driver_ok(r);
	assert_false(is_running());
	queue_setup(r, 1);
	assert_false(is_running());
	queue_setup(r, 0);
	assert_true(is_running());
	queue_setup(r, 2);
	assert_true(is_running());
	/* What it writes into the registers of a queue that runs changes nothing. */
	fake_vhost_clear_log();
	queue_set(r, 0, 0, 0, 0, 0);
	queue_enable(r, 0);
	assert_int_equal(fake_vhost.nlog, 0);
	/* Without the features that it must accept, it does not get further. */
	negotiate(r, 0);
	driver_ok(r);
	assert_int_equal(status(r) & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK), 0);
	negotiate(r, BIT(VIRTIO_F_VERSION_1) | BIT(33));
	assert_int_equal(status(r) & VIRTIO_CONFIG_S_FEATURES_OK, 0);
}

static void a_broken_ring_stops_the_device(void **state)
{
	struct vhost_rig *r = *state;
	const struct fake_route *route;

	start(r, 0, NQUEUES);
	assert_int_equal(eventfd_write(fake_vhost_one()->queues[1].err_efd, 1), 0);
	loop_turn(r);
	assert_int_equal(status(r), S_RUNNING | NEEDS_RESET);
	assert_false(is_running());
	route = fake_vm_route(&r->rig.fake, MSG_ADDR, 0x40);
	assert_non_null(route);
	assert_int_equal(fake_efd_take(route->efd), 1); /* the interrupt of the configuration */
	start(r, 0, NQUEUES);
	assert_true(is_running());
}

/* ---- a kernel that refuses ------------------------------------------------------------------------------------------- */

static void a_start_that_fails_needs_a_reset(void **state)
{
	static const char *const steps[] = {
		"VHOST_SET_FEATURES",   "VHOST_SET_MEM_TABLE",  "VHOST_SET_VRING_NUM",
		"VHOST_SET_VRING_BASE", "VHOST_SET_VRING_ADDR", "VHOST_SET_VRING_ERR",
		"VHOST_SET_VRING_CALL", "VHOST_SET_VRING_KICK", "VHOST_VSOCK_SET_RUNNING"
	};
	struct vhost_rig *r = *state;
	unsigned nfds;

	start(r, 0, NQUEUES); /* vectors have descriptors now */
	nfds = count_fds();
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		negotiate(r, BIT(VIRTIO_F_VERSION_1));
		for (unsigned q = 0; q < NQUEUES; q++)
			queue_setup(r, q);
		msix_setup(r, NQUEUES);
		fake_vhost.fail = steps[i];
		fake_vhost.fail_error = -EIO;
		/* The second queue's, where it is one of a queue. */
		fake_vhost.fail_after = strstr(steps[i], "VRING") != NULL;
		driver_ok(r);
		assert_int_equal(status(r), S_RUNNING | NEEDS_RESET);
		assert_false(is_running());
		assert_int_equal(r->loop.nsources, 0);
		fake_vhost.fail = NULL;
		assert_int_equal(count_fds(), nfds);
		start(r, 0, NQUEUES);
		assert_int_equal(status(r), S_RUNNING);
		assert_true(is_running());
	}
}

static void check_error(struct vhost_rig *r, uint64_t cid, int fd, int rc, const char *text, const char *hint)
{
	struct vpmem_error err = { 0 };

	assert_int_equal(create(r, cid, fd, &err), rc);
	assert_null(r->vp);
	assert_string_equal(err.text, text);
	assert_non_null(strstr(err.hint, hint));
	assert_int_equal(count_fds(), r->nfds + (fd >= 0));
}

static void what_cannot_be_made_says_why(void **state)
{
	struct vhost_rig *r = *state;
	int fd;

	for (unsigned cid = 0; cid < 3; cid++)
		check_error(r, cid, -1, -EINVAL, "guest-cid property must be greater than 2", "guest-cid=3");
	check_error(r, UINT32_MAX, -1, -EINVAL, "guest-cid property must be a 32-bit number", "");
	check_error(r, UINT64_MAX, -1, -EINVAL, "guest-cid property must be a 32-bit number", "");
	fake_vhost.open_error = -ENOENT;
	check_error(r, CID, -1, -ENOENT, "vhost-vsock: failed to open vhost device: No such file or directory",
	            "modprobe vhost_vsock");
	fake_vhost.open_error = -EACCES;
	check_error(r, CID, -1, -EACCES, "vhost-vsock: failed to open vhost device: Permission denied", "group kvm");
	fake_vhost.open_error = 0;
	fake_vhost.taken_cid = CID;
	check_error(r, CID, -1, -EADDRINUSE, "vhost-vsock: unable to set guest cid: Address already in use",
	            "guest-cid=42");
	fake_vhost.taken_cid = 0;
	fake_vhost.fail = "VHOST_GET_FEATURES";
	fake_vhost.fail_error = -ENOTTY;
	fd = fake_vhost_open();
	check_error(r, CID, fd, -ENOTTY, "vhost-vsock: VHOST_GET_FEATURES: Inappropriate ioctl for device", "vhostfd");
	fake_vhost.fail = NULL;
	/* It has an owner now. */
	check_error(r, CID, fd, -EBUSY, "vhost-vsock: VHOST_SET_OWNER: Device or resource busy", "vhostfd");
	close(fd);
}

static void a_slot_that_is_taken_leaves_the_descriptor(void **state)
{
	struct vhost_rig *r = *state;
	struct virtio_pci *first = r->vp;
	int fd = fake_vhost_open();

	assert_int_equal(create(r, CID + 1, fd, NULL), -EBUSY);
	r->vp = first;
	assert_int_equal(fake_vhost.ndevices, 2);
	close(fd);
	start(r, 0, NQUEUES);
	assert_true(is_running());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_and_features),
		TEST_BARE(features_that_the_kernel_lacks_are_not_offered),
		TEST(the_kernel_gets_all_at_driver_ok),
		TEST(a_reset_ends_the_connections),
		TEST_BARE(a_descriptor_of_the_user_is_not_opened_again),
		TEST(a_device_that_cannot_be_opened_again_is_tried_at_the_next_start),
		TEST(a_stopped_machine_goes_on_where_it_was),
		TEST(the_pin_works),
		TEST(without_an_ioeventfd_a_notification_reaches_the_kernel),
		TEST(unplugged_at_work_it_leaves_nothing),
		TEST(a_window_is_in_the_table_while_it_is_there),
		TEST(a_refused_table_stops_the_device),
		TEST_BARE(the_kernel_s_limit_of_regions_counts_windows),
		TEST(rings_outside_of_memory_never_reach_the_kernel),
		TEST(odd_sizes_are_not_taken),
		TEST(the_order_of_writes_is_the_driver_s),
		TEST(a_broken_ring_stops_the_device),
		TEST(a_start_that_fails_needs_a_reset),
		TEST_BARE(what_cannot_be_made_says_why),
		TEST(a_slot_that_is_taken_leaves_the_descriptor),
	};

	return cmocka_run_group_tests_name("vhost_vsock", tests, NULL, NULL);
}
