// SPDX-License-Identifier: Apache-2.0
// Tests of CPUID: the topology on an Intel host, on an AMD host, and on one that reports little.
#include "cpu.h"
#include "cpu_cpuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static union cpuid cpuid;

static void give(uint32_t leaf, uint32_t index, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	cpuid.head.entries[cpuid.head.nent++] = (struct kvm_cpuid_entry2) {
		.function = leaf,
		.index = index,
		.eax = eax,
		.ebx = ebx,
		.ecx = ecx,
		.edx = edx,
	};
}

static void give_vendor(uint32_t max_leaf, const char *name)
{
	uint32_t words[3];

	memcpy(words, name, sizeof(words));
	give(0, 0, max_leaf, words[0], words[2], words[1]);
}

/* A host with 6 cores of 2 threads, which this vCPU happened to be asked about on thread 5. */
static void intel_host(void)
{
	memset(&cpuid, 0, sizeof(cpuid));
	give_vendor(0x1f, "GenuineIntel");
	give(1, 0, 0x000906ea, 0x050c0800, 0x77faf3bf, 0xbfebfbff);
	give(4, 0, 0x1c004121, 0x01c0003f, 0x3f, 0);   /* L1 data, 2 threads */
	give(4, 1, 0x1c004122, 0x01c0003f, 0x3f, 0);   /* L1 instructions */
	give(4, 2, 0x1c004143, 0x00c0003f, 0x3ff, 0);  /* L2 */
	give(4, 3, 0x1c03c163, 0x02c0003f, 0x2fff, 6); /* L3, 16 ids */
	give(4, 4, 0, 0, 0, 0);
	give(0xb, 0, 1, 2, 0x100, 5);
	give(0xb, 1, 4, 12, 0x201, 5);
	give(0x1f, 0, 1, 2, 0x100, 5);
	give(0x1f, 1, 4, 12, 0x201, 5);
	give(0x80000001, 0, 0, 0, 0x121, 0x2c100800);
	give(0x80000007, 0, 0, 0, 0, 0x100);
	give(0x80000008, 0, 0x3027, 0, 0, 0);
	give(0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	give(0x40000001, 0, 0x01007efb, 0, 0, 0);
}

static void amd_host(void)
{
	memset(&cpuid, 0, sizeof(cpuid));
	give_vendor(0x10, "AuthenticAMD");
	give(1, 0, 0x00830f10, 0x05100800, 0x76f8320b, 0x178bfbff);
	give(0xb, 0, 1, 2, 0x100, 5);
	give(0x80000001, 0, 0x00830f10, 0x40000000, 0x75c237ff, 0x2fd3fbff);
	give(0x80000007, 0, 1, 2, 3, 0x799);
	give(0x80000008, 0, 0x00003030, 0x111ef657, 0x0000607f, 0);
	give(0x8000001d, 0, 0x00004121, 0x01c0003f, 0x3f, 0);
	give(0x8000001d, 3, 0x0001c163, 0x03c0003f, 0x3fff, 1);
	give(0x8000001e, 0, 0x5, 0x0102, 0x0301, 0);
	give(0x80000026, 0, 1, 2, 0x100, 5);
}

static const struct kvm_cpuid_entry2 *find(uint32_t leaf, uint32_t index)
{
	for (unsigned i = 0; i < cpuid.head.nent; i++)
		if (cpuid.head.entries[i].function == leaf && cpuid.head.entries[i].index == index)
			return &cpuid.head.entries[i];
	return NULL;
}

static const struct kvm_cpuid_entry2 *get(uint32_t leaf, uint32_t index)
{
	const struct kvm_cpuid_entry2 *entry = find(leaf, index);

	assert_non_null(entry);
	return entry;
}

static unsigned bits(uint32_t reg, unsigned high, unsigned low)
{
	return (unsigned)((reg >> low) & ((UINT64_C(1) << (high - low + 1)) - 1));
}

static void set(unsigned id, unsigned ncpus)
{
	const struct cpuid_topology topology = { .id = id, .ncpus = ncpus };

	cpuid_set_topology(&cpuid, &topology);
}

static void leaf_1_tells_id_and_count(void **state)
{
	const struct kvm_cpuid_entry2 *leaf;

	(void)state;
	intel_host();
	set(2, 3);
	leaf = get(1, 0);
	assert_int_equal(bits(leaf->ebx, 31, 24), 2);
	assert_int_equal(bits(leaf->ebx, 23, 16), 4);
	assert_int_equal(bits(leaf->ebx, 15, 0), 0x0800); /* as the host's */
	assert_int_equal(bits(leaf->edx, 28, 28), 1);     /* HTT */
	assert_int_equal(bits(leaf->ecx, 24, 24), 1);     /* TSC deadline */
	assert_int_equal(bits(leaf->ecx, 31, 31), 1);     /* hypervisor */
	intel_host();
	set(254, 255);
	leaf = get(1, 0);
	assert_int_equal(bits(leaf->ebx, 31, 24), 254);
	assert_int_equal(bits(leaf->ebx, 23, 16), 255);
}

static void one_cpu_has_no_siblings(void **state)
{
	(void)state;
	intel_host();
	cpuid_set_topology(&cpuid, &(struct cpuid_topology) { .id = 0, .ncpus = 1 });
	assert_int_equal(bits(get(1, 0)->ebx, 23, 16), 1);
	assert_int_equal(bits(get(1, 0)->edx, 28, 28), 0);
	assert_int_equal(get(0xb, 1)->eax, 0);
	assert_int_equal(get(0xb, 1)->ebx, 1);
	assert_int_equal(bits(get(4, 3)->eax, 31, 26), 0);
}

static void caches_are_each_cores_own_but_the_last(void **state)
{
	(void)state;
	intel_host();
	set(5, 6);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(bits(get(4, i)->eax, 25, 14), 0);
	assert_int_equal(bits(get(4, 3)->eax, 25, 14), 7);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(bits(get(4, i)->eax, 31, 26), 7);
	assert_int_equal(bits(get(4, 3)->eax, 13, 0), 0x163); /* as the host's */
	assert_int_equal(get(4, 4)->eax, 0);
	amd_host();
	set(5, 6);
	assert_int_equal(bits(get(0x8000001d, 0)->eax, 25, 14), 0);
	assert_int_equal(bits(get(0x8000001d, 3)->eax, 25, 14), 7);
	intel_host();
	set(0, 128);
	assert_int_equal(bits(get(4, 3)->eax, 31, 26), 63); /* the field has no more */
	assert_int_equal(bits(get(4, 3)->eax, 25, 14), 127);
}

/* Invariant: a guest would take the TSC for its clock, and that runs on while the machine is stopped. */
static void the_tsc_is_not_offered_as_a_clock(void **state)
{
	(void)state;
	intel_host();
	set(0, 1);
	assert_int_equal(get(0x80000007, 0)->edx, 0);
	amd_host();
	set(0, 1);
	assert_int_equal(get(0x80000007, 0)->edx, 0x699);
	assert_int_equal(get(0x80000007, 0)->ecx, 3);
}

static void assert_levels(uint32_t leaf, unsigned id, unsigned ncpus, unsigned shift)
{
	assert_int_equal(get(leaf, 0)->eax, 0);
	assert_int_equal(get(leaf, 0)->ebx, 1);
	assert_int_equal(get(leaf, 0)->ecx, 0x100);
	assert_int_equal(get(leaf, 1)->eax, shift);
	assert_int_equal(get(leaf, 1)->ebx, ncpus);
	assert_int_equal(get(leaf, 1)->ecx, 0x201);
	assert_int_equal(get(leaf, 2)->ebx, 0);
	assert_int_equal(get(leaf, 2)->ecx, 2);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(get(leaf, i)->edx, id);
		assert_int_equal(get(leaf, i)->flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	}
}

static unsigned count(uint32_t leaf)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cpuid.head.nent; i++)
		n += cpuid.head.entries[i].function == leaf;
	return n;
}

