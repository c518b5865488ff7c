// SPDX-License-Identifier: Apache-2.0
// Arrays that grow by doubling.
#include "array.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 4u

int array_room(void *array, unsigned n, size_t size)
{
	bool is_full = n >= ROOM_MIN && (n & (n - 1)) == 0;
	void *items;

	if (n != 0 && !is_full)
		return 0;
	// The owner's pointer has a type of its own.
	memcpy(&items, array, sizeof(items));
	items = reallocarray(items, is_full ? 2 * (size_t)n : ROOM_MIN, size);
	if (!items)
		return -ENOMEM;
	memcpy(array, &items, sizeof(items));
	return 0;
}

void array_remove(void *items, unsigned *n, size_t size, unsigned idx)
{
	char *at = (char *)items + idx * size;

	(*n)--;
	memmove(at, at + size, (*n - idx) * size);
}
