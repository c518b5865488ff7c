// SPDX-License-Identifier: Apache-2.0
/*
 * cpu_host.h - what the cpu*.c files know of each other: what this host's KVM tells about vCPUs in general, and the
 * part of a saved state from which the kernel's entry is made.
 */
#ifndef PMVM_CPU_HOST_H
#define PMVM_CPU_HOST_H

#include "cpu.h"
#include "cpu_cpuid.h"

#include <linux/kvm.h>

struct cpu_host {
	union cpuid *cpuid;         /* what KVM supports of it */
	struct kvm_msr_list *msrs;  /* those that are worth saving */
};

const struct kvm_sregs *cpu_state_sregs(const struct cpu_state *state);

#endif
