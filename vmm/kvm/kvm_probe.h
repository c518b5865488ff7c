// SPDX-License-Identifier: Apache-2.0
// Tells whether KVM on this host can run a stock kernel.
//
// A /dev/kvm that opens, and makes virtual machines, proves little: where the processor offers no virtualization to
// this host there are KVM variants that emulate guest code, and they fail at the first instruction of a stock kernel
// that they do not know. So a probe guest executes the kind of instructions that every 64-bit kernel starts with.
#ifndef PMVM_KVM_PROBE_H
#define PMVM_KVM_PROBE_H

#include <stdbool.h>
#include <stddef.h>

// Whether the processor offers hardware virtualization (VMX or SVM) to this host. Where it does, KVM needs no probe.
// No system call.
bool kvm_has_virtualization(void);

// KVM uses SVM (AMD, Hygon) and nothing else: what only VMX needs can be left out. No system call.
bool kvm_is_svm(void);

// Runs a guest of a few instructions on the KVM behind `kvm_fd` (an open /dev/kvm, borrowed).
// Returns 0 when it ran to its end. Otherwise -errno (-ENOTSUP when the guest failed, -ETIMEDOUT when it did not end
// within five seconds), with the reason, one line without a newline, in why[why_len].
// Leaves nothing open and no signal handler behind. Call it from any thread.
int kvm_probe(int kvm_fd, char *why, size_t why_len);

#endif
