// SPDX-License-Identifier: Apache-2.0
// Interrupts of the pmem device: MSI-X with its masks, INTx with the ISR register, changes of configuration.
#include "cpu.h"
#include "pci.h"
#include "virtio.h"

#define CONFIG_ENTRY 0u
#define QUEUE_ENTRY 1u
#define CONFIG_VECTOR 0x40u
#define QUEUE_VECTOR 0x41u
#define MOVED_VECTOR 0x52u
#define PIN_VECTOR 0x60u
#define UNSEEN_VECTOR 0x61u
#define PIN_STORM 1000u

#define ISR_QUEUE 1u
#define ISR_CONFIG 2u

static struct virtio dev;
static uint64_t plain; // all features but EVENT_IDX: without it every flush interrupts

// A request that no descriptor table can hold: the device must ask for a reset.
static void break_device(void)
{
	virtio_submit(&dev, QUEUE_SIZE_MAX);
	virtio_publish(&dev);
	virtio_kick(&dev);
	virtio_wait_status(&dev, VIRTIO_CONFIG_S_NEEDS_RESET);
}

// Waits long enough for an interrupt that must not come.
static void settle(void)
{
	delay(2 * TICKS_SHORT);
}

static uint8_t isr_read(void)
{
	return (uint8_t)mem_read(dev.isr, 1);
}

// ---- MSI-X

static void check_table(void)
{
	uint32_t table = pci_read(dev.slot, dev.msix_cap + PCI_MSIX_TABLE, 4);

	tap_is(dev.msix_vectors, 2, "MSI-X has two vectors");
	tap_ok((table & ~7u) + 16 * dev.msix_vectors <= pci_bar_size(dev.slot, table & 7),
	       "the table is inside its BAR");
	for (unsigned i = 0; i < dev.msix_vectors; i++)
		tap_is(mem_read(dev.msix_table + 16 * i + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1,
		       "entry %u is masked at first", i);
	msix_set_entry(&dev, CONFIG_ENTRY, CONFIG_VECTOR, false);
	msix_set_entry(&dev, QUEUE_ENTRY, QUEUE_VECTOR, false);
	tap_is(mem_read(dev.msix_table + 16, 8), 0xfee00000, "an entry's address reads back, in 8 bytes");
	tap_is(mem_read(dev.msix_table + 24, 4), QUEUE_VECTOR, "an entry's data reads back");
	msix_control(&dev, true, false);
	tap_ok((pci_read(dev.slot, dev.msix_cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE) != 0, "MSI-X is on");
}

static void check_mapping(void)
{
	tap_ok(virtio_start(&dev, plain, QUEUE_SIZE_MAX), "starts");
	tap_is(msix_map(&dev, CONFIG_ENTRY, QUEUE_ENTRY), QUEUE_ENTRY, "the queue is mapped to entry 1");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_MSIX, 2), CONFIG_ENTRY, "changes of configuration to entry 0");
	tap_is(msix_map(&dev, CONFIG_ENTRY, 2), NO_VECTOR, "there is no entry 2");
	tap_is(msix_map(&dev, 0x7ff, QUEUE_ENTRY), QUEUE_ENTRY, "the queue is mapped again");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR, "there is no entry 2047");
	msix_map(&dev, CONFIG_ENTRY, QUEUE_ENTRY);
}

static void check_delivery(void)
{
	unsigned before = irq_count(QUEUE_VECTOR);

	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush");
	tap_ok(irq_wait(QUEUE_VECTOR, before + 1), "and its interrupt");
	settle();
	tap_is(irq_count(QUEUE_VECTOR), before + 1, "only one");
	tap_is(isr_read(), 0, "the ISR register does not show it");
	virtio_flush_many(&dev, QUEUE_SIZE_MAX);
	settle();
	tap_ok(irq_count(QUEUE_VECTOR) > before + 1 && irq_count(QUEUE_VECTOR) <= before + 1 + QUEUE_SIZE_MAX,
	       "128 flushes with one kick: at least one interrupt, at most 128");
	tap_is(irq_count(CONFIG_VECTOR), 0, "none for the configuration");
}

static void check_moved_vector(void)
{
	unsigned before = irq_count(QUEUE_VECTOR);

	mem_write(dev.msix_table + 16 + PCI_MSIX_ENTRY_DATA, 4, MOVED_VECTOR);
	virtio_flush(&dev);
	tap_ok(irq_wait(MOVED_VECTOR, 1), "a new vector written while unmasked is used at once");
	mem_write(dev.msix_table + 16 + PCI_MSIX_ENTRY_DATA, 4, QUEUE_VECTOR);
	virtio_flush(&dev);
	tap_ok(irq_wait(QUEUE_VECTOR, before + 1), "and the old one again");
	settle();
	tap_is(irq_count(MOVED_VECTOR), 1, "none is sent twice");
}

