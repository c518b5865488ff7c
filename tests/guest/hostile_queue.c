// SPDX-License-Identifier: Apache-2.0
// A driver that means harm, by its queue: rings at wrong places, registers changed too late, floods, races.
#include "cpu.h"
#include "pci.h"
#include "virtio.h"

static struct virtio dev;
static uint64_t offered;
static gpa_t ram_limit, window;

static void recover(const char *name)
{
	tap_ok(virtio_start(&dev, offered, QUEUE_SIZE_MAX) && virtio_flush(&dev) == FLUSH_OK,
	       "after %s: a reset and a flush", name);
}

// ---- rings at places that are no RAM, or misaligned

static bool refused(gpa_t desc, gpa_t avail, gpa_t used)
{
	bool enabled;

	virtio_negotiate(&dev, offered);
	virtio_queue_setup(&dev, QUEUE_SIZE_MAX);
	virtio_queue_addresses(&dev, desc, avail, used);
	enabled = virtio_queue_enable(&dev);
	virtio_set_status(&dev, STATUS_RUNNING);
	virtio_kick(&dev);
	return !enabled && (virtio_status(&dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void check_ring_places(void)
{
	gpa_t desc = (gpa_t)dev.rings.desc, avail = (gpa_t)&dev.rings.avail, used = (gpa_t)&dev.rings.used;
	const struct {
		const char *name;
		gpa_t gpa;
	} places[] = {
		{ "in the pmem window", window },
		{ "in registers", dev.common },
		{ "in the notification page", dev.notify },
		{ "in configuration space", pci_ecam(0, 0) },
		{ "in the I/O APIC", 0xfec00000 },
		{ "across the end of RAM", ram_limit - 16 },
		{ "beyond RAM", ram_limit },
		{ "in the last page", UINT64_MAX - 0xfff },
		{ "across 2^64", UINT64_MAX - 15 },
		{ "at 2^63", UINT64_C(1) << 63 },
	};

	for (unsigned i = 0; i < COUNT_OF(places); i++) {
		tap_ok(refused(places[i].gpa, avail, used), "descriptor table %s", places[i].name);
		tap_ok(refused(desc, places[i].gpa, used), "available ring %s", places[i].name);
		tap_ok(refused(desc, avail, places[i].gpa), "used ring %s", places[i].name);
	}
	tap_ok(refused(desc + 8, avail, used), "descriptor table misaligned");
	tap_ok(refused(desc, avail + 1, used), "available ring misaligned");
	tap_ok(refused(desc, avail, used + 2), "used ring misaligned");
	recover("rings at wrong places");
}

// Rings that overlap are the driver's own trouble.
static void check_overlapping_rings(void)
{
	gpa_t rings = (gpa_t)&dev.rings;

	for (unsigned i = 0; i < 64; i++) {
		virtio_negotiate(&dev, offered);
		virtio_queue_setup(&dev, QUEUE_SIZE_MAX);
		for (unsigned j = 0; j < sizeof(dev.rings) / 8; j++)
			((volatile uint64_t *)rings)[j] = random_next();
		virtio_queue_addresses(&dev, rings + 16 * (random_next() & 15), rings + 2 * (random_next() & 127),
		                       rings + 4 * (random_next() & 63));
		virtio_queue_enable(&dev);
		virtio_set_status(&dev, STATUS_RUNNING);
		for (unsigned j = 0; j < 4; j++)
			virtio_kick(&dev);
	}
	tap_ok(virtio_start(&dev, offered, QUEUE_SIZE_MAX) && virtio_flush(&dev) == FLUSH_OK,
	       "64 times rings that overlap, full of random numbers");
}

// Requests without end, and nobody reads the used ring.
static void check_flood(void)
{
	virtio_start(&dev, offered, QUEUE_SIZE_MAX);
	for (unsigned i = 0; i < QUEUE_SIZE_MAX; i++)
		virtio_submit(&dev, virtio_prepare_indirect(&dev, i, REQUEST_FLUSH));
	for (unsigned i = 0; i < 2000; i++) {
		dev.rings.avail.idx = (uint16_t)(dev.rings.avail.idx + QUEUE_SIZE_MAX / 4);
		virtio_kick(&dev);
	}
	tap_ok(virtio_start(&dev, offered, QUEUE_SIZE_MAX) && virtio_flush(&dev) == FLUSH_OK,
	       "2000 kicks of 32 requests that nobody reaps");
}

// ---- registers at the wrong time, or of queues that do not exist

// The device works with what the registers were when the queue was enabled.
static void check_registers_latched(void)
{
	gpa_t desc = (gpa_t)dev.rings.desc;

	virtio_start(&dev, offered, 64);
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SIZE, 2, 2);
	virtio_queue_addresses(&dev, UINT64_MAX - 15, window, ram_limit);
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_SIZE, 2), 64, "the size of an enabled queue does not change");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_DESCLO, 8), desc, "nor do its addresses");
	tap_ok(virtio_flush_many(&dev, 64) && virtio_flush_many(&dev, 64), "and it works");
}

