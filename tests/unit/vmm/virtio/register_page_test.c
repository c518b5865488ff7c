// SPDX-License-Identifier: Apache-2.0
// The register page: at every moment what a trapped read gives, and a memory slot that follows BAR 0.
#include "virtio_rig.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PAGE 0x1000u
#define DEVICE_CFG 0x800u
#define MOVED (RIG_MEM32 + 0x1000000)
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

static const uint8_t *page_of(struct fixture *f)
{
	return fake_vm_readonly(&f->rig.fake, f->bar0);
}

static uint64_t page_read(const uint8_t *page, unsigned off, unsigned width)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint64_t)__atomic_load_n(page + off + i, __ATOMIC_ACQUIRE) << 8 * i;
	return val;
}

/* Every width at every offset that lies in the page. */
static void assert_page(struct fixture *f, const char *after)
{
	const uint8_t *page = page_of(f);

	assert_non_null(page);
	for (unsigned width = 1; width <= 8; width *= 2) {
		for (unsigned off = 0; off + width <= PAGE; off++) {
			uint64_t trapped = rd(f, off, width), read = page_read(page, off, width);

			if (read != trapped)
				fail_msg("after %s: %u bytes at 0x%x: page 0x%llx, register 0x%llx", after, width, off,
				         (unsigned long long)read, (unsigned long long)trapped);
		}
	}
}

/* ---- what it says ------------------------------------------------------------------------------------- */

static void after_each_write_of_a_driver(void **state)
{
	static const struct {
		const char *name;
		unsigned off, width;
		uint64_t val;
	} writes[] = {
		{ "reset", VIRTIO_PCI_COMMON_STATUS, 1, 0 },
		{ "ACKNOWLEDGE", VIRTIO_PCI_COMMON_STATUS, 1, 1 },
		{ "DRIVER", VIRTIO_PCI_COMMON_STATUS, 1, 3 },
		{ "device_feature_select 1", VIRTIO_PCI_COMMON_DFSELECT, 4, 1 },
		{ "device_feature_select 2", VIRTIO_PCI_COMMON_DFSELECT, 4, 2 },
		{ "device_feature_select 0", VIRTIO_PCI_COMMON_DFSELECT, 4, 0 },
		{ "driver_feature", VIRTIO_PCI_COMMON_GF, 4, 0x10000001 },
		{ "driver_feature_select 1", VIRTIO_PCI_COMMON_GFSELECT, 4, 1 },
		{ "driver_feature, high", VIRTIO_PCI_COMMON_GF, 4, 0x101 },
		{ "FEATURES_OK", VIRTIO_PCI_COMMON_STATUS, 1, 11 },
		{ "config_msix_vector", VIRTIO_PCI_COMMON_MSIX, 2, 0 },
		{ "config_msix_vector of none", VIRTIO_PCI_COMMON_MSIX, 2, 9 },
		{ "queue_select of no queue", VIRTIO_PCI_COMMON_Q_SELECT, 2, 1 },
		{ "queue_size of no queue", VIRTIO_PCI_COMMON_Q_SIZE, 2, 64 },
		{ "queue_select", VIRTIO_PCI_COMMON_Q_SELECT, 2, 0 },
		{ "queue_size", VIRTIO_PCI_COMMON_Q_SIZE, 2, 32 },
		{ "queue_size 3", VIRTIO_PCI_COMMON_Q_SIZE, 2, 3 },
		{ "queue_msix_vector", VIRTIO_PCI_COMMON_Q_MSIX, 2, 1 },
		{ "queue_desc", VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0x123456789abcd000 },
		{ "queue_driver, low", VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0x1000 },
		{ "queue_driver, high", VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 2 },
		{ "queue_device", VIRTIO_PCI_COMMON_Q_USEDLO, 8, 0x2000 },
		{ "two registers at once", VIRTIO_PCI_COMMON_MSIX, 4, 0 },
		{ "half a register", VIRTIO_PCI_COMMON_Q_DESCLO, 2, 0xffff },
		{ "an unaligned write", VIRTIO_PCI_COMMON_Q_SELECT - 1, 4, 0xffffffff },
		{ "queue_select again", VIRTIO_PCI_COMMON_Q_SELECT, 2, 0 },
		{ "queue_enable", VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1 },
		{ "DRIVER_OK", VIRTIO_PCI_COMMON_STATUS, 1, 15 },
		{ "queue_reset", VIRTIO_PCI_COMMON_Q_RESET, 2, 1 },
		{ "a read-only register", VIRTIO_PCI_COMMON_NUMQ, 2, 7 },
		{ "no register", 0x100, 8, UINT64_MAX },
		{ "the device configuration", DEVICE_CFG, 8, UINT64_MAX },
		{ "the end of the page", PAGE - 4, 4, UINT32_MAX },
		{ "FAILED", VIRTIO_PCI_COMMON_STATUS, 1, 0x8f },
		{ "reset again", VIRTIO_PCI_COMMON_STATUS, 1, 0 },
	};
	struct fixture *f = *state;

	msix_enable(f, true);
	assert_page(f, "nothing");
	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		wr(f, writes[i].off, writes[i].width, writes[i].val);
		assert_page(f, writes[i].name);
	}
}

