// SPDX-License-Identifier: Apache-2.0
// The machine around the device: empty places, string I/O, and ways to reset it, each in a boot of its own.
#include "cpu.h"
#include "pci.h"
#include "virtio.h"

#include "acpi_pm.h"
#include "memory_map.h"

#define MAGIC UINT64_C(0x6d616368696e6531)
#define QUEUE_VECTOR 0x41u
#define CONFIG_ADDRESS_PORT 0xcf8u
#define CONFIG_DATA_PORT 0xcfcu
#define CONFIG_ENABLE 0x80000000u

// What must survive a reboot; it lies at the start of the pmem window. A new file is all zero.
struct notes {
	uint64_t magic;
	uint64_t boot;
	struct tap tap;
	gpa_t regs_bar, window;
	uint64_t interrupt_line;
};

static struct virtio dev;
static volatile struct notes *notes;
static uint32_t initialised = 0x12345678; // .data: must be fresh in every boot
static uint32_t zeroed;                   // .bss

// ---- places where nothing is

static void check_empty_ports(void)
{
	static const uint16_t ports[] = { 0x0002, 0x0080, 0x01f0, 0x0300, 0x0cf0, 0x1000, 0xfffc };

	for (unsigned i = 0; i < COUNT_OF(ports); i++) {
		tap_ok(inb(ports[i]) == 0xff && inw(ports[i]) == 0xffff && inl(ports[i]) == UINT32_MAX,
		       "port 0x%x reads all ones", ports[i]);
		outl(ports[i], 0);
	}
}

static void check_empty_memory(void)
{
	gpa_t window_end = virtio_config64(&dev, 0) + virtio_config64(&dev, 8);
	const gpa_t places[] = {
		ram_end(),
		PCI_MEM32_BASE + PCI_MEM32_SIZE - 4096,
		PCI_ECAM_BASE + PCI_ECAM_SIZE,
		0xfed00000,
		window_end,
		address_limit() - 4096,
	};

	for (unsigned i = 0; i < COUNT_OF(places); i++) {
		map(places[i], 8);
		tap_ok(mem_read(places[i], 1) == 0xff && mem_read(places[i], 2) == 0xffff &&
		               mem_read(places[i], 4) == UINT32_MAX && mem_read(places[i], 8) == UINT64_MAX,
		       "0x%lx reads all ones", places[i]);
		mem_write(places[i], 8, 0);
		tap_is(mem_read(places[i], 8), UINT64_MAX, "also after a write");
	}
}

static void check_absent_functions(void)
{
	bool good = true;

	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		for (unsigned fn = 1; fn < 8; fn++)
			good = good && mem_read(PCI_ECAM_BASE + (slot << 15) + (fn << 12), 4) == UINT32_MAX;
	tap_ok(good, "no device has a second function");
	tap_is(pci_read(31, 0, 4), UINT32_MAX, "an empty slot reads all ones");
	tap_ok(pci_read(0, PCI_CLASS_DEVICE, 2) == 0x0600, "slot 0 is a host bridge");
}

// KVM collects the writes to the address port: however many there are, none is late and the last one counts.
static void check_config_address(void)
{
	uint32_t host_bridge = pci_read(0, 0, 4);

	for (unsigned n = 1; n <= 400; n++) {
		for (unsigned i = 0; i < n; i++)
			outl(CONFIG_ADDRESS_PORT, CONFIG_ENABLE | i << 2);
		outl(CONFIG_ADDRESS_PORT, CONFIG_ENABLE);
		if (inl(CONFIG_DATA_PORT) != host_bridge || inl(CONFIG_ADDRESS_PORT) != CONFIG_ENABLE) {
			tap_ok(false, "after %u writes the address port has the last one", n + 1);
			return;
		}
	}
	tap_ok(true, "after up to 401 writes the address port has the last one");
}

// ---- string I/O, which KVM hands over as one exit of many accesses

static void check_string_output(void)
{
	static const char text[] = "# string output: the quick brown fox jumps over the lazy dog\n";
	const char *at = text;
	size_t len = sizeof(text) - 1;

	__asm__ volatile("rep outsb" : "+S"(at), "+c"(len) : "d"(COM1_PORT) : "memory");
	tap_ok(len == 0 && at == text + sizeof(text) - 1, "rep outsb goes on to its end");
}

static void check_string_input(void)
{
	uint16_t words[40] = { 0 };
	void *at = words;
	size_t count = COUNT_OF(words);
	bool good = true;

	__asm__ volatile("rep insw" : "+D"(at), "+c"(count) : "d"(0x300) : "memory");
	for (unsigned i = 0; i < COUNT_OF(words); i++)
		good = good && words[i] == 0xffff;
	tap_ok(good, "rep insw of an empty port reads all ones");
}

