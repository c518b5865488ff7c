// SPDX-License-Identifier: Apache-2.0
// The pmem device as its driver should use it: identity, negotiation, configuration, queue, flush requests.
#include "cpu.h"
#include "pci.h"
#include "virtio.h"

#define BURSTS_TO_WRAP (0x10000u / QUEUE_SIZE_MAX + 1)
#define QUEUE_VECTOR 0x41u

static struct virtio dev, other;
static uint64_t offered;

// ---- what the device is

static void check_identity(void)
{
	tap_ok(pci_read(dev.slot, PCI_REVISION_ID, 1) >= 1, "revision is 1 or more");
	tap_ok(pci_read(dev.slot, PCI_SUBSYSTEM_ID, 2) >= 0x40, "subsystem id is 0x40 or more");
	tap_ok((pci_read(dev.slot, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST) != 0, "has a list of capabilities");
	tap_is((uint32_t)mem_read(pci_ecam(dev.slot, 0), 4), pci_read(dev.slot, 0, 4),
	       "the memory-mapped configuration space shows the same device");
	tap_ok(dev.common_len >= 56 && dev.common % 4 == 0, "common configuration: length and alignment");
	tap_ok(dev.notify_len >= 2 && dev.notify % 2 == 0, "notification: length and alignment");
	tap_ok((dev.notify_multiplier & (dev.notify_multiplier - 1)) == 0 && dev.notify_multiplier != 1,
	       "notify_off_multiplier is 0 or an even power of two");
	tap_ok(dev.isr_len >= 1, "ISR status: length");
	tap_ok(dev.config_len >= 16 && dev.config % 4 == 0, "device configuration: length and alignment");
	tap_ok(dev.pci_cfg_cap != 0, "has the PCI configuration access capability");
}

static void check_reset_state(void)
{
	virtio_set_status(&dev, 0);
	tap_is(virtio_status(&dev), 0, "status is 0 after reset");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_NUMQ, 2), 1, "one virtqueue");
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_SIZE, 2), QUEUE_SIZE_MAX, "queue size is 128 after reset");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0, "queue is not enabled after reset");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0, "queue address is 0 after reset");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR, "no vector for changes of configuration");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR, "no vector for the queue");
}

// ---- negotiation

static void check_features(void)
{
	offered = virtio_features(&dev);
	print("# features 0x%lx\n", offered);
	tap_ok((offered & FEATURE(VIRTIO_F_VERSION_1)) != 0, "offers VERSION_1");
	tap_ok((offered & FEATURE(VIRTIO_F_INDIRECT_DESC)) != 0, "offers INDIRECT_DESC");
	tap_ok((offered & FEATURE(VIRTIO_F_EVENT_IDX)) != 0, "offers EVENT_IDX");
	tap_ok((offered & FEATURE(VIRTIO_PMEM_F_SHMEM_REGION)) == 0, "does not offer SHMEM_REGION unasked");
	virtio_set(&dev, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_DF, 4), 0, "feature bits 64 to 95 read 0");
	virtio_set(&dev, VIRTIO_PCI_COMMON_DFSELECT, 4, UINT32_MAX);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_DF, 4), 0, "feature bits far beyond read 0");
}

static void check_refused(uint64_t features, const char *why)
{
	tap_ok(!virtio_negotiate(&dev, features), "FEATURES_OK stays clear: %s", why);
	virtio_set_status(&dev, STATUS_RUNNING);
	tap_ok((virtio_status(&dev) & VIRTIO_CONFIG_S_DRIVER_OK) == 0, "and DRIVER_OK too: %s", why);
}

