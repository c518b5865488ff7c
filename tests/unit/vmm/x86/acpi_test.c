// SPDX-License-Identifier: Apache-2.0
/*
 * Tests of the ACPI tables: walked as a guest does it, disassembled by iasl, and the DSDT's methods executed by
 * acpiexec (both from acpica-tools).
 */
#include "acpi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "acpi_pm.h"
#include "guest_ram.h"
#include "memory_map.h"

#define WINDOW_GPA UINT64_C(0x1c0000000)
#define WINDOW_SIZE UINT64_C(0x7ff40000000)

static struct guest_ram ram;
static const struct acpi_config usual = {
	.ncpus = 4,
	.nbuses = 1,
	.windows[0] = { .mem32_gpa = PCI_MEM32_BASE,
	                .mem32_size = PCI_MEM32_SIZE,
	                .mem64_gpa = WINDOW_GPA,
	                .mem64_size = WINDOW_SIZE },
};

/* A machine with all the buses that there can be. */
static struct acpi_config with_buses(void)
{
	struct acpi_config cfg = usual;

	cfg.nbuses = PCI_BUSES_MAX;
	for (unsigned nr = 0; nr < PCI_BUSES_MAX; nr++)
		cfg.windows[nr] = (struct acpi_windows) {
			.mem32_gpa = PCI_MEM32_BASE + nr * (64 * MIB),
			.mem32_size = 64 * MIB,
			.mem64_gpa = WINDOW_GPA + nr * (512 * GIB),
			.mem64_size = 512 * GIB,
		};
	return cfg;
}

static int setup(void **state)
{
	(void)state;
	guest_ram_create(&ram, 16 * MIB);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_ram_destroy(&ram);
	return 0;
}

static void build(const struct acpi_config *cfg)
{
	struct acpi_config with_ram = *cfg;
	uint64_t rsdp_gpa = 0;

	with_ram.gmem = &ram.gmem;
	assert_int_equal(acpi_build(&with_ram, &rsdp_gpa), 0);
	assert_int_equal(rsdp_gpa, ACPI_GPA);
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
	uint8_t total = 0;

	for (size_t i = 0; i < len; i++)
		total = (uint8_t)(total + bytes[i]);
	return total;
}

/* A table by its address, with its header checked. */
static const uint8_t *table_at(uint64_t gpa, const char *signature)
{
	const uint8_t *table = guest_ram_at(&ram, gpa, 36);
	uint64_t len = get_le(table + 4, 4);

	assert_memory_equal(table, signature, 4);
	assert_true(gpa >= ACPI_GPA + 36 && gpa + len <= ACPI_GPA + ACPI_SIZE);
	assert_int_equal(gpa % 8, 0);
	assert_int_equal(sum(table, len), 0);
	assert_memory_equal(table + 10, "PMVM  ", 6);
	return table;
}

static const uint8_t *xsdt(void)
{
	return table_at(get_le(guest_ram_at(&ram, ACPI_GPA + 24, 8), 8), "XSDT");
}

/* A table by its signature, through the XSDT. */
static const uint8_t *find_nth_table(const char *signature, unsigned nth)
{
	const uint8_t *root = xsdt();
	uint64_t n = (get_le(root + 4, 4) - 36) / 8;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t gpa = get_le(root + 36 + 8 * i, 8);

		if (memcmp(guest_ram_at(&ram, gpa, 4), signature, 4) == 0 && nth-- == 0)
			return table_at(gpa, signature);
	}
	fail_msg("no %s", signature);
	return NULL;
}

static const uint8_t *find_table(const char *signature)
{
	return find_nth_table(signature, 0);
}

static const uint8_t *find_dsdt(void)
{
	return table_at(get_le(find_table("FACP") + 140, 8), "DSDT");
}

