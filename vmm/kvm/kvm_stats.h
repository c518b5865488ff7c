// SPDX-License-Identifier: Apache-2.0
/*
 * kvm_stats.h - what KVM counts of a machine and of a vCPU: page faults, to see a guest access that never succeeds
 * (stall.h), and everything, for query-stats.
 */
#ifndef PMVM_KVM_STATS_H
#define PMVM_KVM_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct kvm_stats_desc;

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
 * Opens the statistics of a vCPU, or of a machine. Of a vCPU to be called once, by its own thread or while it is parked:
 * else it would wait until the vCPU leaves the guest. What is in them is found when it is first read. -errno: there are
 * none.
 */
int kvm_stats_open(struct kvm_stats *stats, int kvm_fd);
void kvm_stats_close(struct kvm_stats *stats);

/* All 0 without statistics. From any thread, one at a time, also while the vCPU is in the guest. */
struct kvm_faults kvm_stats_faults(struct kvm_stats *stats);

/* One statistic. desc->size values; all is borrowed for the call. */
typedef void kvm_stats_fn(void *opaque, const struct kvm_stats_desc *desc, const uint64_t *values);

/*
 * Calls fn for each statistic of a file that KVM_GET_STATS_FD has given, in KVM's order. From any thread. -errno: it was
 * not called, also if what the file says of itself is no valid description.
 */
int kvm_stats_each(int fd, kvm_stats_fn *fn, void *opaque);

#endif