// Masked: nothing arrives, however many flushes; a pending bit shows; unmasking delivers once.
static void check_masked(const char *name, void (*set_mask)(bool masked))
{
	unsigned before = irq_count(QUEUE_VECTOR);

	set_mask(true);
	tap_ok(!msix_pending(&dev, QUEUE_ENTRY), "%s: nothing pending at first", name);
	for (unsigned i = 0; i < 3; i++)
		virtio_flush(&dev);
	settle();
	tap_is(irq_count(QUEUE_VECTOR), before, "%s: no interrupt while masked", name);
	tap_ok(msix_pending(&dev, QUEUE_ENTRY), "%s: the pending bit is set", name);
	set_mask(false);
	tap_ok(irq_wait(QUEUE_VECTOR, before + 1), "%s: unmasked, the interrupt arrives", name);
	settle();
	tap_is(irq_count(QUEUE_VECTOR), before + 1, "%s: once", name);
	tap_ok(!msix_pending(&dev, QUEUE_ENTRY), "%s: the pending bit is clear", name);
	set_mask(true);
	set_mask(false);
	settle();
	tap_is(irq_count(QUEUE_VECTOR), before + 1, "%s: masking with nothing pending delivers nothing", name);
	virtio_flush(&dev);
	tap_ok(irq_wait(QUEUE_VECTOR, before + 2), "%s: the next one arrives", name);
}

static void mask_entry(bool masked)
{
	msix_mask(&dev, QUEUE_ENTRY, masked);
}

static void mask_function(bool masked)
{
	msix_control(&dev, true, masked);
}

static void check_no_vector(void)
{
	unsigned before = irq_count_all();

	msix_map(&dev, CONFIG_ENTRY, NO_VECTOR);
	virtio_flush(&dev);
	settle();
	tap_is(irq_count_all(), before, "NO_VECTOR: no interrupt");
	tap_is(isr_read(), 0, "NO_VECTOR: not by the pin either");
	tap_ok(!msix_pending(&dev, QUEUE_ENTRY), "NO_VECTOR: nothing pending");
	msix_map(&dev, CONFIG_ENTRY, QUEUE_ENTRY);
	settle();
	tap_is(irq_count_all(), before, "mapped again: nothing of before arrives");
}

// avail.flags 1: "the device SHOULD NOT send a notification".
static void check_no_interrupt_flag(void)
{
	unsigned before = irq_count(QUEUE_VECTOR);

	dev.rings.avail.flags = 1;
	virtio_flush(&dev);
	settle();
	tap_is(irq_count(QUEUE_VECTOR), before, "NO_INTERRUPT: none arrives");
	dev.rings.avail.flags = 0;
	virtio_flush(&dev);
	tap_ok(irq_wait(QUEUE_VECTOR, before + 1), "NO_INTERRUPT cleared: one arrives");
}

static void check_used_event(void)
{
	unsigned before = irq_count(QUEUE_VECTOR);

	virtio_start(&dev, plain | FEATURE(VIRTIO_F_EVENT_IDX), QUEUE_SIZE_MAX);
	msix_map(&dev, CONFIG_ENTRY, QUEUE_ENTRY);
	*used_event(&dev) = 3;
	dev.rings.avail.flags = 1; // "MUST ignore the lower bit of flags"
	for (unsigned i = 0; i < 3; i++)
		virtio_flush(&dev);
	settle();
	tap_is(irq_count(QUEUE_VECTOR), before, "EVENT_IDX: none before used_event is reached");
	virtio_flush(&dev);
	tap_ok(irq_wait(QUEUE_VECTOR, before + 1), "EVENT_IDX: one when it is passed");
	for (unsigned i = 0; i < 3; i++)
		virtio_flush(&dev);
	settle();
	tap_is(irq_count(QUEUE_VECTOR), before + 1, "EVENT_IDX: none after it");
	*used_event(&dev) = (uint16_t)(dev.avail_idx + 10);
	virtio_flush_many(&dev, 64);
	tap_ok(irq_wait(QUEUE_VECTOR, before + 2), "EVENT_IDX: one when a batch passes it");
}

