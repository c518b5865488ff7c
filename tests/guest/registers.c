// SPDX-License-Identifier: Apache-2.0
// The common and device configuration, read directly and through configuration space, which must not differ; and a
// guest that uses their page for what it is not: with page=1 it is memory, and may hold code; table=1, a page table.
#include "cpu.h"
#include "pci.h"
#include "virtio.h"

#include "memory_map.h"

#define REGS_BAR 0u
#define PAGE_LEN 4096u
#define COMMON_LEN 0x40u
#define TABLE_ENTRIES 512u
#define SPARE_ENTRY UINT64_C(100) // of the top page table
#define PTE_PRESENT_WRITE 3u

static struct virtio dev;
static uint64_t offered;
static uint8_t trapped[PAGE_LEN + 8]; // what the registers are, by configuration space; zeros beyond the page

// ---- the two ways to read

static uint32_t trapped_read(unsigned off)
{
	pci_write(dev.slot, dev.pci_cfg_cap + VIRTIO_PCI_CAP_OFFSET, 4, off);
	return pci_read(dev.slot, dev.pci_cfg_cap + 16, 4);
}

static void read_trapped(unsigned from, unsigned end)
{
	for (unsigned off = from; off < end; off += 4) {
		uint32_t val = trapped_read(off);

		for (unsigned i = 0; i < 4; i++)
			trapped[off + i] = (uint8_t)(val >> 8 * i);
	}
}

static uint64_t wanted(unsigned off, unsigned width)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint64_t)trapped[off + i] << 8 * i;
	return val;
}

// Every width at every offset, aligned or not.
static bool range_is_same(unsigned from, unsigned end)
{
	bool same = true;

	for (unsigned width = 1; width <= 8; width *= 2) {
		for (unsigned off = from; off + width <= end; off++) {
			uint64_t got = mem_read(dev.common + off, width), want = wanted(off, width);

			if (got != want && same)
				print("# %u bytes at 0x%x: 0x%lx, by configuration space 0x%lx\n", width, off, got,
				      want);
			same &= got == want;
		}
	}
	return same;
}

static void check_same(const char *after)
{
	unsigned config = (unsigned)(dev.config - dev.common);

	pci_write(dev.slot, dev.pci_cfg_cap + VIRTIO_PCI_CAP_BAR, 1, REGS_BAR);
	pci_write(dev.slot, dev.pci_cfg_cap + VIRTIO_PCI_CAP_LENGTH, 4, 4);
	read_trapped(0, COMMON_LEN + 16);
	read_trapped(config - 16, config + 32);
	read_trapped(PAGE_LEN - 16, PAGE_LEN);
	tap_ok(range_is_same(0, COMMON_LEN + 16) & range_is_same(config - 16, config + 32) &
	               range_is_same(PAGE_LEN - 16, PAGE_LEN),
	       "%s: both ways read the same", after);
}

// ---- a driver's life

static void check_bring_up(void)
{
	check_same("as found");
	virtio_set_status(&dev, 0);
	check_same("a reset");
	offered = virtio_features(&dev);
	check_same("the upper features selected");
	tap_ok(virtio_negotiate(&dev, offered), "features are negotiated");
	check_same("FEATURES_OK");
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, 5);
	check_same("a queue selected that is none");
	virtio_queue_setup(&dev, 16);
	msix_map(&dev, 0, 1);
	check_same("the queue set up");
	tap_ok(virtio_queue_enable(&dev), "the queue is enabled");
	check_same("the queue enabled");
	virtio_set_status(&dev, STATUS_RUNNING);
	check_same("DRIVER_OK");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush");
	check_same("a flush");
	if (offered & FEATURE(VIRTIO_F_RING_RESET)) {
		virtio_set(&dev, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
		check_same("a queue reset");
	}
	virtio_set_status(&dev, VIRTIO_CONFIG_S_FAILED);
	check_same("FAILED");
}

