// SPDX-License-Identifier: Apache-2.0
/*
 * machine_memory.h - the guest's physical address space: RAM, and the windows above it (machine_memory.c).
 */
#ifndef PMVM_MACHINE_MEMORY_H
#define PMVM_MACHINE_MEMORY_H

struct machine;
struct vpmem_error;

int machine_ram_up(struct machine *m, struct vpmem_error *err);
void machine_ram_down(struct machine *m); /* legal after an up that failed half-way */
/* Where pmem and 64-bit BARs go, above RAM and below the processor's limit. After machine_ram_up. */
int machine_place_windows(struct machine *m, struct vpmem_error *err);

#endif
