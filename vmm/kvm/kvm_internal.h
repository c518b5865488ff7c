// SPDX-License-Identifier: Apache-2.0
/* kvm_internal.h - what the files of a virtual machine share. */
#ifndef PMVM_KVM_INTERNAL_H
#define PMVM_KVM_INTERNAL_H

#include "kvm.h"

static inline struct kvm *kvm_of(struct vm *vm)
{
	return (struct kvm *)vm;
}

/* kvm_irq.c: the interrupts of struct vm_ops, and the controllers in the kernel. */
int kvm_msi_add(struct vm *vm, int efd, uint64_t addr, uint32_t data);
int kvm_msi_set(struct vm *vm, int gsi, uint64_t addr, uint32_t data);
void kvm_msi_del(struct vm *vm, int gsi, int efd);
int kvm_irqfd_add(struct vm *vm, int gsi, int efd);
void kvm_irqfd_del(struct vm *vm, int gsi, int efd);
void kvm_irq_line(struct vm *vm, unsigned gsi, bool level);
int kvm_create_irqchips(struct kvm *kvm, bool is_svm);

#endif
