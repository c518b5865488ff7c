// SPDX-License-Identifier: Apache-2.0
/*
 * machine_find.h - which memory backend or device it is: by its id, its slot, or a guest address.
 *
 * The order in which the machine's files may call each other: event < find < fault < store < the kinds (memdev,
 * pmem, ...) < device_kinds < object, device < hotplug < cpu < machine < build. Each has a header with what those behind it may use; machine.h is the one for front ends.
 */
#ifndef PMVM_MACHINE_FIND_H
#define PMVM_MACHINE_FIND_H

#include "gmem.h"

struct device;
struct machine;
struct memdev;
struct object;
struct pmem;

/* All return NULL if there is none. */
struct object *machine_find_object(struct machine *m, const char *id);
struct memdev *machine_find_memdev(struct machine *m, const char *id);
/* By id or QOM path. */
struct device *machine_find_device(struct machine *m, const char *id);
struct pmem *machine_find_pmem(struct machine *m, const char *id);
/* In a slot of the PCI buses, through all of them. Not one that the guest has ejected. */
struct device *machine_find_device_in_slot(struct machine *m, unsigned slot);
/* Whose window holds gpa; *off is then where in the window. Not one that the guest has ejected. */
struct pmem *machine_find_pmem_at(struct machine *m, gpa_t gpa, uint64_t *off);

/* For messages: the device's id, or its backend's. */
const char *pmem_name(const struct pmem *pmem);

#endif
