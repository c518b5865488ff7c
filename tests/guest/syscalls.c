// SPDX-License-Identifier: Apache-2.0
// A known number of flushes, one at a time or many with one kick, for those who count what the host does.
#include "virtio.h"

static struct virtio dev;

void guest_main(void)
{
	unsigned single = (unsigned)option("single", 0), burst = (unsigned)option("burst", 0);
	bool good = true, status = option("status", 0) != 0;

	if (!virtio_open(&dev, 0) ||
	    !virtio_start(&dev, virtio_features(&dev) & ~FEATURE(VIRTIO_F_EVENT_IDX), QUEUE_SIZE_MAX))
		bail("no virtio-pmem device that starts");
	// Without interrupts: the program polls.
	dev.rings.avail.flags = 1;
	// Linux's driver reads the status before each flush.
	for (unsigned i = 0; i < single && good; i++)
		good = (!status || virtio_status(&dev) == STATUS_RUNNING) && virtio_flush(&dev) == FLUSH_OK;
	// The number is not printed: so the output is the same, however many they are.
	tap_ok(good, "flushes one at a time");
	tap_ok(burst == 0 || virtio_flush_many(&dev, burst), "flushes with one kick");
}
