// SPDX-License-Identifier: Apache-2.0
/*
 * machine_memdev.h - memory backends come and go (machine_memdev.c). Main thread.
 */
#ifndef PMVM_MACHINE_MEMDEV_H
#define PMVM_MACHINE_MEMDEV_H

struct machine;
struct memdev_config;
struct vpmem_error;

/* Opens one. Takes the configuration on success; *cfg is empty then. Releases the machine lock meanwhile. */
int machine_add_memdev(struct machine *m, struct memdev_config *cfg, struct vpmem_error *err);
/* At the end, all of them; the errors of last syncs go to m->close_error. */
void machine_drop_memdevs(struct machine *m);

/* Adds the next step to an error -EMFILE, which many devices cause. */
void machine_hint_limit(int rc, struct vpmem_error *err);

#endif
