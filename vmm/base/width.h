// SPDX-License-Identifier: Apache-2.0
/*
 * width.h - the values that fit an access of so many bytes.
 */
#ifndef PMVM_WIDTH_H
#define PMVM_WIDTH_H

#include <stdint.h>

/* All bits of an access that is `width` bytes wide; from 8 on, 64 bits. A read that no device claims returns it. */
static inline uint64_t width_mask(unsigned width)
{
	return width >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1;
}

#endif