// The worker changes the status while this processor only reads it.
static void check_needs_reset(void)
{
	bool good = true;

	for (unsigned i = 0; i < 50 && good; i++) {
		good = virtio_start(&dev, offered, 16);
		dev.rings.avail.idx = 1000;
		virtio_kick(&dev);
		// Registers are written, and the page is filled, while the worker finds the fault.
		for (unsigned j = 0; j < i; j++)
			virtio_set(&dev, VIRTIO_PCI_COMMON_DFSELECT, 4, j);
		good = good && virtio_wait_status(&dev, VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	tap_ok(good, "a broken ring is seen in the status, 50 times");
	check_same("DEVICE_NEEDS_RESET");
	tap_ok(virtio_start(&dev, offered, 16) && virtio_flush(&dev) == FLUSH_OK, "a reset and a flush");
	check_same("the reset");
}

static void check_moved(void)
{
	gpa_t old = dev.common, delta = 32 * MIB;

	pci_set_bar(dev.slot, REGS_BAR, old + delta);
	tap_is(mem_read(old, 4), UINT32_MAX, "the BAR moved: nothing is at the old place");
	dev.common += delta;
	dev.config += delta;
	check_same("moved");
	pci_command(dev.slot, 0, PCI_COMMAND_MEMORY);
	tap_is(mem_read(dev.common, 4), UINT32_MAX, "decoding off: nothing is there");
	pci_command(dev.slot, PCI_COMMAND_MEMORY, 0);
	check_same("decoding on");
	pci_set_bar(dev.slot, REGS_BAR, old);
	dev.common -= delta;
	dev.config -= delta;
	check_same("moved back");
}

// ---- a page of registers as other things

// The device is asked to write a status, and to read a type, where its own registers are.
static void check_requests_in_registers(void)
{
	static const char *const names[] = { "type", "status" };

	for (unsigned i = 0; i < 2; i++) {
		virtio_start(&dev, offered, 16);
		virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
		dev.rings.desc[i].gpa = dev.common + VIRTIO_PCI_COMMON_Q_DESCLO;
		virtio_publish(&dev);
		virtio_kick(&dev);
		tap_ok(virtio_wait_status(&dev, VIRTIO_CONFIG_S_NEEDS_RESET),
		       "a request whose %s is in registers is refused", names[i]);
		check_same("that request");
	}
}

static void check_instructions(void)
{
	uint16_t selected = 3;

	virtio_start(&dev, offered, 16);
	__asm__ volatile("xchgw %0, (%1)" : "+r"(selected) : "r"(dev.common + VIRTIO_PCI_COMMON_Q_SELECT) : "memory");
	tap_is(selected, 0, "xchg with queue_select reads the old value");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_Q_SELECT, 2), 3, "and writes the new one");
	__asm__ volatile("lock; orl $4, (%0)" : : "r"(dev.common + VIRTIO_PCI_COMMON_DFSELECT) : "memory");
	tap_is(virtio_get(&dev, VIRTIO_PCI_COMMON_DFSELECT, 4) & 4, 4, "a locked or");
	mem_write(dev.common + PAGE_LEN - 4, 8, UINT64_MAX);
	mem_read(dev.common + PAGE_LEN - 4, 8);
	mem_write(dev.common - 4, 8, 0);
	mem_read(dev.common - 4, 8);
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	check_same("accesses across both ends");
}

static void check_code(void)
{
	uint32_t eax = 0;

	virtio_negotiate(&dev, offered);
	virtio_queue_setup(&dev, 16);
	// mov $0x1234, %eax; ret
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x001234b8);
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0xc300);
	__asm__ volatile("call *%1" : "+a"(eax) : "r"(dev.common + VIRTIO_PCI_COMMON_Q_DESCLO) : "memory");
	tap_is(eax, 0x1234, "code in queue_desc runs");
}

// The processor would like to set the entry's accessed bit. On an AMD host KVM tries for ever.
static void use_as_page_table(void)
{
	extern uint64_t page_root[TABLE_ENTRIES];
	static uint64_t pointers[TABLE_ENTRIES] __attribute__((aligned(4096)));
	static uint64_t directory[TABLE_ENTRIES] __attribute__((aligned(4096)));
	static volatile uint64_t target[TABLE_ENTRIES] __attribute__((aligned(4096)));
	volatile uint64_t *at = (volatile uint64_t *)(SPARE_ENTRY << 39 | VIRTIO_PCI_COMMON_Q_DESCLO / 8 << 12);
	uint64_t entry = (uint64_t)target | PTE_PRESENT_WRITE;

	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_DESCLO, 4, (uint32_t)entry);
	virtio_set(&dev, VIRTIO_PCI_COMMON_Q_DESCHI, 4, (uint32_t)(entry >> 32));
	target[3] = UINT64_C(0x7461626c65);
	directory[0] = dev.common | PTE_PRESENT_WRITE;
	pointers[0] = (uint64_t)directory | PTE_PRESENT_WRITE;
	page_root[SPARE_ENTRY] = (uint64_t)pointers | PTE_PRESENT_WRITE;
	order_barrier();
	print("# here it goes\n");
	tap_is(at[3], UINT64_C(0x7461626c65), "registers as a page table");
	page_root[SPARE_ENTRY] = 0;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
}

void guest_main(void)
{
	if (!virtio_open(&dev, 0) || !dev.pci_cfg_cap)
		bail("no virtio-pmem device with a window in configuration space");
	irq_init();
	check_bring_up();
	check_needs_reset();
	check_moved();
	check_requests_in_registers();
	check_instructions();
	if (option("page", 0))
		check_code();
	if (option("table", 0))
		use_as_page_table();
	tap_ok(virtio_start(&dev, offered, 16) && virtio_flush(&dev) == FLUSH_OK, "after all that: works");
	check_same("all that");
}
