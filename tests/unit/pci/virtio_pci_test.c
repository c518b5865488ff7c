// SPDX-License-Identifier: Apache-2.0
// The virtio-pci transport on a fake device: every register, and the specification's statements P1 to P9.
#include "fake_vpmem.h"
#include "rig.h"
#include "virtio_pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SLOT 4u
#define GSI (RIG_INTX_GSI + SLOT)
#define NO_VECTOR 0xffffu
#define MSG_ADDR 0xfee00000u
#define NOTIFY_PAGE 0x2000u
#define TABLE_PAGE 0x3000u
#define PBA_PAGE 0x4000u

struct fixture {
	struct rig rig;
	struct vpmem_backing backing;
	struct virtio_pci *vp;
	struct vpmem_device *dev;
	gpa_t bar0;
	unsigned nevents;
};

static void count_event(void *opaque, enum vpmem_event event, int error, const char *text)
{
	struct fixture *f = opaque;

	assert_int_equal(event, VPMEM_EVENT_SYNC_FAILED);
	assert_int_equal(error, -EIO);
	assert_string_equal(text, "text");
	f->nevents++;
}

static void plug(struct fixture *f, bool shmem)
{
	const struct virtio_pci_config cfg = {
		.bus = f->rig.bus, .slot = SLOT, .id = "nv1",
		.device = {
			.name = "nv1", .backing = &f->backing, .shmem = shmem, .gpa = shmem ? 0 : 0x240000000,
			.callbacks = { .event = count_event, .opaque = f },
		},
	};

	assert_int_equal(virtio_pci_create(&cfg, &f->vp, NULL), 0);
	f->dev = virtio_pci_device(f->vp);
	f->bar0 = bar64_get(&f->rig, SLOT, 0);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static struct fixture *fixture_new(bool shmem)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_init(&f->rig);
	f->backing = (struct vpmem_backing){ .size = 6 << 20, .hva = f };
	plug(f, shmem);
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
	assert_int_equal(fake_vpmem_ndevices, 0);
	rig_fini(&f->rig);
	free(f);
	return 0;
}

static uint64_t rd(struct fixture *f, unsigned off, unsigned width)
{
	return io_read(&f->rig.mmio, f->bar0 + off, width);
}

static void wr(struct fixture *f, unsigned off, unsigned width, uint64_t val)
{
	io_write(&f->rig.mmio, f->bar0 + off, width, val);
}

static void msix_enable(struct fixture *f, bool enable)
{
	unsigned cap = capability_find(&f->rig, SLOT, PCI_CAP_ID_MSIX, 0);

	ecam_write(&f->rig, SLOT, cap + PCI_MSIX_FLAGS, 2, enable ? PCI_MSIX_FLAGS_ENABLE : 0);
}

/* Vector idx sends data 0x40 + idx, unmasked. */
static void vector_set(struct fixture *f, unsigned idx)
{
	wr(f, TABLE_PAGE + 16 * idx, 8, MSG_ADDR);
	wr(f, TABLE_PAGE + 16 * idx + 8, 8, 0x40 + idx);
}

static int sent(struct fixture *f, unsigned idx)
{
	const struct fake_route *route = fake_vm_route(&f->rig.fake, MSG_ADDR, 0x40 + idx);

	return route ? (int)fake_efd_take(route->efd) : -1;
}

/* ---- P1, P3, P4, P9: identity and capabilities ------------------------------------------------------------- */

