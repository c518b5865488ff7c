// SPDX-License-Identifier: Apache-2.0
/*
 * cpu.h - features and initial state of a vCPU: CPUID, control and segment registers, the MSRs that firmware sets.
 */
#ifndef PMVM_CPU_H
#define PMVM_CPU_H

#include "boot.h"

#include <stdbool.h>

/* What this host's KVM supports for all vCPUs: CPUID and MSRs. */
struct cpu_host;
int cpu_host_read(int kvm_fd, struct cpu_host **out, struct vpmem_error *err);
/* NULL is allowed. */
void cpu_host_free(struct cpu_host *host);

/* Features of the host that are hidden from the guest. */
struct cpu_hide {
	bool vmx, svm; /* nested virtualisation */
	bool pmu;      /* performance counters */
};
/* Removes them from the CPUID of all vCPUs that are created later. */
void cpu_host_hide(struct cpu_host *host, const struct cpu_hide *hide);

/* How many bits of a physical address the guest can use (CPUID 0x80000008; less where nested paging has less). */
unsigned cpu_phys_bits(const struct cpu_host *host);

/*
 * Gives vCPU `idx` of `ncpus` the host's features that KVM supports, its APIC id, a topology of one
 * socket with ncpus cores, and the TSC deadline timer.
 */
int cpu_set_cpuid(const struct cpu_host *host, int vcpu_fd, unsigned idx, unsigned ncpus, struct vpmem_error *err);

/* Saves the MSRs of a new vCPU for a reset. */
struct cpu_msrs;
int cpu_msrs_save(const struct cpu_host *host, int vcpu_fd, struct cpu_msrs **out);
/* Sets the MSRs that firmware sets on every processor: in the vCPU, and in the values that a reset restores. */
void cpu_msrs_set_firmware(int vcpu_fd, struct cpu_msrs *msrs);
/* NULL is allowed. */
void cpu_msrs_free(struct cpu_msrs *msrs);

/*
 * Resets all state that KVM has of vCPU `idx`: registers, FPU, MSRs, local APIC, events, run state. The time-stamp
 * counter continues. An exit to user space that is not completed must be completed first (KVM_RUN with
 * immediate_exit), or KVM completes it with the new registers.
 */
int cpu_reset(int vcpu_fd, unsigned idx, const struct cpu_msrs *msrs);

/*
 * Sets the registers of vCPU 0, which is new or reset, for the kernel's entry: 64-bit mode with an identity map of the
 * first 4 GiB (the tables are written to BOOT_PAGE_TABLE_GPA and BOOT_GDT_GPA of gmem), or flat 32-bit protected mode.
 */
int cpu_set_entry(int vcpu_fd, const struct gmem *gmem, const struct boot_entry *entry);

#endif
