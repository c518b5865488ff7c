// SPDX-License-Identifier: Apache-2.0
/*
 * guest_ram.h - for tests: guest memory of any size, laid out as the machine does, costing only what is touched.
 */
#ifndef PMVM_TEST_GUEST_RAM_H
#define PMVM_TEST_GUEST_RAM_H

#include "gmem.h"

#include <stdint.h>

struct guest_ram {
	struct gmem gmem;
	uint64_t size, low_size, high_size;
	void *low, *high;
};

void guest_ram_create(struct guest_ram *ram, uint64_t size);
void guest_ram_destroy(struct guest_ram *ram);

/* A pointer to what must be there, or the test fails. */
void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t len);

/* A little-endian number of `width` bytes, aligned or not. */
uint64_t get_le(const void *bytes, unsigned width);

#endif