static void p1_identity(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	assert_int_equal(ecam_read(rig, SLOT, PCI_VENDOR_ID, 4), 0x105b1af4);
	assert_int_equal(ecam_read(rig, SLOT, PCI_CLASS_REVISION, 4), 0x00ff0001);
	assert_int_equal(ecam_read(rig, SLOT, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x11001af4);
	assert_int_equal(ecam_read(rig, SLOT, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(virtio_pci_slot(f->vp), SLOT);
	assert_int_equal(virtio_pci_pmem_gpa(f->vp), 0x240000000);
}

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
	return (struct cap){
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

static void p4_capabilities(void **state)
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

static void p9_shared_memory_lies_inside_its_bar(void **state)
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

/* ---- every register ------------------------------------------------------------------------------------------ */

static void p5_features_come_in_windows(void **state)
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

/* P2: "MUST allow the driver to access 32-bit halves independently", in any order; and 8 bytes at once. */
static void p2_halves_of_64_bit_fields(void **state)
{
	struct fixture *f = *state;
	static const unsigned low[] = {
		VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO, VIRTIO_PCI_COMMON_Q_USEDLO,
	};
	const uint64_t *addrs[] = {
		&f->dev->queue.desc_gpa, &f->dev->queue.driver_gpa, &f->dev->queue.device_gpa,
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

/* ---- queues that do not exist; resets -------------------------------------------------------------------------- */

/* Checklist P2 (cloud-hypervisor #7918): queue_select beyond the queues, on every register. */
static void checklist_p2_queue_select_out_of_range(void **state)
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

/* Checklist P1 (CVE-2026-5747): the transport keeps no copy of a queue register that could differ. */
static void checklist_p1_registers_after_enable(void **state)
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

static void checklist_p3_queue_sizes(void **state)
{
	struct fixture *f = *state;
	static const uint16_t bad[] = { 0, 3, 127, 129, 256, 0x8000, 0xffff };

	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, bad[i]);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), 4);
	}
}

/* Checklist P4 (CVE-2011-2512): a notification that names no queue reaches no queue. */
static void checklist_p4_notify_without_ioeventfd(void **state)
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

static void notify_by_ioeventfd_follows_the_bar(void **state)
{
	struct fixture *f = *state;
	struct fake_vm *fake = &f->rig.fake;

	assert_int_equal(fake_vm_ioeventfd(fake, f->bar0 + NOTIFY_PAGE), f->dev->kick_efd);
	bar64_set(&f->rig, SLOT, 0, RIG_MEM32 + 0x1000000);
	assert_int_equal(fake_vm_ioeventfd(fake, f->bar0 + NOTIFY_PAGE), -1);
	assert_int_equal(fake_vm_ioeventfd(fake, RIG_MEM32 + 0x1000000 + NOTIFY_PAGE), f->dev->kick_efd);
	command_set(&f->rig, SLOT, 0);
	assert_int_equal(fake_vm_nioeventfds(fake), 0);
	/* Without it the device works all the same. */
	fake->ioeventfd_error = -ENOSPC;
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	f->bar0 = RIG_MEM32 + 0x1000000;
	wr(f, NOTIFY_PAGE, 2, 0);
	assert_int_equal(f->dev->nkicks, 1);
	command_set(&f->rig, SLOT, 0);
	fake->ioeventfd_error = 0;
}

/* P6, P8: writing 0 resets the device, the event mapping and the selectors; PCI's own state stays. */
static void p6_p8_device_reset(void **state)
{
	struct fixture *f = *state;

	msix_enable(f, true);
	vector_set(f, 0);
	vector_set(f, 1);
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0x0f);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_CONFIG);
	assert_int_equal(sent(f, 0), 1);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(f->dev->nresets, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_DFSELECT, 4), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_GFSELECT, 4), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SELECT, 2), 0);
	/* The ISR bit of before is gone with it. */
	msix_enable(f, false);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
	assert_int_equal(rd(f, 0x1000, 1), 0);
	assert_int_equal(rd(f, TABLE_PAGE, 4), MSG_ADDR);
	assert_int_equal(bar64_get(&f->rig, SLOT, 0), f->bar0);
}

