// SPDX-License-Identifier: Apache-2.0
/*
 * vcpu_exit.h - serves what a vCPU left the guest for.
 *
 * struct kvm_run says what that is. It may come from KVM or from a test: nothing here enters the guest. The lock is held
 * (vcpu.h), in the vCPU's own thread.
 */
#ifndef PMVM_VCPU_EXIT_H
#define PMVM_VCPU_EXIT_H

struct vcpu;
struct vcpus;

/* KVM_RUN succeeded: serves vcpu->run->exit_reason, after the writes that KVM has posted before it. */
void vcpu_serve_exit(struct vcpu *vcpu);

/* KVM_RUN failed: with an errno, which is neither EINTR nor EAGAIN. */
void vcpu_serve_error(struct vcpu *vcpu, int error);

/* Performs the writes that KVM has posted (posted.h), if it can post any. */
void vcpu_take_posted(struct vcpus *vcpus);

#endif