static void extended_topology_is_one_socket_of_cores(void **state)
{
	static const unsigned shifts[][2] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 64, 6 }, { 255, 8 } };

	(void)state;
	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		unsigned ncpus = shifts[i][0];

		intel_host();
		set(ncpus - 1, ncpus);
		assert_levels(0xb, ncpus - 1, ncpus, shifts[i][1]);
		assert_levels(0x1f, ncpus - 1, ncpus, shifts[i][1]);
		assert_int_equal(count(0xb), 3);
		assert_int_equal(count(0x1f), 3);
	}
	amd_host();
	set(1, 4);
	assert_levels(0xb, 1, 4, 2);
	assert_int_equal(count(0xb), 3);
	assert_int_equal(count(0x1f), 0);
	assert_int_equal(count(0x80000026), 0);
}

static void amd_leaves_agree(void **state)
{
	(void)state;
	amd_host();
	set(3, 6);
	assert_int_equal(bits(get(0x80000008, 0)->ecx, 7, 0), 5);
	assert_int_equal(bits(get(0x80000008, 0)->ecx, 15, 12), 3);
	assert_int_equal(get(0x80000008, 0)->eax, 0x3030);
	assert_int_equal(get(0x8000001e, 0)->eax, 3);
	assert_int_equal(bits(get(0x8000001e, 0)->ebx, 15, 0), 3);
	assert_int_equal(bits(get(0x8000001e, 0)->ecx, 10, 0), 0);
	assert_int_equal(get(0x80000001, 0)->ecx, 0x75c237ff | 2);
	intel_host();
	set(3, 6);
	assert_int_equal(get(0x80000001, 0)->ecx, 0x121); /* no CmpLegacy there */
	assert_int_equal(get(0x80000008, 0)->ecx, 0);
}

