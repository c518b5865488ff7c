// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that means harm, by its requests. Each shape of misuse gets a device freshly started, must end as
 * the table says, and must leave a device that starts again and flushes. Q1 to Q11 name the classes of failure
 * that other devices had.
 */
#include "cpu.h"
#include "pci.h"
#include "virtio.h"

static struct virtio dev;
static uint64_t offered;
static gpa_t ram_limit, window;

// How a request that is wrong may end.
enum outcome {
	BROKEN,     // DEVICE_NEEDS_RESET
	FAILS,      // answered: status -1
	NO_STATUS,  // answered: used.len 0, for there was no room for a status
	WORKS,      // answered: status 0
	EITHER,     // answered or NEEDS_RESET
};

// ---- making descriptors

static void set_desc(unsigned i, gpa_t gpa, uint32_t len, unsigned flags, unsigned next)
{
	dev.rings.desc[i] = (struct desc){
		.gpa = gpa, .len = len, .flags = (uint16_t)flags, .next = (uint16_t)next,
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

// ---- shapes. Q1: the index runs ahead.

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

// Q2: heads and next fields outside of the table.

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

// Q3: chains without end, or too long.

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

// Q4: indirect tables.

static void indirect_nested(void)
{
	indirect((gpa_t)dev.tables[0], 32, 0);
	dev.tables[0][0] = (struct desc){ .gpa = (gpa_t)dev.tables[1], .len = 32, .flags = DESC_INDIRECT };
}

static void indirect_odd(void)
{
	indirect((gpa_t)dev.tables[0], 31, 0);
}

static void indirect_empty(void)
{
	indirect((gpa_t)dev.tables[0], 0, 0);
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

static void indirect_huge(void)
{
	indirect((gpa_t)dev.tables[0], 0xfffffff0, 0);
}

static void indirect_beyond_ram(void)
{
	indirect(ram_limit - 16, 32, 0);
}

static void indirect_in_window(void)
{
	indirect(window, 32, 0);
}

static void indirect_in_registers(void)
{
	indirect(dev.common, 32, 0);
}

static void indirect_wraps(void)
{
	indirect(UINT64_MAX - 15, 32, 0);
}

// Q5, Q9: buffers that are no RAM.

static void status_at(gpa_t gpa, uint32_t len)
{
	usual();
	set_desc(1, gpa, len, DESC_WRITE, 0);
}

static void type_at(gpa_t gpa, uint32_t len)
{
	usual();
	set_desc(0, gpa, len, DESC_NEXT, 1);
}

static void status_straddles_ram(void)
{
	status_at(ram_limit - 2, 4);
}

static void status_beyond_ram(void)
{
	status_at(ram_limit, 4);
}

static void status_wraps(void)
{
	status_at(UINT64_MAX - 1, 4);
}

static void status_all_memory(void)
{
	status_at(0, UINT32_MAX);
}

static void status_in_window(void)
{
	status_at(window, 4);
}

static void status_in_registers(void)
{
	status_at(dev.common + VIRTIO_PCI_COMMON_STATUS, 4);
}

static void status_in_notify(void)
{
	status_at(dev.notify, 4);
}

static void status_in_config_space(void)
{
	status_at(pci_ecam(dev.slot, PCI_COMMAND), 4);
}

static void status_in_lapic(void)
{
	status_at(0xfee000b0, 4);
}

static void type_beyond_ram(void)
{
	type_at(ram_limit, 4);
}

static void type_in_window(void)
{
	type_at(window, 4);
}

static void type_in_registers(void)
{
	type_at(dev.isr, 4);
}

static void type_wraps(void)
{
	type_at(UINT64_MAX, 4);
}

// Q6, Q7: wrong lengths and directions.

static void type_short(void)
{
	type_at(type_gpa(), 2);
}

static void type_long(void)
{
	type_at(type_gpa() & ~UINT64_C(7), 8);
}

static void type_empty(void)
{
	type_at(type_gpa(), 0);
}

static void status_short(void)
{
	status_at(status_gpa(), 2);
}

static void status_empty(void)
{
	status_at(status_gpa(), 0);
}

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
	status_at(type_gpa(), 4);
	dev.requests[0].status = 0;
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
	{ "a chain of 129 through an indirect table", chain_of_129, BROKEN },
	{ "an indirect table in an indirect table", indirect_nested, BROKEN },
	{ "an indirect table of 31 bytes", indirect_odd, BROKEN },
	{ "an indirect table of 0 bytes", indirect_empty, BROKEN },
	{ "INDIRECT with NEXT", indirect_and_next, BROKEN },
	{ "next outside of the indirect table", indirect_next_outside, BROKEN },
	{ "an indirect table of 4 GiB", indirect_huge, BROKEN },
	{ "an indirect table across the end of RAM", indirect_beyond_ram, BROKEN },
	{ "an indirect table in the pmem window", indirect_in_window, BROKEN },
	{ "an indirect table in registers", indirect_in_registers, BROKEN },
	{ "an indirect table across 2^64", indirect_wraps, BROKEN },
	{ "status across the end of RAM", status_straddles_ram, BROKEN },
	{ "status beyond RAM", status_beyond_ram, BROKEN },
	{ "status across 2^64", status_wraps, BROKEN },
	{ "status of 4 GiB", status_all_memory, BROKEN },
	{ "status in the pmem window", status_in_window, BROKEN },
	{ "status in device_status", status_in_registers, BROKEN },
	{ "status in the notification register", status_in_notify, BROKEN },
	{ "status in configuration space", status_in_config_space, BROKEN },
	{ "status in the local APIC", status_in_lapic, BROKEN },
	{ "type beyond RAM", type_beyond_ram, BROKEN },
	{ "type in the pmem window", type_in_window, BROKEN },
	{ "type in the ISR register", type_in_registers, BROKEN },
	{ "type across 2^64", type_wraps, BROKEN },
	{ "type of 2 bytes", type_short, FAILS },
	{ "type of 8 bytes", type_long, FAILS },
	{ "type of 0 bytes", type_empty, EITHER },
	{ "status of 2 bytes", status_short, NO_STATUS },
	{ "status of 0 bytes", status_empty, EITHER },
	{ "status without type", status_only, FAILS },
	{ "type without status", type_only, NO_STATUS },
	{ "status that is not writable", status_readable, NO_STATUS },
	{ "status before type", status_first, FAILS },
	{ "one request 128 times", same_request_often, WORKS },
	{ "status written over the type", status_over_type, WORKS },
};

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

static void recover(const char *name)
{
	if (!virtio_start(&dev, offered, QUEUE_SIZE_MAX) || virtio_flush(&dev) != FLUSH_OK)
		tap_ok(false, "after %s: a reset and a flush", name);
}

static void check_shapes(void)
{
	for (const struct shape *shape = shapes; shape < shapes + COUNT_OF(shapes); shape++) {
		virtio_start(&dev, offered, QUEUE_SIZE_MAX);
		shape->make();
		virtio_publish(&dev);
		virtio_kick(&dev);
		if (!tap_ok(outcome_seen(shape->outcome), "%s", shape->name))
			print("# device status 0x%x, used.idx %u, request status 0x%x\n", virtio_status(&dev),
			      dev.rings.used.idx, dev.requests[0].status);
		recover(shape->name);
	}
}

static void check_indirect_not_negotiated(void)
{
	virtio_start(&dev, offered & ~FEATURE(VIRTIO_F_INDIRECT_DESC), QUEUE_SIZE_MAX);
	indirect((gpa_t)dev.tables[0], 32, 0);
	virtio_publish(&dev);
	virtio_kick(&dev);
	tap_ok(outcome_seen(BROKEN), "INDIRECT without the feature");
	recover("INDIRECT without the feature");
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
	check_end_of_ram();
}