/* The configuration is the fake device's, all of it other than 0; the page ends with zeros. */
static void the_device_configuration_too(void **state)
{
	struct fixture *f = *state;

	assert_true(page_read(page_of(f), DEVICE_CFG, 8) == UINT64_C(0xa7a6a5a4a3a2a1a0));
	assert_true(page_read(page_of(f), DEVICE_CFG + 8, 8) == UINT64_C(0xafaeadacabaaa9a8));
	f->dev->generation = 0x5c;
	f->dev->config[3] = 0x11;
	bar64_set(&f->rig, SLOT, 2, RIG_MEM64 + 0x40000000);
	assert_int_equal(page_read(page_of(f), VIRTIO_PCI_COMMON_CFGGENERATION, 1), 0x5c);
	assert_page(f, "a moved pmem BAR");
}

static void writes_through_configuration_space_arrive(void **state)
{
	struct fixture *f = *state;
	unsigned cap = virtio_capability_find(&f->rig, SLOT, VIRTIO_PCI_CAP_PCI_CFG);

	ecam_write(&f->rig, SLOT, cap + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_STATUS);
	ecam_write(&f->rig, SLOT, cap + VIRTIO_PCI_CAP_LENGTH, 4, 1);
	ecam_write(&f->rig, SLOT, cap + 16, 4, 3);
	assert_int_equal(page_read(page_of(f), VIRTIO_PCI_COMMON_STATUS, 1), 3);
	assert_page(f, "a write through configuration space");
	/* With decoding off nobody reads the page; when it is on again, it is right. */
	command_set(&f->rig, SLOT, 0);
	ecam_write(&f->rig, SLOT, cap + 16, 4, 7);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_int_equal(page_read(page_of(f), VIRTIO_PCI_COMMON_STATUS, 1), 7);
}

/* ---- device_status, by the worker ------------------------------------------------------------------------ */

static struct {
	struct vm_ops ops;
	const struct vm_ops *real;
	const uint8_t *page;
	unsigned nraised;
	uint8_t status; /* in the page when the line went up */
} spy;

static void spy_irq_line(struct vm *vm, unsigned gsi, bool level)
{
	if (level) {
		spy.nraised++;
		spy.status = (uint8_t)page_read(spy.page, VIRTIO_PCI_COMMON_STATUS, 1);
	}
	spy.real->irq_line(vm, gsi, level);
}

static void needs_reset_is_there_before_the_interrupt(void **state)
{
	struct fixture *f = *state;

	spy.real = f->rig.fake.vm.ops;
	spy.ops = *spy.real;
	spy.ops.irq_line = spy_irq_line;
	spy.page = page_of(f);
	assert_non_null(spy.page);
	spy.nraised = 0;
	f->rig.fake.vm.ops = &spy.ops;
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	f->dev->status |= NEEDS_RESET;
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_CONFIG);
	assert_int_equal(spy.nraised, 1);
	assert_int_equal(spy.status, 15 | NEEDS_RESET);
	assert_page(f, "DEVICE_NEEDS_RESET");
	rd(f, 0x1000, 1);
	f->rig.fake.vm.ops = spy.real;
}

