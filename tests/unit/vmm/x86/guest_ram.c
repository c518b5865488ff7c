// SPDX-License-Identifier: Apache-2.0
// For tests: guest memory of any size.
#include "guest_ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "memory_map.h"

static void *map(struct guest_ram *ram, uint64_t gpa, uint64_t size)
{
	void *hva = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(hva, MAP_FAILED);
	assert_int_equal(gmem_add(&ram->gmem, gpa, size, hva), 0);
	return hva;
}

void guest_ram_create(struct guest_ram *ram, uint64_t size)
{
	*ram = (struct guest_ram) { .size = size };
	ram->low_size = size < RAM_LOW_MAX ? size : RAM_LOW_MAX;
	ram->high_size = size - ram->low_size;
	ram->low = map(ram, 0, ram->low_size);
	if (ram->high_size)
		ram->high = map(ram, RAM_HIGH_BASE, ram->high_size);
}

void guest_ram_destroy(struct guest_ram *ram)
{
	munmap(ram->low, ram->low_size);
	if (ram->high_size)
		munmap(ram->high, ram->high_size);
}

void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t len)
{
	void *hva = gmem_hva(&ram->gmem, gpa, len);

	assert_non_null(hva);
	return hva;
}

uint64_t get_le(const void *bytes, unsigned width)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint64_t)((const uint8_t *)bytes)[i] << (8 * i);
	return val;
}
