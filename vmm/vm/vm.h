// SPDX-License-Identifier: Apache-2.0
/*
 * vm.h - the interface between a device and the virtual machine: memory slots, ioeventfds, interrupts.
 *
 * Every device gets a `struct vm` when it is created. vmm/kvm implements it; a test implements it with a fake.
 * A call that adds something has a counterpart that removes it, with the same arguments. Both are made under the
 * machine lock. Interrupts need no lock: any thread may write to an eventfd that was passed to msi_add, and may call
 * irq_line.
 */
#ifndef PMVM_VM_H
#define PMVM_VM_H

#include "gmem.h"
#include "vm_memory.h"

#include <stdbool.h>
#include <stdint.h>

struct vm;

/* The two address spaces of a guest. */
enum vm_space { VM_SPACE_MEMORY, VM_SPACE_PORTS };

struct vm_ops {
	/* A guest write of any value and width to addr signals efd and causes no exit. Borrows efd. */
	int (*ioeventfd_add)(struct vm *vm, enum vm_space space, uint64_t addr, int efd);
	void (*ioeventfd_del)(struct vm *vm, enum vm_space space, uint64_t addr, int efd);
	/*
	 * Binds an eventfd to a new MSI route: a write to efd sends the message. Borrows efd. Returns the number of
	 * the route (a GSI, >= 0) or -errno. msi_set changes the message of a route.
	 */
	int (*msi_add)(struct vm *vm, int efd, uint64_t addr, uint32_t data);
	int (*msi_set)(struct vm *vm, int gsi, uint64_t addr, uint32_t data);
	void (*msi_del)(struct vm *vm, int gsi, int efd);
	/*
	 * Binds one more eventfd to a route of msi_add: a write to efd, also by the kernel itself, sends the message. A
	 * count that it has already sends it at once. Borrows efd, which may be bound once. Removed before the route.
	 */
	int (*irqfd_add)(struct vm *vm, int gsi, int efd);
	void (*irqfd_del)(struct vm *vm, int gsi, int efd);
	/*
	 * Drives a level-triggered interrupt line of the I/O APIC. Any thread; the devices that share a line
	 * serialize their calls. It never calls back into a device.
	 */
	void (*irq_line)(struct vm *vm, unsigned gsi, bool level);
	/*
	 * Maps [hva, hva + size) at gpa: guest accesses cause no exit. With readonly, writes cause an exit and are
	 * dispatched as if there were no slot, and the guest reads what is stored at hva. Adding or removing a slot
	 * is slow and may discard the page tables that KVM has built, so it is for setup, not for the data path. Memory
	 * that a device may access as well is mapped by vm_memory_add.
	 */
	int (*slot_add)(struct vm *vm, gpa_t gpa, uint64_t size, void *hva, bool readonly);
	void (*slot_del)(struct vm *vm, gpa_t gpa, uint64_t size);
};

struct vm {
	const struct vm_ops *ops;
	struct vm_memory memory; /* empty at first; vm_memory.h */
};

#endif
