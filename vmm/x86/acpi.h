// SPDX-License-Identifier: Apache-2.0
/*
 * acpi.h - ACPI tables in guest memory: RSDP, XSDT, FADT (hardware-reduced), MADT, MCFG, DSDT.
 *
 * The DSDT is written as ASL (dsdt.asl) and compiled by iasl in the build; the few numbers that are known
 * only at run time (the windows above RAM) it reads from a small data table of ours in memory, or they
 * are patched at named offsets: see acpi.c.
 */
#ifndef PMVM_ACPI_H
#define PMVM_ACPI_H

#include <stdint.h>
#include <vpmem.h>

struct acpi_config {
	const struct vpmem_gmem *gmem;
	unsigned ncpus;         /* 1 to 255; local APIC ids 0 to ncpus - 1 */
	uint64_t mem64_gpa;     /* 64-bit PCI window */
	uint64_t mem64_size;    /* 0: there is none */
};

/* Writes the tables into [ACPI_GPA, ACPI_GPA + ACPI_SIZE). Returns 0 and the RSDP's address, or -errno. */
int acpi_build(const struct acpi_config *cfg, uint64_t *rsdp_gpa);

#endif
