// SPDX-License-Identifier: Apache-2.0
// Interrupts, resets, notification, the window in configuration space, the pmem BAR, and life.
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

/* Writing 0 resets the device, the event mapping and the selectors; PCI's own state stays. */
static void a_device_reset_restores_the_registers(void **state)
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

static void queue_reset_needs_the_feature(void **state)
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

	unsigned nresets = f->dev->nresets;
	pci_bus_reset(f->rig.bus);
	assert_int_equal(f->dev->nresets, nresets + 1);
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

/* Without MSI-X each event has its bit; the status register and the pin are their OR; reading clears. */
static void reading_the_isr_releases_the_pin(void **state)
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

static void msix_replaces_the_pin(void **state)
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

/* "MUST return NO_VECTOR when failing", for a vector that does not exist and for want of a route. */
static void a_vector_that_cannot_be_had_reads_as_none(void **state)
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

/* Through the BAR. */
static void a_message_that_was_masked_is_sent_when_unmasked(void **state)
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

static void window_reaches_bar0_without_decoding(void **state)
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

/* A window that leads nowhere. */
static void the_window_refuses_bad_registers(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint8_t bar;
		uint32_t off, len;
	} bad[] = {
		{ 1, 0, 4 },          { 2, 0, 4 },          { 4, 0, 4 },          { 5, 0, 4 },
		{ 6, 0, 4 },          { 255, 0, 4 },        { 0, 0, 0 },          { 0, 0, 3 },
		{ 0, 0, 5 },          { 0, 0, 8 },          { 0, 0, 0x80000000 }, { 0, 0, 0xffffffff },
		{ 0, 1, 2 },          { 0, 2, 4 },          { 0, 0x8000, 1 },     { 0, 0x8000, 4 },
		{ 0, 0xfffffffc, 4 }, { 0, 0xffffffff, 1 }, { 0, 0x7ffe, 4 },     { 0, 0x80000000, 4 },
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

/* Ports for notifications: preferred, and the ones in memory work as ever. */
static void notify_by_ports(void **state)
{
	struct fixture *f = *state;
	struct fake_vm *fake = &f->rig.fake;
	unsigned cap = virtio_capability_find(&f->rig, SLOT, VIRTIO_PCI_CAP_NOTIFY_CFG);
	unsigned data = window_data(f);

	assert_int_equal(ecam_read(&f->rig, SLOT, cap + VIRTIO_PCI_CAP_BAR, 1), 4);
	assert_int_equal(ecam_read(&f->rig, SLOT, cap + VIRTIO_PCI_CAP_OFFSET, 4), 0);
	assert_int_equal(ecam_read(&f->rig, SLOT, cap + VIRTIO_PCI_CAP_LENGTH, 4), 4);
	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_BASE_ADDRESS_4, 4), RIG_PORT | PCI_BASE_ADDRESS_SPACE_IO);
	assert_int_equal(fake_vm_port_ioeventfd(fake, RIG_PORT), -1);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	assert_int_equal(fake_vm_port_ioeventfd(fake, RIG_PORT), f->dev->kick_efd);
	assert_int_equal(fake_vm_ioeventfd(fake, f->bar0 + NOTIFY_PAGE), f->dev->kick_efd);
	ecam_write(&f->rig, SLOT, PCI_BASE_ADDRESS_4, 4, RIG_PORT + 0x100);
	assert_int_equal(fake_vm_port_ioeventfd(fake, RIG_PORT), -1);
	assert_int_equal(fake_vm_port_ioeventfd(fake, RIG_PORT + 0x100), f->dev->kick_efd);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_int_equal(fake_vm_nioeventfds(fake), 1);

	/* Without an ioeventfd, and through the window in configuration space. */
	fake->ioeventfd_error = -ENOSPC;
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	io_write(&f->rig.pio, RIG_PORT + 0x100, 2, 0);
	assert_int_equal(f->dev->nkicks, 1);
	io_write(&f->rig.pio, RIG_PORT + 0x102, 2, 0);
	io_write(&f->rig.pio, RIG_PORT + 0x104, 2, 0);
	io_write(&f->rig.pio, RIG_PORT + 0x100, 2, 1);
	assert_int_equal(f->dev->nkicks, 1);
	assert_int_equal(io_read(&f->rig.pio, RIG_PORT + 0x100, 4), 0);
	window_set(f, 4, 0, 2);
	ecam_write(&f->rig, SLOT, data, 2, 0);
	assert_int_equal(f->dev->nkicks, 2);
	assert_int_equal(ecam_read(&f->rig, SLOT, data, 2), 0);
	window_set(f, 4, 16, 2);
	assert_int_equal(ecam_read(&f->rig, SLOT, data, 2), 0xffff);
	/* The pmem window has no registers. */
	window_set(f, 2, 0, 4);
	assert_int_equal(ecam_read(&f->rig, SLOT, data, 4), 0xffffffff);
	fake->ioeventfd_error = 0;
	virtio_pci_unplug(f->vp);
	assert_int_equal(fake_vm_nioeventfds(fake), 0);
}

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
	assert_int_equal(virtio_pmem_gpa(f->vp), gpa);
	bar64_set(&f->rig, SLOT, 2, RIG_MEM64 + 0x40000000);
	assert_int_equal(fake_vm_nslots(fake), 1);
	assert_int_equal(virtio_pmem_gpa(f->vp), RIG_MEM64 + 0x40000000);
	command_set(&f->rig, SLOT, 0);
	assert_int_equal(fake_vm_nslots(fake), 0);
	assert_int_equal(virtio_pmem_gpa(f->vp), 0);
	/* The machine has no slot left: not decoded, and nothing is removed that was not added. */
	fake->slot_error = -ENOSPC;
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_int_equal(virtio_pmem_gpa(f->vp), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	fake->slot_error = 0;
	command_set(&f->rig, SLOT, 0);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY);
	assert_int_equal(virtio_pmem_gpa(f->vp), RIG_MEM64 + 0x40000000);
}

