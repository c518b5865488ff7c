// SPDX-License-Identifier: Apache-2.0
/*
 * cpu_cpuid.c - CPUID with a topology of one socket with one thread in each core.
 *
 * Leaf and field names are those of Intel's SDM (volume 2A, CPUID) and AMD's APM (volume 3, appendix E).
 * KVM reports the host's topology leaves as they are, so each one that it reports is rewritten.
 */
#include "cpu_cpuid.h"
#include "cpu.h"
#include "vm_limits.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static_assert(CPUS_MAX <= 255, "an APIC id, and the count of them, have 8 bits");

#define PHYS_BITS_DEFAULT 36u /* of a processor without leaf 0x80000008 */
#define PHYS_BITS_MAX 52u

#define LEAF1_ECX_VMX (1u << 5)
#define LEAF1_ECX_PDCM (1u << 15) /* the MSR with the capabilities of the performance counters */
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR (1u << 31)
#define EXT1_ECX_CMP_LEGACY (1u << 1) /* HTT means cores, not threads */
#define EXT1_ECX_SVM (1u << 2)
#define EXT1_ECX_PERFCTR_CORE (1u << 23)
#define EXT7_EDX_INVARIANT_TSC (1u << 8)

#define LEVEL_SMT 1u
#define LEVEL_CORE 2u

static struct kvm_cpuid_entry2 *find(union cpuid *cpuid, uint32_t leaf)
{
	for (unsigned i = 0; i < cpuid->head.nent; i++)
		if (cpuid->head.entries[i].function == leaf)
			return &cpuid->head.entries[i];
	return NULL;
}

static void remove_leaf(union cpuid *cpuid, uint32_t leaf)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < cpuid->head.nent; i++)
		if (cpuid->head.entries[i].function != leaf)
			cpuid->head.entries[kept++] = cpuid->head.entries[i];
	cpuid->head.nent = kept;
}

static void add(union cpuid *cpuid, const struct kvm_cpuid_entry2 *entry)
{
	if (cpuid->head.nent < CPUID_ENTRIES_MAX)
		cpuid->head.entries[cpuid->head.nent++] = *entry;
}

static uint32_t max_leaf(union cpuid *cpuid)
{
	const struct kvm_cpuid_entry2 *leaf = find(cpuid, 0);

	return leaf ? leaf->eax : 0;
}

static bool is_amd(union cpuid *cpuid)
{
	const struct kvm_cpuid_entry2 *leaf = find(cpuid, 0);
	const uint32_t name[] = { leaf ? leaf->ebx : 0, leaf ? leaf->edx : 0, leaf ? leaf->ecx : 0 };

	return memcmp(name, "AuthenticAMD", sizeof(name)) == 0 || memcmp(name, "HygonGenuine", sizeof(name)) == 0;
}

/* Bits [high:low] of a register; a value that is too large becomes the largest. */
static void set_bits(uint32_t *reg, unsigned high, unsigned low, uint32_t val)
{
	uint32_t max = (uint32_t)((UINT64_C(1) << (high - low + 1)) - 1);

	*reg = (*reg & ~(max << low)) | (val < max ? val : max) << low;
}

/* Returns how many bits of the APIC id identify the core. */
static unsigned id_bits(const struct cpuid_topology *t)
{
	unsigned bits = 0;

	while (1u << bits < t->ncpus)
		bits++;
	return bits;
}

/* Cache parameters, leaf 4 and AMD's 0x8000001d alike: only the last level is shared. */
static void set_cache(struct kvm_cpuid_entry2 *entry, uint32_t max_id)
{
	unsigned type = entry->eax & 0x1f, level = (entry->eax >> 5) & 7;

	if (type == 0)
		return;
	set_bits(&entry->eax, 25, 14, level >= 3 ? max_id : 0);
	if (entry->function == 4)
		set_bits(&entry->eax, 31, 26, max_id);
}

static void set_leaf1(struct kvm_cpuid_entry2 *entry, const struct cpuid_topology *t)
{
	set_bits(&entry->ebx, 31, 24, t->id);
	set_bits(&entry->ebx, 23, 16, 1u << id_bits(t));
	set_bits(&entry->edx, 28, 28, t->ncpus > 1); /* HTT: the field before is valid */
	/* KVM's local APIC has the timer even if the processor's has none. */
	entry->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_TSC_DEADLINE;
}

