// SPDX-License-Identifier: Apache-2.0
/*
 * cpu.h - what a vCPU is and how it begins: CPUID, control and segment registers, boot MSRs.
 */
#ifndef PMVM_CPU_H
#define PMVM_CPU_H

#include "boot.h"

/* How many bits of a physical address the guest can use (CPUID 0x80000008; less where nested paging has less). */
unsigned cpu_phys_bits(int kvm_fd);

/*
 * Gives vCPU `idx` of `ncpus` the host's features that KVM supports, its APIC id, a topology of one
 * socket with ncpus cores, and the TSC deadline timer where KVM has it. Sets the MSRs that firmware
 * would have set on every processor.
 */
int cpu_set_cpuid(int kvm_fd, int vcpu_fd, unsigned idx, unsigned ncpus, struct vpmem_error *err);

/*
 * Registers of vCPU 0 at the kernel's entry: 64-bit mode with an identity map of the first 4 GiB (the
 * tables are written to BOOT_PAGE_TABLE_GPA and BOOT_GDT_GPA of gmem), or flat 32-bit protected mode.
 */
int cpu_set_entry(int vcpu_fd, const struct vpmem_gmem *gmem, const struct boot_entry *entry);

/*
 * All that KVM keeps of a vCPU, taken when it is new and put back at every reset: registers, FPU, MSRs,
 * local APIC, events, run state. The time-stamp counter goes on. An exit to user space that is not completed
 * must be completed first (KVM_RUN with immediate_exit), or KVM completes it on top of the new registers.
 */
struct cpu_state;
int cpu_state_save(int kvm_fd, int vcpu_fd, struct cpu_state **out);
int cpu_state_restore(int vcpu_fd, const struct cpu_state *state);
/* NULL is allowed. */
void cpu_state_free(struct cpu_state *state);

#endif