static void check_negotiation(void)
{
	uint64_t one = FEATURE(VIRTIO_F_VERSION_1);

	check_refused(0, "no feature at all");
	check_refused(offered & ~one, "no VERSION_1");
	check_refused(one | FEATURE(1), "a bit that was not offered");
	check_refused(offered | FEATURE(34), "RING_PACKED was not offered");
	check_refused(one | FEATURE(63), "bit 63");
	// Any subset must be accepted, so that an old driver works.
	for (unsigned bit = 0; bit < 64; bit++)
		if (offered >> bit & 1)
			tap_ok(virtio_negotiate(&dev, one | FEATURE(bit)), "VERSION_1 with bit %u is accepted", bit);
	tap_ok(virtio_negotiate(&dev, one), "VERSION_1 alone is accepted");
	tap_ok(virtio_negotiate(&dev, offered) && virtio_negotiate(&dev, offered), "all are accepted, twice");
	virtio_set(&dev, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_GF, 4), (uint32_t)offered, "driver features read back");
	virtio_set(&dev, VIRTIO_PCI_COMMON_GF, 4, 0);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_GF, 4), (uint32_t)offered, "and do not change after FEATURES_OK");
}

static void check_config(void)
{
	uint64_t start, size = option("size", 0);

	virtio_set_status(&dev, 0);
	start = virtio_config64(&dev, 0);
	tap_ok(start != 0 && start % (2 << 20) == 0, "start is a multiple of 2 MiB before FEATURES_OK");
	if (size)
		tap_is(virtio_config64(&dev, 8), size, "size is the file's before FEATURES_OK");
	tap_is(mem_read(dev.config, 8), start, "start in one read");
	for (unsigned i = 0; i < 8; i++)
		if (mem_read(dev.config + i, 1) != (start >> 8 * i & 0xff))
			tap_ok(false, "byte %u of start", i);
	mem_write(dev.config, 4, 0x12345678);
	tap_is(virtio_config64(&dev, 0), start, "start cannot be written");
	tap_ok(virtio_negotiate(&dev, offered) && virtio_config64(&dev, 0) == start,
	       "start is the same after FEATURES_OK");
}

// ---- the queue

static void check_queue_registers(void)
{
	virtio_negotiate(&dev, offered);
	virtio_queue_setup(&dev, 64);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_SIZE, 2), 64, "a smaller queue size is taken");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_AVAILLO, 4), (uint32_t)(gpa_t)&dev.rings.avail,
	       "a ring's address reads back");
	for (unsigned i = 0; i < 4; i++) {
		static const uint16_t sizes[] = { 0, 3, 256, 0xffff };

		virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SIZE, 2, sizes[i]);
		tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_SIZE, 2), 64, "queue size %u is not taken", sizes[i]);
	}
	tap_ok(virtio_queue_enable(&dev), "queue is enabled");
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1, "queue_enable 0 does nothing");
}

// "MUST NOT consume buffers or send any used buffer notifications before DRIVER_OK."
static void check_before_driver_ok(void)
{
	virtio_negotiate(&dev, offered);
	virtio_queue_setup(&dev, QUEUE_SIZE_MAX);
	virtio_queue_enable(&dev);
	virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
	virtio_publish(&dev);
	virtio_kick(&dev);
	delay(TICKS_SHORT);
	tap_is(dev.rings.used.idx, 0, "nothing is used before DRIVER_OK");
	virtio_set_status(&dev, STATUS_RUNNING);
	virtio_kick(&dev);
	tap_ok(virtio_wait(&dev) && dev.requests[0].status == FLUSH_OK, "and everything after it");
}

static void check_queue_sizes(void)
{
	// A chain may not be longer than the queue, not even in an indirect table: so a flush needs two.
	for (uint16_t size = 2; size <= QUEUE_SIZE_MAX; size = (uint16_t)(2 * size)) {
		bool good = virtio_start(&dev, offered, size);

		for (unsigned i = 0; i < 5 && good; i++)
			good = virtio_flush_many(&dev, size) && virtio_flush_many(&dev, size / 2 + 1u);
		tap_ok(good, "a queue of %u works", size);
	}
}

// ---- requests

