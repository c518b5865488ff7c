// SPDX-License-Identifier: Apache-2.0
/*
 * e820.c - the map of physical memory for the kernel, from memory_map.h and the size of RAM.
 *
 * Windows for pmem are not in it: the guest's driver finds them through the virtio device.
 */
#include "e820.h"

#include "memory_map.h"

static unsigned add(struct e820_entry *map, unsigned n, uint64_t gpa, uint64_t end, enum e820_type type)
{
	if (end <= gpa)
		return n;
	map[n] = (struct e820_entry) { .gpa = gpa, .size = end - gpa, .type = type };
	return n + 1;
}

unsigned e820_build(uint64_t ram_size, struct e820_entry map[E820_MAX])
{
	uint64_t low_end = ram_size < RAM_LOW_MAX ? ram_size : RAM_LOW_MAX;
	unsigned n = 0;

	n = add(map, n, 0, LOW_RAM_END, E820_TYPE_RAM);
	/* The place of a PC's video memory and BIOS, with our ACPI tables. */
	n = add(map, n, LOW_RAM_END, HIMEM_GPA, E820_TYPE_RESERVED);
	n = add(map, n, HIMEM_GPA, low_end, E820_TYPE_RAM);
	/* Linux uses ECAM only if it is reserved here or by ACPI, and early only if here. */
	n = add(map, n, PCI_ECAM_BASE, PCI_ECAM_BASE + PCI_ECAM_SIZE, E820_TYPE_RESERVED);
	/* KVM's own pages on processors without unrestricted guests. */
	n = add(map, n, KVM_IDENTITY_MAP_GPA, KVM_TSS_GPA + KVM_TSS_SIZE, E820_TYPE_RESERVED);
	n = add(map, n, RAM_HIGH_BASE, RAM_HIGH_BASE + (ram_size - low_end), E820_TYPE_RAM);
	return n;
}
