// SPDX-License-Identifier: Apache-2.0
// A driver that means harm, by the bus: BARs at wrong places, MSI-X, configuration space, ports.
#include "cpu.h"
#include "pci.h"
#include "virtio.h"

#include "acpi_pm.h"
#include "memory_map.h"

#define REGS_BAR 0u
#define QUEUE_VECTOR 0x41u
#define ROUNDS 200u

static struct virtio dev, second;
static uint64_t offered;
static gpa_t regs_bar, regs_size, window;
static uint8_t saved_config[PCI_CONFIG_LEN];

static bool works(void)
{
	return virtio_start(&dev, offered, QUEUE_SIZE_MAX) && virtio_flush(&dev) == FLUSH_OK;
}

static void save_config(void)
{
	for (unsigned off = 0; off < PCI_CONFIG_LEN; off++)
		saved_config[off] = (uint8_t)pci_read(dev.slot, off, 1);
}

// The status register is left alone; the command register comes last, when the BARs are right.
static void restore_config(void)
{
	pci_write(dev.slot, PCI_COMMAND, 2, 0);
	for (unsigned off = PCI_CACHE_LINE_SIZE; off < PCI_CONFIG_LEN; off++)
		pci_write(dev.slot, off, 1, saved_config[off]);
	pci_write(dev.slot, PCI_COMMAND, 2, saved_config[PCI_COMMAND] | (uint32_t)saved_config[PCI_COMMAND + 1] << 8);
}

// The registers are at another place: the driver follows.
static void move_regs(gpa_t gpa)
{
	gpa_t delta = gpa - pci_bar(dev.slot, REGS_BAR);

	pci_set_bar(dev.slot, REGS_BAR, gpa);
	dev.common += delta;
	dev.notify += delta;
	dev.isr += delta;
	dev.config += delta;
	dev.msix_table += delta;
	dev.msix_pba += delta;
}

// ---- BARs

// Where a BAR may not be decoded: what is there stays there, and comes back to us when the BAR does.
static void check_bar_over(const char *name, gpa_t gpa)
{
	uint64_t before, during;

	gpa &= ~(regs_size - 1);
	map(gpa, 8);
	before = mem_read(gpa, 8);
	pci_set_bar(dev.slot, REGS_BAR, gpa);
	during = mem_read(gpa, 8);
	pci_set_bar(dev.slot, REGS_BAR, regs_bar);
	tap_is(during, before, "BAR over %s: what was there stays", name);
	tap_ok(works(), "BAR over %s and back: works", name);
}

static void check_bar_places(void)
{
	volatile uint64_t *in_window = (volatile uint64_t *)window;

	in_window[0] = UINT64_C(0x77696e646f77);
	check_bar_over("our own code", (gpa_t)&dev);
	check_bar_over("the beginning of RAM", 0x8000);
	check_bar_over("the end of RAM", ram_end() - regs_size);
	check_bar_over("the pmem window", window);
	check_bar_over("the memory-mapped configuration space", PCI_ECAM_BASE);
	check_bar_over("the I/O APIC", IOAPIC_GPA);
	check_bar_over("the local APIC", LAPIC_GPA);
	check_bar_over("the hypervisor's own pages", KVM_TSS_GPA);
	check_bar_over("nothing", PCI_ECAM_BASE + 64 * MIB);
	// No processor can read there.
	pci_set_bar(dev.slot, REGS_BAR, address_limit());
	pci_set_bar(dev.slot, REGS_BAR, UINT64_MAX);
	pci_set_bar(dev.slot, REGS_BAR, regs_bar);
	tap_ok(works(), "BAR beyond all addresses and back: works");
	tap_is(in_window[0], UINT64_C(0x77696e646f77), "the window's data is unharmed");
}

static void check_bar_moved(void)
{
	bool good = true;

	for (unsigned i = 0; i < ROUNDS && good; i++) {
		// Flushes are in flight while the doorbell that announced them goes away.
		good = virtio_start(&dev, offered, QUEUE_SIZE_MAX);
		for (unsigned j = 0; j < 8; j++)
			virtio_submit(&dev, virtio_prepare(&dev, j, REQUEST_FLUSH));
		virtio_publish(&dev);
		virtio_kick(&dev);
		move_regs(PCI_MEM32_BASE + (64 + random_next() % 64) * MIB + (random_next() % 4) * regs_size);
		good = good && virtio_wait(&dev) && virtio_flush(&dev) == FLUSH_OK;
	}
	tap_ok(good, "%u moves of the registers with flushes in flight", ROUNDS);
	tap_is(mem_read(regs_bar, 4), UINT32_MAX, "nothing remains at the old place");
	map(address_limit() - regs_size, regs_size);
	move_regs(address_limit() - regs_size);
	tap_ok(works(), "at the end of the 64-bit window: works");
	move_regs(regs_bar);
	tap_ok(works(), "moved back: works");
}