static struct {
	struct vpmem_device *dev;
	pthread_t worker;
	sem_t done;
	bool started;
} race;

static void *fault(void *arg)
{
	struct vpmem_device *dev = arg;

	dev->status |= NEEDS_RESET;
	fake_vpmem_interrupt(dev, VPMEM_INTERRUPT_CONFIG);
	sem_post(&race.done);
	return NULL;
}

/* A vCPU has just read the old status for the page. The worker comes in between, if it can. */
static void on_status_read(struct vpmem_device *dev)
{
	struct timespec limit;

	if (race.started || dev != race.dev)
		return;
	race.started = true;
	assert_int_equal(pthread_create(&race.worker, NULL, fault, dev), 0);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_nsec += 100000000;
	limit.tv_sec += limit.tv_nsec / 1000000000;
	limit.tv_nsec %= 1000000000;
	while (sem_timedwait(&race.done, &limit) < 0 && errno == EINTR)
		;
}

static void an_old_status_never_hides_needs_reset(void **state)
{
	struct fixture *f = *state;

	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	race.dev = f->dev;
	race.started = false;
	sem_init(&race.done, 0, 0);
	fake_vpmem_status_read = on_status_read;
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	assert_true(race.started);
	pthread_join(race.worker, NULL);
	fake_vpmem_status_read = NULL;
	sem_destroy(&race.done);
	assert_int_equal(f->dev->status, 15 | NEEDS_RESET);
	assert_page(f, "a register write and DEVICE_NEEDS_RESET at once");
	rd(f, 0x1000, 1);
}

struct reader {
	const uint8_t *page;
	_Atomic bool stop;
	bool torn;
};

/* Another vCPU: whenever it reads, each register has one of the values that were written. */
static void *read_often(void *arg)
{
	struct reader *r = arg;

	while (!r->stop) {
		uint32_t low =
			__atomic_load_n((const uint32_t *)(r->page + VIRTIO_PCI_COMMON_Q_DESCLO), __ATOMIC_ACQUIRE);
		uint16_t size =
			__atomic_load_n((const uint16_t *)(r->page + VIRTIO_PCI_COMMON_Q_SIZE), __ATOMIC_ACQUIRE);

		r->torn |= (low != 0 && low != 0xfffff000) || (size != 128 && size != 64);
	}
	return NULL;
}

static void registers_are_stored_whole(void **state)
{
	struct fixture *f = *state;
	struct reader r = { .page = page_of(f) };
	pthread_t thread;

	assert_non_null(r.page);
	assert_int_equal(pthread_create(&thread, NULL, read_often, &r), 0);
	for (unsigned i = 0; i < 2000; i++) {
		wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 4, i % 2 ? 0 : 0xfffff000);
		wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, i % 2 ? 128 : 64);
	}
	r.stop = true;
	pthread_join(thread, NULL);
	assert_false(r.torn);
}

/* ---- the slot ------------------------------------------------------------------------------------------- */

static void assert_slot(struct fixture *f, gpa_t gpa)
{
	const struct fake_slot *slot = f->rig.fake.slots;

	assert_int_equal(fake_vm_nslots(&f->rig.fake), 1);
	while (!slot->used)
		slot++;
	assert_int_equal(slot->gpa, gpa);
	assert_int_equal(slot->size, PAGE);
	assert_int_equal((uintptr_t)slot->hva % PAGE, 0);
	assert_true(slot->readonly);
}

