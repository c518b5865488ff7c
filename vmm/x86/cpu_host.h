// SPDX-License-Identifier: Apache-2.0
/*
 * cpu_host.h - shared by the cpu*.c files: what this host's KVM supports for all vCPUs, and the common part of a
 * reset and the kernel's entry.
 */
#ifndef PMVM_CPU_HOST_H
#define PMVM_CPU_HOST_H

#include "cpu.h"
#include "cpu_cpuid.h"

#include <linux/kvm.h>

struct cpu_host {
	union cpuid *cpuid;        /* as far as KVM supports it */
	struct kvm_msr_list *msrs; /* those that KVM says to save */
};

/* Restores all MSRs as they were saved, except the time-stamp counter, which continues. */
int cpu_msrs_restore(int vcpu_fd, const struct cpu_msrs *msrs);

/* The APIC base: the default address, and the flag of the bootstrap processor for the first one. */
uint64_t cpu_new_apic_base(unsigned idx);

#endif