static void p6_queue_reset_needs_the_feature(void **state)
{
	struct fixture *f = *state;

	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(f->dev->nqueue_resets, 0);
	wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_GF, 4, 0x101);
	wr(f, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(f->dev->nqueue_resets, 0);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0x0b);
	wr(f, VIRTIO_PCI_COMMON_Q_RESET, 2, 0);
	assert_int_equal(f->dev->nqueue_resets, 0);
	wr(f, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(f->dev->nqueue_resets, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_RESET, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
}

static void a_machine_reset_is_a_new_device(void **state)
{
	struct fixture *f = *state;
	uint8_t before[256];

	command_set(&f->rig, SLOT, 0);
	for (unsigned off = 0; off < 256; off++)
		before[off] = (uint8_t)ecam_read(&f->rig, SLOT, off, 1);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	msix_enable(f, true);
	vector_set(f, 0);
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_CONFIG);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 7);
	bar64_set(&f->rig, SLOT, 0, RIG_MEM32 + 0x1000000);
	unsigned window = virtio_capability_find(&f->rig, SLOT, VIRTIO_PCI_CAP_PCI_CFG);
	ecam_write(&f->rig, SLOT, window + VIRTIO_PCI_CAP_LENGTH, 4, 3);

	pci_bus_reset(f->rig.bus);
	assert_int_equal(f->dev->nresets, 1);
	assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), 0);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
	for (unsigned off = 0; off < 256; off++)
		if (off < window + 16 || off >= window + 20)
			assert_int_equal(ecam_read(&f->rig, SLOT, off, 1), before[off]);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
	assert_int_equal(rd(f, TABLE_PAGE + 12, 4), 1);
	assert_int_equal(rd(f, TABLE_PAGE, 8), 0);
	assert_int_equal(rd(f, 0x1000, 1), 0);
}

/* ---- interrupts --------------------------------------------------------------------------------------------------- */

/* P7: without MSI-X each event has its bit; the status register and the pin are their OR; reading clears. */
static void p7_isr_and_pin(void **state)
{
	struct fixture *f = *state;
	struct fake_vm *fake = &f->rig.fake;

	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	assert_true(fake_vm_line(fake, GSI));
	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
	assert_int_equal(rd(f, 0x1000, 1), 1);
	assert_false(fake_vm_line(fake, GSI));
	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
	assert_int_equal(rd(f, 0x1000, 1), 0);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_CONFIG);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	/* Neither another byte of its page nor a write clears it. */
	assert_int_equal(rd(f, 0x1001, 1), 0);
	wr(f, 0x1000, 1, 0);
	assert_true(fake_vm_line(fake, GSI));
	assert_int_equal(rd(f, 0x1000, 4), 3);
	assert_false(fake_vm_line(fake, GSI));
}

static void p7_p8_msix_instead_of_the_pin(void **state)
{
	struct fixture *f = *state;

	msix_enable(f, true);
	vector_set(f, 0);
	vector_set(f, 1);
	/* Nothing mapped: nothing happens, but the configuration bit of the ISR is set before any notification. */
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_CONFIG);
	assert_int_equal(fake_vm_nroutes(&f->rig.fake), 0);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
	assert_int_equal(rd(f, 0x1000, 1), 2);
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	assert_int_equal(sent(f, 1), 1);
	assert_int_equal(sent(f, 0), 0);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_CONFIG);
	assert_int_equal(sent(f, 0), 1);
	assert_int_equal(sent(f, 1), 0);
	/* One after the other unmapped again. */
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, NO_VECTOR);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	assert_int_equal(sent(f, 1), 0);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_CONFIG);
	assert_int_equal(sent(f, 0), 1);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
}

/* P8: "MUST return NO_VECTOR when failing", for a vector that does not exist and for want of a route. */
static void p8_no_vector_on_failure(void **state)
{
	struct fixture *f = *state;
	static const unsigned regs[] = { VIRTIO_PCI_COMMON_MSIX, VIRTIO_PCI_COMMON_Q_MSIX };

	for (unsigned i = 0; i < 2; i++) {
		wr(f, regs[i], 2, 2);
		assert_int_equal(rd(f, regs[i], 2), NO_VECTOR);
		wr(f, regs[i], 2, 0x800);
		assert_int_equal(rd(f, regs[i], 2), NO_VECTOR);
		f->rig.fake.msi_error = -ENOSPC;
		wr(f, regs[i], 2, i);
		assert_int_equal(rd(f, regs[i], 2), NO_VECTOR);
		f->rig.fake.msi_error = 0;
		wr(f, regs[i], 2, i);
		assert_int_equal(rd(f, regs[i], 2), i);
	}
}

