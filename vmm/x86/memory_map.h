// SPDX-License-Identifier: Apache-2.0
/*
 * memory_map.h - the guest's physical address space, interrupt lines and ports. They are defined only here;
 * docs/memory-map.md shows them.
 */
#ifndef PMVM_MEMORY_MAP_H
#define PMVM_MEMORY_MAP_H

#include <stdint.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

/* RAM: [0, up to 3 GiB) and, for the rest, from 4 GiB on. */
#define RAM_LOW_MAX (3 * GIB)
#define RAM_HIGH_BASE (4 * GIB)

/* Below 1 MiB: data of the boot loader and ACPI for the kernel. */
#define BOOT_GDT_GPA UINT64_C(0x500)
#define BOOT_PAGE_TABLE_GPA UINT64_C(0x9000) /* PML4, PDPT, 4 page directories: 6 pages */
#define BOOT_PARAMS_GPA UINT64_C(0x7000)     /* zero page, or hvm_start_info with what it points to */
#define BOOT_STACK_GPA UINT64_C(0x8ff0)
#define BOOT_CMDLINE_GPA UINT64_C(0x20000)
#define BOOT_CMDLINE_MAX 2048         /* bytes with the final 0; x86 kernels' COMMAND_LINE_SIZE */
#define LOW_RAM_END UINT64_C(0xa0000) /* 640 KiB; up to 1 MiB is reserved in the e820 map */
#define ACPI_GPA UINT64_C(0xe0000)    /* RSDP first, then the tables */
#define ACPI_SIZE UINT64_C(0x1f000)
#define VMGENID_GPA UINT64_C(0xff000) /* the VM generation ID: acpi.c */
#define VMGENID_SIZE 16u
#define RESET_VECTOR_GPA UINT64_C(0xffff0) /* a few bytes of code that reset the machine: boot.c */
#define HIMEM_GPA UINT64_C(0x100000)

/* The PCI hole below 4 GiB. */
#define PCI_MEM32_BASE UINT64_C(0xc0000000)
#define PCI_MEM32_SIZE UINT64_C(0x20000000)
#define PCI_ECAM_BASE UINT64_C(0xe0000000)
#define PCI_ECAM_BUS_SIZE (1 * MIB)           /* 32 devices x 8 functions x 4 KiB */
#define PCI_ECAM_SIZE (8 * PCI_ECAM_BUS_SIZE) /* reserved for the largest number of buses */
#define PCI_PORT_BASE 0x1000u
#define PCI_PORT_SIZE 0xf000u
#define IOAPIC_GPA UINT64_C(0xfec00000)
#define LAPIC_GPA UINT64_C(0xfee00000)
#define KVM_IDENTITY_MAP_GPA UINT64_C(0xfeffc000)
#define KVM_TSS_GPA UINT64_C(0xfeffd000)
#define KVM_TSS_SIZE UINT64_C(0x3000)

/*
 * Above RAM, in this order: the window for pmem (from the next GiB on), then the 64-bit PCI window.
 * Both end below RAM + 8 TiB (a guest with KASLR maps 10 TiB above its RAM) and below the processor's
 * physical address limit; three quarters of that room belong to pmem. machine_build.c computes them.
 */
#define WINDOW_MAX (8 * TIB)

/* Ports and interrupt lines (GSI). */
#define COM1_PORT 0x3f8u
#define COM1_GSI 4u
#define ACPI_PORT 0x600u /* sleep control, sleep status, reset: acpi_pm.h */
#define ACPI_PORT_SIZE 4u
#define GED_GSI 9u      /* generic event device */
#define GED_PORT 0x610u /* which events are pending: power button, PCI hotplug */
#define GED_PORT_SIZE 4u
#define PCI_HOTPLUG_PORT 0xae00u
#define PCI_HOTPLUG_BUS_SIZE 0x10u /* for each bus */
#define PCI_HOTPLUG_PORT_SIZE (8 * PCI_HOTPLUG_BUS_SIZE)
#define I8042_PORT 0x64u /* only the reset command */
#define PCI_INTX_GSI 16u /* INTx pins: 8 lines, 16 to 23; device d, pin p: 16 + (d + p) % 8 */
#define PCI_INTX_LINES 8u
#define IOAPIC_GSIS 24u

#endif
