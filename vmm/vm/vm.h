// SPDX-License-Identifier: Apache-2.0
/*
 * vm.h - what a device may ask of the virtual machine, without knowing that it is KVM.
 *
 * The machine hands a `struct vm` to whatever is plugged into it; tests hand in a fake. Calls that add
 * something are paired with calls that remove it, with the same arguments. They are made under the machine
 * lock. Interrupts need no lock: any thread may write to an eventfd given to msi_add, and call irq_line.
 */
#ifndef PMVM_VM_H
#define PMVM_VM_H

#include "gmem.h"

#include <stdbool.h>
#include <stdint.h>

struct vm;

/* The two address spaces that a guest's accesses go to. */
enum vm_space { VM_SPACE_MEMORY, VM_SPACE_PORTS };

struct vm_ops {
	/* A guest write of any value and width to addr signals efd instead of leaving the guest. Borrows efd. */
	int (*ioeventfd_add)(struct vm *vm, enum vm_space space, uint64_t addr, int efd);
	void (*ioeventfd_del)(struct vm *vm, enum vm_space space, uint64_t addr, int efd);
	/*
	 * Binds an eventfd to a new MSI route: writing to efd sends the message. Borrows efd. Returns the
	 * route's number (a GSI, >= 0) or -errno; set gives it its message and may be called again.
	 */
	int (*msi_add)(struct vm *vm, int efd, uint64_t addr, uint32_t data);
	int (*msi_set)(struct vm *vm, int gsi, uint64_t addr, uint32_t data);
	void (*msi_del)(struct vm *vm, int gsi, int efd);
	/*
	 * Drives a level-triggered interrupt line of the I/O APIC. Any thread (it is KVM_IRQ_LINE); who shares
	 * a line keeps its own calls in order. Must not call back.
	 */
	void (*irq_line)(struct vm *vm, unsigned gsi, bool level);
	/*
	 * Maps [hva, hva + size) at gpa: guest accesses do not leave the guest. With readonly its writes do, and
	 * go where they go without a slot; what is stored at hva is what the guest reads next. Adding and
	 * removing a slot is slow, and may cost the guest the page tables that KVM has built: not for every day.
	 */
	int (*slot_add)(struct vm *vm, gpa_t gpa, uint64_t size, void *hva, bool readonly);
	void (*slot_del)(struct vm *vm, gpa_t gpa, uint64_t size);
};

struct vm {
	const struct vm_ops *ops;
};

#endif
