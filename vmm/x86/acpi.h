// SPDX-License-Identifier: Apache-2.0
/*
 * acpi.h - ACPI tables in guest memory: RSDP, XSDT, FADT (hardware-reduced), MADT, MCFG, DSDT, and an SSDT for each
 * PCI bus and for the VM generation ID.
 *
 * DSDT and SSDT are written as ASL (dsdt.asl, pci_bus.asl) and compiled by iasl in the build. The few numbers that are
 * known only at run time are replaced where their names are: see acpi.c.
 */
#ifndef PMVM_ACPI_H
#define PMVM_ACPI_H

#include "gmem.h"
#include "vm_limits.h"

#include <stdint.h>

/* Where the BARs of a bus may be. Size 0: there is no such window. */
struct acpi_windows {
	uint64_t mem32_gpa, mem32_size;
	uint64_t mem64_gpa, mem64_size;
};

struct acpi_config {
	const struct gmem *gmem;
	unsigned ncpus;                             /* 1 to 255; local APIC ids 0 to ncpus - 1 */
	unsigned nbuses;                            /* PCI: 1 to PCI_BUSES_MAX */
	struct acpi_windows windows[PCI_BUSES_MAX]; /* of each bus */
	const uint8_t *vm_generation_id;            /* 16 bytes, at VMGENID_GPA; NULL: there is no such device */
};

/* Writes the tables into [ACPI_GPA, ACPI_GPA + ACPI_SIZE). Returns 0 and the RSDP's address, or -errno. */
int acpi_build(const struct acpi_config *cfg, uint64_t *rsdp_gpa);

#endif
