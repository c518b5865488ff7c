// SPDX-License-Identifier: Apache-2.0
/*
 * cpu_cpuid.h - a vCPU's CPUID, made from what KVM supports on this host.
 */
#ifndef PMVM_CPU_CPUID_H
#define PMVM_CPU_CPUID_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#define CPUID_ENTRIES_MAX 256u /* what KVM accepts */

/* struct kvm_cpuid2 with room for all its entries. */
union cpuid {
	struct kvm_cpuid2 head;
	uint8_t room[sizeof(struct kvm_cpuid2) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2)];
};

/* The bytes that are in use. */
static inline size_t cpuid_size(const union cpuid *cpuid)
{
	return sizeof(cpuid->head) + cpuid->head.nent * sizeof(cpuid->head.entries[0]);
}

struct cpuid_topology {
	unsigned id;    /* APIC id, below ncpus */
	unsigned ncpus; /* cores of one socket, 1 to 255 */
};

/* Changes the fields that depend on the topology, and the bits that KVM leaves to user space. */
void cpuid_set_topology(union cpuid *cpuid, const struct cpuid_topology *topology);

/* Removes features. */
struct cpu_hide;
void cpuid_hide(union cpuid *cpuid, const struct cpu_hide *hide);

/* How many bits of a physical address the guest can use. */
unsigned cpuid_phys_bits(const union cpuid *cpuid);

#endif
