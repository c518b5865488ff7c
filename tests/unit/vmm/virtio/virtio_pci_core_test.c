// SPDX-License-Identifier: Apache-2.0
// The transport on the real device: a driver in C that knows only configuration space, BARs and guest memory.
#include "rig.h"
#include "virtio_pmem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_pmem.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define RAM_GPA UINT64_C(0x100000)
#define RAM_SIZE UINT64_C(0x100000)
#define PMEM_GPA UINT64_C(0x240000000)
#define PMEM_SIZE (2 * VPMEM_GRANULE)
#define NO_VECTOR 0xffffu
#define MSG_ADDR 0xfee00000u
#define WAIT_MS 100000

#define DESC_GPA (RAM_GPA + 0x0000)
#define AVAIL_GPA (RAM_GPA + 0x1000)
#define USED_GPA (RAM_GPA + 0x2000)
#define REQ_GPA (RAM_GPA + 0x3000)
#define RESP_GPA (RAM_GPA + 0x4000)

#define S_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)

struct fixture {
	struct rig rig;
	uint8_t *ram;
	struct gmem mem;
	struct vpmem_backing *backing;
	struct virtio_pci *vp;
	unsigned slot;
	uint64_t regs; /* BAR 0 */
	unsigned notify_off, isr_off, device_off, table_off;
	uint16_t size, avail_idx, used_idx;
	bool by_ioeventfd, msix;
};

static void *ram(struct fixture *f, uint64_t gpa)
{
	return f->ram + (gpa - RAM_GPA);
}

/* Where there is a register page, it says the same as the register. */
static uint64_t rd(struct fixture *f, unsigned off, unsigned width)
{
	const uint8_t *page = fake_vm_readonly(&f->rig.fake, f->regs + off);
	uint64_t val = io_read(&f->rig.mmio, f->regs + off, width);

	for (unsigned i = 0; page && i < width; i++)
		assert_int_equal(__atomic_load_n(page + i, __ATOMIC_ACQUIRE), val >> 8 * i & 0xff);
	return val;
}

static void wr(struct fixture *f, unsigned off, unsigned width, uint64_t val)
{
	io_write(&f->rig.mmio, f->regs + off, width, val);
}

/* ---- driver ------------------------------------------------------------------------------------------------ */

static unsigned cap_offset(struct fixture *f, uint8_t type)
{
	unsigned cap = virtio_capability_find(&f->rig, f->slot, type);

	assert_int_not_equal(cap, 0);
	return ecam_read(&f->rig, f->slot, cap + VIRTIO_PCI_CAP_OFFSET, 4);
}

static void probe(struct fixture *f)
{
	unsigned msix = capability_find(&f->rig, f->slot, PCI_CAP_ID_MSIX, 0);

	command_set(&f->rig, f->slot, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	f->regs = bar64_get(&f->rig, f->slot, 0);
	f->notify_off = cap_offset(f, VIRTIO_PCI_CAP_NOTIFY_CFG);
	f->isr_off = cap_offset(f, VIRTIO_PCI_CAP_ISR_CFG);
	f->device_off = cap_offset(f, VIRTIO_PCI_CAP_DEVICE_CFG);
	f->table_off = ecam_read(&f->rig, f->slot, msix + PCI_MSIX_TABLE, 4);
	ecam_write(&f->rig, f->slot, msix + PCI_MSIX_FLAGS, 2, f->msix ? PCI_MSIX_FLAGS_ENABLE : 0);
	for (unsigned i = 0; f->msix && i < 2; i++) {
		wr(f, f->table_off + 16 * i, 4, MSG_ADDR);
		wr(f, f->table_off + 16 * i + 4, 4, 0);
		wr(f, f->table_off + 16 * i + 8, 4, 0x40 + i);
		wr(f, f->table_off + 16 * i + 12, 4, 0);
	}
}

static uint64_t offered(struct fixture *f)
{
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	uint64_t low = rd(f, VIRTIO_PCI_COMMON_DF, 4);
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return low | rd(f, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

/* Up to FEATURES_OK; returns whether the device accepted them. */
static bool negotiate(struct fixture *f, uint64_t features)
{
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER);
	wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	wr(f, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)features);
	wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_GF, 4, features >> 32);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	return rd(f, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void queue_setup(struct fixture *f, uint64_t desc_gpa)
{
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, f->msix ? 0 : NO_VECTOR);
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	f->size = (uint16_t)rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2);
	assert_int_equal(f->size, VPMEM_QUEUE_SIZE_MAX);
	f->size = 8;
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, f->size);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, f->msix ? 1 : NO_VECTOR);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), f->msix ? 1 : NO_VECTOR);
	wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 4, (uint32_t)desc_gpa);
	wr(f, VIRTIO_PCI_COMMON_Q_DESCHI, 4, desc_gpa >> 32);
	wr(f, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, AVAIL_GPA);
	wr(f, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 0);
	wr(f, VIRTIO_PCI_COMMON_Q_USEDLO, 8, USED_GPA);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	memset(f->ram, 0, 0x5000);
	f->avail_idx = f->used_idx = 0;
}

