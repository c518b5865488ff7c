// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that means harm, at each queue of devices other than pmem: the entropy device, a card whose frames come
 * back, and the balloon. Each shape of misuse gets a device freshly started and must end as the table says. Then
 * the device starts again and works, and so do the others, which nobody has reset.
 */
#include "cpu.h"
#include "rings.h"

#include <linux/virtio_ids.h>

#define PCI_DEVICE(virtio_id) (0x1040u + (virtio_id))
#define SIZE 32u // of each queue
#define BUF_LEN 2048u
#define HEADER_LEN 12u // of a frame
#define FRAME_LEN 60u

// How a request that is wrong may end.
enum outcome {
	BROKEN,   // DEVICE_NEEDS_RESET
	ANSWERED, // given back, with nothing written
};

struct device {
	const char *name;
	uint16_t virtio_id;
	unsigned nqueues;
	struct virtio virtio;
	struct ring rings[2];
	bool (*works)(void);
};

static uint8_t bufs[2][BUF_LEN] __attribute__((aligned(4096)));
static struct desc table[2] __attribute__((aligned(16)));
static uint8_t page[4096] __attribute__((aligned(4096)));
static gpa_t ram_limit;

static bool rng_works(void);
static bool net_works(void);
static bool balloon_works(void);

static struct device rng = { .name = "rng", .virtio_id = VIRTIO_ID_RNG, .nqueues = 1, .works = rng_works };
static struct device net = { .name = "net", .virtio_id = VIRTIO_ID_NET, .nqueues = 2, .works = net_works };
static struct device balloon = {
	.name = "balloon",
	.virtio_id = VIRTIO_ID_BALLOON,
	.nqueues = 2,
	.works = balloon_works,
};
static struct device *const devices[] = { &rng, &net, &balloon };

// ---- devices in order

static bool start(struct device *dev)
{
	uint64_t features = FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_F_INDIRECT_DESC);

	if (!virtio_negotiate(&dev->virtio, features))
		return false;
	for (unsigned i = 0; i < dev->nqueues; i++)
		if (!ring_start(&dev->rings[i], &dev->virtio, (uint16_t)i, SIZE, NO_VECTOR))
			return false;
	virtio_set_status(&dev->virtio, STATUS_RUNNING);
	return virtio_status(&dev->virtio) == STATUS_RUNNING;
}

static bool rng_works(void)
{
	ring_send(&rng.rings[0], bufs[0], 64, DESC_WRITE);
	return ring_wait(&rng.rings[0]) && ring_used(&rng.rings[0], 0).len == 64;
}

static void send_frame(void)
{
	memset(bufs[1], 0, HEADER_LEN);
	for (unsigned i = HEADER_LEN; i < HEADER_LEN + FRAME_LEN; i++)
		bufs[1][i] = (uint8_t)random_next();
	ring_send(&net.rings[1], bufs[1], HEADER_LEN + FRAME_LEN, 0);
}

// A frame goes out and comes in again. One that an earlier driver sent may come first.
static bool net_works(void)
{
	bool same = false;

	send_frame();
	if (!ring_wait(&net.rings[1]))
		return false;
	for (unsigned i = 0; i < SIZE && !same; i++) {
		ring_send(&net.rings[0], bufs[0], BUF_LEN, DESC_WRITE);
		if (!ring_wait(&net.rings[0]))
			return false;
		same = ring_used(&net.rings[0], 0).len == HEADER_LEN + FRAME_LEN &&
		       memcmp(bufs[0] + HEADER_LEN, bufs[1] + HEADER_LEN, FRAME_LEN) == 0;
	}
	return same;
}

static bool balloon_works(void)
{
	static uint32_t pfn;

	pfn = (uint32_t)((gpa_t)page / sizeof(page));
	memset(page, 0x5a, sizeof(page));
	for (unsigned i = 0; i < 2; i++) {
		ring_send(&balloon.rings[i], &pfn, sizeof(pfn), 0);
		if (!ring_wait(&balloon.rings[i]))
			return false;
	}
	return *(volatile uint8_t *)page == 0;
}

// ---- shapes: each makes chains in a ring, with `flags` for the direction that the queue is for

static void head_at_size(struct ring *ring, unsigned flags)
{
	(void)flags;
	ring_submit(ring, SIZE);
}

static void head_max(struct ring *ring, unsigned flags)
{
	(void)flags;
	ring_submit(ring, 0xffff);
}

