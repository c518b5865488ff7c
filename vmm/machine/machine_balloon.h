// SPDX-License-Identifier: Apache-2.0
/*
 * machine_balloon.h - the balloon of the machine, of which there is at most one (machine_balloon.c).
 */
#ifndef PMVM_MACHINE_BALLOON_H
#define PMVM_MACHINE_BALLOON_H

#include "machine_device.h"

struct vpmem_error;

extern const struct device_kind virtio_balloon_pci_kind;

/* Both from the main thread with the machine lock. -EUNATCH: there is no balloon device; QMP's class is DeviceNotActive. */

/* QEMU's balloon: asks the guest to have so much RAM, in bytes. More than it was started with is all of it. -EINVAL: 0. */
int machine_balloon(struct machine *m, int64_t size, struct vpmem_error *err);
/* QEMU's query-balloon: the RAM that the guest has, in bytes, by what it says that it has given. */
int machine_balloon_size(const struct machine *m, uint64_t *size, struct vpmem_error *err);

#endif