static void the_slot_follows_the_bar(void **state)
{
	struct fixture *f = *state;

	assert_slot(f, f->bar0);
	bar64_set(&f->rig, SLOT, 0, MOVED);
	assert_slot(f, MOVED);
	command_set(&f->rig, SLOT, 0);
	assert_int_equal(fake_vm_nslots(&f->rig.fake), 0);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_slot(f, MOVED);
	/* A machine reset puts the BAR back, with the registers as new. */
	f->bar0 = MOVED;
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	pci_bus_reset(f->rig.bus);
	assert_int_equal(fake_vm_nslots(&f->rig.fake), 0);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	f->bar0 = bar64_get(&f->rig, SLOT, 0);
	assert_slot(f, f->bar0);
	assert_page(f, "a machine reset");
	virtio_pci_unplug(f->vp);
	assert_int_equal(fake_vm_nslots(&f->rig.fake), 0);
}

/* A slot is expensive to add and to remove. Linux sizes BARs with decoding off; and what does not move, stays. */
static void sizing_costs_no_slot(void **state)
{
	struct fixture *f = *state;
	unsigned ncalls;

	command_set(&f->rig, SLOT, 0);
	ncalls = f->rig.fake.nslot_calls;
	bar64_set(&f->rig, SLOT, 0, UINT64_MAX);
	bar64_get(&f->rig, SLOT, 0);
	bar64_set(&f->rig, SLOT, 0, f->bar0);
	assert_int_equal(f->rig.fake.nslot_calls, ncalls);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_int_equal(f->rig.fake.nslot_calls, ncalls + 1);
	bar64_set(&f->rig, SLOT, 0, f->bar0);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(f->rig.fake.nslot_calls, ncalls + 1);
}

/* The pmem window put over the registers is not decoded; the page stays where it was. */
static void no_other_bar_takes_its_place(void **state)
{
	struct fixture *f = *state;

	bar64_set(&f->rig, SLOT, 2, f->bar0 & ~UINT64_C(0x7fffff));
	assert_slot(f, f->bar0);
	assert_page(f, "a BAR over the registers");
}

static void without_a_slot_reads_are_trapped(void **state)
{
	struct fixture *f = *state;

	command_set(&f->rig, SLOT, 0);
	f->rig.fake.slot_error = -ENOSPC;
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_null(page_of(f));
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), 3);
	/* The next time there is room. */
	f->rig.fake.slot_error = 0;
	command_set(&f->rig, SLOT, 0);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_slot(f, f->bar0);
	assert_page(f, "a time without a slot");
}

static void off_means_no_slot(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->rig.fake.nslot_calls, 0);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_CONFIG);
	assert_int_equal(rd(f, 0x1000, 1), 2);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), 3);
}

/* One snapshot fills it; a write that changes a part of a queue's layout reads the rest before. */
static void one_snapshot_fills_it(void **state)
{
	struct fixture *f = *state;

	f->dev->nsnapshots = 0;
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	assert_int_equal(f->dev->nsnapshots, 3);
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, 64);
	assert_int_equal(f->dev->nsnapshots, 5);
	/* Other pages have no register that is in it. */
	wr(f, NOTIFY_PAGE, 2, 0);
	wr(f, TABLE_PAGE, 4, MSG_ADDR);
	assert_int_equal(f->dev->nsnapshots, 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_page, teardown)
#define TEST_SHMEM(name) cmocka_unit_test_setup_teardown(name, setup_page_shmem, teardown)
	const struct CMUnitTest tests[] = {
		TEST(after_each_write_of_a_driver),
		TEST_SHMEM(the_device_configuration_too),
		TEST(writes_through_configuration_space_arrive),
		TEST(needs_reset_is_there_before_the_interrupt),
		TEST(an_old_status_never_hides_needs_reset),
		TEST(registers_are_stored_whole),
		TEST(one_snapshot_fills_it),
		TEST(the_slot_follows_the_bar),
		TEST(sizing_costs_no_slot),
		TEST_SHMEM(no_other_bar_takes_its_place),
		TEST(without_a_slot_reads_are_trapped),
		cmocka_unit_test_setup_teardown(off_means_no_slot, setup, teardown),
	};

	return cmocka_run_group_tests_name("register_page", tests, NULL, NULL);
}