static void index_far(struct ring *ring, unsigned flags)
{
	ring_desc(ring, 0, (gpa_t)bufs[0], BUF_LEN, flags, 0);
	ring_submit(ring, 0);
	ring->avail_idx = SIZE + 1;
}

static void next_at_size(struct ring *ring, unsigned flags)
{
	ring_desc(ring, 0, (gpa_t)bufs[0], 4, flags | DESC_NEXT, SIZE);
	ring_submit(ring, 0);
}

static void loop_of_one(struct ring *ring, unsigned flags)
{
	ring_desc(ring, 0, (gpa_t)bufs[0], 4, flags | DESC_NEXT, 0);
	ring_submit(ring, 0);
}

static void loop_of_all(struct ring *ring, unsigned flags)
{
	for (unsigned i = 0; i < SIZE; i++)
		ring_desc(ring, i, (gpa_t)bufs[0], 1, flags | DESC_NEXT, (i + 1) % SIZE);
	ring_submit(ring, 0);
}

static void indirect_nested(struct ring *ring, unsigned flags)
{
	(void)flags;
	table[0] = (struct desc) { .gpa = (gpa_t)table, .len = sizeof(table), .flags = DESC_INDIRECT };
	ring_desc(ring, 0, (gpa_t)table, sizeof(table), DESC_INDIRECT, 0);
	ring_submit(ring, 0);
}

static void indirect_of_31(struct ring *ring, unsigned flags)
{
	(void)flags;
	ring_desc(ring, 0, (gpa_t)table, 31, DESC_INDIRECT, 0);
	ring_submit(ring, 0);
}

static void indirect_beyond_ram(struct ring *ring, unsigned flags)
{
	(void)flags;
	ring_desc(ring, 0, ram_limit, sizeof(table), DESC_INDIRECT, 0);
	ring_submit(ring, 0);
}

static void buffer(struct ring *ring, gpa_t gpa, uint32_t len, unsigned flags)
{
	ring_desc(ring, 0, gpa, len, flags, 0);
	ring_submit(ring, 0);
}

static void beyond_ram(struct ring *ring, unsigned flags)
{
	buffer(ring, ram_limit, BUF_LEN, flags);
}

static void across_the_end(struct ring *ring, unsigned flags)
{
	buffer(ring, ram_limit - 8, BUF_LEN, flags);
}

static void across_2_64(struct ring *ring, unsigned flags)
{
	buffer(ring, UINT64_MAX - 7, BUF_LEN, flags);
}

static void of_4_gib(struct ring *ring, unsigned flags)
{
	buffer(ring, 0, UINT32_MAX, flags);
}

static void in_registers(struct ring *ring, unsigned flags)
{
	buffer(ring, ring->dev->common, 16, flags);
}

static void of_no_byte(struct ring *ring, unsigned flags)
{
	buffer(ring, (gpa_t)bufs[0], 0, flags);
}

static void wrong_direction(struct ring *ring, unsigned flags)
{
	buffer(ring, (gpa_t)bufs[0], BUF_LEN, flags ^ DESC_WRITE);
}

// ---- what becomes of them

enum column { RNG, RX, TX, BALLOON };

static const struct shape {
	const char *name;
	void (*make)(struct ring *ring, unsigned flags);
	enum outcome outcome[4]; // by column
} shapes[] = {
	{ "a head outside of the table", head_at_size, { BROKEN, BROKEN, BROKEN, BROKEN } },
	{ "head 65535", head_max, { BROKEN, BROKEN, BROKEN, BROKEN } },
	{ "an index too far ahead", index_far, { BROKEN, BROKEN, BROKEN, BROKEN } },
	{ "next outside of the table", next_at_size, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "a descriptor that is its own next", loop_of_one, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "all descriptors in a loop", loop_of_all, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "an indirect table in an indirect table", indirect_nested, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "an indirect table of 31 bytes", indirect_of_31, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "an indirect table beyond RAM", indirect_beyond_ram, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "a buffer beyond RAM", beyond_ram, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "a buffer across the end of RAM", across_the_end, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "a buffer across 2^64", across_2_64, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "a buffer of 4 GiB", of_4_gib, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "a buffer in registers", in_registers, { BROKEN, BROKEN, ANSWERED, BROKEN } },
	{ "a buffer of 0 bytes", of_no_byte, { ANSWERED, BROKEN, ANSWERED, ANSWERED } },
	{ "a buffer of the other direction", wrong_direction, { ANSWERED, BROKEN, ANSWERED, ANSWERED } },
};

