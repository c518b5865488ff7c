// SPDX-License-Identifier: Apache-2.0
/*
 * cpu.c - what a vCPU is: CPUID with a topology of one socket, and the MSRs that firmware sets.
 *
 * Leaf and field names are those of Intel's SDM (volume 2A, CPUID) and AMD's APM (volume 3, appendix E).
 * KVM reports the host's topology leaves as they are, so each one that it reports is rewritten.
 */
#include "cpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "log.h"

#define ENTRIES_MAX 256u       /* what KVM accepts */
#define PHYS_BITS_DEFAULT 36u  /* of a processor without leaf 0x80000008 */

#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR (1u << 31)
#define LEAF1_EDX_HTT (1u << 28)
#define EXT1_ECX_CMP_LEGACY (1u << 1)  /* HTT means cores, not threads */

#define LEVEL_SMT 1u
#define LEVEL_CORE 2u

#define MSR_MISC_ENABLE 0x1a0u
#define MISC_ENABLE_FAST_STRINGS 1u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLED_WRITE_BACK 0x806u

/* struct kvm_cpuid2 with room for all its entries. */
union cpuid {
	struct kvm_cpuid2 head;
	uint8_t room[sizeof(struct kvm_cpuid2) + ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2)];
};

struct topology {
	unsigned id;       /* APIC id */
	unsigned ncpus;
	unsigned id_bits;  /* that tell the cores of a socket apart */
};

static int get_supported(int kvm_fd, union cpuid **out)
{
	union cpuid *cpuid = calloc(1, sizeof(*cpuid));
	int rc;

	if (!cpuid)
		return -ENOMEM;
	cpuid->head.nent = ENTRIES_MAX;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &cpuid->head) < 0) {
		rc = -errno;
		free(cpuid);
		return rc;
	}
	*out = cpuid;
	return 0;
}

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
	if (cpuid->head.nent < ENTRIES_MAX)
		cpuid->head.entries[cpuid->head.nent++] = *entry;
}

static bool is_amd(union cpuid *cpuid)
{
	const struct kvm_cpuid_entry2 *leaf = find(cpuid, 0);
	uint32_t name[3];

	if (!leaf)
		return false;
	name[0] = leaf->ebx;
	name[1] = leaf->edx;
	name[2] = leaf->ecx;
	return memcmp(name, "AuthenticAMD", 12) == 0 || memcmp(name, "HygonGenuine", 12) == 0;
}

/* Bits [high:low] of a register. */
static void set_bits(uint32_t *reg, unsigned high, unsigned low, uint32_t val)
{
	uint32_t mask = (uint32_t)((UINT64_C(1) << (high - low + 1)) - 1);

	*reg = (*reg & ~(mask << low)) | ((val & mask) << low);
}

static unsigned saturate(unsigned val, unsigned max)
{
	return val < max ? val : max;
}

/* Cache parameters, leaf 4 and AMD's 0x8000001d alike: only the last level is shared. */
static void set_cache(struct kvm_cpuid_entry2 *entry, const struct topology *t)
{
	unsigned type = entry->eax & 0x1f, level = (entry->eax >> 5) & 7;

	if (type == 0)
		return;
	set_bits(&entry->eax, 25, 14, level >= 3 ? (1u << t->id_bits) - 1 : 0);
	if (entry->function == 4)
		set_bits(&entry->eax, 31, 26, saturate((1u << t->id_bits) - 1, 63));
}

static void set_entry(struct kvm_cpuid_entry2 *entry, const struct topology *t, bool tsc_deadline, bool amd)
{
	switch (entry->function) {
	case 1:
		set_bits(&entry->ebx, 31, 24, t->id);
		set_bits(&entry->ebx, 23, 16, saturate(1u << t->id_bits, 255));
		set_bits(&entry->edx, 28, 28, t->ncpus > 1);
		entry->ecx |= LEAF1_ECX_HYPERVISOR;
		if (tsc_deadline)
			entry->ecx |= LEAF1_ECX_TSC_DEADLINE;
		break;
	case 4:
	case 0x8000001d:
		set_cache(entry, t);
		break;
	case 0x80000001:
		if (amd && t->ncpus > 1)
			entry->ecx |= EXT1_ECX_CMP_LEGACY;
		break;
	case 0x80000008:
		if (!amd)
			break;
		set_bits(&entry->ecx, 7, 0, t->ncpus - 1);
		set_bits(&entry->ecx, 15, 12, t->id_bits);
		break;
	case 0x8000001e:
		entry->eax = t->id;
		set_bits(&entry->ebx, 7, 0, t->id);  /* core id */
		set_bits(&entry->ebx, 15, 8, 0);     /* threads per core - 1 */
		set_bits(&entry->ecx, 10, 0, 0);     /* one node, number 0 */
		break;
	default:
		break;
	}
}

