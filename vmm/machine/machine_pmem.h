// SPDX-License-Identifier: Apache-2.0
/*
 * machine_pmem.h - pmem devices: plugged into a slot and a memory window, and taken out again (machine_pmem.c).
 */
#ifndef PMVM_MACHINE_PMEM_H
#define PMVM_MACHINE_PMEM_H

#include <stdbool.h>

struct machine;
struct pmem;
struct pmem_config;
struct vpmem_error;

/* Plugs one. Takes the configuration on success; *cfg is empty then. Main thread. */
int machine_add_pmem(struct machine *m, struct pmem_config *cfg, struct vpmem_error *err);
/* Those of the command line. */
int machine_add_pmems(struct machine *m, struct vpmem_error *err);

/* Takes a device out, in three steps: out of the bus and of guest memory; its last sync may still run. */
void machine_detach_pmem(struct pmem *pmem);
/* Waits for that sync, without the machine lock if `unlocked`, and takes the device out of the list. */
void machine_remove_pmem(struct pmem *pmem, bool unlocked);
void machine_free_pmem(struct pmem *pmem);
/* All three for all of them, at the end. */
void machine_drop_pmems(struct machine *m);

#endif
