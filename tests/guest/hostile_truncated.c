// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that places its rings and requests in a pmem window that has no file below it any more: the host has truncated
 * device 0's file to nothing. A thread of pmvm that touches that memory is ended by SIGBUS.
 */
#include "virtio.h"

static struct virtio dev, other;
static uint64_t offered;
static gpa_t window;

static bool is_broken(void)
{
	return virtio_status(&dev) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static bool ring_refused(gpa_t desc, gpa_t avail, gpa_t used)
{
	virtio_negotiate(&dev, offered);
	virtio_queue_setup(&dev, QUEUE_SIZE_MAX);
	virtio_queue_addresses(&dev, desc, avail, used);
	return !virtio_queue_enable(&dev) && is_broken();
}

static void check_rings(void)
{
	gpa_t desc = (gpa_t)dev.rings.desc, avail = (gpa_t)&dev.rings.avail, used = (gpa_t)&dev.rings.used;

	tap_ok(ring_refused(window, avail, used), "descriptor table in the window");
	tap_ok(ring_refused(desc, window + 4096, used), "available ring in the window");
	tap_ok(ring_refused(desc, avail, window + 8192), "used ring in the window");
	tap_ok(ring_refused(window, window + 4096, window + 8192), "all rings in the window");
}

// One descriptor of a request that is right otherwise leads into the window.
static void check_request(const char *name, struct desc *desc, bool indirect)
{
	virtio_start(&dev, offered, QUEUE_SIZE_MAX);
	virtio_submit(&dev, indirect ? virtio_prepare_indirect(&dev, 0, REQUEST_FLUSH) :
	                               virtio_prepare(&dev, 0, REQUEST_FLUSH));
	desc->gpa = window + 16;
	virtio_publish(&dev);
	virtio_kick(&dev);
	tap_ok(virtio_wait_status(&dev, VIRTIO_CONFIG_S_NEEDS_RESET), "%s in the window", name);
}

void guest_main(void)
{
	uint64_t end;

	if (!virtio_open(&dev, 0) || !virtio_open(&other, 1))
		bail("no two virtio-pmem devices");
	offered = virtio_features(&dev);
	window = virtio_config64(&dev, 0);
	check_rings();
	check_request("type", &dev.rings.desc[0], false);
	check_request("status", &dev.rings.desc[1], false);
	check_request("an indirect table", &dev.rings.desc[0], true);
	check_request("type of an indirect request", &dev.tables[0][0], true);
	check_request("status of an indirect request", &dev.tables[0][1], true);

	tap_ok(virtio_start(&dev, offered, QUEUE_SIZE_MAX), "the device starts again");
	for (end = wait_end(); virtio_flush(&dev) != FLUSH_FAILED && wait_on(end);)
		;
	tap_is(virtio_flush(&dev), FLUSH_FAILED, "its flushes fail, for data is lost");
	tap_ok(virtio_start(&other, offered, QUEUE_SIZE_MAX) && virtio_flush(&other) == FLUSH_OK,
	       "the other device works");
}
