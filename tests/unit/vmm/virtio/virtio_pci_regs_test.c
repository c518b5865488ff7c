// SPDX-License-Identifier: Apache-2.0
// Identity, capabilities and every register of BAR 0.
#include "virtio_rig.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct cap {
	unsigned at;
	uint32_t bar, off, len;
};

static struct cap cap_get(struct fixture *f, uint8_t type, unsigned cap_len)
{
	unsigned at = virtio_capability_find(&f->rig, SLOT, type);

	assert_int_not_equal(at, 0);
	assert_int_equal(at % 4, 0);
	assert_int_equal(ecam_read(&f->rig, SLOT, at + VIRTIO_PCI_CAP_LEN, 1), cap_len);
	return (struct cap) {
		.at = at,
		.bar = ecam_read(&f->rig, SLOT, at + VIRTIO_PCI_CAP_BAR, 1),
		.off = ecam_read(&f->rig, SLOT, at + VIRTIO_PCI_CAP_OFFSET, 4),
		.len = ecam_read(&f->rig, SLOT, at + VIRTIO_PCI_CAP_LENGTH, 4),
	};
}

static void assert_inside_bar0(struct cap cap)
{
	assert_int_equal(cap.bar, 0);
	assert_int_equal(cap.off % 4, 0);
	assert_true(cap.off < 0x8000 && cap.len <= 0x8000 - cap.off);
}

static void the_function_has_the_identity_of_virtio_pmem(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	assert_int_equal(ecam_read(rig, SLOT, PCI_VENDOR_ID, 4), 0x105b1af4);
	assert_int_equal(ecam_read(rig, SLOT, PCI_CLASS_REVISION, 4), 0x00ff0001);
	assert_int_equal(ecam_read(rig, SLOT, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x11001af4);
	assert_int_equal(ecam_read(rig, SLOT, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(virtio_pci_slot(f->vp), SLOT);
	assert_int_equal(virtio_pmem_gpa(f->vp), 0x240000000);
}

static void capabilities_lie_inside_bar0(void **state)
{
	struct fixture *f = *state;
	struct cap common = cap_get(f, VIRTIO_PCI_CAP_COMMON_CFG, 16);
	struct cap isr = cap_get(f, VIRTIO_PCI_CAP_ISR_CFG, 16);
	struct cap device = cap_get(f, VIRTIO_PCI_CAP_DEVICE_CFG, 16);
	struct cap notify = cap_get(f, VIRTIO_PCI_CAP_NOTIFY_CFG, 20);
	struct cap window = cap_get(f, VIRTIO_PCI_CAP_PCI_CFG, 20);

	assert_inside_bar0(common);
	assert_inside_bar0(isr);
	assert_inside_bar0(device);
	assert_inside_bar0(notify);
	assert_int_equal(common.off, 0);
	assert_int_equal(common.len, 60);
	assert_int_equal(isr.len, 1);
	assert_int_equal(device.len, VPMEM_CONFIG_SIZE);
	assert_int_equal(window.len, 0);
	/* The multiplier is 0 or an even power of two, and the structure holds the queue's address. */
	uint32_t mult = ecam_read(&f->rig, SLOT, notify.at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
	assert_int_equal(mult, 4);
	assert_int_equal(notify.off, NOTIFY_PAGE);
	assert_true(notify.len >= rd(f, VIRTIO_PCI_COMMON_Q_NOFF, 2) * mult + 2);
	assert_int_equal(virtio_capability_find(&f->rig, SLOT, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG), 0);
	/* MSI-X: two vectors, table and pending bits in BAR 0. */
	unsigned msix = capability_find(&f->rig, SLOT, PCI_CAP_ID_MSIX, 0);
	assert_int_equal(ecam_read(&f->rig, SLOT, msix + PCI_MSIX_FLAGS, 2), 1);
	assert_int_equal(ecam_read(&f->rig, SLOT, msix + PCI_MSIX_TABLE, 4), TABLE_PAGE);
	assert_int_equal(ecam_read(&f->rig, SLOT, msix + PCI_MSIX_PBA, 4), PBA_PAGE);
}

static void shared_memory_lies_inside_its_bar(void **state)
{
	struct fixture *f = *state;
	struct cap shm = cap_get(f, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, 24);

	assert_int_equal(shm.bar, 2);
	assert_int_equal(ecam_read(&f->rig, SLOT, shm.at + 5, 1), VPMEM_SHMEM_ID);
	assert_int_equal(shm.off, 0);
	assert_int_equal(shm.len, 6 << 20);
	assert_int_equal(ecam_read(&f->rig, SLOT, shm.at + 16, 4), 0);
	assert_int_equal(ecam_read(&f->rig, SLOT, shm.at + 20, 4), 0);
	/* 6 MiB need a BAR of 8 MiB: 64-bit, prefetchable. */
	command_set(&f->rig, SLOT, 0);
	bar64_set(&f->rig, SLOT, 2, UINT64_MAX);
	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_BASE_ADDRESS_2, 4), 0xff80000c);
	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_BASE_ADDRESS_3, 4), 0xffffffff);
}

