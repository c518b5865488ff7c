// SPDX-License-Identifier: Apache-2.0
/*
 * e820.h - the map of physical memory that a boot loader hands to the kernel.
 */
#ifndef PMVM_E820_H
#define PMVM_E820_H

#include <stdint.h>

#define E820_MAX 8

/* The types, which are the same in the e820 map and in PVH's memory map. */
enum e820_type { E820_TYPE_RAM = 1, E820_TYPE_RESERVED = 2 };

struct e820_entry {
	uint64_t gpa, size;
	enum e820_type type;
};

/* Fills the map of a machine with ram_size bytes, sorted by address, and returns the number of entries. */
unsigned e820_build(uint64_t ram_size, struct e820_entry map[E820_MAX]);

#endif
