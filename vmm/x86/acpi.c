// SPDX-License-Identifier: Apache-2.0
/*
 * acpi.c - builds the ACPI tables (ACPI specification 6.3, chapter 5) in guest memory.
 *
 * "Hardware-reduced" means: no fixed registers (PM timer, SCI, SMI), so none has to be emulated. Sleep and
 * reset go through the ports of acpi_pm.h, events through the generic event device (acpi_ged.h).
 */
#include "acpi.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "acpi_pm.h"
#include "memory_map.h"

/* The output of iasl for the .asl files: `unsigned char dsdt_aml_code[]`, pci_bus_aml_code[], and so on. */
static const
#include "dsdt.hex"
	static const
#include "pci_bus.hex"
	static const
#include "vmgenid.hex"

#define OEM_ID "PMVM  "
#define OEM_TABLE_ID "PMVM    "
#define CREATOR_ID "PMVM"

#define TABLE_ALIGN 16u
#define HEADER_SIZE 36u
#define HEADER_LENGTH_OFF 4u
#define HEADER_CHECKSUM_OFF 9u

#define RSDP_SIZE 36u
#define RSDP_V1_SIZE 20u
#define RSDP_CHECKSUM_OFF 8u
#define RSDP_XSDT_OFF 24u
#define RSDP_EXT_CHECKSUM_OFF 32u

	enum fadt_off {
		FADT_BOOT_ARCH = 109,
		FADT_FLAGS = 112,
		FADT_RESET_REG = 116,
		FADT_RESET_VALUE = 128,
		FADT_X_DSDT = 140,
		FADT_SLEEP_CONTROL_REG = 244,
		FADT_SLEEP_STATUS_REG = 256,
		FADT_SIZE = 276,
	};

#define BOOT_ARCH_NO_VGA (1u << 2)
#define BOOT_ARCH_NO_CMOS_RTC (1u << 5)
#define FADT_WBINVD (1u << 0)
#define FADT_SLP_BUTTON (1u << 5) /* no fixed-hardware sleep button */
#define FADT_PWR_BUTTON (1u << 4) /* no fixed-hardware power button */
#define FADT_RESET_REG_SUP (1u << 10)
#define FADT_HW_REDUCED_ACPI (1u << 20)

#define MADT_LOCAL_APIC 0u
#define MADT_IO_APIC 1u
#define MADT_ENABLED 1u

/* The memory from ACPI_GPA on, filled from its start. */
struct area {
	uint8_t *hva;
	size_t len;
	bool full; /* something did not fit, and nothing more is written */
};

/* A table under construction: where it begins in the area. */
struct table {
	struct area *area;
	size_t start;
};

static void put(struct area *area, unsigned width, uint64_t val)
{
	if (area->full || width > ACPI_SIZE - area->len) {
		area->full = true;
		return;
	}
	for (unsigned i = 0; i < width; i++)
		area->hva[area->len++] = (uint8_t)(val >> (8 * i));
}

static void put_bytes(struct area *area, const void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put(area, 1, ((const uint8_t *)buf)[i]);
}

static void fill(struct area *area, size_t len)
{
	while (len-- > 0)
		put(area, 1, 0);
}

/* Overwrites a field that was written before. */
static void patch(struct area *area, size_t off, unsigned width, uint64_t val)
{
	struct area at = { .hva = area->hva, .len = off };

	if (!area->full)
		put(&at, width, val);
}

static uint8_t checksum(const uint8_t *buf, size_t len)
{
	uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *buf++);
	return (uint8_t)-sum;
}

static void align(struct area *area)
{
	while (area->len % TABLE_ALIGN && !area->full)
		put(area, 1, 0);
}

static struct table table_begin(struct area *area, const char *signature, uint8_t revision)
{
	struct table table = { .area = area };

	align(area);
	table.start = area->len;
	put_bytes(area, signature, 4);
	put(area, 4, 0); /* length */
	put(area, 1, revision);
	put(area, 1, 0); /* checksum */
	put_bytes(area, OEM_ID, 6);
	put_bytes(area, OEM_TABLE_ID, 8);
	put(area, 4, 1); /* OEM revision */
	put_bytes(area, CREATOR_ID, 4);
	put(area, 4, 1); /* creator revision */
	return table;
}

/* Completes the header and returns the table's address. */
static uint64_t table_end(const struct table *table)
{
	struct area *area = table->area;
	size_t len = area->len - table->start;

	patch(area, table->start + HEADER_LENGTH_OFF, 4, len);
	patch(area, table->start + HEADER_CHECKSUM_OFF, 1, 0);
	if (!area->full)
		patch(area, table->start + HEADER_CHECKSUM_OFF, 1, checksum(area->hva + table->start, len));
	return ACPI_GPA + table->start;
}