static void shared_memory_of_more_than_4_gib(void **state)
{
	struct fixture *f = *state;

	virtio_pci_destroy(f->vp);
	f->backing.size = (UINT64_C(5) << 30) + VPMEM_GRANULE;
	plug(f, true);
	struct cap shm = cap_get(f, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, 24);
	assert_int_equal(shm.len, (1 << 30) + VPMEM_GRANULE);
	assert_int_equal(ecam_read(&f->rig, SLOT, shm.at + 20, 4), 1);
	assert_int_equal(bar64_get(&f->rig, SLOT, 2) % (UINT64_C(8) << 30), 0);
	assert_int_equal(f->rig.fake.slots[0].size, f->backing.size);
}

static void features_come_in_windows(void **state)
{
	struct fixture *f = *state;
	static const uint32_t want[] = { 0x11223344, 0x101, 0, 0 };
	static const uint32_t select[] = { 0, 1, 2, 0xffffffff };

	for (unsigned i = 0; i < 4; i++) {
		wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, select[i]);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_DFSELECT, 4), select[i]);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_DF, 4), want[i]);
		wr(f, VIRTIO_PCI_COMMON_DF, 4, 0);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_DF, 4), want[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, select[i]);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_GFSELECT, 4), select[i]);
		wr(f, VIRTIO_PCI_COMMON_GF, 4, 0xa0 + i);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_GF, 4), i < 2 ? 0xa0 + i : 0);
	}
	assert_int_equal(f->dev->driver_features[0], 0xa0);
	assert_int_equal(f->dev->driver_features[1], 0xa1);
}

static void single_registers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	wr(f, VIRTIO_PCI_COMMON_NUMQ, 2, 7);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	f->dev->generation = 0x5c;
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 0x5c);
	wr(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 0x5c);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0x0b);
	assert_int_equal(f->dev->status, 0x0b);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), 0x0b);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_MSIX, 2), 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SELECT, 2), 0);
}

static void queue_registers(void **state)
{
	struct fixture *f = *state;
	struct vpmem_queue *queue = &f->dev->queue;

	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), VPMEM_QUEUE_SIZE_MAX);
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, 64);
	assert_int_equal(queue->size, 64);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_NOFF, 2), 0);
	wr(f, VIRTIO_PCI_COMMON_Q_NOFF, 2, 9);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_NOFF, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_NDATA, 2), 0);
	wr(f, VIRTIO_PCI_COMMON_Q_NDATA, 2, 9);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_NDATA, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 2);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	assert_int_equal(f->dev->nenables, 0);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(f->dev->nenables, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}

