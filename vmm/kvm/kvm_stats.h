// SPDX-License-Identifier: Apache-2.0
/*
 * kvm_stats.h - what KVM counts of a vCPU's page faults, to see a guest access that never succeeds (stall.h).
 */
#ifndef PMVM_KVM_STATS_H
#define PMVM_KVM_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct kvm_stats {
	bool is_asked;     /* KVM was asked for the file */
	int fd;            /* -1: it was not asked yet, or has no such file (Linux before 5.14) */
	int64_t taken_off; /* of the counters in the file; 0: not known yet, or there */
	int64_t fixed_off; /* is no such counter (Linux before 5.19) */
	int64_t emulated_off;
};

/* Page faults of a vCPU so far. One that KVM tries again later, as its page is not there yet, is taken and not fixed. */
struct kvm_faults {
	uint64_t taken;
	uint64_t fixed; /* the guest got its page, or KVM emulated the access; as taken where KVM does not count them */
};

/*
 * Opens the statistics of a vCPU, to be called once, by its own thread: in another one it would wait until the vCPU
 * leaves the guest. What is in them is found when it is first read. -errno: there are none.
 */
int kvm_stats_open(struct kvm_stats *stats, int vcpu_fd);
void kvm_stats_close(struct kvm_stats *stats);

/* All 0 without statistics. From any thread, one at a time, also while the vCPU is in the guest. */
struct kvm_faults kvm_stats_faults(struct kvm_stats *stats);

#endif