/* Checklist P5: through the BAR. */
static void checklist_p5_masked_then_unmasked(void **state)
{
	struct fixture *f = *state;

	msix_enable(f, true);
	vector_set(f, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	wr(f, TABLE_PAGE + 16 + 12, 4, 1);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	assert_int_equal(rd(f, PBA_PAGE, 8), 2);
	wr(f, PBA_PAGE, 8, 0);
	assert_int_equal(rd(f, PBA_PAGE, 8), 2);
	assert_int_equal(sent(f, 1), 0);
	wr(f, TABLE_PAGE + 16 + 12, 4, 0);
	assert_int_equal(sent(f, 1), 1);
	assert_int_equal(rd(f, PBA_PAGE, 8), 0);
	/* By the function mask in the capability, written as a byte. */
	unsigned cap = capability_find(&f->rig, SLOT, PCI_CAP_ID_MSIX, 0);
	ecam_write(&f->rig, SLOT, cap + PCI_MSIX_FLAGS + 1, 1, 0xc0);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	assert_int_equal(sent(f, 1), 0);
	ecam_write(&f->rig, SLOT, cap + PCI_MSIX_FLAGS + 1, 1, 0x80);
	assert_int_equal(sent(f, 1), 1);
}

static void events_reach_the_monitor(void **state)
{
	struct fixture *f = *state;

	f->dev->opts.callbacks.event(f->dev->opts.callbacks.opaque, VPMEM_EVENT_SYNC_FAILED, -EIO, "text");
	assert_int_equal(f->nevents, 1);
}

/* ---- the window in configuration space -------------------------------------------------------------------------------- */

static void window_set(struct fixture *f, uint8_t bar, uint32_t off, uint32_t len)
{
	unsigned cap = virtio_capability_find(&f->rig, SLOT, VIRTIO_PCI_CAP_PCI_CFG);

	ecam_write(&f->rig, SLOT, cap + VIRTIO_PCI_CAP_BAR, 1, bar);
	ecam_write(&f->rig, SLOT, cap + VIRTIO_PCI_CAP_OFFSET, 4, off);
	ecam_write(&f->rig, SLOT, cap + VIRTIO_PCI_CAP_LENGTH, 4, len);
}

static unsigned window_data(struct fixture *f)
{
	return virtio_capability_find(&f->rig, SLOT, VIRTIO_PCI_CAP_PCI_CFG) + 16;
}

static void p4_window_reaches_bar0_without_decoding(void **state)
{
	struct fixture *f = *state;
	unsigned data = window_data(f);

	command_set(&f->rig, SLOT, 0);
	window_set(f, 0, VIRTIO_PCI_COMMON_NUMQ, 2);
	assert_int_equal(ecam_read(&f->rig, SLOT, data, 4), 1);
	assert_int_equal(port_read(&f->rig, SLOT, data, 2), 1);
	window_set(f, 0, VIRTIO_PCI_COMMON_STATUS, 1);
	ecam_write(&f->rig, SLOT, data, 1, 0x03);
	assert_int_equal(f->dev->status, 3);
	assert_int_equal(ecam_read(&f->rig, SLOT, data, 1), 3);
	window_set(f, 0, VIRTIO_PCI_COMMON_Q_DESCHI, 4);
	port_write(&f->rig, SLOT, data, 4, 0xabcd);
	assert_true(f->dev->queue.desc_gpa == UINT64_C(0xabcd) << 32);
	window_set(f, 0, NOTIFY_PAGE, 2);
	ecam_write(&f->rig, SLOT, data, 2, 0);
	assert_int_equal(f->dev->nkicks, 1);
	window_set(f, 0, 0x1000, 1);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	assert_int_equal(ecam_read(&f->rig, SLOT, data, 1), 1);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
	/* The upper bytes of the data are not part of a shorter access. */
	window_set(f, 0, VIRTIO_PCI_COMMON_Q_SELECT, 2);
	ecam_write(&f->rig, SLOT, data, 4, 0xffff0001);
	assert_int_equal(ecam_read(&f->rig, SLOT, data, 4), 1);
}

/* Checklist P7: a window that leads nowhere. */
static void checklist_p7_window_with_bad_registers(void **state)
{
	struct fixture *f = *state;
	static const struct { uint8_t bar; uint32_t off, len; } bad[] = {
		{ 1, 0, 4 }, { 2, 0, 4 }, { 4, 0, 4 }, { 5, 0, 4 }, { 6, 0, 4 }, { 255, 0, 4 },
		{ 0, 0, 0 }, { 0, 0, 3 }, { 0, 0, 5 }, { 0, 0, 8 }, { 0, 0, 0x80000000 }, { 0, 0, 0xffffffff },
		{ 0, 1, 2 }, { 0, 2, 4 }, { 0, 0x8000, 1 }, { 0, 0x8000, 4 }, { 0, 0xfffffffc, 4 },
		{ 0, 0xffffffff, 1 }, { 0, 0x7ffe, 4 }, { 0, 0x80000000, 4 },
	};
	unsigned data = window_data(f);

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		window_set(f, bad[i].bar, bad[i].off, bad[i].len);
		assert_int_equal(ecam_read(&f->rig, SLOT, data, 4), 0xffffffff);
		ecam_write(&f->rig, SLOT, data, 4, 0);
		ecam_write(&f->rig, SLOT, data - 2, 4, 0x01010101);
	}
	assert_int_equal(f->dev->nresets + f->dev->nkicks, 0);
	window_set(f, 0, 0x7ffc, 4);
	assert_int_equal(ecam_read(&f->rig, SLOT, data, 4), 0);
	/* Every width at every offset over the capability, reading and writing. */
	for (unsigned width = 1; width <= 4; width *= 2) {
		for (unsigned off = data - 20; off < data + 8 && off < 256; off++) {
			ecam_write(&f->rig, SLOT, off, width, 0xffffffff);
			ecam_read(&f->rig, SLOT, off, width);
		}
	}
	assert_int_equal(ecam_read(&f->rig, SLOT, 0, 4), 0x105b1af4);
}