static void rsdp_is_where_old_kernels_search(void **state)
{
	const uint8_t *rsdp = guest_ram_at(&ram, ACPI_GPA, 36);

	(void)state;
	build(&usual);
	assert_int_equal(ACPI_GPA % 16, 0);
	assert_true(ACPI_GPA >= 0xe0000);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(get_le(rsdp + 16, 4), 0);
	assert_int_equal(get_le(rsdp + 20, 4), 36);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	assert_int_equal(get_le(xsdt() + 4, 4), 36 + 4 * 8);
}

static void assert_port(const uint8_t *gas, uint64_t port)
{
	assert_int_equal(gas[0], 1); /* system I/O */
	assert_int_equal(gas[1], 8);
	assert_int_equal(gas[2], 0);
	assert_int_equal(get_le(gas + 4, 8), port);
}

static void fadt_is_hardware_reduced(void **state)
{
	const uint8_t *fadt;
	uint64_t flags;

	(void)state;
	build(&usual);
	fadt = find_table("FACP");
	flags = get_le(fadt + 112, 4);
	assert_int_equal(get_le(fadt + 4, 4), 276);
	assert_int_equal(fadt[8], 6);
	assert_true(flags & 1u << 20);                 /* HW_REDUCED_ACPI */
	assert_true(flags & 1u << 10);                 /* RESET_REG_SUP */
	assert_int_equal(get_le(fadt + 109, 2), 0x24); /* no VGA, no RTC; and no 8042 */
	assert_port(fadt + 116, ACPI_PORT + ACPI_RESET_OFF);
	assert_int_equal(fadt[128], ACPI_RESET_VALUE);
	assert_port(fadt + 244, ACPI_PORT + ACPI_SLEEP_CONTROL_OFF);
	assert_port(fadt + 256, ACPI_PORT + ACPI_SLEEP_STATUS_OFF);
	for (unsigned off = 46; off < 109; off++) /* no SCI, no fixed registers */
		assert_int_equal(fadt[off], 0);
}

static void madt_lists_every_cpu_and_the_io_apic(void **state)
{
	static const unsigned counts[] = { 1, 4, 64, 255 };

	(void)state;
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		struct acpi_config cfg = usual;
		const uint8_t *madt, *io_apic;

		cfg.ncpus = counts[c];
		build(&cfg);
		madt = find_table("APIC");
		assert_int_equal(get_le(madt + 4, 4), 44 + 8 * counts[c] + 12);
		assert_int_equal(get_le(madt + 36, 4), LAPIC_GPA);
		assert_int_equal(get_le(madt + 40, 4), 0); /* no 8259s */
		for (unsigned i = 0; i < counts[c]; i++) {
			const uint8_t expected[] = { 0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0 };

			assert_memory_equal(madt + 44 + 8 * i, expected, 8);
		}
		io_apic = madt + 44 + 8 * counts[c];
		assert_int_equal(get_le(io_apic, 2), 0x0c01);
		assert_int_equal(get_le(io_apic + 4, 4), IOAPIC_GPA);
		assert_int_equal(get_le(io_apic + 8, 4), 0);
	}
}

static void mcfg_has_the_buses(void **state)
{
	struct acpi_config cfg = with_buses();

	(void)state;
	for (cfg.nbuses = 1; cfg.nbuses <= PCI_BUSES_MAX; cfg.nbuses++) {
		const uint8_t *mcfg;

		build(&cfg);
		mcfg = find_table("MCFG");
		assert_int_equal(get_le(mcfg + 4, 4), 60);
		assert_int_equal(get_le(mcfg + 44, 8), PCI_ECAM_BASE);
		assert_int_equal(get_le(mcfg + 52, 2), 0); /* segment */
		assert_int_equal(mcfg[54], 0);
		assert_int_equal(mcfg[55], cfg.nbuses - 1);
		assert_int_equal(get_le(mcfg + 56, 4), 0);
	}
	assert_int_equal(PCI_ECAM_SIZE, PCI_BUSES_MAX * MIB);
}

