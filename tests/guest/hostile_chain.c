// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that means harm, by its requests. Each shape of misuse gets a device freshly started, must end as
 * the table says, and must leave a device that starts again and flushes.
 */
#include "cpu.h"
#include "pci.h"
#include "virtio.h"

static struct virtio dev;
static uint64_t offered;
static gpa_t ram_limit, window;

#define BAD_REQUESTS_MAX 64u // in a row, one at a time

// How a request that is wrong may end.
enum outcome {
	BROKEN,    // DEVICE_NEEDS_RESET
	FAILS,     // answered: status -1
	NO_STATUS, // answered: used.len 0, for there was no room for a status
	WORKS,     // answered: status 0
	EITHER,    // answered or NEEDS_RESET
};

// ---- making descriptors

static void set_desc(unsigned i, gpa_t gpa, uint32_t len, unsigned flags, unsigned next)
{
	dev.rings.desc[i] = (struct desc) {
		.gpa = gpa,
		.len = len,
		.flags = (uint16_t)flags,
		.next = (uint16_t)next,
	};
}

static gpa_t type_gpa(void)
{
	return (gpa_t)&dev.requests[0].type;
}

static gpa_t status_gpa(void)
{
	return (gpa_t)&dev.requests[0].status;
}

// The usual request, for shapes that change one thing of it.
static void usual(void)
{
	virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
}

static void indirect(gpa_t gpa, uint32_t len, unsigned flags)
{
	virtio_submit(&dev, virtio_prepare_indirect(&dev, 0, REQUEST_FLUSH));
	set_desc(0, gpa, len, DESC_INDIRECT | flags, 1);
	set_desc(1, status_gpa(), 4, DESC_WRITE, 0);
}

// ---- shapes. The index runs ahead.

static void index_far(void)
{
	usual();
	dev.avail_idx = QUEUE_SIZE_MAX + 1;
}

static void index_half(void)
{
	usual();
	dev.avail_idx = 0x8000;
}

static void index_back(void)
{
	usual();
	dev.avail_idx = 0xffff;
}

// Heads and next fields outside of the table.

static void head_at_size(void)
{
	virtio_submit(&dev, QUEUE_SIZE_MAX);
}

static void head_max(void)
{
	virtio_submit(&dev, 0xffff);
}

static void next_at_size(void)
{
	usual();
	dev.rings.desc[0].next = QUEUE_SIZE_MAX;
}

static void next_max(void)
{
	usual();
	dev.rings.desc[0].next = 0xffff;
}

// Chains without end, or too long.

static void loop_of_one(void)
{
	usual();
	set_desc(0, type_gpa(), 4, DESC_NEXT, 0);
}

static void loop_of_two(void)
{
	usual();
	set_desc(1, status_gpa(), 4, DESC_WRITE | DESC_NEXT, 0);
}

static void loop_of_all(void)
{
	usual();
	for (unsigned i = 0; i < QUEUE_SIZE_MAX; i++)
		set_desc(i, status_gpa(), 1, DESC_WRITE | DESC_NEXT, (i + 1) % QUEUE_SIZE_MAX);
}

static void chain_of_17(void)
{
	usual();
	for (unsigned i = 1; i < CHAIN_MAX + 1; i++)
		set_desc(i, status_gpa(), 4, DESC_WRITE | (i < CHAIN_MAX ? DESC_NEXT : 0), i + 1);
}

static void chain_of_129(void)
{
	usual();
	for (unsigned i = 0; i < QUEUE_SIZE_MAX - 1; i++)
		set_desc(i, status_gpa(), 1, DESC_WRITE | DESC_NEXT, i + 1);
	set_desc(QUEUE_SIZE_MAX - 1, (gpa_t)dev.tables, 32, DESC_INDIRECT, 0);
	dev.tables[0][0] = dev.tables[0][1] = dev.rings.desc[0];
	dev.tables[0][0].next = 1;
	dev.tables[0][1].flags = DESC_WRITE;
}

// Indirect tables.

static void indirect_nested(void)
{
	indirect((gpa_t)dev.tables[0], 32, 0);
	dev.tables[0][0] = (struct desc) { .gpa = (gpa_t)dev.tables[1], .len = 32, .flags = DESC_INDIRECT };
}

static void indirect_and_next(void)
{
	indirect((gpa_t)dev.tables[0], 32, DESC_NEXT);
}

static void indirect_next_outside(void)
{
	indirect((gpa_t)dev.tables[0], 32, 0);
	dev.tables[0][0].next = 2;
}

// Wrong directions.

static void status_only(void)
{
	usual();
	set_desc(0, status_gpa(), 4, DESC_WRITE, 0);
}

static void type_only(void)
{
	usual();
	dev.rings.desc[0].flags = 0;
}

static void status_readable(void)
{
	usual();
	dev.rings.desc[1].flags = 0;
}

static void status_first(void)
{
	usual();
	set_desc(0, status_gpa(), 4, DESC_WRITE | DESC_NEXT, 1);
	set_desc(1, type_gpa(), 4, 0, 0);
}