static void start(struct fixture *f)
{
	assert_true(negotiate(f, UINT64_C(1) << VIRTIO_F_VERSION_1));
	queue_setup(f, DESC_GPA);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void notify(struct fixture *f)
{
	const uint64_t one = 1;
	int efd = fake_vm_ioeventfd(&f->rig.fake, f->regs + f->notify_off);

	assert_true(efd >= 0);
	/* What KVM does with a write to that address; or what happens if the machine had no ioeventfd left. */
	if (f->by_ioeventfd)
		assert_int_equal(write(efd, &one, sizeof(one)), (ssize_t)sizeof(one));
	else
		wr(f, f->notify_off, 2, 0);
}

static void flush_submit(struct fixture *f)
{
	struct vring_desc *desc = ram(f, DESC_GPA);
	struct vring_avail *avail = ram(f, AVAIL_GPA);
	struct virtio_pmem_req *req = ram(f, REQ_GPA);
	struct virtio_pmem_resp *resp = ram(f, RESP_GPA);

	req->type = VIRTIO_PMEM_REQ_TYPE_FLUSH;
	resp->ret = 0x55;
	desc[0] = (struct vring_desc) { .addr = REQ_GPA, .len = 4, .flags = VRING_DESC_F_NEXT, .next = 1 };
	desc[1] = (struct vring_desc) { .addr = RESP_GPA, .len = 4, .flags = VRING_DESC_F_WRITE };
	avail->ring[f->avail_idx % f->size] = 0;
	__atomic_store_n(&avail->idx, ++f->avail_idx, __ATOMIC_RELEASE);
	notify(f);
}

/* The message with this data, sent within the limit. */
static void wait_message(struct fixture *f, uint32_t data)
{
	const struct fake_route *route = fake_vm_route(&f->rig.fake, MSG_ADDR, data);

	assert_non_null(route);
	struct pollfd pfd = { .fd = route->efd, .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	assert_true(fake_efd_take(route->efd) > 0);
}

static void wait_line(struct fixture *f, bool level)
{
	for (unsigned ms = 0;
	     ms < WAIT_MS && fake_vm_line(&f->rig.fake, pci_device_gsi(pci_bus_device(f->rig.bus, f->slot))) != level;
	     ms++)
		usleep(1000);
	assert_int_equal(fake_vm_line(&f->rig.fake, pci_device_gsi(pci_bus_device(f->rig.bus, f->slot))), level);
}

static void flush_wait(struct fixture *f)
{
	struct vring_used *used = ram(f, USED_GPA);

	if (f->msix) {
		wait_message(f, 0x41);
	} else {
		wait_line(f, true);
		assert_int_equal(rd(f, f->isr_off, 1), 1);
		wait_line(f, false);
	}
	f->used_idx++;
	assert_int_equal(__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE), f->used_idx);
	assert_int_equal(used->ring[(f->used_idx - 1) % f->size].len, 4);
	assert_int_equal(((struct virtio_pmem_resp *)ram(f, RESP_GPA))->ret, 0);
}

static void flush(struct fixture *f)
{
	flush_submit(f);
	flush_wait(f);
}

/* ---- fixture ----------------------------------------------------------------------------------------------- */

static void plug(struct fixture *f, bool shmem)
{
	const struct virtio_pmem_options cfg = {
		.pci.bus = f->rig.bus, .pci.slot = -1, .pci.id = "nv1", .pci.register_page = true,
		.mem = &f->mem,
		.device = {
			.name = "nv1", .backing = f->backing, .shmem = shmem,
			.gpa = shmem ? 0 : PMEM_GPA,
		},
	};
	struct vpmem_error err = { .text = "" };

	if (virtio_pmem_create(&cfg, &f->vp, &err))
		fail_msg("%s", err.text);
	f->slot = (unsigned)virtio_pci_slot(f->vp);
}

static struct fixture *fixture_new(bool shmem)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct vpmem_backing_options opts = VPMEM_BACKING_OPTIONS_INIT;
	struct vpmem_error err = { .text = "" };
	char path[] = "/tmp/virtio_pci_core_test.XXXXXX";

	rig_init(&f->rig);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(truncate(path, PMEM_SIZE), 0);
	f->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(f->ram, MAP_FAILED);
	gmem_init(&f->mem);
	assert_int_equal(gmem_add(&f->mem, RAM_GPA, RAM_SIZE, f->ram), 0);
	opts.id = "mem1";
	opts.path = path;
	opts.share = true;
	if (vpmem_backing_open(&opts, &f->backing, &err))
		fail_msg("%s", err.text);
	unlink(path);
	plug(f, shmem);
	f->msix = f->by_ioeventfd = true;
	return f;
}