static void the_largest_machine_has_room_for_its_tables(void **state)
{
	struct acpi_config cfg = with_buses();

	(void)state;
	cfg.ncpus = 255;
	build(&cfg);
	assert_int_equal(get_le(xsdt() + 4, 4), 36 + (3 + PCI_BUSES_MAX) * 8);
	for (unsigned nr = 0; nr < PCI_BUSES_MAX; nr++)
		assert_non_null(find_nth_table("SSDT", nr));
}

static void rebuilds_over_what_a_guest_wrote(void **state)
{
	static uint8_t before[ACPI_SIZE];

	(void)state;
	build(&usual);
	memcpy(before, guest_ram_at(&ram, ACPI_GPA, ACPI_SIZE), ACPI_SIZE);
	memset(guest_ram_at(&ram, ACPI_GPA, ACPI_SIZE), 0xaa, ACPI_SIZE);
	build(&usual);
	assert_memory_equal(guest_ram_at(&ram, ACPI_GPA, ACPI_SIZE), before, ACPI_SIZE);
}

static void fails_without_ram(void **state)
{
	const struct gmem empty = { .nregions = 0 };
	struct acpi_config cfg = usual;
	uint64_t rsdp_gpa;

	(void)state;
	cfg.gmem = &empty;
	assert_int_equal(acpi_build(&cfg, &rsdp_gpa), -EFAULT);
}

/* ---- acpica-tools */

static char dir[] = "/tmp/acpi-test-XXXXXX";
static char output[1 << 17];

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void need(const char *tool)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", tool);
	if (system(command) == 0)
		return;
	print_message("SKIP: %s is not installed (package acpica-tools)\n", tool);
	skip();
}

/* Runs a shell command in the directory; its status, and what it printed in `output`. */
static int run(const char *fmt, ...)
{
	char command[512];
	int len = snprintf(command, sizeof(command), "cd %s && exec 2>&1 </dev/null && ", dir);
	va_list args;
	size_t n;
	FILE *pipe;

	va_start(args, fmt);
	vsnprintf(command + len, sizeof(command) - (size_t)len, fmt, args);
	va_end(args);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	n = fread(output, 1, sizeof(output) - 1, pipe);
	output[n] = 0;
	return pclose(pipe);
}

static void write_table(const uint8_t *table, const char *name)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(table, get_le(table + 4, 4), 1, file), 1);
	fclose(file);
}

static void assert_output(const char *text)
{
	if (!strstr(output, text))
		fail_msg("'%s' is not in:\n%s", text, output);
}

static void iasl_finds_nothing_wrong(void **state)
{
	static const char *const names[] = { "FACP", "APIC", "MCFG", "SSDT", "DSDT" };

	(void)state;
	need("iasl");
	build(&usual);
	for (unsigned i = 0; i < 5; i++) {
		write_table(i < 4 ? find_table(names[i]) : find_dsdt(), names[i]);
		assert_int_equal(run("iasl -d %s", names[i]), 0);
		if (strcasestr(output, "error") || strcasestr(output, "warning"))
			fail_msg("%s", output);
		assert_int_equal(run("cat %s.dsl", names[i]), 0);
		if (strstr(output, "Incorrect checksum") || strstr(output, "**** "))
			fail_msg("%s", output);
	}
	assert_int_equal(run("cat FACP.dsl"), 0);
	assert_output("Hardware Reduced (V5) : 1");
	assert_output("Reset Register Supported (V2) : 1");
	assert_output("CMOS RTC Not Present (V5) : 1");
	assert_int_equal(run("cat APIC.dsl"), 0);
	assert_output("PC-AT Compatibility : 0");
	assert_int_equal(run("cat DSDT.dsl"), 0);
	assert_output("Name (_S5, Package (0x04)");
	assert_int_equal(run("iasl -p again DSDT.dsl"), 0);
	assert_output("0 Errors, 0 Warnings");
	assert_int_equal(run("cat SSDT.dsl"), 0);
	assert_output("EisaId (\"PNP0A08\")");
	assert_int_equal(run("iasl -p again SSDT.dsl"), 0);
	assert_output("0 Errors, 0 Warnings");
}