// The driver looks for more after it enabled interrupts, as Linux does; none may be lost between the two.
static void check_none_lost(uint64_t features, const char *name)
{
	unsigned rounds = (unsigned)option("rounds", 3000), i;
	unsigned first;
	bool good = virtio_start(&dev, features, 4);

	msix_map(&dev, NO_VECTOR, QUEUE_ENTRY);
	first = irq_count(QUEUE_VECTOR);
	for (i = 0; i < rounds && good; i++) {
		unsigned before = irq_count(QUEUE_VECTOR);

		if (features & FEATURE(VIRTIO_F_EVENT_IDX))
			*used_event(&dev) = dev.avail_idx;
		virtio_submit(&dev, virtio_prepare(&dev, i % 2, REQUEST_FLUSH));
		virtio_publish(&dev);
		virtio_kick(&dev);
		good = irq_wait(QUEUE_VECTOR, before + 1) && dev.rings.used.idx == dev.avail_idx;
	}
	tap_ok(good, "%s: %u of %u flushes interrupted after they were used", name, i, rounds);
	tap_is(irq_count(QUEUE_VECTOR) - first, rounds, "%s: one interrupt each", name);
}

static void check_config_change(void)
{
	unsigned before;

	virtio_start(&dev, plain, QUEUE_SIZE_MAX);
	msix_map(&dev, CONFIG_ENTRY, QUEUE_ENTRY);
	before = irq_count(CONFIG_VECTOR);
	isr_read();
	break_device();
	tap_is(virtio_status(&dev), STATUS_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET, "a broken ring sets NEEDS_RESET");
	tap_ok(irq_wait(CONFIG_VECTOR, before + 1), "and interrupts for a change of configuration");
	tap_is(isr_read(), ISR_CONFIG, "which the ISR register shows too");
	tap_is(isr_read(), 0, "until it is read");
	settle();
	tap_is(irq_count(CONFIG_VECTOR), before + 1, "once");
}

static void check_reset_unmaps(void)
{
	virtio_set_status(&dev, 0);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR, "reset: no vector for the configuration");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR, "reset: no vector for the queue");
	tap_is(mem_read(dev.msix_table + 24, 4), QUEUE_VECTOR, "reset: the table keeps its entries");
}

// ---- INTx

static unsigned gsi;
static volatile uint8_t isr_seen;

// What a driver does: reading the register gives the cause and releases the line. If it does not, we would be
// in here for ever, and nobody would report it.
static void on_pin(void)
{
	isr_seen |= isr_read();
	if (irq_count(PIN_VECTOR) > PIN_STORM)
		ioapic_set(gsi, PIN_VECTOR, true);
}

// A driver that does not look: the line stays high and interrupts again. The third time it is masked.
static void on_pin_unseen(void)
{
	if (irq_count(UNSEEN_VECTOR) >= 3)
		ioapic_set(gsi, UNSEEN_VECTOR, true);
}