/* "MUST allow the driver to access 32-bit halves independently", in any order; and 8 bytes at once. */
static void halves_of_64_bit_fields_can_be_accessed(void **state)
{
	struct fixture *f = *state;
	static const unsigned low[] = {
		VIRTIO_PCI_COMMON_Q_DESCLO,
		VIRTIO_PCI_COMMON_Q_AVAILLO,
		VIRTIO_PCI_COMMON_Q_USEDLO,
	};
	const uint64_t *addrs[] = {
		&f->dev->queue.desc_gpa,
		&f->dev->queue.driver_gpa,
		&f->dev->queue.device_gpa,
	};

	for (unsigned i = 0; i < 3; i++) {
		wr(f, low[i] + 4, 4, 0x11 + i);
		assert_true(*addrs[i] == (UINT64_C(0x11) + i) << 32);
		wr(f, low[i], 4, 0x22000 + i);
		assert_true(*addrs[i] == ((UINT64_C(0x11) + i) << 32 | (0x22000 + i)));
		assert_int_equal(rd(f, low[i], 4), 0x22000 + i);
		assert_int_equal(rd(f, low[i] + 4, 4), 0x11 + i);
		wr(f, low[i] + 4, 4, 0);
		assert_int_equal(*addrs[i], 0x22000 + i);
		wr(f, low[i], 8, UINT64_C(0x1234567890abcd00) + i);
		assert_true(*addrs[i] == UINT64_C(0x1234567890abcd00) + i);
		assert_true(rd(f, low[i], 8) == UINT64_C(0x1234567890abcd00) + i);
	}
	assert_true(f->dev->queue.desc_gpa == UINT64_C(0x1234567890abcd00));
}

/* Reads of any width give the bytes that lie there; writes count for the fields they cover wholly. */
static void other_widths(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[0x810];

	wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 8, UINT64_C(0x0102030405060708));
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	f->dev->generation = 0x77;
	for (unsigned off = 0; off < sizeof(bytes); off++)
		bytes[off] = (uint8_t)rd(f, off, 1);
	assert_int_equal(bytes[VIRTIO_PCI_COMMON_Q_DESCHI], 0x04);
	assert_int_equal(bytes[VIRTIO_PCI_COMMON_CFGGENERATION], 0x77);
	for (unsigned off = 60; off < 0x800; off++)
		assert_int_equal(bytes[off], 0);
	for (unsigned width = 2; width <= 8; width *= 2) {
		for (unsigned off = 0; off + width <= 0x800; off++) {
			uint64_t want = 0;

			for (unsigned i = 0; i < width; i++)
				want |= (uint64_t)bytes[off + i] << 8 * i;
			assert_true(rd(f, off, width) == want);
		}
	}
	/* Half of a field: nothing happens. */
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 1, 2);
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE + 1, 1, 2);
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 2, 0);
	wr(f, VIRTIO_PCI_COMMON_DFSELECT + 1, 4, 0);
	wr(f, VIRTIO_PCI_COMMON_Q_DESCLO + 2, 4, 0);
	assert_int_equal(f->dev->queue.size, VPMEM_QUEUE_SIZE_MAX);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_DFSELECT, 4), 1);
	assert_true(f->dev->queue.desc_gpa == UINT64_C(0x0102030405060708));
	/* Two fields at once. */
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 4, 32 | 1 << 16);
	assert_int_equal(f->dev->queue.size, 32);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 2, 0x03);
	assert_int_equal(f->dev->status, 3);
}

static void device_configuration(void **state)
{
	struct fixture *f = *state;
	unsigned off = cap_get(f, VIRTIO_PCI_CAP_DEVICE_CFG, 16).off;

	assert_int_equal(rd(f, off, 1), 0xa0);
	assert_int_equal(rd(f, off + 4, 4), 0xa7a6a5a4);
	assert_true(rd(f, off + 8, 8) == UINT64_C(0xafaeadacabaaa9a8));
	assert_int_equal(rd(f, off + 14, 4), 0xafae);
	assert_int_equal(rd(f, off + 16, 8), 0);
	wr(f, off, 8, 0);
	assert_int_equal(rd(f, off, 1), 0xa0);
}

static void gaps_read_zero(void **state)
{
	struct fixture *f = *state;

	for (unsigned off = 0; off < 0x8000; off++) {
		bool used = off < 60 || (off >= 0x800 && off < 0x810) || (off >= TABLE_PAGE && off < TABLE_PAGE + 32);

		if (!used)
			assert_int_equal(rd(f, off, 1), 0);
		if (off % 4 == 0 && !used)
			assert_int_equal(rd(f, off, 4), 0);
	}
	/* Writes there, and to what is read-only, change nothing. */
	for (unsigned off = 60; off < 0x8000; off += 4)
		if (off < NOTIFY_PAGE || off >= PBA_PAGE)
			wr(f, off, 4, 0xffffffff);
	assert_int_equal(f->dev->nkicks + f->dev->nresets + f->dev->nqueue_sets + f->dev->nenables, 0);
	assert_int_equal(rd(f, PBA_PAGE, 8), 0);
}