/* The DSDT and the buses' tables, as files. */
static void write_tables(const struct acpi_config *cfg)
{
	build(cfg);
	assert_int_equal(run("rm -f DSDT SSDT?"), 0);
	write_table(find_dsdt(), "DSDT");
	for (unsigned nr = 0; nr < cfg->nbuses; nr++) {
		char name[16];

		snprintf(name, sizeof(name), "SSDT%u", nr);
		write_table(find_nth_table("SSDT", nr), name);
	}
	if (cfg->vm_generation_id)
		write_table(find_nth_table("SSDT", cfg->nbuses), "SSDTV");
}

/* Loads DSDT and SSDTs and evaluates a method; the answer is in `output`. */
static void evaluate(const struct acpi_config *cfg, const char *method)
{
	char *answer;

	need("acpiexec");
	write_tables(cfg);
	assert_int_equal(run("acpiexec -b 'evaluate %s' DSDT SSDT?", method), 0);
	answer = strstr(output, "returned object");
	if (!answer)
		fail_msg("%s", output);
	memmove(output, answer, strlen(answer) + 1);
}

static void the_generation_id_is_where_its_device_says(void **state)
{
	static const uint8_t guid[VMGENID_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct acpi_config cfg = with_buses();

	(void)state;
	cfg.vm_generation_id = guid;
	evaluate(&cfg, "\\_SB.VGEN.ADDR");
	assert_memory_equal(guest_ram_at(&ram, VMGENID_GPA, VMGENID_SIZE), guid, VMGENID_SIZE);
	assert_output("Contains 2 Elements");
	assert_output("[Integer] = 00000000000FF000");
	assert_output("[Integer] = 0000000000000000");
	assert_int_equal(run("iasl -d SSDTV"), 0);
	assert_int_equal(run("cat SSDTV.dsl"), 0);
	assert_output("\"VM_Gen_Counter\"");
	/* Beside the tables, and not in the code that follows it. */
	assert_true(ACPI_GPA + ACPI_SIZE <= VMGENID_GPA && VMGENID_GPA + VMGENID_SIZE <= RESET_VECTOR_GPA);
	/* Without the device there is no table. */
	build(&usual);
	assert_int_equal(get_le(xsdt() + 4, 4), 36 + (3 + usual.nbuses) * 8);
}

static void assert_routes(const struct acpi_config *cfg, const char *method)
{
	const char *at = output;

	evaluate(cfg, method);
	assert_output("Contains 31 Elements");
	for (unsigned slot = 1; slot < 32; slot++) {
		const uint64_t expected[] = { slot << 16 | 0xffff, 0, 0, PCI_INTX_GSI + slot % PCI_INTX_LINES };

		for (unsigned f = 0; f < 4; f++) {
			at = strstr(at, "[Integer] = ");
			assert_non_null(at);
			at += strlen("[Integer] = ");
			assert_int_equal(strtoull(at, NULL, 16), expected[f]);
		}
	}
}

static void routes_every_slot_as_the_bus_does(void **state)
{
	const struct acpi_config cfg = with_buses();

	(void)state;
	assert_routes(&usual, "\\_SB.PCI0._PRT");
	assert_routes(&cfg, "\\_SB.PCI7._PRT");
}

/* As a method it would be interpreted each time that a driver takes a device or leaves it. */
static void routes_are_data(void **state)
{
	(void)state;
	need("iasl");
	write_tables(&usual);
	assert_int_equal(run("iasl -d SSDT0 && grep '_PRT' SSDT0.dsl"), 0);
	assert_output("Name (_PRT, Package (0x1F)");
}

/* The bytes that acpiexec shows of a buffer, in groups of 16: "0010: 47 01 F8 // G..". */
static size_t answer_bytes(uint8_t *bytes, size_t max)
{
	size_t n = 0;

	for (char *at = strchr(output, ':'); at; at = strchr(at + 1, ':')) {
		char group[20], *next;

		snprintf(group, sizeof(group), "%04zX", n);
		if (at - output < 4 || strncmp(at - 4, group, 4) != 0)
			continue;
		for (at++; n < max; at = next) {
			unsigned long byte = strtoul(at, &next, 16);

			if (next == at)
				break;
			bytes[n++] = (uint8_t)byte;
		}
	}
	return n;
}

/* Finds the n-th descriptor of a kind (ACPI specification 6.4); large ones have bit 7 set. */
static const uint8_t *descriptor(const uint8_t *bytes, size_t len, uint8_t kind, unsigned n)
{
	for (size_t off = 0; off + 3 <= len;) {
		bool large = bytes[off] & 0x80;

		if ((large ? bytes[off] : bytes[off] & 0x78) == kind && n-- == 0)
			return bytes + off;
		off += large ? 3 + get_le(bytes + off + 1, 2) : 1 + (bytes[off] & 7u);
	}
	return NULL;
}

#define WORD_SPACE 0x88
#define DWORD_SPACE 0x87
#define QWORD_SPACE 0x8a
#define MEMORY32_FIXED 0x86
#define INTERRUPT 0x89
#define IO_PORT 0x40

static void root_bridge_has_the_windows(void **state)
{
	uint8_t bytes[512];
	const uint8_t *at;
	size_t len;

	(void)state;
	evaluate(&usual, "\\_SB.PCI0._CRS");
	len = answer_bytes(bytes, sizeof(bytes));
	at = descriptor(bytes, len, WORD_SPACE, 0);
	assert_non_null(at);
	assert_int_equal(at[3], 2); /* bus numbers */
	assert_int_equal(get_le(at + 8, 4), 0);
	assert_int_equal(get_le(at + 14, 2), 1);
	at = descriptor(bytes, len, WORD_SPACE, 1);
	assert_non_null(at);
	assert_int_equal(at[3], 1); /* I/O */
	assert_int_equal(get_le(at + 8, 2), PCI_PORT_BASE);
	assert_int_equal(get_le(at + 10, 2), PCI_PORT_BASE + PCI_PORT_SIZE - 1);
	assert_int_equal(get_le(at + 14, 2), PCI_PORT_SIZE);
	at = descriptor(bytes, len, DWORD_SPACE, 0);
	assert_non_null(at);
	assert_int_equal(get_le(at + 10, 4), PCI_MEM32_BASE);
	assert_int_equal(get_le(at + 14, 4), PCI_MEM32_BASE + PCI_MEM32_SIZE - 1);
	assert_int_equal(get_le(at + 22, 4), PCI_MEM32_SIZE);
	at = descriptor(bytes, len, QWORD_SPACE, 0);
	assert_non_null(at);
	assert_int_equal(get_le(at + 14, 8), WINDOW_GPA);
	assert_int_equal(get_le(at + 22, 8), WINDOW_GPA + WINDOW_SIZE - 1);
	assert_int_equal(get_le(at + 38, 8), WINDOW_SIZE);
}

static void leaves_out_a_window_that_is_not_there(void **state)
{
	struct acpi_config cfg = usual;
	uint8_t bytes[512];
	size_t len;

	(void)state;
	cfg.windows[0].mem64_size = 0;
	evaluate(&cfg, "\\_SB.PCI0._CRS");
	len = answer_bytes(bytes, sizeof(bytes));
	assert_non_null(descriptor(bytes, len, DWORD_SPACE, 0));
	assert_null(descriptor(bytes, len, QWORD_SPACE, 0));
}

static void every_bus_has_its_number_and_its_windows(void **state)
{
	const struct acpi_config cfg = with_buses();

	(void)state;
	for (unsigned nr = 1; nr < PCI_BUSES_MAX; nr += 3) {
		const struct acpi_windows *share = &cfg.windows[nr];
		uint8_t bytes[512];
		const uint8_t *at;
		char text[40];
		size_t len;

		snprintf(text, sizeof(text), "\\_SB.PCI%u._BBN", nr);
		evaluate(&cfg, text);
		snprintf(text, sizeof(text), "[Integer] = %016X", nr);
		assert_output(text);
		snprintf(text, sizeof(text), "\\_SB.PCI%u._UID", nr);
		evaluate(&cfg, text);
		snprintf(text, sizeof(text), "[Integer] = %016X", nr);
		assert_output(text);
		snprintf(text, sizeof(text), "\\_SB.PCI%u._CRS", nr);
		evaluate(&cfg, text);
		len = answer_bytes(bytes, sizeof(bytes));
		at = descriptor(bytes, len, WORD_SPACE, 0);
		assert_non_null(at);
		assert_int_equal(get_le(at + 8, 2), nr);
		assert_int_equal(get_le(at + 10, 2), nr);
		assert_int_equal(get_le(at + 14, 2), 1);
		assert_null(descriptor(bytes, len, WORD_SPACE, 1)); /* no ports */
		assert_null(descriptor(bytes, len, IO_PORT, 0));
		at = descriptor(bytes, len, DWORD_SPACE, 0);
		assert_non_null(at);
		assert_int_equal(get_le(at + 10, 4), share->mem32_gpa);
		assert_int_equal(get_le(at + 14, 4), share->mem32_gpa + share->mem32_size - 1);
		assert_int_equal(get_le(at + 22, 4), share->mem32_size);
		at = descriptor(bytes, len, QWORD_SPACE, 0);
		assert_non_null(at);
		assert_int_equal(get_le(at + 14, 8), share->mem64_gpa);
		assert_int_equal(get_le(at + 22, 8), share->mem64_gpa + share->mem64_size - 1);
		assert_int_equal(get_le(at + 38, 8), share->mem64_size);
	}
}

static void reserves_what_the_machine_decodes(void **state)
{
	static const uint64_t ports[][2] = {
		{ ACPI_PORT, ACPI_PORT_SIZE },
		{ GED_PORT, GED_PORT_SIZE },
		{ PCI_HOTPLUG_PORT, PCI_HOTPLUG_PORT_SIZE },
	};
	uint8_t bytes[512];
	const uint8_t *at;
	size_t len;

	(void)state;
	evaluate(&usual, "\\_SB.MBRD._CRS");
	len = answer_bytes(bytes, sizeof(bytes));
	at = descriptor(bytes, len, MEMORY32_FIXED, 0);
	assert_non_null(at);
	assert_int_equal(get_le(at + 4, 4), PCI_ECAM_BASE);
	assert_int_equal(get_le(at + 8, 4), PCI_ECAM_SIZE);
	for (unsigned i = 0; i < 3; i++) {
		at = descriptor(bytes, len, IO_PORT, i);
		assert_non_null(at);
		assert_int_equal(get_le(at + 2, 2), ports[i][0]);
		assert_int_equal(at[7], ports[i][1]);
	}
}

static void serial_port_is_com1(void **state)
{
	uint8_t bytes[512];
	const uint8_t *at;
	size_t len;

	(void)state;
	evaluate(&usual, "\\_SB.COM1._CRS");
	len = answer_bytes(bytes, sizeof(bytes));
	at = descriptor(bytes, len, IO_PORT, 0);
	assert_non_null(at);
	assert_int_equal(get_le(at + 2, 2), COM1_PORT);
	assert_int_equal(at[7], 8);
	at = descriptor(bytes, len, INTERRUPT, 0);
	assert_non_null(at);
	assert_int_equal(at[3], 0x03); /* consumer, edge, active high, exclusive */
	assert_int_equal(get_le(at + 5, 4), COM1_GSI);
}

static void event_device_listens_on_its_line(void **state)
{
	uint8_t bytes[512];
	const uint8_t *at;
	size_t len;

	(void)state;
	evaluate(&usual, "\\_SB.GED._CRS");
	len = answer_bytes(bytes, sizeof(bytes));
	at = descriptor(bytes, len, INTERRUPT, 0);
	assert_non_null(at);
	assert_int_equal(at[3], 0x01); /* consumer, level, active high, exclusive */
	assert_int_equal(get_le(at + 5, 4), GED_GSI);
	assert_int_equal(run("iasl -d DSDT && grep -A1 OperationRegion DSDT.dsl"), 0);
	assert_output("SystemIO, 0x0610, 0x04");
	assert_int_equal(GED_PORT, 0x610);
}

static void every_slot_can_be_ejected(void **state)
{
	const struct acpi_config cfg = with_buses();

	(void)state;
	need("iasl");
	write_tables(&cfg);
	assert_int_equal(run("iasl -d SSDT? && grep -A1 'OperationRegion (HREG' SSDT0.dsl"), 0);
	assert_output("SystemIO, HPRT, 0x10");
	assert_int_equal(run("grep HPRT, SSDT[0-7].dsl"), 0);
	assert_output("SSDT0.dsl:            Name (HPRT, 0x000000000000AE00)");
	assert_output("SSDT7.dsl:            Name (HPRT, 0x000000000000AE70)");
	assert_int_equal(PCI_HOTPLUG_PORT, 0xae00);
	for (unsigned slot = 1; slot < 32; slot += 15) {
		char method[40], result[64];

		snprintf(method, sizeof(method), "\\_SB.PCI0.S%02X_._SUN", slot);
		snprintf(result, sizeof(result), "[Integer] = %016X", slot);
		evaluate(&usual, method);
		assert_output(result);
		snprintf(method, sizeof(method), "\\_SB.PCI0.S%02X_._ADR", slot);
		snprintf(result, sizeof(result), "[Integer] = %016X", slot << 16);
		evaluate(&usual, method);
		assert_output(result);
	}
	assert_int_equal(run("grep -c '_EJ0' SSDT0.dsl"), 0);
	assert_output("31");
	/* Names of slots are different on each bus. */
	evaluate(&cfg, "\\_SB.PCI7.S05_._SUN");
	assert_output("[Integer] = 00000000000000E5");
}

/* Bus check: Linux scans this slot alone. A device check would make it scan all of them. */
static void a_new_device_is_a_bus_check_of_its_slot(void **state)
{
	(void)state;
	need("iasl");
	write_tables(&usual);
	assert_int_equal(run("iasl -d SSDT0 && grep 'NEWS (' SSDT0.dsl"), 0);
	assert_output("NEWS (UPSL, Zero)");
	assert_output("NEWS (DNSL, 0x03)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rsdp_is_where_old_kernels_search, setup, teardown),
		cmocka_unit_test_setup_teardown(fadt_is_hardware_reduced, setup, teardown),
		cmocka_unit_test_setup_teardown(madt_lists_every_cpu_and_the_io_apic, setup, teardown),
		cmocka_unit_test_setup_teardown(mcfg_has_the_buses, setup, teardown),
		cmocka_unit_test_setup_teardown(the_largest_machine_has_room_for_its_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(rebuilds_over_what_a_guest_wrote, setup, teardown),
		cmocka_unit_test_setup_teardown(fails_without_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(the_generation_id_is_where_its_device_says, setup, teardown),
		cmocka_unit_test_setup_teardown(iasl_finds_nothing_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(routes_every_slot_as_the_bus_does, setup, teardown),
		cmocka_unit_test_setup_teardown(routes_are_data, setup, teardown),
		cmocka_unit_test_setup_teardown(root_bridge_has_the_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_out_a_window_that_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(every_bus_has_its_number_and_its_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(reserves_what_the_machine_decodes, setup, teardown),
		cmocka_unit_test_setup_teardown(serial_port_is_com1, setup, teardown),
		cmocka_unit_test_setup_teardown(event_device_listens_on_its_line, setup, teardown),
		cmocka_unit_test_setup_teardown(every_slot_can_be_ejected, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_device_is_a_bus_check_of_its_slot, setup, teardown),
	};

	return cmocka_run_group_tests_name("acpi", tests, make_dir, remove_dir);
}
