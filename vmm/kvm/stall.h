// SPDX-License-Identifier: Apache-2.0
/*
 * stall.h - finds, from a few samples of a vCPU, that it is at an access that never succeeds.
 *
 * When the host cannot provide a page (no room for a hole of a file), KVM may take the fault for one that only
 * needs time: it hands it to a worker of its own, halts the vCPU, wakes it and tries again, for ever, without an
 * exit to user space. Two things show together: the vCPU takes page faults (pf_taken of its statistics), and it comes
 * back to the same place with the same registers. In between it serves interrupts, and other tasks if the guest's kernel
 * is preemptible.
 *
 * That alone may be chance: a guest that polls is at the same place each time, and its faults are those of its other
 * tasks. Therefore it must also be known that the host refuses a page for some file; or hardly one of the faults is
 * resolved (pf_fixed) for a long time. A page that the host is still reading looks the same for as long as that takes.
 * The converse does not hold: where the host has the page for reading, KVM counts each fault of a store to it as resolved.
 *
 * No function here blocks; the machine lock guards the samples.
 */
#ifndef PMVM_STALL_H
#define PMVM_STALL_H

#include "kvm_stats.h"

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define STALL_SAMPLES 8u    /* kept for a verdict */
#define STALL_SAME_MIN 4u   /* samples with the same registers */
#define STALL_FAULTS_MIN 3u /* faults between the first and the last of them */
#define STALL_FIXED_PART 8u /* of so many faults, at most one is resolved where the access is refused */

struct stall_sample {
	struct kvm_faults faults;
	struct kvm_regs regs;
};

struct stall {
	unsigned nsamples;
	struct stall_sample samples[STALL_SAMPLES];
};

/* Adds a sample; the oldest is dropped when there are STALL_SAMPLES. A vCPU that is halted is at no access: it is not sampled. */
void stall_add(struct stall *stall, struct kvm_faults faults, const struct kvm_regs *regs);
/* The vCPU is at the same place, and takes faults. */
bool stall_is_one(const struct stall *stall);
/* And its faults are not resolved. */
bool stall_is_refused(const struct stall *stall);

#endif
