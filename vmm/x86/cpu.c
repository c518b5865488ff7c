// SPDX-License-Identifier: Apache-2.0
// What a new vCPU gets before anything runs: its CPUID, and the MSRs that firmware sets.
#include "cpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpu_cpuid.h"
#include "log.h"

#define MSR_MISC_ENABLE 0x1a0u
#define MISC_ENABLE_FAST_STRINGS 1u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLED_WRITE_BACK 0x806u

static int get_supported(int kvm_fd, union cpuid **out)
{
	union cpuid *cpuid = calloc(1, sizeof(*cpuid));
	int rc;

	if (!cpuid)
		return -ENOMEM;
	cpuid->head.nent = CPUID_ENTRIES_MAX;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &cpuid->head) < 0) {
		rc = -errno;
		free(cpuid);
		return rc;
	}
	*out = cpuid;
	return 0;
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
	union cpuid none = { .head.nent = 0 }, *cpuid;
	unsigned bits;

	if (get_supported(kvm_fd, &cpuid) < 0)
		return cpuid_phys_bits(&none);
	bits = cpuid_phys_bits(cpuid);
	free(cpuid);
	return bits;
}

int cpu_set_cpuid(int kvm_fd, int vcpu_fd, unsigned idx, unsigned ncpus, struct vpmem_error *err)
{
	const struct cpuid_topology topology = {
		.id = idx,
		.ncpus = ncpus,
		.tsc_deadline = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
	};
	union cpuid *cpuid;
	int rc = get_supported(kvm_fd, &cpuid);

	if (rc < 0)
		return error_set(err, rc, "kvm: cannot read the supported CPUID: %s", strerror(-rc));
	cpuid_set_topology(cpuid, &topology);
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, &cpuid->head) < 0) {
		rc = -errno;
		error_set(err, rc, "kvm: cannot set the CPUID of vCPU %u: %s", idx, strerror(-rc));
	}
	free(cpuid);
	if (rc == 0)
		set_firmware_msrs(vcpu_fd);
	return rc;
}