static void check_absent_queues(void)
{
	static const uint16_t selectors[] = { 1, 2, 0x7fff, 0x8000, 0xffff };

	virtio_start(&dev, offered, QUEUE_SIZE_MAX);
	for (unsigned i = 0; i < COUNT_OF(selectors); i++) {
		uint64_t sum = 0;

		virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, selectors[i]);
		for (unsigned off = VIRTIO_PCI_COMMON_Q_SIZE; off < dev.common_len; off += 2) {
			if (off != VIRTIO_PCI_COMMON_Q_MSIX)
				sum |= virtio_get(&dev, off, 2);
			virtio_set(&dev, off, 2, 1);
			virtio_set(&dev, off, 2, 0xffff);
		}
		tap_is(sum, 0, "registers of queue %u read 0", selectors[i]);
		tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR, "and its vector is none");
	}
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1, "queue 0 is still enabled");
	tap_is(virtio_flush(&dev), FLUSH_OK, "and works");
}

static void check_notifications(void)
{
	static const uint64_t values[] = { 1, 65535, 0x8000, UINT32_MAX, UINT64_MAX };

	for (unsigned i = 0; i < COUNT_OF(values); i++)
		for (unsigned width = 1; width <= 8; width *= 2)
			for (unsigned off = 0; off < 4096; off += off < 16 ? 1 : 509)
				mem_write(dev.notify + off, width, values[i]);
	tap_is(virtio_status(&dev), STATUS_RUNNING, "notifications of queues that do not exist");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush after them works");
}

