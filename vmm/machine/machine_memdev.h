// SPDX-License-Identifier: Apache-2.0
/*
 * machine_memdev.h - memory backends, the objects of the type memory-backend-file (machine_memdev.c).
 */
#ifndef PMVM_MACHINE_MEMDEV_H
#define PMVM_MACHINE_MEMDEV_H

#include "machine_object.h"

extern const struct object_kind memory_backend_file_kind;

/* Adds the next step to an error -EMFILE, which many devices cause. */
void machine_hint_limit(int rc, struct vpmem_error *err);

#endif