static bool outcome_seen(const struct device *dev, const struct ring *ring, enum outcome outcome)
{
	if (outcome == BROKEN)
		return virtio_wait_status(&dev->virtio, VIRTIO_CONFIG_S_NEEDS_RESET);
	return ring_wait(ring) && ring_used(ring, 0).len == 0 && virtio_status(&dev->virtio) == STATUS_RUNNING;
}

static void check_shape(const struct shape *shape, struct device *dev, unsigned queue_idx, enum column column)
{
	struct ring *ring = &dev->rings[queue_idx];
	bool good = start(dev);

	shape->make(ring, column == RNG || column == RX ? DESC_WRITE : 0);
	ring_publish(ring);
	ring_kick(ring);
	// A receive queue is read when there is a frame.
	if (column == RX)
		send_frame();
	good = good && outcome_seen(dev, ring, shape->outcome[column]);
	if (!tap_ok(good, "%s, queue %u: %s", dev->name, queue_idx, shape->name))
		print("# device status 0x%x, used.idx %u\n", virtio_status(&dev->virtio), ring->rings.used.idx);
	for (unsigned i = 0; i < COUNT_OF(devices); i++)
		if (devices[i] != dev && !devices[i]->works())
			tap_ok(false, "after %s at %s: %s works", shape->name, dev->name, devices[i]->name);
	if (!start(dev) || !dev->works())
		tap_ok(false, "after %s: a reset, and %s works", shape->name, dev->name);
}

// Pages that are none: not RAM, or at the end of what 32 bits number. They are passed over.
static void check_pages(void)
{
	const uint32_t pfns[] = { (uint32_t)(ram_limit / sizeof(page)), UINT32_MAX, 0xfee00, 0xc0000, 0x80000000 };

	for (unsigned i = 0; i < 2; i++) {
		ring_send(&balloon.rings[i], pfns, sizeof(pfns), 0);
		tap_ok(ring_wait(&balloon.rings[i]), "balloon, queue %u: pages that are no RAM", i);
		ring_send(&balloon.rings[i], pfns, 3, 0);
		tap_ok(ring_wait(&balloon.rings[i]), "balloon, queue %u: three bytes of a page's number", i);
	}
	tap_ok(virtio_status(&balloon.virtio) == STATUS_RUNNING && balloon_works(), "and it works");
}

// Rings at places that are no RAM: the queue is not enabled.
static void check_ring_places(struct device *dev)
{
	const gpa_t places[] = { ram_limit, ram_limit - 16, UINT64_MAX - 0xfff, dev->virtio.common };
	unsigned nrefused = 0;

	for (unsigned i = 0; i < COUNT_OF(places); i++) {
		virtio_negotiate(&dev->virtio, FEATURE(VIRTIO_F_VERSION_1));
		virtio_set(&dev->virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2, dev->nqueues - 1);
		virtio_queue_addresses(&dev->virtio, places[i], places[i], places[i]);
		virtio_queue_enable(&dev->virtio);
		virtio_set_status(&dev->virtio, STATUS_RUNNING);
		mem_write(dev->rings[dev->nqueues - 1].notify, 2, dev->nqueues - 1);
		nrefused += virtio_wait_status(&dev->virtio, VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	tap_is(nrefused, COUNT_OF(places), "%s: rings that are not in RAM: DEVICE_NEEDS_RESET", dev->name);
	tap_ok(start(dev) && dev->works(), "%s: a reset mends it", dev->name);
}

void guest_main(void)
{
	irq_init();
	ram_limit = ram_end();
	for (unsigned i = 0; i < COUNT_OF(devices); i++) {
		struct device *dev = devices[i];

		if (!virtio_open_device(&dev->virtio, (uint16_t)PCI_DEVICE(dev->virtio_id)))
			bail("no virtio-%s device", dev->name);
		tap_ok(start(dev) && dev->works(), "%s works", dev->name);
	}
	for (unsigned i = 0; i < COUNT_OF(shapes); i++) {
		check_shape(&shapes[i], &rng, 0, RNG);
		check_shape(&shapes[i], &net, 0, RX);
		check_shape(&shapes[i], &net, 1, TX);
		check_shape(&shapes[i], &balloon, 0, BALLOON);
		check_shape(&shapes[i], &balloon, 1, BALLOON);
	}
	check_pages();
	for (unsigned i = 0; i < COUNT_OF(devices); i++)
		check_ring_places(devices[i]);
}