static void set_entry(struct kvm_cpuid_entry2 *entry, const struct cpuid_topology *t, bool amd)
{
	switch (entry->function) {
	case 1:
		set_leaf1(entry, t);
		break;
	case 4:
	case 0x8000001d:
		set_cache(entry, (1u << id_bits(t)) - 1);
		break;
	case 0x80000001:
		if (amd && t->ncpus > 1)
			entry->ecx |= EXT1_ECX_CMP_LEGACY;
		break;
	case 0x80000007:
		/* A guest that trusts the TSC ignores kvmclock, which does not run while the machine is stopped. */
		entry->edx &= ~EXT7_EDX_INVARIANT_TSC;
		break;
	case 0x80000008:
		if (!amd)
			break;
		set_bits(&entry->ecx, 7, 0, t->ncpus - 1);
		set_bits(&entry->ecx, 15, 12, id_bits(t));
		break;
	case 0x8000001e:
		entry->eax = t->id;
		set_bits(&entry->ebx, 7, 0, t->id); /* core id */
		set_bits(&entry->ebx, 15, 8, 0);    /* threads per core - 1 */
		set_bits(&entry->ecx, 10, 0, 0);    /* one node, number 0 */
		break;
	default:
		break;
	}
}

/* Extended topology, leaf 0xb and its successor 0x1f: a level for threads and one for cores. */
static void add_levels(union cpuid *cpuid, uint32_t leaf, const struct cpuid_topology *t)
{
	const struct kvm_cpuid_entry2 levels[] = {
		{ .index = 0, .eax = 0, .ebx = 1, .ecx = 0 | LEVEL_SMT << 8 },
		{ .index = 1, .eax = id_bits(t), .ebx = t->ncpus, .ecx = 1 | LEVEL_CORE << 8 },
		{ .index = 2, .ecx = 2 },
	};

	remove_leaf(cpuid, leaf);
	for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		struct kvm_cpuid_entry2 entry = levels[i];

		entry.function = leaf;
		entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		entry.edx = t->id;
		add(cpuid, &entry);
	}
}

void cpuid_set_topology(union cpuid *cpuid, const struct cpuid_topology *topology)
{
	struct kvm_cpuid_entry2 *basic = find(cpuid, 0);
	bool amd = is_amd(cpuid);

	for (unsigned i = 0; i < cpuid->head.nent; i++)
		set_entry(&cpuid->head.entries[i], topology, amd);
	if (basic && basic->eax < 0xb)
		basic->eax = 0xb;
	/* AMD's own successor is optional: without it guests use 0xb. It is removed first, which frees an entry. */
	remove_leaf(cpuid, 0x80000026);
	add_levels(cpuid, 0xb, topology);
	if (max_leaf(cpuid) >= 0x1f)
		add_levels(cpuid, 0x1f, topology);
}

static void clear_ecx(union cpuid *cpuid, uint32_t leaf, uint32_t bits)
{
	struct kvm_cpuid_entry2 *entry = find(cpuid, leaf);

	if (entry)
		entry->ecx &= ~bits;
}

/* A missing leaf reads as zeros. */
void cpuid_hide(union cpuid *cpuid, const struct cpu_hide *hide)
{
	if (hide->vmx)
		clear_ecx(cpuid, 1, LEAF1_ECX_VMX);
	if (hide->svm) {
		clear_ecx(cpuid, 0x80000001, EXT1_ECX_SVM);
		remove_leaf(cpuid, 0x8000000a);
	}
	if (hide->pmu) {
		clear_ecx(cpuid, 1, LEAF1_ECX_PDCM);
		clear_ecx(cpuid, 0x80000001, EXT1_ECX_PERFCTR_CORE);
		remove_leaf(cpuid, 0xa);
		remove_leaf(cpuid, 0x80000022);
	}
}

unsigned cpuid_phys_bits(const union cpuid *cpuid)
{
	for (unsigned i = 0; i < cpuid->head.nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->head.entries[i];
		unsigned bits = entry->eax & 0xff, guest_bits = (entry->eax >> 16) & 0xff;

		if (entry->function != 0x80000008 || bits == 0)
			continue;
		/* GuestPhysAddrSize; 0: the same. Nested paging may have fewer levels than the host's own. */
		if (guest_bits != 0 && guest_bits < bits)
			bits = guest_bits;
		return bits < PHYS_BITS_MAX ? bits : PHYS_BITS_MAX;
	}
	return PHYS_BITS_DEFAULT;
}