static void same_request_often(void)
{
	for (unsigned i = 0; i < QUEUE_SIZE_MAX; i++)
		usual();
}

static void status_over_type(void)
{
	usual();
	dev.rings.desc[1].gpa = type_gpa();
	dev.requests[0].status = FLUSH_OK;
}

static const struct shape {
	const char *name;
	void (*make)(void);
	enum outcome outcome;
} shapes[] = {
	{ "avail.idx 129 ahead", index_far, BROKEN },
	{ "avail.idx 32768 ahead", index_half, BROKEN },
	{ "avail.idx one back", index_back, BROKEN },
	{ "head 128 of 128", head_at_size, BROKEN },
	{ "head 65535", head_max, BROKEN },
	{ "next 128 of 128", next_at_size, BROKEN },
	{ "next 65535", next_max, BROKEN },
	{ "a descriptor that is its own next", loop_of_one, BROKEN },
	{ "two descriptors in a loop", loop_of_two, BROKEN },
	{ "all descriptors in a loop", loop_of_all, BROKEN },
	{ "a chain of 17", chain_of_17, BROKEN },
	{ "a chain of 129 through an indirect table", chain_of_129, BROKEN },
	{ "an indirect table in an indirect table", indirect_nested, BROKEN },
	{ "INDIRECT with NEXT", indirect_and_next, BROKEN },
	{ "next outside of the indirect table", indirect_next_outside, BROKEN },
	{ "status without type", status_only, FAILS },
	{ "type without status", type_only, NO_STATUS },
	{ "status that is not writable", status_readable, NO_STATUS },
	{ "status before type", status_first, FAILS },
	{ "one request 128 times", same_request_often, WORKS },
	{ "status written over the type", status_over_type, WORKS },
};

// One part of the request where it may not be, or with a length that it may not have.
static const struct misplaced {
	const char *name;
	enum { TYPE, STATUS, TABLE } part;
	enum { RIGHT, RAM_END, TOP, RAM_START, WINDOW, REGISTERS, ISR, NOTIFY, CONFIG_SPACE, LAPIC } place;
	int off;
	uint32_t len;
	enum outcome outcome;
} misplaced[] = {
	{ "an indirect table of 31 bytes", TABLE, RIGHT, 0, 31, BROKEN },
	{ "an indirect table of 0 bytes", TABLE, RIGHT, 0, 0, BROKEN },
	{ "an indirect table of 4 GiB", TABLE, RIGHT, 0, 0xfffffff0, BROKEN },
	{ "an indirect table across the end of RAM", TABLE, RAM_END, -16, 32, BROKEN },
	{ "an indirect table across 2^64", TABLE, TOP, -16, 32, BROKEN },
	{ "an indirect table in the pmem window", TABLE, WINDOW, 0, 32, BROKEN },
	{ "an indirect table in registers", TABLE, REGISTERS, 0, 32, BROKEN },
	{ "status across the end of RAM", STATUS, RAM_END, -2, 4, BROKEN },
	{ "status beyond RAM", STATUS, RAM_END, 0, 4, BROKEN },
	{ "status across 2^64", STATUS, TOP, -2, 4, BROKEN },
	{ "status of 4 GiB", STATUS, RAM_START, 0, UINT32_MAX, BROKEN },
	{ "status in the pmem window", STATUS, WINDOW, 0, 4, BROKEN },
	{ "status in device_status", STATUS, REGISTERS, VIRTIO_PCI_COMMON_STATUS, 4, BROKEN },
	{ "status in the notification register", STATUS, NOTIFY, 0, 4, BROKEN },
	{ "status in configuration space", STATUS, CONFIG_SPACE, PCI_COMMAND, 4, BROKEN },
	{ "status in the local APIC", STATUS, LAPIC, 0xb0, 4, BROKEN },
	{ "status of 2 bytes", STATUS, RIGHT, 0, 2, NO_STATUS },
	{ "status of 0 bytes", STATUS, RIGHT, 0, 0, EITHER },
	{ "type across the end of RAM", TYPE, RAM_END, -2, 4, BROKEN },
	{ "type beyond RAM", TYPE, RAM_END, 0, 4, BROKEN },
	{ "type across 2^64", TYPE, TOP, -1, 4, BROKEN },
	{ "type in the pmem window", TYPE, WINDOW, 0, 4, BROKEN },
	{ "type in the ISR register", TYPE, ISR, 0, 4, BROKEN },
	{ "type of 2 bytes", TYPE, RIGHT, 0, 2, FAILS },
	{ "type of 8 bytes", TYPE, RIGHT, 0, 8, FAILS },
	{ "type of 0 bytes", TYPE, RIGHT, 0, 0, EITHER },
};