static void check_store_and_flush(void)
{
	uint64_t start = virtio_config64(&dev, 0), size = virtio_config64(&dev, 8);
	volatile uint64_t *window = map(start, size);
	struct used_elem used;

	tap_ok(virtio_start(&dev, offered, QUEUE_SIZE_MAX), "starts with all features");
	for (uint64_t at = 0; at < size; at += 4096)
		window[at / 8] = UINT64_C(0x1122334400000000) | at;
	window[size / 8 - 1] = UINT64_C(0x6c617374206f6e65); // "eno tsal": the last bytes of the file
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush's status is 0");
	used = virtio_used(&dev, 0);
	tap_is(used.id, 0, "its head is returned");
	tap_is(used.len, 4, "used.len is the 4 bytes of the status");
	tap_ok(window[0] == UINT64_C(0x1122334400000000) && window[512] == UINT64_C(0x1122334400001000),
	       "what was stored is in the window");
}

static void check_types(void)
{
	static const uint32_t types[] = { 1, 2, 0x100, 0x10000, 0x80000000, UINT32_MAX };

	for (unsigned i = 0; i < COUNT_OF(types); i++) {
		tap_is(virtio_request(&dev, types[i]), FLUSH_FAILED, "request type 0x%x fails with -1", types[i]);
		tap_is(virtio_used(&dev, 0).len, 4, "and used.len 4");
	}
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush after them works");
}

static void check_batches(void)
{
	tap_ok(virtio_flush_many(&dev, QUEUE_SIZE_MAX), "128 flushes with one kick");
	for (unsigned i = 0; i < QUEUE_SIZE_MAX / 2; i++)
		virtio_submit(&dev, virtio_prepare(&dev, i, i % 3 ? REQUEST_FLUSH : 77));
	virtio_publish(&dev);
	virtio_kick(&dev);
	tap_ok(virtio_wait(&dev), "64 requests, flushes and others, with one kick");
	for (unsigned i = 0; i < QUEUE_SIZE_MAX / 2; i++)
		if (dev.requests[i].status != (i % 3 ? FLUSH_OK : FLUSH_FAILED))
			tap_ok(false, "status 0x%x of request %u", dev.requests[i].status, i);
	for (unsigned i = 0; i < 10; i++)
		virtio_kick(&dev);
	delay(TICKS_SHORT);
	tap_ok(dev.rings.used.idx == dev.avail_idx && virtio_status(&dev) == STATUS_RUNNING,
	       "kicks of an empty ring do nothing");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush after them works");
}

// Sends the chain that begins at descriptor 0 and returns the status.
static uint32_t send_chain(void)
{
	dev.requests[0].type = REQUEST_FLUSH;
	dev.requests[0].status = FLUSH_UNANSWERED;
	virtio_submit(&dev, 0);
	virtio_publish(&dev);
	virtio_kick(&dev);
	return virtio_wait(&dev) ? dev.requests[0].status : FLUSH_UNANSWERED;
}

// Descriptor i of a chain in `table`, which goes on with i + 1.
static void link_desc(struct desc *table, unsigned i, const volatile void *at, uint32_t len, unsigned flags)
{
	table[i] = (struct desc) { .gpa = (gpa_t)at, .len = len, .flags = (uint16_t)(flags | DESC_NEXT) };
	table[i].next = (uint16_t)(i + 1);
}

static void end_chain(struct desc *table, unsigned last)
{
	table[last].flags &= (uint16_t)~DESC_NEXT;
}

// A request in pieces of `piece` bytes, from descriptor i on. Returns the number of descriptors.
static unsigned cut(struct desc *table, unsigned i, uint32_t piece)
{
	uint8_t *type = (uint8_t *)&dev.requests[0].type;
	volatile uint8_t *status = (volatile uint8_t *)&dev.requests[0].status;

	for (uint32_t off = 0; off < 4; off += piece)
		link_desc(table, i++, type + off, piece, 0);
	for (uint32_t off = 0; off < 4; off += piece)
		link_desc(table, i++, status + off, piece, DESC_WRITE);
	return i;
}