/* Replaces the 64-bit number of `Name (<name>, <number>)`, which the table has exactly once. */
static void set_name(struct area *area, size_t start, const char *name, uint64_t val)
{
	const uint8_t encoded[] = {
		0x08, (uint8_t)name[0], (uint8_t)name[1], (uint8_t)name[2], (uint8_t)name[3], 0x0e
	}; /* NameOp, NameSeg, QWordPrefix */
	uint8_t *at;

	if (area->full)
		return;
	at = memmem(area->hva + start, area->len - start, encoded, sizeof(encoded));
	assert(at);
	if (at)
		patch(area, (size_t)(at - area->hva) + sizeof(encoded), 8, val);
}

/* Copies a table as iasl compiled it. The caller changes and completes it. */
static struct table table_copy(struct area *area, const uint8_t *aml, size_t len)
{
	struct table table = { .area = area };

	align(area);
	table.start = area->len;
	put_bytes(area, aml, len);
	return table;
}

static uint64_t build_dsdt(struct area *area)
{
	struct table dsdt = table_copy(area, dsdt_aml_code, sizeof(dsdt_aml_code));

	return table_end(&dsdt);
}

/* The device is PCIX in the template, once, and PCI0, PCI1, ... in the tables. */
static void set_bus_name(struct area *area, size_t start, unsigned nr)
{
	static const char name[] = "PCIX";
	uint8_t *at;

	if (area->full)
		return;
	at = memmem(area->hva + start, area->len - start, name, strlen(name));
	assert(at);
	if (at)
		patch(area, (size_t)(at - area->hva) + strlen(name) - 1, 1, '0' + nr);
}

static uint64_t build_pci_bus(struct area *area, unsigned nr, const struct acpi_windows *windows)
{
	struct table ssdt = table_copy(area, pci_bus_aml_code, sizeof(pci_bus_aml_code));
	const struct {
		const char *name;
		uint64_t val;
	} values[] = {
		{ "_UID", nr },
		{ "_BBN", nr },
		{ "HPRT", PCI_HOTPLUG_PORT + nr * PCI_HOTPLUG_BUS_SIZE },
		{ "M32B", windows->mem32_gpa },
		{ "M32S", windows->mem32_size },
		{ "M64B", windows->mem64_gpa },
		{ "M64S", windows->mem64_size },
	};

	set_bus_name(area, ssdt.start, nr);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		set_name(area, ssdt.start, values[i].name, values[i].val);
	return table_end(&ssdt);
}

/* Where the guest finds the 16 bytes. */
static uint64_t build_vmgenid(struct area *area)
{
	struct table ssdt = table_copy(area, vmgenid_aml_code, sizeof(vmgenid_aml_code));

	set_name(area, ssdt.start, "VGIA", VMGENID_GPA);
	return table_end(&ssdt);
}

/* A generic address structure (5.2.3.2) for one byte of system I/O. */
static void patch_port(struct area *area, size_t off, uint64_t port)
{
	patch(area, off, 1, 1);     /* system I/O space */
	patch(area, off + 1, 1, 8); /* bits */
	patch(area, off + 3, 1, 1); /* byte access */
	patch(area, off + 4, 8, port);
}

/* 5.2.9. The fields that stay 0 describe fixed registers, which hardware-reduced ACPI does not have. */
static uint64_t build_fadt(struct area *area, uint64_t dsdt_gpa)
{
	struct table fadt = table_begin(area, "FACP", 6);
	size_t start = fadt.start;

	fill(area, FADT_SIZE - HEADER_SIZE);
	patch(area, start + FADT_BOOT_ARCH, 2, BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_CMOS_RTC);
	patch(area, start + FADT_FLAGS, 4,
	      FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_RESET_REG_SUP | FADT_HW_REDUCED_ACPI);
	patch_port(area, start + FADT_RESET_REG, ACPI_PORT + ACPI_RESET_OFF);
	patch(area, start + FADT_RESET_VALUE, 1, ACPI_RESET_VALUE);
	patch(area, start + FADT_X_DSDT, 8, dsdt_gpa);
	patch_port(area, start + FADT_SLEEP_CONTROL_REG, ACPI_PORT + ACPI_SLEEP_CONTROL_OFF);
	patch_port(area, start + FADT_SLEEP_STATUS_REG, ACPI_PORT + ACPI_SLEEP_STATUS_OFF);
	return table_end(&fadt);
}

