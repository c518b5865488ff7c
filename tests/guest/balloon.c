// SPDX-License-Identifier: Apache-2.0
/*
 * A device with two queues and a configuration that changes: the balloon. Negotiation, both queues with their
 * vectors, the configuration interrupt when the monitor sets a target, and resets of one queue and of the device
 * with requests in flight.
 */
#include "cpu.h"
#include "rings.h"

#define DEVICE_BALLOON 0x1045u
#define INFLATE 0u
#define DEFLATE 1u
#define CONFIG_TARGET 0u
#define CONFIG_ACTUAL 4u

#define CONFIG_ENTRY 0u
#define INFLATE_ENTRY 1u
#define DEFLATE_ENTRY 2u
#define CONFIG_VECTOR 0x40u
#define INFLATE_VECTOR 0x41u
#define DEFLATE_VECTOR 0x42u

#define NPAGES 256u
#define PAGE_SIZE 4096u
#define POISON 0xa5

static struct virtio dev;
static struct ring inflate, deflate;
static uint64_t offered, plain; // plain: without EVENT_IDX every request interrupts
static uint8_t pages[NPAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static uint32_t pfns[NPAGES];

static bool start(uint16_t size)
{
	if (!virtio_negotiate(&dev, plain))
		return false;
	virtio_set(&dev, VIRTIO_PCI_COMMON_MSIX, 2, CONFIG_ENTRY);
	if (!ring_start(&inflate, &dev, INFLATE, size, INFLATE_ENTRY) ||
	    !ring_start(&deflate, &dev, DEFLATE, size, DEFLATE_ENTRY))
		return false;
	virtio_set_status(&dev, STATUS_RUNNING);
	return virtio_status(&dev) == STATUS_RUNNING;
}

// Sends the numbers of the first npages pages; returns whether they were used, with nothing written.
static bool request(struct ring *ring, unsigned npages)
{
	ring_send(ring, pfns, 4 * npages, 0);
	return ring_wait(ring) && ring_used(ring, 0).id == 0 && ring_used(ring, 0).len == 0;
}

static bool works(void)
{
	return request(&inflate, 4) && request(&deflate, 4);
}

static void fill(uint8_t byte)
{
	memset(pages, byte, sizeof(pages));
}

static unsigned pages_with(uint8_t byte)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NPAGES; i++)
		n += ((volatile uint8_t *)pages[i])[i] == byte;
	return n;
}

static void settle(void)
{
	delay(2 * TICKS_SHORT);
}

static uint32_t config(unsigned off)
{
	return (uint32_t)mem_read(dev.config + off, 4);
}

// ---- negotiation and both queues

static void check_negotiation(void)
{
	tap_ok((offered & FEATURE(VIRTIO_F_VERSION_1)) && (offered & FEATURE(VIRTIO_F_RING_RESET)),
	       "VERSION_1 and RING_RESET are offered");
	tap_ok(virtio_get(&dev, VIRTIO_PCI_COMMON_NUMQ, 2) >= 2, "there are two queues or more");
	tap_ok(dev.msix_vectors >= 3, "MSI-X has a vector for each and one for the configuration");
	tap_ok(!virtio_negotiate(&dev, offered | FEATURE(50)), "a feature that is not offered is refused");
	tap_ok(!virtio_negotiate(&dev, offered & ~FEATURE(VIRTIO_F_VERSION_1)), "without VERSION_1 too");
	tap_ok(start(QUEUE_SIZE_MAX), "starts");
	tap_is(config(CONFIG_TARGET), 0, "the target is no page");
}

static void check_queues(void)
{
	fill(0x5a);
	tap_ok(request(&inflate, NPAGES), "%u pages are given, in one request", NPAGES);
	tap_ok(irq_wait(INFLATE_VECTOR, 1), "and its queue interrupts");
	settle();
	tap_is(irq_count(INFLATE_VECTOR), 1, "once");
	tap_is(irq_count(DEFLATE_VECTOR) + irq_count(CONFIG_VECTOR), 0, "by no other vector");
	tap_is(pages_with(0), NPAGES, "the pages are empty");
	tap_ok(request(&deflate, NPAGES), "they are taken back by the other queue");
	tap_ok(irq_wait(DEFLATE_VECTOR, 1), "which interrupts by its own vector");
	settle();
	tap_is(irq_count(INFLATE_VECTOR), 1, "and not by that of the first");
	fill(0x77);
	tap_is(pages_with(0x77), NPAGES, "the pages are memory again");
	tap_is(mem_read(dev.isr, 1), 0, "the ISR register shows no queue while MSI-X is on");
}

// Both queues past the end of their rings, in turns.
static void check_wrap(void)
{
	bool good = start(8);

	for (unsigned i = 0; i < 100 && good; i++)
		good = works();
	tap_ok(good, "100 requests in each of two queues of 8");
}

// ---- the configuration