/* ---- the pmem window as a BAR --------------------------------------------------------------------------------------------- */

static void shmem_slot_follows_the_bar(void **state)
{
	struct fixture *f = *state;
	struct fake_vm *fake = &f->rig.fake;
	gpa_t gpa = bar64_get(&f->rig, SLOT, 2);

	assert_int_equal(fake_vm_nslots(fake), 1);
	assert_int_equal(fake->slots[0].gpa, gpa);
	assert_int_equal(fake->slots[0].size, f->backing.size);
	assert_ptr_equal(fake->slots[0].hva, f->backing.hva);
	assert_false(fake->slots[0].readonly);
	assert_int_equal(virtio_pci_pmem_gpa(f->vp), gpa);
	bar64_set(&f->rig, SLOT, 2, RIG_MEM64 + 0x40000000);
	assert_int_equal(fake_vm_nslots(fake), 1);
	assert_int_equal(virtio_pci_pmem_gpa(f->vp), RIG_MEM64 + 0x40000000);
	command_set(&f->rig, SLOT, 0);
	assert_int_equal(fake_vm_nslots(fake), 0);
	assert_int_equal(virtio_pci_pmem_gpa(f->vp), 0);
	/* The machine has no slot left: not decoded, and nothing is removed that was not added. */
	fake->slot_error = -ENOSPC;
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_int_equal(virtio_pci_pmem_gpa(f->vp), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	fake->slot_error = 0;
	command_set(&f->rig, SLOT, 0);
	f->backing.rom = true;
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_true(fake->slots[0].readonly);
}

/* Checklist P6: the register BAR onto the pmem window, the window onto the registers. */
static void checklist_p6_bars_onto_each_other(void **state)
{
	struct fixture *f = *state;
	gpa_t gpa = bar64_get(&f->rig, SLOT, 2);

	bar64_set(&f->rig, SLOT, 0, gpa + 0x10000);
	assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), 0);
	assert_int_equal(io_read(&f->rig.mmio, gpa + 0x10000 + VIRTIO_PCI_COMMON_NUMQ, 2), 0xffff);
	assert_int_equal(virtio_pci_pmem_gpa(f->vp), gpa);
	bar64_set(&f->rig, SLOT, 0, f->bar0);
	bar64_set(&f->rig, SLOT, 2, f->bar0 & ~UINT64_C(0x7fffff));
	assert_int_equal(fake_vm_nslots(&f->rig.fake), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	/* Decoding off with an interrupt on its way: the pin and the event do not need the BAR. */
	command_set(&f->rig, SLOT, 0);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	assert_true(fake_vm_line(&f->rig.fake, GSI));
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_int_equal(rd(f, 0x1000, 1), 1);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------- */

static void unplug_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	msix_enable(f, true);
	vector_set(f, 0);
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	msix_enable(f, false);
	fake_vpmem_interrupt(f->dev, VPMEM_INTERRUPT_QUEUE);
	virtio_pci_unplug(f->vp);
	assert_int_equal(f->dev->nresets, 1);
	assert_int_equal(ecam_read(&f->rig, SLOT, 0, 4), 0xffffffff);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), 0xffff);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
	assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), 0);
	assert_int_equal(fake_vm_nroutes(&f->rig.fake), 0);
	virtio_pci_unplug(f->vp);
	virtio_pci_destroy(f->vp);
	/* The slot takes a new device. */
	plug(f, true);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
}

