// SPDX-License-Identifier: Apache-2.0
/*
 * cpu_host.h - what the cpu*.c files know of each other: what this host's KVM tells about vCPUs in general, and what
 * a reset and the kernel's entry have in common.
 */
#ifndef PMVM_CPU_HOST_H
#define PMVM_CPU_HOST_H

#include "cpu.h"
#include "cpu_cpuid.h"

#include <linux/kvm.h>

struct cpu_host {
	union cpuid *cpuid;        /* what KVM supports of it */
	struct kvm_msr_list *msrs; /* those that are worth saving */
};

/* All MSRs as they were saved; the time-stamp counter goes on. */
int cpu_msrs_restore(int vcpu_fd, const struct cpu_msrs *msrs);

/* The local APIC at its address; the first processor is the one that boots. */
uint64_t cpu_new_apic_base(unsigned idx);

#endif