/* The transport keeps no copy of a queue register that could differ. */
static void queue_registers_cannot_change_after_enable(void **state)
{
	struct fixture *f = *state;

	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, 16);
	wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0x1000);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, 128);
	wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0x2000);
	wr(f, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 0x2000);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0x1000);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_AVAILLO, 8), 0);
	/* Linux gives a vector back while its queue is enabled: that must work, and stay in range. */
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 5);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
}

/* Queue_select beyond the queues, on every register. */
static void a_queue_select_out_of_range_is_harmless(void **state)
{
	struct fixture *f = *state;
	static const uint16_t bad[] = { 1, 2, 0x7fff, 0x8000, 0xffff };

	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	struct vpmem_queue before = f->dev->queue;
	f->dev->driver_features[1] = 0x100;
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 8);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, bad[i]);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SELECT, 2), bad[i]);
		for (unsigned off = VIRTIO_PCI_COMMON_Q_SIZE; off < 60; off += 2)
			assert_int_equal(rd(f, off, 2), off == VIRTIO_PCI_COMMON_Q_MSIX ? NO_VECTOR : 0);
		for (unsigned width = 2; width <= 8; width *= 2)
			for (unsigned off = VIRTIO_PCI_COMMON_Q_SIZE; off < 60; off += width)
				wr(f, off, width, UINT64_C(0x0001000100010001));
	}
	assert_int_equal(f->dev->nqueue_sets + f->dev->nenables + f->dev->nqueue_resets, 0);
	assert_int_equal(f->dev->nbad_indices, 0);
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	assert_memory_equal(&f->dev->queue, &before, sizeof(before));
}

static void only_valid_queue_sizes_are_taken(void **state)
{
	struct fixture *f = *state;
	static const uint16_t bad[] = { 0, 3, 127, 129, 256, 0x8000, 0xffff };

	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, bad[i]);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), 4);
	}
}

/* A notification that names no queue reaches no queue. */
static void a_notification_without_ioeventfd_reaches_its_queue_only(void **state)
{
	struct fixture *f = *state;

	wr(f, NOTIFY_PAGE, 2, 0);
	assert_int_equal(f->dev->nkicks, 1);
	wr(f, NOTIFY_PAGE, 4, 0);
	assert_int_equal(f->dev->nkicks, 2);
	wr(f, NOTIFY_PAGE, 2, 1);
	wr(f, NOTIFY_PAGE, 2, 0xffff);
	wr(f, NOTIFY_PAGE, 4, 0xffffffff);
	wr(f, NOTIFY_PAGE + 1, 1, 0);
	wr(f, NOTIFY_PAGE + 2, 2, 0);
	wr(f, NOTIFY_PAGE + 4, 2, 1);
	wr(f, NOTIFY_PAGE + 0xffc, 4, 0);
	wr(f, NOTIFY_PAGE - 2, 4, 0);
	assert_int_equal(f->dev->nkicks, 2);
	assert_int_equal(f->dev->nbad_indices, 0);
	assert_int_equal(rd(f, NOTIFY_PAGE, 4), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SHMEM(name) cmocka_unit_test_setup_teardown(name, setup_shmem, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_function_has_the_identity_of_virtio_pmem),
		TEST(capabilities_lie_inside_bar0),
		TEST_SHMEM(shared_memory_lies_inside_its_bar),
		TEST_SHMEM(shared_memory_of_more_than_4_gib),
		TEST(features_come_in_windows),
		TEST(single_registers),
		TEST(queue_registers),
		TEST(halves_of_64_bit_fields_can_be_accessed),
		TEST(other_widths),
		TEST(device_configuration),
		TEST(gaps_read_zero),
		TEST(queue_registers_cannot_change_after_enable),
		TEST(a_queue_select_out_of_range_is_harmless),
		TEST(only_valid_queue_sizes_are_taken),
		TEST(a_notification_without_ioeventfd_reaches_its_queue_only),
	};

	return cmocka_run_group_tests_name("virtio_pci_regs", tests, NULL, NULL);
}
