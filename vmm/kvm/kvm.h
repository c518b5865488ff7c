// SPDX-License-Identifier: Apache-2.0
/*
 * kvm.h - one virtual machine of the Linux kernel's KVM: memory slots, interrupt routes, ioeventfds.
 *
 * It implements vm.h; devices see only that. irq_line may be called from any thread, everything else runs
 * under the machine lock.
 */
#ifndef PMVM_KVM_H
#define PMVM_KVM_H

#include "vm.h"

#include <linux/kvm.h>
#include <stddef.h>
#include <vpmem.h>

#define KVM_SLOTS_MAX 509u /* newer kernels have more */
#define KVM_MSI_ROUTES_MAX 512u
#define KVM_ROUTES_STEP 32u

/* Where KVM may put what is its own, in the guest's physical address space. */
struct kvm_places {
	gpa_t ioapic_gpa;       /* the registers of the I/O APIC */
	gpa_t identity_map_gpa; /* a page, for Intel processors without unrestricted guest mode */
	gpa_t tss_gpa;          /* three pages, likewise */
};

/* A memory slot; its index is its number. */
struct kvm_slot {
	gpa_t gpa;
	uint64_t size; /* bytes; 0: free */
};

struct kvm {
	struct vm vm;  /* first: devices hold a pointer to it */
	int fd, vm_fd; /* /dev/kvm, the VM; -1: closed */
	struct kvm_places places;
	size_t vcpu_mmap_size; /* bytes of struct kvm_run */
	unsigned nslots;       /* at most KVM_SLOTS_MAX */
	struct kvm_slot *slots;
	bool route_used[KVM_MSI_ROUTES_MAX];
	struct kvm_irq_routing *routes; /* with room for the next multiple of KVM_ROUTES_STEP entries */
	uint64_t clock_ns;              /* the guest's kvmclock while it is stopped */
	unsigned posted_page; /* in a vCPU's mapping, where the ring of posted writes is (posted.h); 0: there is none */
};

/*
 * Opens /dev/kvm, checks that it can run a stock kernel, creates the VM with its interrupt controllers.
 * Errors: no /dev/kvm, no permission on it, too old, a KVM that only runs part of the instructions.
 */
int kvm_open(struct kvm *kvm, const struct kvm_places *places, struct vpmem_error *err);
void kvm_close(struct kvm *kvm);

/*
 * The machine's vCPUs get no performance counters. Before the first vCPU. An older kernel (before 5.18) cannot: what
 * CPUID says keeps guests away from them then.
 */
void kvm_disable_pmu(struct kvm *kvm);

/* Puts both PICs and the I/O APIC into their reset state, in which KVM creates them. vCPUs must not run. */
int kvm_reset_irqchips(struct kvm *kvm);

/* The guest's kvmclock does not advance between the two, so that a guest that was stopped sees no jump. vCPUs are parked. */
void kvm_clock_stop(struct kvm *kvm);
void kvm_clock_start(struct kvm *kvm);

#endif
