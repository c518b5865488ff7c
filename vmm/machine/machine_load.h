// SPDX-License-Identifier: Apache-2.0
/*
 * machine_load.h - puts the guest into memory (machine_load.c).
 */
#ifndef PMVM_MACHINE_LOAD_H
#define PMVM_MACHINE_LOAD_H

struct machine;
struct vpmem_error;

/* ACPI tables, kernel, initrd and command line into guest memory, and vCPU 0 at the entry. vCPUs are parked. */
int machine_load_guest(struct machine *m, struct vpmem_error *err);

#endif
