// SPDX-License-Identifier: Apache-2.0
/*
 * guest_memory.h - the public name of virtio's map of guest memory: vpmem_gmem_* of vpmem.h are thin wrappers.
 */
#ifndef VPMEM_GUEST_MEMORY_H
#define VPMEM_GUEST_MEMORY_H

#include "gmem.h"

#include <vpmem.h>

struct vpmem_gmem {
	struct gmem mem;
};

#endif