static void check_decode_off(void)
{
	bool good = true;

	for (unsigned i = 0; i < ROUNDS && good; i++) {
		good = virtio_start(&dev, offered, QUEUE_SIZE_MAX);
		virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
		virtio_publish(&dev);
		virtio_kick(&dev);
		pci_command(dev.slot, 0, PCI_COMMAND_MEMORY);
		good = good && virtio_get(&dev, VIRTIO_PCI_COMMON_STATUS, 1) == 0xff && virtio_wait(&dev);
		virtio_kick(&dev);
		pci_command(dev.slot, PCI_COMMAND_MEMORY, 0);
		good = good && virtio_status(&dev) == STATUS_RUNNING;
	}
	tap_ok(good, "%u times decoding off with a flush in flight, which is answered all the same", ROUNDS);
	tap_ok(works(), "after them: works");
}

// Two devices at one address: who was first keeps it.
static void check_bars_collide(void)
{
	gpa_t bar;

	if (!tap_ok(virtio_open(&second, 1), "there is a second device"))
		return;
	bar = pci_bar(second.slot, REGS_BAR);
	pci_set_bar(second.slot, REGS_BAR, regs_bar);
	tap_is(mem_read(bar, 4), UINT32_MAX, "two BARs at one address: the second device is nowhere");
	tap_ok(works(), "and the first one works");
	pci_set_bar(dev.slot, REGS_BAR, bar);
	tap_ok(virtio_status(&second) == 0xff || mem_read(regs_bar, 4) != UINT32_MAX, "exchanged, one by one");
	pci_set_bar(second.slot, REGS_BAR, bar);
	pci_set_bar(dev.slot, REGS_BAR, regs_bar);
	tap_ok(works() && virtio_start(&second, offered, 4) && virtio_flush(&second) == FLUSH_OK,
	       "at their old places: both work");
	// Partly overlapping.
	pci_set_bar(second.slot, REGS_BAR, regs_bar + regs_size / 2);
	pci_set_bar(second.slot, REGS_BAR, bar);
	tap_ok(virtio_start(&second, offered, 4) && virtio_flush(&second) == FLUSH_OK, "and again");
}

static void check_all_registers_read(void)
{
	uint64_t sum = 0;

	works();
	for (unsigned off = 0; off < regs_size; off += off % 4096 < 256 ? 1 : 97)
		for (unsigned width = 1; width <= 8; width *= 2)
			sum += mem_read(regs_bar + off, width);
	tap_ok(sum != 0 && virtio_status(&dev) == STATUS_RUNNING, "reads of every width all over the registers");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush after them works");
}

// ---- MSI-X

static void check_msix_accesses(void)
{
	gpa_t table = dev.msix_table;

	for (unsigned i = 0, n = 3 * (unsigned)option("rounds", 1000); i < n; i++) {
		unsigned off = (unsigned)(random_next() % (4096 + 64)), width = 1u << (random_next() & 3);

		// Not an address of a local APIC: a message there could stop us.
		mem_write(table + off, width, random_next() & UINT64_C(0x00ffffff00ffffff));
		mem_read(table + off, width);
		mem_write(dev.msix_pba + random_next() % 64, width, random_next());
	}
	msix_set_entry(&dev, 0, QUEUE_VECTOR, true);
	msix_set_entry(&dev, 1, QUEUE_VECTOR, true);
	for (unsigned off = 16 * dev.msix_vectors; off < 4096; off += 4)
		mem_write(table + off, 4, UINT32_MAX);
	tap_is(mem_read(table + 16 * dev.msix_vectors, 4), 0, "there is nothing behind the MSI-X table");
	mem_write(table + 24, 1, 0xff);
	mem_write(table + 26, 2, 0xffff);
	mem_write(table + 22, 4, UINT32_MAX);
	tap_is(mem_read(table + 24, 4), QUEUE_VECTOR, "odd widths and unaligned writes change no entry");
	tap_ok(works(), "after random accesses to the MSI-X table: works");
}

static void check_messages(void)
{
	static const uint64_t addresses[] = { 0, 0x1000, 0xfffffffc, UINT64_C(0xfffffffffffffffc), 0xfec00000 };

	msix_control(&dev, true, false);
	for (unsigned i = 0; i < COUNT_OF(addresses); i++) {
		virtio_start(&dev, offered & ~FEATURE(VIRTIO_F_EVENT_IDX), 16);
		msix_map(&dev, 1, 1);
		mem_write(dev.msix_table + 16, 8, addresses[i]);
		mem_write(dev.msix_table + 24, 4, 0x41);
		msix_mask(&dev, 1, false);
		tap_is(virtio_flush(&dev), FLUSH_OK, "a message to 0x%lx", addresses[i]);
		msix_mask(&dev, 1, true);
	}
	msix_control(&dev, false, false);
	tap_ok(works(), "after them: works");
}

