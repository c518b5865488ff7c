// SPDX-License-Identifier: Apache-2.0
/*
 * writers.c - writers that do not wait for each other: each puts a number into a page, asks for a flush, and
 * prints the number when that was answered. Runs until the power is cut, and goes on where it was.
 *
 * Every second writer stays in one page, so that its flush has nothing but data to make durable. The others go on
 * to the next page with each number: in a sparse file that is a new block, and the flush has to bring its place too.
 *
 * Linux has one flush in flight for each device (a mutex in nd_virtio), so that only such a program shows
 * what becomes of requests that arrive while a sync runs.
 */
#include "virtio.h"

#define NWRITERS 6u
#define WRITER_LEN (UINT64_C(1) << 20)
#define PAGE_LEN UINT64_C(4096)
#define NPAGES 128u

#define CHECK(number) (~(number)*UINT64_C(0x9e3779b97f4a7c15))

struct record {
	volatile uint64_t number, check;
};

static struct virtio dev;
static volatile uint8_t *window;
static uint64_t numbers[NWRITERS];
static uint64_t due[NWRITERS]; /* when a writer writes next; 0: its flush is on the way */

static uint64_t pages_of(unsigned writer)
{
	return writer % 2 ? NPAGES : 1;
}

static struct record *record_at(unsigned writer, uint64_t page)
{
	return (struct record *)(window + writer * WRITER_LEN + page * PAGE_LEN);
}

/* A record without its checksum is incomplete, and is written again. */
static uint64_t last_number(unsigned writer)
{
	uint64_t last = 0;

	for (uint64_t page = 0; page < pages_of(writer); page++) {
		const struct record *rec = record_at(writer, page);
		uint64_t number = rec->number;

		if (number && rec->check != CHECK(number))
			number--;
		if (number > last)
			last = number;
	}
	return last;
}

static void write_next(unsigned writer)
{
	uint64_t number = ++numbers[writer];
	struct record *rec = record_at(writer, number % pages_of(writer));

	rec->number = number;
	rec->check = CHECK(number);
	due[writer] = 0;
	virtio_submit(&dev, virtio_prepare(&dev, writer, REQUEST_FLUSH));
	virtio_publish(&dev);
	virtio_kick(&dev);
}

static void answered(unsigned writer)
{
	if (dev.requests[writer].status != FLUSH_OK)
		bail("writers: a flush failed");
	print("bare/%u: record %lu durable\n", writer, numbers[writer]);
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
	for (unsigned i = 0; i < NWRITERS; i++) {
		numbers[i] = last_number(i);
		due[i] = 1;
	}
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
