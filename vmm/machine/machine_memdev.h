// SPDX-License-Identifier: Apache-2.0
/*
 * machine_memdev.h - memory backends: the objects of QEMU's type memory-backend (machine_memdev.c).
 */
#ifndef PMVM_MACHINE_MEMDEV_H
#define PMVM_MACHINE_MEMDEV_H

#include "machine_object.h"

#include "vm_memory.h"

struct memdev;

extern const struct object_kind memory_backend_file_kind, memory_backend_memfd_kind, memory_backend_ram_kind;

/* The memory of the backend, as a region at address 0. Its file is none where others cannot see the guest's stores. */
struct vm_memory_region machine_memdev_region(const struct memdev *memdev);

/* Adds the next step to an error -EMFILE, which many devices cause. */
void machine_hint_limit(int rc, struct vpmem_error *err);

#endif