static void check_msix_toggled(void)
{
	bool good = true;

	msix_set_entry(&dev, 1, QUEUE_VECTOR, false);
	for (unsigned i = 0; i < ROUNDS && good; i++) {
		good = virtio_start(&dev, offered & ~FEATURE(VIRTIO_F_EVENT_IDX), 16);
		msix_control(&dev, true, i % 3 == 0);
		msix_map(&dev, 0, 1);
		virtio_submit(&dev, virtio_prepare(&dev, 0, REQUEST_FLUSH));
		virtio_publish(&dev);
		virtio_kick(&dev);
		msix_mask(&dev, 1, i % 2);
		msix_control(&dev, i % 5 != 0, i % 7 == 0);
		msix_mask(&dev, 1, false);
		good = good && virtio_wait(&dev);
	}
	msix_control(&dev, false, false);
	tap_ok(good, "%u times MSI-X switched on, off and masked with a flush in flight", ROUNDS);
}

// ---- the window into the BARs in configuration space

static void cfg_select(uint8_t bar, uint32_t off, uint32_t len)
{
	pci_write(dev.slot, dev.pci_cfg_cap + VIRTIO_PCI_CAP_BAR, 1, bar);
	pci_write(dev.slot, dev.pci_cfg_cap + VIRTIO_PCI_CAP_OFFSET, 4, off);
	pci_write(dev.slot, dev.pci_cfg_cap + VIRTIO_PCI_CAP_LENGTH, 4, len);
}

static uint32_t cfg_read(uint8_t bar, uint32_t off, uint32_t len)
{
	cfg_select(bar, off, len);
	return pci_read(dev.slot, dev.pci_cfg_cap + 16, 4);
}

static void check_cfg_window(void)
{
	uint32_t status_off = (uint32_t)(dev.common - regs_bar) + VIRTIO_PCI_COMMON_STATUS;
	static const uint32_t lengths[] = { 0, 3, 5, 8, 0x80000000, UINT32_MAX };

	works();
	tap_is(cfg_read(REGS_BAR, status_off, 1) & 0xff, STATUS_RUNNING, "device_status through configuration space");
	for (unsigned bar = 1; bar < 256; bar += bar < 8 ? 1 : 31) {
		cfg_read((uint8_t)bar, status_off, 1);
		pci_write(dev.slot, dev.pci_cfg_cap + 16, 4, 0);
	}
	for (unsigned i = 0; i < COUNT_OF(lengths); i++) {
		cfg_read(REGS_BAR, status_off, lengths[i]);
		pci_write(dev.slot, dev.pci_cfg_cap + 16, 4, 0);
	}
	cfg_read(REGS_BAR, (uint32_t)regs_size, 4);
	cfg_read(REGS_BAR, (uint32_t)regs_size - 2, 4);
	cfg_read(REGS_BAR, UINT32_MAX - 3, 4);
	cfg_read(REGS_BAR, status_off + 1, 2);
	pci_write(dev.slot, dev.pci_cfg_cap + 16, 4, 0);
	tap_is(virtio_status(&dev), STATUS_RUNNING, "bad bars, lengths and offsets write nothing");
	cfg_select(REGS_BAR, status_off, 1);
	pci_write(dev.slot, dev.pci_cfg_cap + 16, 4, 0);
	tap_is(virtio_status(&dev), 0, "a good one does");
}

// ---- configuration space

static void check_read_only_bytes(void)
{
	for (unsigned off = 0; off < PCI_CONFIG_LEN; off += 4)
		if (off != PCI_COMMAND && (off < PCI_BASE_ADDRESS_0 || off > PCI_BASE_ADDRESS_5))
			pci_write(dev.slot, off, 4, ~pci_read(dev.slot, off, 4));
	tap_is(pci_read(dev.slot, 0, 4), 0x105b1af4, "vendor and device cannot be written");
	tap_is(pci_read(dev.slot, dev.msix_cap, 1), PCI_CAP_ID_MSIX, "nor can a capability's id");
	tap_is(pci_read(dev.slot, PCI_CAPABILITY_LIST, 1), saved_config[PCI_CAPABILITY_LIST], "nor the list of them");
	restore_config();
}