static void check_status_order(void)
{
	virtio_set_status(&dev, 0);
	virtio_set_status(&dev, VIRTIO_CONFIG_S_DRIVER_OK);
	virtio_queue_setup(&dev, QUEUE_SIZE_MAX);
	tap_ok(!virtio_queue_enable(&dev), "a queue is not enabled before FEATURES_OK");
	virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
	virtio_publish(&dev);
	virtio_kick(&dev);
	delay(TICKS_SHORT);
	tap_is(dev.rings.used.idx, 0, "DRIVER_OK alone starts nothing");
	virtio_start(&dev, offered, QUEUE_SIZE_MAX);
	virtio_set_status(&dev, STATUS_RUNNING);
	virtio_set_status(&dev, STATUS_RUNNING);
	tap_is(virtio_flush(&dev), FLUSH_OK, "DRIVER_OK three times");
	virtio_set_status(&dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	tap_is(virtio_status(&dev), STATUS_RUNNING, "bits of the status cannot be taken back");
	virtio_set_status(&dev, STATUS_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	tap_is(virtio_status(&dev), STATUS_RUNNING, "NEEDS_RESET is not the driver's to set");
}

/*
 * Any value, any width, anywhere. Addresses of rings only into our own rings: a device that a hostile driver
 * sends into its own memory changes what it pleases there.
 */
static void check_random_registers(void)
{
	for (unsigned i = 0; i < 8000; i++) {
		unsigned off = (unsigned)(random_next() % (dev.common_len + 8));
		unsigned width = 1u << (random_next() & 3);
		uint64_t val = random_next() >> (random_next() & 63);

		if (off + width > VIRTIO_PCI_COMMON_Q_DESCLO && off < VIRTIO_PCI_COMMON_Q_NDATA) {
			off = VIRTIO_PCI_COMMON_Q_DESCLO + 8 * (unsigned)(random_next() % 3);
			virtio_set(&dev, off, 4, (uint32_t)(gpa_t)&dev.rings + 4 * (random_next() & 255));
			virtio_set(&dev, off + 4, 4, random_next() & 7 ? 0 : UINT32_MAX);
			continue;
		}
		virtio_set(&dev, off, width, val);
		virtio_get(&dev, off, width);
		if (i % 64 == 0)
			virtio_kick(&dev);
	}
	recover("8000 random register writes");
}

// ---- another processor changes descriptors while the device reads them

static volatile uint64_t nchanges;

static void change_for_ever(void)
{
	volatile struct desc *desc = dev.rings.desc;
	const gpa_t places[] = { (gpa_t)&dev.requests[0].status, UINT64_MAX, window, ram_limit - 2 };

	for (uint64_t i = 0;; i++) {
		desc[1].gpa = places[i & 3];
		desc[1].len = i & 4 ? UINT32_MAX : 4;
		desc[1].flags = i & 8 ? DESC_WRITE : DESC_INDIRECT;
		desc[0].next = i & 16 ? 1 : 0xffff;
		desc[0].flags = i & 32 ? DESC_NEXT : DESC_INDIRECT;
		nchanges = i;
	}
}

static void flush_or_restart(void)
{
	if (virtio_status(&dev) != STATUS_RUNNING)
		virtio_start(&dev, offered, QUEUE_SIZE_MAX);
	virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
	virtio_publish(&dev);
	virtio_kick(&dev);
}

static void check_double_fetch(void)
{
	unsigned rounds = (unsigned)option("rounds", 1000), i = 0;
	uint8_t mark = *(volatile uint8_t *)window;
	uint64_t first;

	if (!tap_ok(ap_run(change_for_ever), "the second processor runs (-smp 2)"))
		return;
	first = nchanges;
	// The two may share one processor of the host: go on until the other one had its turns too.
	for (uint64_t end = wait_end(); i < rounds || (nchanges - first < 100 * rounds && wait_on(end)); i++)
		flush_or_restart();
	tap_ok(nchanges - first >= 100 * rounds, "flushes whose descriptors change meanwhile");
	print("# %u flushes, %lu changes\n", i, nchanges - first);
	tap_is(*(volatile uint8_t *)window, mark, "nothing was written into the pmem window");
	// Descriptors that the second processor leaves alone.
	virtio_start(&dev, offered, QUEUE_SIZE_MAX);
	virtio_submit(&dev, virtio_prepare(&dev, 5, REQUEST_FLUSH));
	virtio_publish(&dev);
	virtio_kick(&dev);
	tap_ok(virtio_wait(&dev) && dev.requests[5].status == FLUSH_OK, "a flush after them works");
}

void guest_main(void)
{
	if (!virtio_open(&dev, 0))
		bail("no virtio-pmem device");
	irq_init();
	offered = virtio_features(&dev);
	ram_limit = ram_end();
	window = virtio_config64(&dev, 0);
	map(window, 4096);
	check_ring_places();
	check_overlapping_rings();
	check_flood();
	check_registers_latched();
	check_absent_queues();
	check_notifications();
	check_status_order();
	check_random_registers();
	check_double_fetch();
}