static void create_fails_without_traces(void **state)
{
	struct fixture *f = *state;
	struct virtio_pci *vp = NULL;
	struct vpmem_error err;
	struct virtio_pci_config cfg = {
		.bus = f->rig.bus, .slot = SLOT, .id = "nv2", .device = { .backing = &f->backing },
	};

	assert_int_equal(virtio_pci_create(&cfg, &vp, &err), -EBUSY);
	assert_string_equal(err.text, "PCI: slot 4 function 0 not available for virtio-pmem-pci, in use by "
	                    "virtio-pmem-pci,id=nv1");
	assert_int_equal(fake_vpmem_ndevices, 1);
	cfg.slot = -1;
	fake_vpmem_create_error = -EINVAL;
	assert_int_equal(virtio_pci_create(&cfg, &vp, &err), -EINVAL);
	assert_string_equal(err.text, "the fake device refuses");
	fake_vpmem_create_error = 0;
	struct vpmem_backing huge = { .size = RIG_MEM64_SIZE * 2 };
	cfg.device.backing = &huge;
	cfg.device.shmem = true;
	assert_int_equal(virtio_pci_create(&cfg, &vp, &err), -ENOSPC);
	assert_null(vp);
	assert_int_equal(fake_vpmem_ndevices, 1);
	assert_int_equal(ecam_read(&f->rig, 1, 0, 4), 0xffffffff);
	/* Without an id, into the first free slot. */
	cfg.device.shmem = false;
	cfg.id = NULL;
	assert_int_equal(virtio_pci_create(&cfg, &vp, &err), 0);
	assert_int_equal(virtio_pci_slot(vp), 1);
	virtio_pci_destroy(vp);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SHMEM(name) cmocka_unit_test_setup_teardown(name, setup_shmem, teardown)
	const struct CMUnitTest tests[] = {
		TEST(p1_identity),
		TEST(p4_capabilities),
		TEST_SHMEM(p9_shared_memory_lies_inside_its_bar),
		TEST_SHMEM(shared_memory_of_more_than_4_gib),
		TEST(p5_features_come_in_windows),
		TEST(single_registers),
		TEST(queue_registers),
		TEST(p2_halves_of_64_bit_fields),
		TEST(other_widths),
		TEST(device_configuration),
		TEST(gaps_read_zero),
		TEST(checklist_p1_registers_after_enable),
		TEST(checklist_p2_queue_select_out_of_range),
		TEST(checklist_p3_queue_sizes),
		TEST(checklist_p4_notify_without_ioeventfd),
		TEST(notify_by_ioeventfd_follows_the_bar),
		TEST(p6_p8_device_reset),
		TEST(p6_queue_reset_needs_the_feature),
		TEST(a_machine_reset_is_a_new_device),
		TEST(p7_isr_and_pin),
		TEST(p7_p8_msix_instead_of_the_pin),
		TEST(p8_no_vector_on_failure),
		TEST(checklist_p5_masked_then_unmasked),
		TEST(events_reach_the_monitor),
		TEST(p4_window_reaches_bar0_without_decoding),
		TEST(checklist_p7_window_with_bad_registers),
		TEST_SHMEM(shmem_slot_follows_the_bar),
		TEST_SHMEM(checklist_p6_bars_onto_each_other),
		TEST(unplug_leaves_nothing),
		TEST(create_fails_without_traces),
	};

	return cmocka_run_group_tests_name("virtio_pci", tests, NULL, NULL);
}