static int setup(void **state)
{
	*state = fixture_new(false);
	return 0;
}

static int setup_shmem(void **state)
{
	*state = fixture_new(true);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_destroy(f->vp);
	rig_fini(&f->rig);
	assert_int_equal(vpmem_backing_close(f->backing), 0);
	munmap(f->ram, RAM_SIZE);
	free(f);
	return 0;
}

/* ---- tests -------------------------------------------------------------------------------------------------- */

static void flush_by_ioeventfd_and_msix(void **state)
{
	struct fixture *f = *state;

	probe(f);
	start(f);
	for (unsigned i = 0; i < 20; i++)
		flush(f);
	struct vpmem_stats stats = vpmem_device_stats(virtio_pmem_device(f->vp));
	assert_int_equal(stats.completed, 20);
	assert_int_equal(stats.failed, 0);
}

static void flush_by_register_and_pin(void **state)
{
	struct fixture *f = *state;

	f->msix = f->by_ioeventfd = false;
	probe(f);
	start(f);
	for (unsigned i = 0; i < 20; i++)
		flush(f);
	assert_int_equal(vpmem_device_stats(virtio_pmem_device(f->vp)).completed, 20);
}

static void configuration_tells_start_and_size(void **state)
{
	struct fixture *f = *state;

	probe(f);
	assert_true(offered(f) & UINT64_C(1) << VIRTIO_F_VERSION_1);
	assert_false(offered(f) & 1);
	assert_true(rd(f, f->device_off, 8) == PMEM_GPA);
	assert_int_equal(rd(f, f->device_off + 8, 4), PMEM_SIZE);
	assert_int_equal(rd(f, f->device_off + 12, 4), 0);
}

