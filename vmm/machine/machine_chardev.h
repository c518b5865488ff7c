// SPDX-License-Identifier: Apache-2.0
/*
 * machine_chardev.h - the character devices of a machine: those of its configuration, and those that are added later.
 */
#ifndef PMVM_MACHINE_CHARDEV_H
#define PMVM_MACHINE_CHARDEV_H

#include "machine.h"

/* A stage of machine_build: before the devices, which may use them. */
int machine_chardevs_up(struct machine *m, struct vpmem_error *err);
void machine_chardevs_down(struct machine *m);

/*
 * Adds one to a running machine. Nothing waits: a socket connects later, and what fails then is logged. The configuration
 * stays the caller's. -EEXIST: the id is taken. -EBUSY: standard input and output are in use.
 */
int machine_chardev_add(struct machine *m, struct chardev_config *cfg, struct chardev **out, struct vpmem_error *err);
/* Closes it; output that waits is dropped. -ENOENT: there is none. -EBUSY: it has a user. */
int machine_chardev_remove(struct machine *m, const char *id, struct vpmem_error *err);

#endif