static void check_framing(void)
{
	struct desc *table = dev.rings.desc;

	for (uint32_t piece = 1; piece <= 2; piece++) {
		end_chain(table, cut(table, 0, piece) - 1);
		tap_is(send_chain(), FLUSH_OK, "type and status in pieces of %u", piece);
		tap_is(virtio_used(&dev, 0).len, 4, "used.len is their sum");
	}
	link_desc(table, 0, &dev.requests[0].type, 3, 0);
	link_desc(table, 1, (uint8_t *)&dev.requests[0].type + 3, 1, 0);
	link_desc(table, 2, &dev.requests[0].status, 1, DESC_WRITE);
	link_desc(table, 3, (volatile uint8_t *)&dev.requests[0].status + 1, 3, DESC_WRITE);
	end_chain(table, 3);
	tap_is(send_chain(), FLUSH_OK, "type as 3 and 1 bytes, status as 1 and 3");
	// Descriptors need not be in order.
	link_desc(table, 0, &dev.requests[0].type, 4, 0);
	table[0].next = 127;
	table[127] = (struct desc) { .gpa = (gpa_t)&dev.requests[0].status, .len = 4, .flags = DESC_WRITE };
	tap_is(send_chain(), FLUSH_OK, "a chain from descriptor 0 to 127");
}

static void check_indirect(void)
{
	struct desc *table = dev.rings.desc, *inner = &dev.tables[0][0];

	// A table of any length; its own WRITE flag means nothing.
	end_chain(inner, cut(inner, 0, 1) - 1);
	table[0] = (struct desc) { .gpa = (gpa_t)inner, .len = 8 * 16, .flags = DESC_INDIRECT | DESC_WRITE };
	tap_is(send_chain(), FLUSH_OK, "an indirect table of 8, with the WRITE flag on it");
	link_desc(table, 0, &dev.requests[0].type, 4, 0);
	link_desc(inner, 0, &dev.requests[0].status, 4, DESC_WRITE);
	end_chain(inner, 0);
	table[1] = (struct desc) { .gpa = (gpa_t)inner, .len = 16, .flags = DESC_INDIRECT };
	tap_is(send_chain(), FLUSH_OK, "a descriptor followed by an indirect one");
	tap_is(virtio_used(&dev, 0).id, 0, "the head is the first one");
}

// The device takes chains of up to 16 buffers ("MAY have a reasonable limit"); hostile_chain.c has a longer one.
static void check_longest_chain(void)
{
	static volatile uint8_t spare[CHAIN_MAX];
	struct desc *table = dev.rings.desc;
	unsigned i = cut(table, 0, 1);

	memset((void *)spare, 0x5a, sizeof(spare));
	for (; i < CHAIN_MAX; i++)
		link_desc(table, i, &spare[i], 1, DESC_WRITE);
	end_chain(table, CHAIN_MAX - 1);
	tap_is(send_chain(), FLUSH_OK, "a chain of 16 descriptors");
	tap_is(virtio_used(&dev, 0).len, 4, "used.len is still 4");
	tap_ok(spare[CHAIN_MAX - 1] == 0x5a, "what is writable beyond the status is not written");
}

static void check_index_wrap(void)
{
	uint16_t before = dev.avail_idx;
	bool good = true;

	for (unsigned i = 0; i < BURSTS_TO_WRAP && good; i++)
		good = virtio_flush_many(&dev, QUEUE_SIZE_MAX);
	tap_ok(good, "%u bursts of 128, past index 65536", BURSTS_TO_WRAP);
	tap_is((uint16_t)(dev.avail_idx - before), QUEUE_SIZE_MAX, "the index has wrapped");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush after it works");
}

// ---- notifications in both directions

// Whether the device asks to be kicked for the request with this index.
static bool kick_wanted(uint16_t idx)
{
	if (dev.features & FEATURE(VIRTIO_F_EVENT_IDX))
		return avail_event(&dev) == idx;
	return dev.rings.used.flags == 0;
}