/* With the feature the window is BAR 2, and start and size are 0. */
static void shmem_tells_a_region_instead(void **state)
{
	struct fixture *f = *state;
	uint64_t off = 1;

	probe(f);
	assert_true(offered(f) & 1);
	assert_true(negotiate(f, UINT64_C(1) << VIRTIO_F_VERSION_1 | 1));
	assert_int_equal(rd(f, f->device_off, 8), 0);
	assert_int_equal(rd(f, f->device_off + 8, 8), 0);
	assert_int_equal(virtio_pmem_gpa(f->vp), bar64_get(&f->rig, f->slot, 2));
	assert_int_equal(fake_vm_nslots(&f->rig.fake), 2);
	assert_int_equal(f->rig.fake.slots[1].size, PMEM_SIZE);
	assert_ptr_equal(f->rig.fake.slots[1].hva, vpmem_backing_hva(f->backing));
	// Another process can map it as well.
	assert_int_equal(f->rig.fake.vm.memory.regions[0].fd, vpmem_backing_fd(f->backing, &off));
	assert_int_equal(f->rig.fake.vm.memory.regions[0].fd_off, off);
	assert_true(f->rig.fake.vm.memory.regions[0].fd >= 0);
	queue_setup(f, DESC_GPA);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	flush(f);
}

/* The feature is offered, but the driver does not take it: the address is that of the BAR, wherever it is. */
static void without_the_feature_the_address_follows_the_bar(void **state)
{
	struct fixture *f = *state;
	gpa_t gpa = bar64_get(&f->rig, f->slot, 2), moved = gpa + 0x40000000;
	uint8_t generation;

	probe(f);
	assert_true(negotiate(f, UINT64_C(1) << VIRTIO_F_VERSION_1));
	assert_true(rd(f, f->device_off, 8) == gpa);
	assert_int_equal(rd(f, f->device_off + 8, 8), PMEM_SIZE);
	generation = (uint8_t)rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	bar64_set(&f->rig, f->slot, 2, moved);
	assert_true(rd(f, f->device_off, 8) == moved);
	assert_int_not_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
}

static void features_that_are_not_offered_are_refused(void **state)
{
	struct fixture *f = *state;

	probe(f);
	assert_false(negotiate(f, UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << 63));
	assert_false(negotiate(f, UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << 5));
	assert_false(negotiate(f, 0));
	start(f);
	flush(f);
	/* DRIVER_OK a second time. */
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, rd(f, VIRTIO_PCI_COMMON_STATUS, 1));
	flush(f);
}

