// SPDX-License-Identifier: Apache-2.0
// The pmem window as a shared memory region in a BAR (VIRTIO_PMEM_F_SHMEM_REGION, device property shmem=on).
#include "cpu.h"
#include "pci.h"
#include "virtio.h"

static struct virtio dev;
static uint64_t offered;

static gpa_t region(void)
{
	return pci_bar(dev.slot, dev.shm.bar) + dev.shm.off;
}

static void check_capability(void)
{
	uint64_t size = option("size", 0);
	uint32_t bar = pci_read(dev.slot, PCI_BASE_ADDRESS_0 + 4 * dev.shm.bar, 4);

	tap_is(dev.shm.id, 0, "shared memory region 0");
	tap_is(dev.shm.len, size, "is as long as the file");
	tap_ok(pci_read(dev.slot, dev.shm.cap + VIRTIO_PCI_CAP_LEN, 1) == 24, "its capability has 64-bit fields");
	tap_ok((bar & 0xf) == (PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH),
	       "its BAR is 64-bit and prefetchable");
	tap_ok(dev.shm.off + dev.shm.len <= pci_bar_size(dev.slot, dev.shm.bar), "the region lies inside its BAR");
	tap_ok(region() != 0, "the BAR has an address");
}

static void check_not_negotiated(void)
{
	tap_ok(virtio_start(&dev, offered & ~FEATURE(VIRTIO_PMEM_F_SHMEM_REGION), 64), "starts without the feature");
	tap_is(virtio_config64(&dev, 0), region(), "then start is the absolute address");
	tap_is(virtio_config64(&dev, 8), dev.shm.len, "and size the size");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush");
}

static void check_negotiated(void)
{
	volatile uint64_t *window = map(region(), dev.shm.len);

	tap_ok(virtio_start(&dev, offered, 64), "starts with the feature");
	tap_is(virtio_config64(&dev, 0), 0, "then start reads 0");
	tap_is(virtio_config64(&dev, 8), 0, "and size too");
	for (uint64_t at = 0; at < dev.shm.len; at += 4096)
		window[at / 8] = UINT64_C(0x5348000000000000) | at;
	tap_ok(window[0] == UINT64_C(0x5348000000000000) && window[512] == UINT64_C(0x5348000000001000),
	       "what is stored can be read");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush");
}

static void move_bar(gpa_t gpa)
{
	pci_command(dev.slot, 0, PCI_COMMAND_MEMORY);
	pci_set_bar(dev.slot, dev.shm.bar, gpa);
	pci_command(dev.slot, PCI_COMMAND_MEMORY, 0);
}

static void check_moved(void)
{
	gpa_t old_gpa = pci_bar(dev.slot, dev.shm.bar), size = pci_bar_size(dev.slot, dev.shm.bar);
	gpa_t new_gpa = old_gpa + 4 * size;
	volatile uint64_t *old_window = map(old_gpa, size), *new_window = map(new_gpa, size);

	move_bar(new_gpa);
	tap_is(new_window[512], UINT64_C(0x5348000000001000), "the BAR moved: the data is at the new address");
	tap_is(old_window[512], UINT64_MAX, "and nothing at the old one");
	new_window[513] = UINT64_C(0x6d6f766564);
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush there");
	virtio_start(&dev, offered & ~FEATURE(VIRTIO_PMEM_F_SHMEM_REGION), 64);
	tap_is(virtio_config64(&dev, 0), new_gpa + dev.shm.off, "start follows the BAR");
	move_bar(old_gpa);
	tap_is(old_window[513], UINT64_C(0x6d6f766564), "moved back: what was stored there is here");
	pci_command(dev.slot, 0, PCI_COMMAND_MEMORY);
	tap_is(old_window[513], UINT64_MAX, "not decoded: all ones");
	pci_command(dev.slot, PCI_COMMAND_MEMORY, 0);
	tap_is(old_window[513], UINT64_C(0x6d6f766564), "decoded again: the data");
}

// RAM, the memory-mapped configuration space, below the window: the BAR must not be decoded there.
static void check_refused_places(void)
{
	static const gpa_t places[] = { 0, 0xe0000000, 0x100000000 };
	static volatile uint64_t ram[2];
	gpa_t old_gpa = pci_bar(dev.slot, dev.shm.bar), size = pci_bar_size(dev.slot, dev.shm.bar);
	volatile uint64_t *window = map(old_gpa, size);

	ram[0] = 0x72616d;
	for (unsigned i = 0; i < COUNT_OF(places); i++) {
		move_bar(places[i] & ~(size - 1));
		tap_ok(ram[0] == 0x72616d && (mem_read(pci_ecam(0, 0), 4) & 0xffff) != 0xffff,
		       "BAR at 0x%lx: RAM and configuration space are where they were", places[i]);
		ram[1] = window[0];
		tap_is(ram[1], UINT64_MAX, "and the window nowhere");
	}
	move_bar(old_gpa);
	tap_is(window[513], UINT64_C(0x6d6f766564), "moved back: the data is there");
}

void guest_main(void)
{
	if (!virtio_open(&dev, 0) || !dev.shm.cap)
		bail("no virtio-pmem device with a shared memory region");
	irq_init();
	offered = virtio_features(&dev);
	tap_ok((offered & FEATURE(VIRTIO_PMEM_F_SHMEM_REGION)) != 0, "offers SHMEM_REGION");
	check_capability();
	check_not_negotiated();
	check_negotiated();
	check_moved();
	check_refused_places();
	tap_ok(virtio_start(&dev, offered, 64), "starts again");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a last flush");
}
