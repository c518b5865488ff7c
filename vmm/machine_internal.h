// SPDX-License-Identifier: Apache-2.0
/*
 * machine_internal.h - what the parts of the machine share: machine.c (life), machine_build.c (assembly),
 * machine_pmem.c (memory backends and pmem devices).
 */
#ifndef PMVM_MACHINE_INTERNAL_H
#define PMVM_MACHINE_INTERNAL_H

#include "machine.h"

/* Loads the guest into memory and puts vCPU 0 at its entry. vCPUs are parked. */
int machine_load_guest(struct machine *m, struct vpmem_error *err);

/* Opens a memory backend. The id is new: config.h checked it. */
int machine_add_memdev(struct machine *m, const struct memdev_config *cfg, struct vpmem_error *err);
/* Plugs a pmem device: finds its memdev, places its window, maps it, creates the device. */
int machine_add_pmem(struct machine *m, const struct pmem_config *cfg, struct vpmem_error *err);
/* Takes the last device away, or the last backend. Returns what its last sync returned. */
void machine_drop_pmem(struct machine *m);
int machine_drop_memdev(struct machine *m);

#endif