static bool pin_status(void)
{
	return (pci_read(dev.slot, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT) != 0;
}

static void check_pin(void)
{
	tap_is(pci_read(dev.slot, PCI_INTERRUPT_PIN, 1), 1, "INTx: the device has pin A");
	tap_is(virtio_flush(&dev), FLUSH_OK, "INTx: a flush");
	tap_ok(irq_wait(PIN_VECTOR, 1), "INTx: and its interrupt");
	settle();
	tap_is(irq_count(PIN_VECTOR), 1, "INTx: only one, for reading ISR released the line");
	tap_is(isr_seen, ISR_QUEUE, "INTx: ISR shows the queue");
	tap_is(isr_read(), 0, "INTx: and is clear after that");
	tap_ok(!pin_status(), "INTx: the status register shows no interrupt");
	for (unsigned i = 0; i < 100; i++) {
		virtio_flush(&dev);
		if (!irq_wait(PIN_VECTOR, i + 2))
			break;
	}
	tap_is(irq_count(PIN_VECTOR), 101, "INTx: one interrupt for each of 100 flushes");
}

static void check_pin_unseen(void)
{
	ioapic_set(gsi, UNSEEN_VECTOR, false);
	virtio_flush(&dev);
	tap_ok(irq_wait(UNSEEN_VECTOR, 3), "INTx: the line interrupts until ISR is read");
	tap_ok(pin_status(), "INTx: the status register shows it meanwhile");
	tap_is(isr_read(), ISR_QUEUE, "INTx: ISR shows the queue");
	tap_ok(!pin_status(), "INTx: the line is released");
	ioapic_set(gsi, UNSEEN_VECTOR, false);
	settle();
	tap_is(irq_count(UNSEEN_VECTOR), 3, "INTx: no interrupt remains");
	ioapic_set(gsi, PIN_VECTOR, false);
}

static void check_pin_disabled(void)
{
	unsigned before = irq_count(PIN_VECTOR);

	pci_command(dev.slot, PCI_COMMAND_INTX_DISABLE, 0);
	virtio_flush(&dev);
	settle();
	tap_is(irq_count(PIN_VECTOR), before, "INTX_DISABLE: no interrupt");
	tap_ok(pin_status(), "INTX_DISABLE: the status register shows what waits");
	pci_command(dev.slot, 0, PCI_COMMAND_INTX_DISABLE);
	tap_ok(irq_wait(PIN_VECTOR, before + 1), "INTX_DISABLE cleared: the interrupt arrives");
	pci_command(dev.slot, PCI_COMMAND_INTX_DISABLE, 0);
	virtio_flush(&dev);
	tap_is(isr_read(), ISR_QUEUE, "INTX_DISABLE: ISR can be polled");
	pci_command(dev.slot, 0, PCI_COMMAND_INTX_DISABLE);
	settle();
	tap_is(irq_count(PIN_VECTOR), before + 1, "INTX_DISABLE cleared: nothing waits that was read");
}

static void check_pin_suppressed(void)
{
	unsigned before = irq_count(PIN_VECTOR);

	dev.rings.avail.flags = 1;
	virtio_flush(&dev);
	settle();
	tap_is(irq_count(PIN_VECTOR), before, "INTx: NO_INTERRUPT is obeyed");
	dev.rings.avail.flags = 0;
}

static void check_pin_config_change(void)
{
	unsigned before = irq_count(PIN_VECTOR);

	isr_seen = 0;
	break_device();
	tap_ok(irq_wait(PIN_VECTOR, before + 1), "INTx: a broken ring interrupts");
	tap_ok((isr_seen & ISR_CONFIG) != 0, "INTx: ISR shows a change of configuration");
}

// A driver that resets does not read ISR first: the line must not stay high.
static void check_pin_reset(void)
{
	unsigned before;

	virtio_start(&dev, plain, QUEUE_SIZE_MAX);
	ioapic_set(gsi, PIN_VECTOR, true);
	before = irq_count(PIN_VECTOR);
	virtio_flush(&dev);
	for (uint64_t end = wait_end(); !pin_status() && wait_on(end);)
		;
	tap_ok(pin_status(), "INTx: a masked line waits");
	virtio_set_status(&dev, 0);
	tap_ok(!pin_status() && isr_read() == 0, "INTx: reset releases it");
	ioapic_set(gsi, PIN_VECTOR, false);
	settle();
	tap_is(irq_count(PIN_VECTOR), before, "INTx: no interrupt after reset");
}

static void check_pin_with_msix(void)
{
	unsigned before = irq_count(PIN_VECTOR);

	virtio_start(&dev, plain, QUEUE_SIZE_MAX);
	msix_control(&dev, true, false);
	msix_map(&dev, NO_VECTOR, NO_VECTOR);
	virtio_flush(&dev);
	break_device();
	settle();
	tap_is(irq_count(PIN_VECTOR), before, "MSI-X on: the pin is silent");
	tap_ok(!pin_status(), "MSI-X on: the status register too");
	virtio_set_status(&dev, 0);
	msix_control(&dev, false, false);
	virtio_start(&dev, plain, QUEUE_SIZE_MAX);
	virtio_flush(&dev);
	tap_ok(irq_wait(PIN_VECTOR, before + 1), "MSI-X off: the pin works again");
}

static void check_msix(void)
{
	check_table();
	check_mapping();
	check_delivery();
	check_moved_vector();
	check_masked("entry", mask_entry);
	check_masked("function", mask_function);
	check_no_vector();
	check_no_interrupt_flag();
	check_used_event();
	check_none_lost(plain, "avail.flags");
	check_none_lost(plain | FEATURE(VIRTIO_F_EVENT_IDX), "used_event");
	check_config_change();
	check_reset_unmaps();
	msix_control(&dev, false, false);
}

static void check_intx(void)
{
	gsi = pci_gsi(dev.slot);
	irq_set_handler(PIN_VECTOR, on_pin);
	irq_set_handler(UNSEEN_VECTOR, on_pin_unseen);
	virtio_start(&dev, plain, QUEUE_SIZE_MAX);
	ioapic_set(gsi, PIN_VECTOR, false);
	check_pin();
	check_pin_unseen();
	check_pin_disabled();
	check_pin_suppressed();
	check_pin_config_change();
	check_pin_reset();
	check_pin_with_msix();
}

void guest_main(void)
{
	if (!virtio_open(&dev, 0) || !dev.msix_cap)
		bail("no virtio-pmem device with MSI-X");
	irq_init();
	plain = virtio_features(&dev) & ~FEATURE(VIRTIO_F_EVENT_IDX);
	check_msix();
	check_intx();
}