/* Extended topology, leaf 0xb and its successor 0x1f: a level for threads and one for cores. */
static void add_topology(union cpuid *cpuid, uint32_t leaf, const struct topology *t)
{
	const struct kvm_cpuid_entry2 levels[] = {
		{ .index = 0, .eax = 0, .ebx = 1, .ecx = 0 | LEVEL_SMT << 8 },
		{ .index = 1, .eax = t->id_bits, .ebx = t->ncpus, .ecx = 1 | LEVEL_CORE << 8 },
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

static void set_topology(union cpuid *cpuid, const struct topology *t, bool tsc_deadline)
{
	struct kvm_cpuid_entry2 *basic = find(cpuid, 0);
	bool amd = is_amd(cpuid);

	if (basic && basic->eax < 0xb)
		basic->eax = 0xb;
	for (unsigned i = 0; i < cpuid->head.nent; i++)
		set_entry(&cpuid->head.entries[i], t, tsc_deadline, amd);
	add_topology(cpuid, 0xb, t);
	basic = find(cpuid, 0);
	if (basic && basic->eax >= 0x1f)
		add_topology(cpuid, 0x1f, t);
	/* AMD's own successor is optional: without it guests use 0xb. */
	remove_leaf(cpuid, 0x80000026);
}

/*
 * Without firmware nobody enables the MTRRs, and then Linux uses no PAT either; and on Intel's processors
 * it does not trust `rep movs` unless fast strings are on. KVM may lack either register.
 */
static void set_firmware_msrs(int vcpu_fd)
{
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} msr = { .head.nmsrs = 1 };
	struct kvm_msr_entry *entry = msr.head.entries;

	*entry = (struct kvm_msr_entry){ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLED_WRITE_BACK };
	(void)ioctl(vcpu_fd, KVM_SET_MSRS, &msr.head);
	*entry = (struct kvm_msr_entry){ .index = MSR_MISC_ENABLE };
	if (ioctl(vcpu_fd, KVM_GET_MSRS, &msr.head) != 1)
		return;
	entry->data |= MISC_ENABLE_FAST_STRINGS;
	(void)ioctl(vcpu_fd, KVM_SET_MSRS, &msr.head);
}

unsigned cpu_phys_bits(int kvm_fd)
{
	const struct kvm_cpuid_entry2 *entry;
	unsigned bits = PHYS_BITS_DEFAULT, guest_bits;
	union cpuid *cpuid;

	if (get_supported(kvm_fd, &cpuid) < 0)
		return bits;
	entry = find(cpuid, 0x80000008);
	if (entry && (entry->eax & 0xff) != 0) {
		bits = entry->eax & 0xff;
		guest_bits = (entry->eax >> 16) & 0xff;  /* GuestPhysAddrSize; 0: the same */
		if (guest_bits != 0 && guest_bits < bits)
			bits = guest_bits;
	}
	free(cpuid);
	return saturate(bits, 52);
}

int cpu_set_cpuid(int kvm_fd, int vcpu_fd, unsigned idx, unsigned ncpus, struct vpmem_error *err)
{
	struct topology topology = { .id = idx, .ncpus = ncpus };
	union cpuid *cpuid;
	int rc = get_supported(kvm_fd, &cpuid);

	if (rc < 0)
		return error_set(err, rc, "kvm: cannot read the supported CPUID: %s", strerror(-rc));
	while (1u << topology.id_bits < ncpus)
		topology.id_bits++;
	set_topology(cpuid, &topology, ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0);
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, &cpuid->head) < 0)
		rc = error_set(err, -errno, "kvm: cannot set the CPUID of vCPU %u: %s", idx, strerror(errno));
	free(cpuid);
	if (rc == 0)
		set_firmware_msrs(vcpu_fd);
	return rc;
}
