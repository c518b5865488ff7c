// SPDX-License-Identifier: Apache-2.0
// Resets of the pmem device while it works: of the device, of the queue, from another processor.
#include "cpu.h"
#include "virtio.h"

#define QUEUE_ENTRY 1u
#define QUEUE_VECTOR 0x41u
#define POISON 0xa5

static struct virtio dev;
static uint64_t offered;

static void submit_flushes(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		virtio_submit(&dev, virtio_prepare(&dev, i, REQUEST_FLUSH));
	virtio_publish(&dev);
	virtio_kick(&dev);
}

// The device may no longer touch this memory: the driver uses it for something else.
static void poison(void)
{
	memset(&dev.rings, POISON, sizeof(dev.rings));
	memset(dev.requests, POISON, sizeof(dev.requests));
}

static bool poison_intact(void)
{
	const uint8_t *rings = (const uint8_t *)&dev.rings, *requests = (const uint8_t *)dev.requests;

	for (size_t i = 0; i < sizeof(dev.rings); i++)
		if (rings[i] != POISON)
			return false;
	for (size_t i = 0; i < sizeof(dev.requests); i++)
		if (requests[i] != POISON)
			return false;
	return true;
}

// From a few hundred to a few hundred thousand ticks, so that the reset meets each phase of a flush.
static void random_delay(void)
{
	delay(random_next() & ((1u << (8 + random_next() % 11)) - 1));
}

static void reset_device(void)
{
	virtio_set_status(&dev, 0);
}

static void reset_queue(void)
{
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
}

static bool device_is_reset(void)
{
	return virtio_status(&dev) == 0 && virtio_get(&dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 0;
}

static bool queue_is_reset(void)
{
	for (uint64_t end = wait_end(); virtio_get(&dev, VIRTIO_PCI_COMMON_Q_RESET, 2) && wait_on(end);)
		;
	return virtio_get(&dev, VIRTIO_PCI_COMMON_Q_RESET, 2) == 0 &&
	       virtio_get(&dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 0 &&
	       virtio_get(&dev, VIRTIO_PCI_COMMON_Q_SIZE, 2) == QUEUE_SIZE_MAX && virtio_status(&dev) == STATUS_RUNNING;
}

/*
 * A flush is under way; the reset is over when its registers read so. From then on nothing is written to the
 * rings, and no interrupt is sent. `slow`: the host's sync takes this many ticks, wait until it is over.
 */
static bool round(void (*reset)(void), bool (*is_reset)(void), uint64_t slow)
{
	unsigned interrupts;

	msix_map(&dev, NO_VECTOR, QUEUE_ENTRY);
	submit_flushes(1 + random_next() % 8);
	random_delay();
	reset();
	if (!is_reset())
		return tap_ok(false, "registers after the reset");
	// An interrupt that was sent before the reset may still be on its way.
	delay(TICKS_SHORT / 64);
	interrupts = irq_count(QUEUE_VECTOR);
	poison();
	random_delay();
	delay(slow);
	if (!poison_intact())
		return tap_ok(false, "the device wrote into memory after the reset");
	return irq_count(QUEUE_VECTOR) == interrupts || tap_ok(false, "interrupt after the reset");
}

static void check_device_reset(unsigned rounds, uint64_t slow)
{
	bool good = true;
	unsigned i;

	for (i = 0; i < rounds && good; i++) {
		good = virtio_start(&dev, offered & ~FEATURE(VIRTIO_F_EVENT_IDX), QUEUE_SIZE_MAX) &&
		       round(reset_device, device_is_reset, slow);
		// Some rounds have no reset between two drivers' requests but a working flush.
		if (good && i % 16 == 0)
			good = virtio_start(&dev, offered, 8) && virtio_flush(&dev) == FLUSH_OK;
	}
	tap_ok(good, "%u of %u device resets with flushes in flight", i, rounds);
	tap_ok(virtio_start(&dev, offered, QUEUE_SIZE_MAX) && virtio_flush(&dev) == FLUSH_OK,
	       "a flush after them works");
}

static void check_queue_reset(unsigned rounds, uint64_t slow)
{
	bool good = true;
	unsigned i;

	if (!(offered & FEATURE(VIRTIO_F_RING_RESET))) {
		tap_ok(true, "queue resets # SKIP RING_RESET is not offered");
		return;
	}
	good = virtio_start(&dev, offered & ~FEATURE(VIRTIO_F_EVENT_IDX), QUEUE_SIZE_MAX);
	for (i = 0; i < rounds && good; i++) {
		good = round(reset_queue, queue_is_reset, slow);
		// "After a queue has been reset, the driver re-enables it", perhaps with another size.
		virtio_queue_setup(&dev, (uint16_t)(16 << i % 4));
		good = good && virtio_queue_enable(&dev);
		if (good && i % 16 == 0)
			good = virtio_flush(&dev) == FLUSH_OK;
	}
	tap_ok(good, "%u of %u queue resets with flushes in flight", i, rounds);
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush after them works");
}

static void check_queue_reset_refused(void)
{
	virtio_start(&dev, offered & ~FEATURE(VIRTIO_F_RING_RESET), QUEUE_SIZE_MAX);
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1, "queue_reset does nothing if not negotiated");
	tap_is(virtio_flush(&dev), FLUSH_OK, "and the queue still works");
}

static void check_renegotiation(void)
{
	bool good = true;

	for (unsigned i = 0; i < 200 && good; i++) {
		uint64_t features = (offered & random_next()) | FEATURE(VIRTIO_F_VERSION_1);

		good = virtio_start(&dev, features, (uint16_t)(2 << random_next() % 7)) &&
		       virtio_flush(&dev) == FLUSH_OK;
	}
	tap_ok(good, "200 negotiations of random subsets, a flush after each");
}

// ---- two processors

static volatile uint64_t nkicks;

// Kicks without end, whatever state the device is in.
static void kick_for_ever(void)
{
	for (;; nkicks++)
		virtio_kick(&dev);
}

static void check_two_processors(unsigned rounds)
{
	bool good = true;
	unsigned i;

	if (!tap_ok(ap_run(kick_for_ever), "the second processor runs (-smp 2)"))
		return;
	for (i = 0; i < rounds && good; i++) {
		good = virtio_start(&dev, offered & ~FEATURE(VIRTIO_F_EVENT_IDX), QUEUE_SIZE_MAX);
		for (unsigned j = 0; j < 4 && good; j++)
			good = virtio_flush(&dev) == FLUSH_OK;
		virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, random_next() & 0xffff);
		virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SIZE, 2, random_next() & 0xffff);
		virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
		good = good && round(reset_device, device_is_reset, 0);
	}
	tap_ok(good, "%u of %u rounds of start, flush and reset while another processor kicks", i, rounds);
	tap_ok(nkicks > 0, "and it has kicked");
}

void guest_main(void)
{
	unsigned rounds = (unsigned)option("rounds", 2000);
	uint64_t slow = option("slow", 0);

	if (!virtio_open(&dev, 0) || !dev.msix_cap)
		bail("no virtio-pmem device with MSI-X");
	irq_init();
	offered = virtio_features(&dev);
	msix_set_entry(&dev, QUEUE_ENTRY, QUEUE_VECTOR, false);
	msix_control(&dev, true, false);
	check_device_reset(rounds, slow);
	check_queue_reset(rounds, slow);
	check_queue_reset_refused();
	check_renegotiation();
	check_two_processors(rounds / 10);
}