static void the_slot_of_a_backing_without_write_permission_is_readonly(void **state)
{
	struct fixture *f = *state;

	virtio_pci_destroy(f->vp);
	f->backing.rom = true;
	plug(f, true);
	assert_int_equal(fake_vm_nslots(&f->rig.fake), 1);
	assert_true(f->rig.fake.slots[0].readonly);
}

/* The register BAR onto the pmem window, the window onto the registers. */
static void bars_onto_each_other_do_no_harm(void **state)
{
	struct fixture *f = *state;
	gpa_t gpa = bar64_get(&f->rig, SLOT, 2);

	bar64_set(&f->rig, SLOT, 0, gpa + 0x10000);
	assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), 0);
	assert_int_equal(io_read(&f->rig.mmio, gpa + 0x10000 + VIRTIO_PCI_COMMON_NUMQ, 2), 0xffff);
	assert_int_equal(virtio_pmem_gpa(f->vp), gpa);
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
	struct virtio_pmem_options cfg = {
		.pci.bus = f->rig.bus,
		.pci.slot = SLOT,
		.mem = &f->mem,
		.pci.id = "nv2",
		.device = { .backing = &f->backing },
	};

	assert_int_equal(virtio_pmem_create(&cfg, &vp, &err), -EBUSY);
	assert_string_equal(err.text, "PCI: slot 4 function 0 not available for virtio-pmem-pci, in use by "
	                              "virtio-pmem-pci,id=nv1");
	assert_int_equal(fake_vpmem_ndevices, 1);
	cfg.pci.slot = -1;
	fake_vpmem_create_error = -EINVAL;
	assert_int_equal(virtio_pmem_create(&cfg, &vp, &err), -EINVAL);
	assert_string_equal(err.text, "the fake device refuses");
	fake_vpmem_create_error = 0;
	struct vpmem_backing huge = { .size = RIG_MEM64_SIZE * 2 };
	cfg.device.backing = &huge;
	cfg.device.shmem = true;
	assert_int_equal(virtio_pmem_create(&cfg, &vp, &err), -ENOSPC);
	assert_null(vp);
	assert_int_equal(fake_vpmem_ndevices, 1);
	assert_int_equal(ecam_read(&f->rig, 1, 0, 4), 0xffffffff);
	/* Without an id, into the first free slot. */
	cfg.device.shmem = false;
	cfg.pci.id = NULL;
	assert_int_equal(virtio_pmem_create(&cfg, &vp, &err), 0);
	assert_int_equal(virtio_pci_slot(vp), 1);
	virtio_pci_destroy(vp);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SHMEM(name) cmocka_unit_test_setup_teardown(name, setup_shmem, teardown)
	const struct CMUnitTest tests[] = {
		TEST(notify_by_ioeventfd_follows_the_bar),
		TEST(a_device_reset_restores_the_registers),
		TEST(queue_reset_needs_the_feature),
		TEST(a_machine_reset_is_a_new_device),
		TEST(reading_the_isr_releases_the_pin),
		TEST(msix_replaces_the_pin),
		TEST(a_vector_that_cannot_be_had_reads_as_none),
		TEST(a_message_that_was_masked_is_sent_when_unmasked),
		TEST(events_reach_the_monitor),
		TEST(window_reaches_bar0_without_decoding),
		TEST(the_window_refuses_bad_registers),
		cmocka_unit_test_setup_teardown(notify_by_ports, setup_pio_notify, teardown),
		TEST_SHMEM(shmem_slot_follows_the_bar),
		TEST_SHMEM(the_slot_of_a_backing_without_write_permission_is_readonly),
		TEST_SHMEM(bars_onto_each_other_do_no_harm),
		TEST(unplug_leaves_nothing),
		TEST(create_fails_without_traces),
	};

	return cmocka_run_group_tests_name("virtio_pci", tests, NULL, NULL);
}