/* 5.2.12. No PCAT_COMPAT flag: there are no 8259s. */
static uint64_t build_madt(struct area *area, unsigned ncpus)
{
	struct table madt = table_begin(area, "APIC", 5);

	put(area, 4, LAPIC_GPA);
	put(area, 4, 0); /* flags */
	for (unsigned i = 0; i < ncpus; i++) {
		put(area, 1, MADT_LOCAL_APIC);
		put(area, 1, 8);
		put(area, 1, i); /* processor UID */
		put(area, 1, i); /* APIC id */
		put(area, 4, MADT_ENABLED);
	}
	put(area, 1, MADT_IO_APIC);
	put(area, 1, 12);
	put(area, 2, 0); /* id, reserved */
	put(area, 4, IOAPIC_GPA);
	put(area, 4, 0); /* first GSI */
	return table_end(&madt);
}

/* PCI Firmware Specification 3.0, table 4-3: ECAM for segment 0. */
static uint64_t build_mcfg(struct area *area, unsigned nbuses)
{
	struct table mcfg = table_begin(area, "MCFG", 1);

	put(area, 8, 0);
	put(area, 8, PCI_ECAM_BASE);
	put(area, 2, 0); /* segment */
	put(area, 1, 0); /* first and last bus */
	put(area, 1, nbuses - 1);
	put(area, 4, 0); /* reserved */
	return table_end(&mcfg);
}

static uint64_t build_xsdt(struct area *area, const uint64_t *tables, size_t ntables)
{
	struct table xsdt = table_begin(area, "XSDT", 1);

	for (size_t i = 0; i < ntables; i++)
		put(area, 8, tables[i]);
	return table_end(&xsdt);
}

/* 5.2.5.3. The start of the area was reserved for it. */
static void build_rsdp(struct area *area, uint64_t xsdt_gpa)
{
	struct area rsdp = { .hva = area->hva };

	put_bytes(&rsdp, "RSD PTR ", 8);
	put(&rsdp, 1, 0); /* checksum of the first 20 bytes */
	put_bytes(&rsdp, OEM_ID, 6);
	put(&rsdp, 1, 2); /* revision */
	put(&rsdp, 4, 0); /* no RSDT */
	put(&rsdp, 4, RSDP_SIZE);
	put(&rsdp, 8, xsdt_gpa);
	put(&rsdp, 4, 0); /* checksum, reserved */
	patch(&rsdp, RSDP_CHECKSUM_OFF, 1, checksum(rsdp.hva, RSDP_V1_SIZE));
	patch(&rsdp, RSDP_EXT_CHECKSUM_OFF, 1, checksum(rsdp.hva, RSDP_SIZE));
}

int acpi_build(const struct acpi_config *cfg, uint64_t *rsdp_gpa)
{
	struct area area = { .hva = gmem_hva(cfg->gmem, ACPI_GPA, ACPI_SIZE) };
	uint64_t dsdt_gpa, tables[4 + PCI_BUSES_MAX], xsdt_gpa;
	uint8_t *guid_hva = gmem_hva(cfg->gmem, VMGENID_GPA, VMGENID_SIZE);
	size_t ntables = 0;

	assert(cfg->ncpus >= 1 && cfg->ncpus <= 255);
	assert(cfg->nbuses >= 1 && cfg->nbuses <= PCI_BUSES_MAX);
	if (!area.hva || !guid_hva)
		return -EFAULT;
	memset(area.hva, 0, ACPI_SIZE);
	fill(&area, RSDP_SIZE);
	dsdt_gpa = build_dsdt(&area);
	tables[ntables++] = build_fadt(&area, dsdt_gpa);
	tables[ntables++] = build_madt(&area, cfg->ncpus);
	tables[ntables++] = build_mcfg(&area, cfg->nbuses);
	for (unsigned nr = 0; nr < cfg->nbuses; nr++)
		tables[ntables++] = build_pci_bus(&area, nr, &cfg->windows[nr]);
	if (cfg->vm_generation_id) {
		memcpy(guid_hva, cfg->vm_generation_id, VMGENID_SIZE);
		tables[ntables++] = build_vmgenid(&area);
	}
	xsdt_gpa = build_xsdt(&area, tables, ntables);
	build_rsdp(&area, xsdt_gpa);
	if (area.full)
		return -ENOSPC;
	*rsdp_gpa = ACPI_GPA;
	return 0;
}