static void gives_the_topology_leaf_to_old_processors(void **state)
{
	(void)state;
	memset(&cpuid, 0, sizeof(cpuid));
	give_vendor(5, "AuthenticAMD");
	give(1, 0, 0, 0, 0, 0);
	set(1, 2);
	assert_int_equal(get(0, 0)->eax, 0xb);
	assert_levels(0xb, 1, 2, 1);
}

static void keeps_kvms_own_leaves(void **state)
{
	(void)state;
	intel_host();
	set(0, 2);
	assert_int_equal(get(0x40000000, 0)->ebx, 0x4b4d564b);
	assert_int_equal(get(0x40000001, 0)->eax, 0x01007efb);
	assert_int_equal(get(0, 0)->eax, 0x1f);
}

static void takes_a_full_or_an_empty_list(void **state)
{
	(void)state;
	memset(&cpuid, 0, sizeof(cpuid));
	set(0, 1);
	assert_int_equal(cpuid.head.nent, 3);
	memset(&cpuid, 0, sizeof(cpuid));
	while (cpuid.head.nent < CPUID_ENTRIES_MAX)
		give(0x30, cpuid.head.nent, 0, 0, 0, 0);
	set(0, 1);
	assert_int_equal(cpuid.head.nent, CPUID_ENTRIES_MAX);
}

static void hide(struct cpu_hide what)
{
	cpuid_hide(&cpuid, &what);
}

static void features_are_hidden(void **state)
{
	union cpuid before;

	(void)state;
	intel_host();
	give(0xa, 0, 0x08300802, 0, 0, 0x603);
	before = cpuid;
	hide((struct cpu_hide) { 0 });
	assert_memory_equal(&cpuid, &before, sizeof(cpuid));
	assert_int_equal(bits(get(1, 0)->ecx, 5, 5), 1);
	hide((struct cpu_hide) { .vmx = true });
	assert_int_equal(get(1, 0)->ecx, 0x77faf3bf & ~(1u << 5));
	assert_non_null(find(0xa, 0));
	hide((struct cpu_hide) { .pmu = true });
	assert_int_equal(get(1, 0)->ecx, 0x77faf3bf & ~(1u << 5 | 1u << 15));
	assert_null(find(0xa, 0));
	assert_int_equal(cpuid.head.nent, before.head.nent - 1);

	amd_host();
	give(0x8000000a, 0, 1, 0x8000, 0, 0x119b);
	give(0x80000022, 0, 1, 6, 0, 0);
	before = cpuid;
	hide((struct cpu_hide) { .svm = true });
	assert_int_equal(get(0x80000001, 0)->ecx, 0x75c237ff & ~(1u << 2));
	assert_null(find(0x8000000a, 0));
	assert_non_null(find(0x80000022, 0));
	hide((struct cpu_hide) { .pmu = true });
	assert_int_equal(get(0x80000001, 0)->ecx, 0x75c237ff & ~(1u << 2 | 1u << 23));
	assert_null(find(0x80000022, 0));
	assert_int_equal(cpuid.head.nent, before.head.nent - 2);
}

static void physical_bits_are_what_the_guest_can_use(void **state)
{
	static const uint32_t eax_and_bits[][2] = {
		{ 0x3027, 39 }, { 0x00303030, 48 }, { 0x00300034, 48 }, { 0x00340030, 48 },
		{ 0x3934, 52 }, { 0x30ff, 52 },     { 0, 36 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(eax_and_bits) / sizeof(eax_and_bits[0]); i++) {
		memset(&cpuid, 0, sizeof(cpuid));
		give(0x80000008, 0, eax_and_bits[i][0], 0, 0, 0);
		assert_int_equal(cpuid_phys_bits(&cpuid), eax_and_bits[i][1]);
	}
	memset(&cpuid, 0, sizeof(cpuid));
	assert_int_equal(cpuid_phys_bits(&cpuid), 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tsc_is_not_offered_as_a_clock),
		cmocka_unit_test(leaf_1_tells_id_and_count),
		cmocka_unit_test(one_cpu_has_no_siblings),
		cmocka_unit_test(caches_are_each_cores_own_but_the_last),
		cmocka_unit_test(extended_topology_is_one_socket_of_cores),
		cmocka_unit_test(amd_leaves_agree),
		cmocka_unit_test(gives_the_topology_leaf_to_old_processors),
		cmocka_unit_test(keeps_kvms_own_leaves),
		cmocka_unit_test(takes_a_full_or_an_empty_list),
		cmocka_unit_test(features_are_hidden),
		cmocka_unit_test(physical_bits_are_what_the_guest_can_use),
	};

	return cmocka_run_group_tests_name("cpu_cpuid", tests, NULL, NULL);
}
