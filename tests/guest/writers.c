// SPDX-License-Identifier: Apache-2.0
/*
 * writers.c - writers that do not wait for each other: each puts a number into a page of its own, asks for a
 * flush, and tells the number when that was answered. Runs until the power is cut.
 *
 * Linux has one flush in flight for each device (a mutex in nd_virtio), so that only such a program shows
 * what becomes of requests that arrive while a sync runs.
 */
#include "virtio.h"

#define NWRITERS 6u
#define WRITER_LEN (UINT64_C(1) << 20)

struct record {
	volatile uint64_t number, check;
};

static struct virtio dev;
static volatile uint8_t *window;
static uint64_t due[NWRITERS];  /* when a writer writes next; 0: its flush is on the way */

static struct record *record_of(unsigned writer)
{
	return (struct record *)(window + writer * WRITER_LEN);
}

static void write_next(unsigned writer)
{
	struct record *rec = record_of(writer);

	rec->number++;
	rec->check = ~rec->number * UINT64_C(0x9e3779b97f4a7c15);
	due[writer] = 0;
	virtio_submit(&dev, virtio_prepare(&dev, writer, REQUEST_FLUSH));
	virtio_publish(&dev);
	virtio_kick(&dev);
}

static void answered(unsigned writer)
{
	if (dev.requests[writer].status != FLUSH_OK)
		bail("writers: a flush failed");
	print("bare/%u: record %lu durable\n", writer, record_of(writer)->number);
	/* At another time than the others, so that some come while a sync runs. */
	due[writer] = ticks() + random_next() % (TICKS_SHORT * 8);
}

void guest_main(void)
{
	uint16_t used_idx = 0;

	if (!virtio_open(&dev, 0) ||
	    !virtio_start(&dev, virtio_features(&dev) & ~FEATURE(VIRTIO_F_EVENT_IDX), QUEUE_SIZE_MAX))
		bail("writers: no virtio-pmem device that starts");
	/* Without interrupts: the program polls. */
	dev.rings.avail.flags = 1;
	window = map(virtio_config64(&dev, 0), NWRITERS * WRITER_LEN);
	for (unsigned i = 0; i < NWRITERS; i++)
		due[i] = 1;
	for (;;) {
		for (; used_idx != dev.rings.used.idx; used_idx++)
			answered(dev.rings.used.ring[used_idx % dev.size].id / 2);
		for (unsigned i = 0; i < NWRITERS; i++) {
			if (due[i] && ticks() >= due[i])
				write_next(i);
		}
		pause();
	}
}
