// SPDX-License-Identifier: Apache-2.0
/*
 * machine_regions.h - the memory table of the machine: where its RAM and its windows of persistent memory lie, for a device
 * whose data path is elsewhere, in the kernel (vhost) or in another process (vhost-user). A guest may place the buffers of
 * such a device in a pmem window: O_DIRECT from a page of /dev/pmem0.
 *
 * Everything under the machine lock; a callback comes in any thread.
 */
#ifndef PMVM_MACHINE_REGIONS_H
#define PMVM_MACHINE_REGIONS_H

#include "gmem.h"
#include "vm_limits.h"

struct machine;

/* RAM and every pmem window. */
#define REGIONS_MAX (GMEM_REGIONS_MAX + PCI_DEVICES_MAX)

/* One that wants to know of changes. Owned by the caller, and in place from listen to unlisten. */
struct regions_listener {
	/*
	 * The table has changed: a window came, moved or went. The memory of one that went is mapped until its backend is
	 * closed, which is later and needs the machine lock: after the call returned, nobody may touch it. Must not listen or
	 * unlisten.
	 */
	void (*changed)(void *owner);
	void *owner;
	struct regions_listener *next; /* private */
};

void machine_regions_listen(struct machine *m, struct regions_listener *listener);
void machine_regions_unlisten(struct machine *m, struct regions_listener *listener);

/* Fills out with the table, RAM first, and returns the number of regions. Read-only windows are in it as well. */
unsigned machine_regions(const struct machine *m, struct gmem_region out[REGIONS_MAX]);

/* For the kind that owns windows. */
void machine_regions_changed(struct machine *m);

#endif
