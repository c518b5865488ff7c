// SPDX-License-Identifier: Apache-2.0
/*
 * kvm_stats.h - what KVM counts of a vCPU's page faults, to see a guest access that never succeeds.
 *
 * When the host cannot provide a page (no room for a hole of a file), KVM may take the fault for one that
 * only needs time: it hands it to a worker of its own, halts the vCPU, wakes it and tries again, for ever,
 * without an exit to user space. Its statistics tell: faults are taken and none is resolved.
 */
#ifndef PMVM_KVM_STATS_H
#define PMVM_KVM_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct kvm_stats {
	int fd;  /* -1: KVM has no statistics (Linux before 5.14), or was not asked yet */
	int64_t taken_off, fixed_off;  /* of the two counters in the file; 0: not looked for yet */
	uint64_t taken, fixed;         /* at the last look */
	unsigned nlooks_stalled;
};

/*
 * Opens the statistics of a vCPU, which must not run: until it comes back, every ioctl of it waits. What is in them
 * is found by the first look. -errno: there are none.
 */
int kvm_stats_open(struct kvm_stats *stats, int vcpu_fd);
void kvm_stats_close(struct kvm_stats *stats);

/* Looks once more. True: for at least two looks faults were taken, and none resolved. */
bool kvm_stats_look(struct kvm_stats *stats);

#endif
