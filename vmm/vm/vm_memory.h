// SPDX-License-Identifier: Apache-2.0
/*
 * vm_memory.h - the memory that a device's back end may access: RAM and the pmem windows, as one table.
 *
 * A back end outside of this process (the kernel's vhost, another process) reads and writes guest memory by itself, and
 * has to know where it is. Whatever a guest may name as the buffer of a request is in the table: an O_DIRECT read
 * into a DAX page makes a device write into a pmem window. Register pages are memory slots, and are not in it.
 *
 * A region is a memory slot of the guest and an entry of the table, and comes and goes as both. A back end's device
 * listens to the changes; a region that is removed is out of its reach when vm_memory_del returns.
 *
 * All of it runs under the machine lock.
 */
#ifndef PMVM_VM_MEMORY_H
#define PMVM_VM_MEMORY_H

#include "gmem.h"
#include "vm_limits.h"

#include <stdbool.h>

struct vm;

#define VM_MEMORY_REGIONS_MAX (PCI_DEVICES_MAX + 2) /* a window of each device, and RAM below and above 4 GiB */

struct vm_memory_region {
	gpa_t gpa;
	uint64_t size; /* bytes */
	void *hva;     /* borrowed */
	/*
	 * The file that is mapped there, shared, for a back end in another process, which maps it as well; borrowed. -1: there
	 * is none, and only this process and the kernel reach the memory.
	 */
	int fd;
	uint64_t fd_off; /* where the region begins in the file; bytes */
};

struct vm_memory_listener {
	/* The table has changed. When it returns, nothing of the listener's accesses what is not in it any more. */
	void (*changed)(void *owner);
	void *owner;
	unsigned regions_max; /* how many the back end can have */
	struct vm_memory_listener *next;
};

struct vm_memory {
	unsigned nregions;                /* at most VM_MEMORY_REGIONS_MAX */
	struct vm_memory_region *regions; /* NULL while there are none */
	struct vm_memory_listener *listeners;
};

/*
 * Maps the region as vm_ops.slot_add does, whose errors it returns, and adds it to the table. -E2BIG: a listener, or the
 * table, cannot have one more. -ENOMEM.
 */
int vm_memory_add_region(struct vm *vm, const struct vm_memory_region *region, bool readonly);
/* The same for memory without a file. */
int vm_memory_add(struct vm *vm, gpa_t gpa, uint64_t size, void *hva, bool readonly);
/* Takes away what vm_memory_add mapped: first from the listeners, then from the guest. */
void vm_memory_del(struct vm *vm, gpa_t gpa, uint64_t size);
/* Empties the table of a virtual machine that ends: the regions leave the guest with it. */
void vm_memory_clear(struct vm *vm);

/* Borrows the listener until vm_memory_ignore, which may be called for one that does not listen. */
void vm_memory_listen(struct vm *vm, struct vm_memory_listener *listener);
void vm_memory_ignore(struct vm *vm, struct vm_memory_listener *listener);

/* How many regions every listener can have. */
unsigned vm_memory_regions_max(const struct vm *vm);

#endif
