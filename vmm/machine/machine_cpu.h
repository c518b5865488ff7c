// SPDX-License-Identifier: Apache-2.0
/*
 * machine_cpu.h - the machine's vCPUs: what their exits mean to it, and the registers with which they begin
 * (machine_cpu.c). Their threads are vcpu.h's.
 */
#ifndef PMVM_MACHINE_CPU_H
#define PMVM_MACHINE_CPU_H

struct boot_entry;
struct machine;
struct vpmem_error;

int machine_cpus_up(struct machine *m, struct vpmem_error *err);
void machine_cpus_down(struct machine *m); /* legal after an up that failed half-way */
/* All vCPUs as new, vCPU 0 at the kernel's entry. They are parked. */
int machine_cpus_reset(struct machine *m, const struct boot_entry *entry);

#endif