/* Rings in a BAR, in the pmem window, in no memory at all. */
static void rings_outside_ram_are_refused(void **state)
{
	struct fixture *f = *state;

	probe(f);
	const uint64_t bad[] = {
		f->regs, f->regs + f->notify_off, PMEM_GPA, RIG_ECAM, 0, RAM_GPA + RAM_SIZE - 16, UINT64_MAX - 15,
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(negotiate(f, UINT64_C(1) << VIRTIO_F_VERSION_1));
		queue_setup(f, bad[i]);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_true(rd(f, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	start(f);
	flush(f);
}

/* A broken ring sets DEVICE_NEEDS_RESET and sends the configuration interrupt, by MSI-X and by the pin. */
static void a_broken_ring_asks_for_a_reset(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		f->msix = i == 0;
		probe(f);
		start(f);
		__atomic_store_n(&((struct vring_avail *)ram(f, AVAIL_GPA))->idx, 1000, __ATOMIC_RELEASE);
		notify(f);
		if (f->msix) {
			wait_message(f, 0x40);
		} else {
			wait_line(f, true);
			assert_int_equal(rd(f, f->isr_off, 1) & 2, 2);
		}
		assert_true(rd(f, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
		start(f);
		flush(f);
	}
}

/* After the reset no used entry and no interrupt of before, even with a flush under way. */
static void a_reset_in_flight_is_safe(void **state)
{
	struct fixture *f = *state;

	probe(f);
	for (unsigned i = 0; i < 300; i++) {
		start(f);
		flush_submit(f);
		wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), 0);
		const struct fake_route *route = fake_vm_route(&f->rig.fake, MSG_ADDR, 0x41);
		fake_efd_take(route->efd);
		/* The guest's memory is its own again. */
		memset(f->ram, 0xa5, 0x5000);
		if (i % 100 == 0)
			usleep(20000);
		for (unsigned j = 0; j < 0x5000; j++)
			assert_int_equal(f->ram[j], 0xa5);
		assert_int_equal(fake_efd_take(route->efd), 0);
	}
	start(f);
	flush(f);
}

/* As Linux does it for kexec: the same for a driver that takes away the right to access memory. */
static void without_bus_mastering_nothing_is_written(void **state)
{
	struct fixture *f = *state;

	probe(f);
	for (unsigned i = 0; i < 100; i++) {
		start(f);
		flush_submit(f);
		command_set(&f->rig, f->slot, PCI_COMMAND_MEMORY);
		const struct fake_route *route = fake_vm_route(&f->rig.fake, MSG_ADDR, 0x41);
		fake_efd_take(route->efd);
		memset(f->ram, 0xa5, 0x5000);
		if (i % 50 == 0)
			usleep(20000);
		for (unsigned j = 0; j < 0x5000; j++)
			assert_int_equal(f->ram[j], 0xa5);
		assert_int_equal(fake_efd_take(route->efd), 0);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), 0);
		command_set(&f->rig, f->slot, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
	/* Other bits of the command register do not stop it. */
	start(f);
	command_set(&f->rig, f->slot, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	flush(f);
}

struct kicker {
	int efd;
	atomic_bool stop;
};

static void *kick_often(void *arg)
{
	struct kicker *kicker = arg;
	const uint64_t one = 1;

	while (!atomic_load(&kicker->stop) && write(kicker->efd, &one, sizeof(one)) == sizeof(one))
		;
	return NULL;
}

/* One vCPU kicks all the time while another resets, negotiates, enables and flushes. */
static void kicks_may_race_with_register_writes(void **state)
{
	struct fixture *f = *state;
	struct kicker kicker = { .efd = -1 };
	pthread_t thread;

	probe(f);
	kicker.efd = fake_vm_ioeventfd(&f->rig.fake, f->regs + f->notify_off);
	assert_int_equal(pthread_create(&thread, NULL, kick_often, &kicker), 0);
	for (unsigned i = 0; i < 100; i++) {
		start(f);
		flush(f);
	}
	atomic_store(&kicker.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(vpmem_device_stats(virtio_pmem_device(f->vp)).completed, 100);
}

static void works_again_after_a_machine_reset(void **state)
{
	struct fixture *f = *state;

	probe(f);
	start(f);
	flush_submit(f);
	pci_bus_reset(f->rig.bus);
	assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), 0);
	f->msix = f->by_ioeventfd = false;
	probe(f);
	start(f);
	flush(f);
}

static void unplug_with_a_flush_under_way(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 20; i++) {
		probe(f);
		start(f);
		flush_submit(f);
		virtio_pci_unplug(f->vp);
		assert_int_equal(ecam_read(&f->rig, f->slot, 0, 4), 0xffffffff);
		virtio_pci_destroy(f->vp);
		plug(f, false);
	}
	probe(f);
	start(f);
	flush(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(flush_by_ioeventfd_and_msix),
		TEST(flush_by_register_and_pin),
		TEST(configuration_tells_start_and_size),
		cmocka_unit_test_setup_teardown(shmem_tells_a_region_instead, setup_shmem, teardown),
		cmocka_unit_test_setup_teardown(without_the_feature_the_address_follows_the_bar, setup_shmem, teardown),
		TEST(features_that_are_not_offered_are_refused),
		TEST(rings_outside_ram_are_refused),
		TEST(a_broken_ring_asks_for_a_reset),
		TEST(a_reset_in_flight_is_safe),
		TEST(without_bus_mastering_nothing_is_written),
		TEST(kicks_may_race_with_register_writes),
		TEST(works_again_after_a_machine_reset),
		TEST(unplug_with_a_flush_under_way),
	};

	return cmocka_run_group_tests_name("virtio_pci_core", tests, NULL, NULL);
}
