// SPDX-License-Identifier: Apache-2.0
// Ejects a pmem device by the hotplug registers, asked by nobody, with a flush in flight (the host's sync is slow).
#include "memory_map.h"
#include "pci.h"
#include "virtio.h"

#define EJECT (PCI_HOTPLUG_PORT + 8)
#define POISON 0xa5

static struct virtio dev;

static bool poison_intact(const volatile uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i] != POISON)
			return false;
	return true;
}

void guest_main(void)
{
	uint64_t slow = option("slow", 0);
	volatile uint8_t *window;
	gpa_t gpa, bar;

	if (!virtio_open(&dev, 0) || !virtio_start(&dev, virtio_features(&dev), QUEUE_SIZE_MAX))
		bail("no virtio-pmem device");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush");
	gpa = virtio_config64(&dev, 0);
	bar = pci_bar(dev.slot, 0);
	window = map(gpa, 4096);
	window[0] = 0x5a;
	virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
	virtio_publish(&dev);
	virtio_kick(&dev);
	delay(TICKS_SHORT);

	outl(EJECT, 1u << dev.slot);
	tap_is(pci_read(dev.slot, PCI_VENDOR_ID, 4), UINT32_MAX, "after the eject the slot is empty");
	tap_is(window[0], 0xff, "its window is gone");
	window[0] = 1;
	tap_is(window[0], 0xff, "for stores too");
	tap_is(mem_read(bar, 4), UINT32_MAX, "and so are its registers");
	memset(&dev.rings, POISON, sizeof(dev.rings));
	memset(dev.requests, POISON, sizeof(dev.requests));
	delay(slow);
	tap_ok(poison_intact((const volatile uint8_t *)&dev.rings, sizeof(dev.rings)) &&
	               poison_intact((const volatile uint8_t *)dev.requests, sizeof(dev.requests)),
	       "the sync that was under way writes nothing when it ends");
	// Once more, every slot, and the host bridge: nothing is there to go but the bridge, which stays.
	outl(EJECT, UINT32_MAX);
	tap_ok(pci_read(0, PCI_VENDOR_ID, 4) != UINT32_MAX, "the host bridge stays");
}
