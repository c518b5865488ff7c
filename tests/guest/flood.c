// SPDX-License-Identifier: Apache-2.0
/*
 * The second processor keeps the ring full of requests that are not in due form, while the first one accesses
 * registers and counts how many are served meanwhile, until the device asks for a reset or has served enough. Nothing
 * here measures time. All entries of the ring are the same few chains, so filling it again is one store of the index.
 *
 * endless=1: a flood that the device does not end, because each batch has a flush. Only the host ends it.
 */
#include "cpu.h"
#include "virtio.h"

#define HOLD_DESCRIPTORS 512u // what the device reads in one hold of its lock (docs/flush-path.md)
#define BAD_BATCHES_MAX 64u   // in a row without a flush; then the device asks for a reset
#define SERVED_MAX (2 * BAD_BATCHES_MAX * QUEUE_SIZE_MAX)
#define NO_NOTIFY 1u // used.flags

/*
 * A round writes queue_select, for which pmvm takes the device's lock once (to fill the register page), and queue_size,
 * for which it takes it three times. The write of queue_size has no effect, because the queue is enabled. device_status
 * is a load from the register page. Each time the round waits for the present hold of the lock, in which at most one
 * batch is answered: four batches. More are answered while the host runs other threads than this processor's: in one
 * round there may be any number of them, in all rounds as many again. Without a hand-over of the lock, there are few
 * rounds: most batches are answered while one waits.
 */
#define ROUND_LOCKS 4u
#define ROUND_BATCHES_MAX (2 * ROUND_LOCKS)

#define VECTOR (IRQ_VECTOR_FIRST + 1)

static struct virtio dev;
static uint64_t offered;
static gpa_t window;

// ---- the second processor

static volatile bool wanted, active, enough;
static volatile uint64_t nserved, nserved_max;

static void fill_ring(void)
{
	dev.rings.avail.idx = (uint16_t)(dev.rings.used.idx + QUEUE_SIZE_MAX);
	full_barrier();
	if (!(dev.rings.used.flags & NO_NOTIFY))
		virtio_kick(&dev);
}

static void flood(void)
{
	uint16_t seen = dev.rings.used.idx;

	enough = false;
	active = true;
	fill_ring();
	while (wanted && nserved < nserved_max) {
		uint16_t idx = dev.rings.used.idx;

		if (idx != seen) {
			nserved += (uint16_t)(idx - seen);
			seen = idx;
			fill_ring();
		}
		pause();
	}
	nserved += (uint16_t)(dev.rings.used.idx - seen);
	enough = true;
	while (wanted)
		pause();
	active = false;
}

static void flood_when_wanted(void)
{
	for (;;) {
		if (wanted)
			flood();
		pause();
	}
}

// ---- forms: each makes chain 0

static void set_type(gpa_t gpa, uint32_t len)
{
	dev.rings.desc[0].gpa = gpa;
	dev.rings.desc[0].len = len;
}

static void wrong_type(void)
{
	dev.requests[0].type = 77;
}

static void short_type(void)
{
	set_type(dev.rings.desc[0].gpa, 3);
}

static void long_type(void)
{
	set_type(dev.rings.desc[0].gpa, 8);
}

static void no_room_for_status(void)
{
	dev.rings.desc[1].len = 2;
}

static void long_chain(void)
{
	for (unsigned i = 0; i < CHAIN_MAX; i++)
		dev.rings.desc[i] = (struct desc) {
			.gpa = (gpa_t)&dev.requests[0].type,
			.len = 4,
			.flags = i < CHAIN_MAX - 1 ? DESC_NEXT : 0,
			.next = (uint16_t)(i + 1),
		};
}

// Every batch has a sync, so the device does not end this flood.
static void one_flush(void)
{
	unsigned flush = QUEUE_SIZE_MAX / 4;

	dev.requests[0].type = 77;
	dev.rings.avail.ring[0] = virtio_prepare(&dev, flush, REQUEST_FLUSH);
}

static void type_in_window(void)
{
	set_type(window, 4);
}

static void type_beyond_memory(void)
{
	set_type(UINT64_MAX - 3, 4);
}

static void status_in_registers(void)
{
	dev.rings.desc[1].gpa = dev.common + VIRTIO_PCI_COMMON_STATUS;
}