static void check_random_config(void)
{
	unsigned n = 8 * (unsigned)option("rounds", 1000);

	for (unsigned i = 0; i < n; i++) {
		unsigned slot = random_next() & 3 ? dev.slot : (unsigned)(random_next() % PCI_SLOTS);
		unsigned off = (unsigned)(random_next() & 0xff), width = 1u << random_next() % 3;
		uint32_t val = (uint32_t)random_next();

		// The second device is somebody else's.
		if (slot == second.slot)
			continue;
		pci_write(slot, off, width, val);
		pci_read(slot, off, width);
		if (slot != dev.slot)
			mem_write(pci_ecam(slot, (unsigned)(random_next() & 0xff8)), 1u << (random_next() & 3),
			          random_next());
	}
	restore_config();
	tap_is(pci_read(dev.slot, 0, 4), 0x105b1af4, "%u random writes to configuration space", n);
	msix_control(&dev, false, false);
	tap_ok(works(), "after them: works");
	for (unsigned off = 0; off < PCI_CONFIG_LEN; off++)
		for (unsigned val = 0; val < 256; val += 85)
			mem_write(pci_ecam(dev.slot, off), 1, val);
	restore_config();
	tap_ok(works(), "every byte written with 0, 0x55, 0xaa and 0xff, then restored: works");
}

// ---- everywhere else

// Ports that do what they are for: power, reset, serial port, hotplug, configuration space, interrupts.
static bool port_is_real(unsigned port)
{
	static const struct {
		unsigned first, last;
	} real[] = {
		{ 0x20, 0x21 },   { I8042_PORT, I8042_PORT },
		{ 0xa0, 0xa1 },   { COM1_PORT, COM1_PORT + 7 },
		{ 0x4d0, 0x4d1 }, { ACPI_PORT, ACPI_PORT + ACPI_PORT_SIZE - 1 },
		{ 0xcf8, 0xcff }, { PCI_HOTPLUG_PORT, PCI_HOTPLUG_PORT + PCI_HOTPLUG_PORT_SIZE - 1 },
	};

	// An access of 4 bytes may begin before it.
	for (unsigned i = 0; i < COUNT_OF(real); i++)
		if (port + 3 >= real[i].first && port <= real[i].last)
			return true;
	return false;
}

static void check_ports(void)
{
	for (unsigned port = 0; port < 0x10000; port += port < 0xd00 ? 1 : 37) {
		inb((uint16_t)port);
		if (port_is_real(port))
			continue;
		inl((uint16_t)port);
		outl((uint16_t)port, (uint32_t)random_next());
	}
	tap_ok(works(), "after accesses all over the ports: works");
}

static void poke(gpa_t from, gpa_t end, uint64_t step)
{
	for (gpa_t at = from; at < end; at += step) {
		unsigned width = 1u << (random_next() & 3);
		gpa_t gpa = at + (random_next() & 0xff0);

		map(gpa, 8);
		mem_read(gpa, width);
		mem_write(gpa, width, random_next());
		// Across the border of a page, unaligned: the processor makes two accesses of it.
		mem_read((gpa | 0xfff) - 1, 4);
	}
}

static void check_holes(void)
{
	poke(ram_end(), PCI_MEM32_BASE, 64 * MIB);
	poke(PCI_MEM32_BASE + 256 * MIB, PCI_MEM32_BASE + PCI_MEM32_SIZE, 16 * MIB);
	poke(PCI_ECAM_BASE + 2 * MIB, IOAPIC_GPA - 4 * MIB, 16 * MIB);
	poke(0xff000000, 0x100000000, 1 * MIB);
	poke(address_limit() - 4 * MIB, address_limit() - 8192, 1 * MIB);
	tap_ok(works(), "after accesses all over the empty memory: works");
}

// ---- another processor uses the doorbell meanwhile, wherever it is

static volatile uint64_t nkicks;

static void kick_for_ever(void)
{
	for (;; nkicks++)
		virtio_kick(&dev);
}

static void check_two_processors(void)
{
	if (!tap_ok(ap_run(kick_for_ever), "the second processor runs (-smp 2)"))
		return;
	check_bar_moved();
	check_decode_off();
	check_msix_toggled();
	tap_ok(nkicks > 0, "and it has kicked meanwhile");
}

void guest_main(void)
{
	if (!virtio_open(&dev, 0) || !dev.msix_cap)
		bail("no virtio-pmem device with MSI-X");
	irq_init();
	offered = virtio_features(&dev);
	regs_bar = pci_bar(dev.slot, REGS_BAR);
	regs_size = pci_bar_size(dev.slot, REGS_BAR);
	window = virtio_config64(&dev, 0);
	map(window, virtio_config64(&dev, 8));
	save_config();
	check_bar_places();
	check_bar_moved();
	check_decode_off();
	check_bars_collide();
	check_all_registers_read();
	check_msix_accesses();
	check_messages();
	check_msix_toggled();
	check_cfg_window();
	check_read_only_bytes();
	check_random_config();
	check_ports();
	check_holes();
	check_two_processors();
}