static void check_event_idx(bool on)
{
	uint64_t features = on ? offered : offered & ~FEATURE(VIRTIO_F_EVENT_IDX);
	const char *name = on ? "with EVENT_IDX" : "without EVENT_IDX";
	bool good = virtio_start(&dev, features, 16);

	for (unsigned i = 0; i < 100 && good; i++)
		good = virtio_flush(&dev) == FLUSH_OK;
	tap_ok(good, "100 flushes %s", name);
	// An idle device asks for a kick: a driver that obeys must not wait for ever.
	for (uint64_t end = wait_end(); !kick_wanted(dev.avail_idx) && wait_on(end);)
		;
	if (on)
		tap_is(avail_event(&dev), dev.avail_idx, "an idle device asks for the next kick %s", name);
	tap_is(dev.rings.used.flags, 0, "used.flags is 0 %s", name);
}

// A driver that asks before every kick whether one is needed, as Linux does.
static bool flush_kicking_if_asked(void)
{
	virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
	virtio_publish(&dev);
	if (kick_wanted((uint16_t)(dev.avail_idx - 1)))
		virtio_kick(&dev);
	return virtio_wait(&dev) && dev.requests[0].status == FLUSH_OK;
}

static void check_kick_if_asked(uint64_t features, const char *name)
{
	bool good = virtio_start(&dev, features, 64);
	unsigned i;

	for (i = 0; i < 3000 && good; i++)
		good = flush_kicking_if_asked();
	tap_ok(good, "%u of 3000 flushes, kicked only when asked for, %s", i, name);
}

static void check_interrupts(void)
{
	bool good;

	if (!dev.msix_cap) {
		tap_ok(true, "flushes by interrupt # SKIP the device has no MSI-X");
		return;
	}
	good = virtio_start(&dev, offered, 64);
	msix_set_entry(&dev, 1, QUEUE_VECTOR, false);
	msix_control(&dev, true, false);
	good = good && msix_map(&dev, NO_VECTOR, 1) == 1;
	for (unsigned i = 0; i < 500 && good; i++) {
		*used_event(&dev) = dev.avail_idx;
		virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
		virtio_publish(&dev);
		virtio_kick(&dev);
		irq_sleep(QUEUE_VECTOR, i + 1);
		good = dev.rings.used.idx == dev.avail_idx && dev.requests[0].status == FLUSH_OK;
	}
	tap_ok(good, "500 flushes, asleep until the interrupt");
	tap_is(irq_count(QUEUE_VECTOR), 500, "one interrupt for each");
	virtio_set_status(&dev, 0);
	msix_control(&dev, false, false);
}

// ---- further devices: independent of the first

static void check_others(void)
{
	for (unsigned nth = 1; virtio_open(&other, nth); nth++) {
		uint64_t start = virtio_config64(&other, 0), size = virtio_config64(&other, 8);
		uint64_t first = virtio_config64(&dev, 0), first_size = virtio_config64(&dev, 8);
		volatile uint64_t *window = map(start, size);

		tap_ok(start + size <= first || first + first_size <= start, "device %u: window of its own", nth);
		tap_ok(virtio_start(&other, virtio_features(&other), 8), "device %u: starts", nth);
		window[0] = UINT64_C(0x4156494345000000) + nth;
		tap_is(virtio_flush(&other), FLUSH_OK, "device %u: flush", nth);
		tap_is(virtio_flush(&dev), FLUSH_OK, "device %u: the first one still works", nth);
	}
}

void guest_main(void)
{
	if (!virtio_open(&dev, 0))
		bail("no virtio-pmem device with all its capabilities");
	irq_init();
	check_identity();
	check_reset_state();
	check_features();
	check_negotiation();
	check_config();
	check_queue_registers();
	check_before_driver_ok();
	check_queue_sizes();
	check_store_and_flush();
	check_types();
	check_batches();
	check_framing();
	check_indirect();
	check_longest_chain();
	check_index_wrap();
	check_event_idx(false);
	check_event_idx(true);
	check_kick_if_asked(offered & ~FEATURE(VIRTIO_F_EVENT_IDX), "without EVENT_IDX");
	check_kick_if_asked(offered, "with EVENT_IDX");
	check_interrupts();
	tap_ok(virtio_start(&dev, offered, QUEUE_SIZE_MAX), "starts again");
	check_others();
}