static const struct form {
	const char *name;
	void (*make)(void);
	unsigned descs;   // of one chain
	unsigned batches; // after which the device asks for a reset; 0: it does not
} forms[] = {
	{ "wrong type", wrong_type, 2, BAD_BATCHES_MAX },
	{ "type of 3 bytes", short_type, 2, BAD_BATCHES_MAX },
	{ "type of 8 bytes", long_type, 2, BAD_BATCHES_MAX },
	{ "status of 2 bytes", no_room_for_status, 2, BAD_BATCHES_MAX },
	{ "16 buffers, none for the status", long_chain, CHAIN_MAX, BAD_BATCHES_MAX },
	{ "wrong type, and one flush", one_flush, 2, 0 },
	{ "type in the pmem window", type_in_window, 2, 1 },
	{ "type at the end of the address space", type_beyond_memory, 2, 1 },
	{ "status in device_status", status_in_registers, 2, 1 },
};

// The requests of one batch: each chain may be as long as 16 buffers and an indirect table.
static unsigned batch_max(const struct form *form)
{
	unsigned n = (HOLD_DESCRIPTORS - (CHAIN_MAX + 1)) / form->descs + 1;

	return n < QUEUE_SIZE_MAX ? n : QUEUE_SIZE_MAX;
}

// ---- the first processor

// With an interrupt for each batch.
static bool start(const struct form *form)
{
	if (!virtio_start(&dev, offered & ~FEATURE(VIRTIO_F_EVENT_IDX), QUEUE_SIZE_MAX) || msix_map(&dev, 0, 1) != 1)
		return false;
	virtio_prepare(&dev, 0, REQUEST_FLUSH);
	form->make();
	return true;
}

static bool access_registers(void)
{
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
	return virtio_status(&dev) == STATUS_RUNNING;
}

static struct {
	unsigned nrounds, nserved_max; // requests served in one round
} result;

static void count_rounds(uint64_t served_max)
{
	bool goes_on;

	result.nrounds = result.nserved_max = 0;
	nserved = 0;
	nserved_max = served_max;
	wanted = true;
	for (uint64_t end = wait_end(); !active && wait_on(end);)
		;
	do {
		uint16_t idx = dev.rings.used.idx;

		goes_on = access_registers() && !enough;
		idx = (uint16_t)(dev.rings.used.idx - idx);
		result.nserved_max = idx > result.nserved_max ? idx : result.nserved_max;
		result.nrounds++;
	} while (goes_on);
	wanted = false;
	for (uint64_t end = wait_end(); active && wait_on(end);)
		;
}

static void check_form(const struct form *form)
{
	if (!tap_ok(start(form), "%s: the device starts", form->name))
		return;
	count_rounds(SERVED_MAX);
	print("# %s: %lu requests served, %u rounds, in a round at most %u requests\n", form->name, nserved,
	      result.nrounds, result.nserved_max);
	if (form->batches) {
		tap_is(virtio_status(&dev), STATUS_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET,
		       "%s: the device asks for a reset", form->name);
		tap_ok(nserved > 0 && nserved <= form->batches * batch_max(form), "%s: at most %u batches are served",
		       form->name, form->batches);
	} else {
		tap_is(virtio_status(&dev), STATUS_RUNNING, "%s: the device goes on", form->name);
		tap_ok(nserved >= SERVED_MAX, "%s: and serves as many as there are", form->name);
	}
	tap_ok(nserved <= (uint64_t)result.nrounds * ROUND_BATCHES_MAX * batch_max(form),
	       "%s: the other processor waits for %u batches in a round at most, on the average", form->name,
	       ROUND_BATCHES_MAX);
}

static void flood_without_end(void)
{
	const struct form endless = { .make = one_flush };

	if (!start(&endless))
		bail("the device does not start");
	print("# the flood begins\n");
	count_rounds(UINT64_MAX);
	bail("the flood has ended");
}

void guest_main(void)
{
	if (!virtio_open(&dev, 0))
		bail("no virtio-pmem device");
	irq_init();
	offered = virtio_features(&dev);
	window = virtio_config64(&dev, 0);
	msix_control(&dev, true, false);
	msix_set_entry(&dev, 0, VECTOR, false);
	msix_set_entry(&dev, 1, VECTOR + 1, false);
	if (!ap_run(flood_when_wanted))
		bail("no second processor (-smp 2)");
	if (option("endless", 0))
		flood_without_end();
	for (unsigned i = 0; i < COUNT_OF(forms); i++)
		check_form(&forms[i]);
	tap_ok(virtio_start(&dev, offered, QUEUE_SIZE_MAX) && virtio_flush(&dev) == FLUSH_OK,
	       "after the floods: a reset and a flush");
}