static void check_config_interrupt(void)
{
	unsigned before = irq_count(CONFIG_VECTOR), queues = irq_count(INFLATE_VECTOR) + irq_count(DEFLATE_VECTOR);
	uint64_t generation = virtio_get(&dev, VIRTIO_PCI_COMMON_CFGGENERATION, 1);

	print("# set the target\n");
	tap_ok(irq_wait(CONFIG_VECTOR, before + 1), "a new target interrupts for a change of configuration");
	tap_is(config(CONFIG_TARGET), option("target", 0), "the configuration has it");
	tap_ok(virtio_get(&dev, VIRTIO_PCI_COMMON_CFGGENERATION, 1) != generation, "its generation is another");
	tap_is(irq_count(INFLATE_VECTOR) + irq_count(DEFLATE_VECTOR), queues, "no queue interrupts");
	tap_is(mem_read(dev.isr, 1), 2, "the ISR register shows the configuration");
	mem_write(dev.config + CONFIG_ACTUAL, 4, option("target", 0));
	tap_is(config(CONFIG_ACTUAL), option("target", 0), "the driver writes how far it has come");
	tap_ok(works(), "the queues work after it");
}

// ---- resets

static void random_delay(void)
{
	delay(random_next() & ((1u << (8 + random_next() % 11)) - 1));
}

static bool poison_intact(const struct ring *ring)
{
	const uint8_t *bytes = (const uint8_t *)&ring->rings;

	for (size_t i = 0; i < sizeof(ring->rings); i++)
		if (bytes[i] != POISON)
			return false;
	return true;
}

static void submit_many(struct ring *ring)
{
	ring_desc(ring, 0, (gpa_t)pfns, sizeof(pfns), 0, 0);
	for (unsigned i = 0; i < 1 + random_next() % 8; i++)
		ring_submit(ring, 0);
	ring_publish(ring);
	ring_kick(ring);
}

// The rings are the driver's again when the registers say so: nothing is written into them, and nothing interrupts.
static bool is_quiet(const struct ring *ring, unsigned vector)
{
	unsigned interrupts;

	// An interrupt that was sent before the reset may still be on its way.
	delay(TICKS_SHORT / 64);
	interrupts = irq_count(vector);
	memset((void *)&ring->rings, POISON, sizeof(ring->rings));
	random_delay();
	return poison_intact(ring) && irq_count(vector) == interrupts;
}

static void check_queue_reset(unsigned rounds)
{
	bool good = start(QUEUE_SIZE_MAX);
	unsigned i;

	for (i = 0; i < rounds && good; i++) {
		submit_many(&inflate);
		random_delay();
		good = ring_reset(&inflate) && is_quiet(&inflate, INFLATE_VECTOR) && request(&deflate, 4) &&
		       ring_start(&inflate, &dev, INFLATE, (uint16_t)(16 << i % 4), INFLATE_ENTRY);
		if (good && i % 8 == 0)
			good = works();
	}
	tap_ok(good, "%u of %u resets of one queue in flight, while the other one works", i, rounds);
	tap_ok(works(), "both work after them");
}

static void check_device_reset(unsigned rounds)
{
	bool good = true;
	unsigned i;

	for (i = 0; i < rounds && good; i++) {
		good = start(QUEUE_SIZE_MAX);
		submit_many(&inflate);
		submit_many(&deflate);
		random_delay();
		virtio_set_status(&dev, 0);
		for (uint64_t end = wait_end(); virtio_status(&dev) && wait_on(end);)
			;
		good = good && virtio_status(&dev) == 0 && is_quiet(&inflate, INFLATE_VECTOR) &&
		       is_quiet(&deflate, DEFLATE_VECTOR);
	}
	tap_ok(good, "%u of %u resets of the device with both queues in flight", i, rounds);
	tap_ok(start(QUEUE_SIZE_MAX) && works(), "it works after them");
	tap_is(config(CONFIG_TARGET), option("target", 0), "and its target is that of the monitor");
}

void guest_main(void)
{
	unsigned rounds = (unsigned)option("rounds", 200);

	if (!virtio_open_device(&dev, DEVICE_BALLOON) || !dev.msix_cap || !dev.config)
		bail("no virtio-balloon device with MSI-X");
	irq_init();
	for (unsigned i = 0; i < NPAGES; i++)
		pfns[i] = (uint32_t)((gpa_t)pages[i] / PAGE_SIZE);
	offered = virtio_features(&dev);
	plain = offered & (FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_F_RING_RESET));
	msix_set_entry(&dev, CONFIG_ENTRY, CONFIG_VECTOR, false);
	msix_set_entry(&dev, INFLATE_ENTRY, INFLATE_VECTOR, false);
	msix_set_entry(&dev, DEFLATE_ENTRY, DEFLATE_VECTOR, false);
	msix_control(&dev, true, false);
	check_negotiation();
	check_queues();
	check_wrap();
	check_config_interrupt();
	check_queue_reset(rounds);
	check_device_reset(rounds);
}