static gpa_t place_of(const struct misplaced *wrong)
{
	const gpa_t right[] = { [TYPE] = type_gpa(), [STATUS] = status_gpa(), [TABLE] = (gpa_t)dev.tables[0] };
	const gpa_t places[] = {
		[RIGHT] = right[wrong->part],
		[RAM_END] = ram_limit,
		[TOP] = 0,
		[RAM_START] = 0,
		[WINDOW] = window,
		[REGISTERS] = dev.common,
		[ISR] = dev.isr,
		[NOTIFY] = dev.notify,
		[CONFIG_SPACE] = pci_ecam(dev.slot, 0),
		[LAPIC] = 0xfee00000,
	};

	return places[wrong->place] + (gpa_t)wrong->off;
}

static void misplace(const struct misplaced *wrong)
{
	struct desc *desc;

	if (wrong->part == TABLE)
		indirect(place_of(wrong), wrong->len, 0);
	else
		usual();
	desc = &dev.rings.desc[wrong->part == STATUS ? 1 : 0];
	desc->gpa = place_of(wrong);
	desc->len = wrong->len;
}

static bool outcome_seen(enum outcome outcome)
{
	bool broken = outcome == BROKEN && virtio_wait_status(&dev, VIRTIO_CONFIG_S_NEEDS_RESET);
	bool used = outcome != BROKEN && virtio_wait(&dev);

	switch (outcome) {
	case BROKEN:
		return broken;
	case FAILS:
		return used && dev.requests[0].status == FLUSH_FAILED && virtio_used(&dev, 0).len == 4;
	case NO_STATUS:
		return used && dev.requests[0].status == FLUSH_UNANSWERED && virtio_used(&dev, 0).len == 0;
	case WORKS:
		return used && dev.requests[0].status == FLUSH_OK && virtio_used(&dev, 0).len == 4;
	default:
		return used || (virtio_status(&dev) & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
}

static void check_outcome(const char *name, enum outcome outcome)
{
	virtio_publish(&dev);
	virtio_kick(&dev);
	if (!tap_ok(outcome_seen(outcome), "%s", name))
		print("# device status 0x%x, used.idx %u, request status 0x%x\n", virtio_status(&dev),
		      dev.rings.used.idx, dev.requests[0].status);
	if (!virtio_start(&dev, offered, QUEUE_SIZE_MAX) || virtio_flush(&dev) != FLUSH_OK)
		tap_ok(false, "after %s: a reset and a flush", name);
}

static void check_shapes(void)
{
	for (unsigned i = 0; i < COUNT_OF(shapes); i++) {
		virtio_start(&dev, offered, QUEUE_SIZE_MAX);
		shapes[i].make();
		check_outcome(shapes[i].name, shapes[i].outcome);
	}
	for (unsigned i = 0; i < COUNT_OF(misplaced); i++) {
		virtio_start(&dev, offered, QUEUE_SIZE_MAX);
		misplace(&misplaced[i]);
		check_outcome(misplaced[i].name, misplaced[i].outcome);
	}
}

static void check_indirect_not_negotiated(void)
{
	virtio_start(&dev, offered & ~FEATURE(VIRTIO_F_INDIRECT_DESC), QUEUE_SIZE_MAX);
	indirect((gpa_t)dev.tables[0], 32, 0);
	check_outcome("INDIRECT without the feature", BROKEN);
}

// They cost the driver nothing, because no sync slows it down: the device serves so many, and no more.
static void check_only_bad_requests(void)
{
	bool good = virtio_start(&dev, offered, QUEUE_SIZE_MAX);

	for (unsigned i = 0; i < BAD_REQUESTS_MAX - 1 && good; i++)
		good = virtio_request(&dev, 77) == FLUSH_FAILED;
	tap_ok(good && virtio_status(&dev) == STATUS_RUNNING, "bad requests are answered");
	virtio_request(&dev, 77);
	tap_ok(virtio_wait_status(&dev, VIRTIO_CONFIG_S_NEEDS_RESET), "nothing but bad requests: DEVICE_NEEDS_RESET");
	tap_ok(virtio_start(&dev, offered, QUEUE_SIZE_MAX) && virtio_flush(&dev) == FLUSH_OK, "a reset mends it");
}

// The last byte of RAM is RAM.
static void check_end_of_ram(void)
{
	volatile uint32_t *end = (volatile uint32_t *)(ram_limit - 8);

	virtio_start(&dev, offered, QUEUE_SIZE_MAX);
	end[0] = REQUEST_FLUSH;
	end[1] = FLUSH_UNANSWERED;
	usual();
	dev.rings.desc[0].gpa = ram_limit - 8;
	dev.rings.desc[1].gpa = ram_limit - 4;
	virtio_publish(&dev);
	virtio_kick(&dev);
	tap_ok(virtio_wait(&dev) && end[1] == FLUSH_OK, "a request in the last 8 bytes of RAM works");
}

void guest_main(void)
{
	if (!virtio_open(&dev, 0))
		bail("no virtio-pmem device");
	irq_init();
	offered = virtio_features(&dev);
	ram_limit = ram_end();
	window = virtio_config64(&dev, 0);
	check_shapes();
	check_indirect_not_negotiated();
	check_only_bad_requests();
	check_end_of_ram();
}
