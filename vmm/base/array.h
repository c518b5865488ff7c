// SPDX-License-Identifier: Apache-2.0
/*
 * array.h - arrays that grow: memory for what they hold, not for the most that they may hold.
 *
 * The owner keeps a pointer and a count, both zero at first, and frees the pointer. There is room for the next power of
 * two of the count, and for 4 at least, so the count alone says when the array has to grow.
 */
#ifndef PMVM_ARRAY_H
#define PMVM_ARRAY_H

#include <stddef.h>

/*
 * Makes room for one more element behind the n of `*array`, which is the owner's pointer; size is that of an element. The
 * room stays while elements are only removed. -ENOMEM: the array is as it was.
 */
int array_room(void *array, unsigned n, size_t size);

/* Removes the idx-th of *n elements; the others keep their order. */
void array_remove(void *items, unsigned *n, size_t size, unsigned idx);

#endif
