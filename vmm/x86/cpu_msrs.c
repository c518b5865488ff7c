// SPDX-License-Identifier: Apache-2.0
/*
 * cpu_msrs.c - a vCPU's model-specific registers. Their number and initial values depend on the processor and on KVM,
 * so they are saved while the vCPU is new, and restored at every reset.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpu_host.h"

#define MSRS_AT_ONCE 255u /* KVM accepts no more */

#define MSR_TSC 0x10u
#define MSR_TSC_ADJUST 0x3bu
#define MSR_MISC_ENABLE 0x1a0u
#define MISC_ENABLE_FAST_STRINGS 1u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLED_WRITE_BACK 0x806u

/* The MTRRs, which KVM's list of MSRs to save lacks: ranges, fixed ranges, the default type. */
static const uint32_t mtrrs[] = {
	0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207, 0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d,
	0x20e, 0x20f, 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f, MSR_MTRR_DEF_TYPE,
};
#define NMTRRS (sizeof(mtrrs) / sizeof(mtrrs[0]))

union msrs {
	struct kvm_msrs head;
	uint8_t room[sizeof(struct kvm_msrs) + MSRS_AT_ONCE * sizeof(struct kvm_msr_entry)];
};

struct cpu_msrs {
	unsigned n;
	struct kvm_msr_entry *entries;
};

/*
 * Reads n MSRs, n <= MSRS_AT_ONCE, and returns how many KVM could read. It could not read the next one.
 */
static int get_msrs(int vcpu_fd, struct kvm_msr_entry *entries, unsigned n)
{
	union msrs batch = { .head.nmsrs = n };
	int nread;

	memcpy(batch.head.entries, entries, n * sizeof(entries[0]));
	nread = ioctl(vcpu_fd, KVM_GET_MSRS, &batch.head);
	if (nread < 0)
		return -errno;
	memcpy(entries, batch.head.entries, (unsigned)nread * sizeof(entries[0]));
	return nread;
}

/* Fills in the values, drops those that cannot be read, and returns the number of the others. */
static int read_msrs(int vcpu_fd, struct kvm_msr_entry *entries, unsigned n)
{
	unsigned done = 0;

	while (done < n) {
		unsigned want = n - done < MSRS_AT_ONCE ? n - done : MSRS_AT_ONCE;
		int nread = get_msrs(vcpu_fd, entries + done, want);

		if (nread < 0)
			return nread;
		done += (unsigned)nread;
		if ((unsigned)nread == want)
			continue;
		n--;
		memmove(entries + done, entries + done + 1, (n - done) * sizeof(entries[0]));
	}
	return (int)n;
}

static int save(const struct cpu_host *host, int vcpu_fd, struct cpu_msrs *msrs)
{
	const struct kvm_msr_list *list = host->msrs;
	unsigned n = 0;
	int nread;

	msrs->entries = calloc(list->nmsrs + NMTRRS, sizeof(msrs->entries[0]));
	if (!msrs->entries)
		return -ENOMEM;
	for (unsigned i = 0; i < list->nmsrs; i++)
		msrs->entries[n++].index = list->indices[i];
	for (unsigned i = 0; i < NMTRRS; i++)
		msrs->entries[n++].index = mtrrs[i];
	nread = read_msrs(vcpu_fd, msrs->entries, n);
	if (nread < 0)
		return nread;
	msrs->n = (unsigned)nread;
	return 0;
}

int cpu_msrs_save(const struct cpu_host *host, int vcpu_fd, struct cpu_msrs **out)
{
	struct cpu_msrs *msrs = calloc(1, sizeof(*msrs));
	int rc = msrs ? save(host, vcpu_fd, msrs) : -ENOMEM;

	if (rc < 0) {
		cpu_msrs_free(msrs);
		return rc;
	}
	*out = msrs;
	return 0;
}

/* The guest's clock continues across a reset. */
static bool goes_on(uint32_t msr)
{
	return msr == MSR_TSC || msr == MSR_TSC_ADJUST;
}

static void set_msr(int vcpu_fd, const struct kvm_msr_entry *entry)
{
	union msrs one = { .head.nmsrs = 1 };

	one.head.entries[0] = *entry;
	(void)ioctl(vcpu_fd, KVM_SET_MSRS, &one.head);
}

/*
 * Without firmware the MTRRs are disabled, and then Linux does not use the PAT either. On Intel's processors Linux
 * does not use `rep movs` unless fast strings are enabled. KVM may lack either register, or refuse to set it.
 */
void cpu_msrs_set_firmware(int vcpu_fd, struct cpu_msrs *msrs)
{
	union msrs batch = { .head.nmsrs = 0 };
	struct kvm_msr_entry *entries = batch.head.entries;
	int nset;

	for (unsigned i = 0; i < msrs->n; i++) {
		struct kvm_msr_entry *msr = &msrs->entries[i];

		if (msr->index == MSR_MTRR_DEF_TYPE)
			msr->data = MTRR_ENABLED_WRITE_BACK;
		else if (msr->index == MSR_MISC_ENABLE)
			msr->data |= MISC_ENABLE_FAST_STRINGS;
		else
			continue;
		entries[batch.head.nmsrs++] = *msr;
	}
	nset = ioctl(vcpu_fd, KVM_SET_MSRS, &batch.head);
	/* KVM stops at the first MSR that it refuses. */
	for (unsigned i = nset < 0 ? 0 : (unsigned)nset + 1; i < batch.head.nmsrs; i++)
		set_msr(vcpu_fd, &entries[i]);
}

/*
 * KVM takes a TSC of 0 to mean "as the machine's other vCPUs", and continues to count. That is needed after a
 * triple fault on AMD, where KVM clears the control block with the TSC offset in it.
 */
static void synchronize_tsc(int vcpu_fd)
{
	set_msr(vcpu_fd, &(struct kvm_msr_entry) { .index = MSR_TSC, .data = 0 });
}

/* Sets only those that differ, because some are read-only. One that KVM refuses keeps its value. */
int cpu_msrs_restore(int vcpu_fd, const struct cpu_msrs *msrs)
{
	struct kvm_msr_entry now[MSRS_AT_ONCE];

	for (unsigned first = 0; first < msrs->n; first += MSRS_AT_ONCE) {
		const struct kvm_msr_entry *want = msrs->entries + first;
		unsigned left = msrs->n - first, n = left < MSRS_AT_ONCE ? left : MSRS_AT_ONCE;
		int nread;

		memcpy(now, want, n * sizeof(now[0]));
		nread = get_msrs(vcpu_fd, now, n);
		if (nread < 0)
			return nread;
		for (unsigned i = 0; i < n; i++) {
			/* The values from nread on are unknown. */
			bool differs = i >= (unsigned)nread || now[i].data != want[i].data;

			if (differs && !goes_on(want[i].index))
				set_msr(vcpu_fd, &want[i]);
		}
	}
	synchronize_tsc(vcpu_fd);
	return 0;
}

void cpu_msrs_free(struct cpu_msrs *msrs)
{
	if (!msrs)
		return;
	free(msrs->entries);
	free(msrs);
}