static void check_string_memory(void)
{
	uint8_t copy[16];
	uint64_t start = virtio_config64(&dev, 0);

	memcpy(copy, (const void *)dev.config, sizeof(copy));
	tap_ok(memcmp(copy, &start, sizeof(start)) == 0, "rep movsb out of a device's registers");
}

// ---- reboots

// Leaves everything of the device in a state that the reset must undo.
static void make_a_mess(void)
{
	initialised = 1;
	zeroed = 1;
	virtio_start(&dev, virtio_features(&dev), 16);
	msix_set_entry(&dev, 1, QUEUE_VECTOR, true);
	msix_control(&dev, true, false);
	msix_map(&dev, NO_VECTOR, 1);
	virtio_flush(&dev);
	pci_write(dev.slot, PCI_INTERRUPT_LINE, 1, 0x77);
	for (unsigned i = 0; i < 8; i++)
		virtio_submit(&dev, virtio_prepare(&dev, i, REQUEST_FLUSH));
	virtio_publish(&dev);
	virtio_kick(&dev);
	// The flushes may be under way; the BAR moves away from where it was.
	pci_command(dev.slot, 0, PCI_COMMAND_MEMORY);
	pci_set_bar(dev.slot, 0, notes->regs_bar + 0x100000);
	pci_command(dev.slot, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE, 0);
}

static void check_fresh(uint16_t command)
{
	tap_ok(initialised == 0x12345678 && zeroed == 0, "the program was loaded afresh");
	tap_is(command & (PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE), 0, "the device is not decoded");
	tap_is(pci_bar(dev.slot, 0), notes->regs_bar, "its BAR is where it was at the start");
	tap_is(virtio_status(&dev), 0, "its status is 0");
	tap_is(virtio_config64(&dev, 0), notes->window, "the window is where it was");
	tap_is(pci_read(dev.slot, dev.msix_cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE, 0, "MSI-X is off");
	tap_is(mem_read(dev.msix_table + 28, 4), 1, "its entries are masked");
	tap_is(mem_read(dev.msix_table + 24, 4), 0, "and empty");
	tap_is(pci_read(dev.slot, PCI_INTERRUPT_LINE, 1), notes->interrupt_line,
	       "the interrupt line register is as it was");
	tap_ok(virtio_start(&dev, virtio_features(&dev), 64), "the device starts");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush");
}

// Loads a table of no interrupts, so that the next one is a double, then a triple fault.
static void triple_fault(void)
{
	static const struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} nothing;

	__asm__ volatile("lidt %0; int3" : : "m"(nothing) : "memory");
}

static _Noreturn void reboot(const char *how, uint64_t boot)
{
	print("# reset by %s\n", how);
	make_a_mess();
	notes->boot = boot + 1;
	notes->tap = tap;
	outl(CONFIG_ADDRESS_PORT, CONFIG_ENABLE | 0xf8);
	if (boot == 0)
		outb(ACPI_PORT + ACPI_RESET_OFF, ACPI_RESET_VALUE);
	else if (boot == 1)
		outb(I8042_PORT, 0xfe);
	else
		triple_fault();
	delay(TICKS_MAX);
	bail("the machine was not reset by %s", how);
}

void guest_main(void)
{
	static const char *const resets[] = {
		"the reset register",
		"the keyboard controller",
		"a triple fault",
	};
	unsigned slot;
	uint16_t command;
	uint64_t boot;
	uint32_t config_address = inl(CONFIG_ADDRESS_PORT);

	if (!pci_find(0x1af4, 0x105b, 0, &slot))
		bail("no virtio-pmem device");
	command = (uint16_t)pci_read(slot, PCI_COMMAND, 2);
	if (!virtio_open(&dev, 0) || !dev.msix_cap)
		bail("no virtio-pmem device with MSI-X");
	notes = map(virtio_config64(&dev, 0), sizeof(*notes));
	irq_init();
	if (notes->magic != MAGIC) {
		notes->magic = MAGIC;
		notes->regs_bar = pci_bar(dev.slot, 0);
		notes->window = virtio_config64(&dev, 0);
		notes->interrupt_line = pci_read(slot, PCI_INTERRUPT_LINE, 1);
	}
	boot = notes->boot;
	tap = notes->tap;
	print("# boot %lu\n", boot);
	tap_is(config_address, 0, "the address port is 0");
	check_fresh(command);
	if (boot < COUNT_OF(resets))
		reboot(resets[boot], boot);
	check_empty_ports();
	check_empty_memory();
	check_absent_functions();
	check_config_address();
	check_string_output();
	check_string_input();
	check_string_memory();
}
