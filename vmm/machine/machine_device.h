// SPDX-License-Identifier: Apache-2.0
/*
 * machine_device.h - the devices of the machine: what all of them have, and what a kind of devices does.
 *
 * A device is what a -device or a device_add made: a virtio device behind its PCI transport (virtio_pci.h), in a slot of
 * the buses; or a device on a bus that another device brings, its parent, with which it goes; or one on the board, which is
 * there from the start and stays. Its kind is one const struct device_kind in a file of its own, which device_list.h names in one line; the
 * file with the table of properties is in the room config. Assembly, hotplug, unplug, reset, the end, and the lists of the
 * monitor are the same for all devices and follow from these two. The order of what is called, all of it under the machine
 * lock:
 *
 *   create      makes the device and plugs it. Main thread.
 *   (reset)     the transport resets its device, as at every reset of the machine: set_status(0) of virtio_device.h. There
 *               is nothing for the kind to do.
 *   leaving     the guest has ejected the device, or the machine ends: the function is still on its bus. Any thread.
 *   left        it is off the bus, the guest's accesses no longer reach it.
 *   (destroy)   of virtio_device.h, where the device may wait for what is under way; without the machine lock.
 *   destroyed   the device is gone: what it used is free. Any thread.
 *
 * A device that works on guest memory on behalf of the guest from another place than this process, as vhost does, takes
 * the memory table of the virtual machine (vm_memory.h), and is called back when a window of persistent memory comes or goes.
 */
#ifndef PMVM_MACHINE_DEVICE_H
#define PMVM_MACHINE_DEVICE_H

#include "config.h"
#include "loop.h"
#include "thread.h"
#include "vm_limits.h"

#include <stdbool.h>
#include <stdint.h>

struct device;
struct machine;
struct virtio_pci;
struct virtio_pci_config;

#define DEVICES_MAX PCI_DEVICES_MAX

#define GUEST_STATS_MAX 10u

struct guest_stats {
	unsigned n;
	const char *names[GUEST_STATS_MAX];
	uint64_t vals[GUEST_STATS_MAX]; /* UINT64_MAX: the guest does not know */
	int64_t updated_s;              /* when they came, in seconds of the real-time clock; 0: never */
};

struct device_kind {
	const struct device_model *model; /* its table of properties, and its name */
	size_t size;                      /* of the kind's own struct, whose first member is the struct device */
	/*
	 * Makes the device and plugs it: sets dev->vp, by virtio_pci_create with &dev->vp as its `out`. *pci is filled with
	 * what every device has; ops, device and window are missing. The objects that the device's properties name (PROP_LINK)
	 * exist, are of the right type, and free if they can have one user only: machine_find_object returns them. On failure,
	 * which is reported in QEMU's words, nothing is left behind. Bounded work; a file that may block is opened without the
	 * machine lock, as machine_memdev.c does. Off PCI, pci is NULL; a device with a parent plugs itself there: `left`
	 * takes it out again.
	 */
	int (*create)(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err);
	/* Both may be NULL, and neither waits: a vCPU may be the caller. */
	void (*leaving)(struct device *dev);
	void (*left)(struct device *dev);
	/* error: what the device's destroy returned, 0 or the -errno of data that it lost. NULL: there is nothing to do. */
	void (*destroyed)(struct device *dev, int error);
	/* The command line gives this device a fixed place besides slot and bus: it comes before those that take any. NULL: no. */
	bool (*wants_place)(const struct device_config *cfg);
	/* The present value of a property that is a number, where it is not the configured one. NULL: there are none. */
	bool (*number)(const struct device *dev, const char *prop, uint64_t *val);
	/* The property, a number, that QEMU's qom-set can change, and how. Main thread. NULL: there is none. */
	const char *settable;
	int (*set)(struct device *dev, int64_t val, struct vpmem_error *err);
	/* What the guest says about itself, for QEMU's property guest-stats. NULL: it is not asked. */
	void (*guest_stats)(const struct device *dev, struct guest_stats *out);
};

/* Where a device is on its way out. */
enum unplug_state {
	UNPLUG_NONE,
	UNPLUG_REQUESTED, /* device_del asked the guest, which has not answered */
	UNPLUG_EJECTED, /* the guest let go: the device is out of the bus, its last sync may still run; hands off vp */
};

struct device {
	const struct device_kind *kind;
	struct machine *machine;
	struct device_config *cfg; /* owned; cfg->id may be NULL */
	char *path;                /* QOM path: "/machine/peripheral/ID", or "/machine/peripheral-anon/device[N]" */
	struct device *parent;     /* whose bus it is on; NULL: PCI, or the board */
	struct virtio_pci *vp;     /* NULL: it is not on PCI */
	unsigned slot;             /* through all buses: pci.h; DEVICES_MAX: none */
	enum unplug_state unplug;
	struct loop_timer unplug_timer; /* UNPLUG_REQUESTED: how long the guest may take */
	struct thread reaper;           /* UNPLUG_EJECTED: what frees it */
	bool awaits_reaper;             /* it has not begun */
};

/* The kinds, by index up to NULL. device_kinds.c */
const struct device_kind *device_kind_at(unsigned idx);

/* Plugs one. Takes the configuration on success; *cfg is NULL then. Main thread. */
int machine_add_device(struct machine *m, struct device_config **cfg, struct vpmem_error *err);
/* Those of the command line. */
int machine_add_devices(struct machine *m, struct vpmem_error *err);

/* The machine stops, or goes on: devices whose data path is elsewhere do so as well. */
void machine_pause_devices(struct machine *m, bool paused);

/* The last of those on a bus that the device brings, or NULL. */
struct device *machine_device_child(const struct device *dev);

/* Takes a device out, in three steps: out of the bus, between leaving and left; what it does may still be under way. */
void machine_detach_device(struct device *dev);
/* Waits for that, without the machine lock if `unlocked`, and takes the device out of the list. */
void machine_remove_device(struct device *dev, bool unlocked);
void machine_free_device(struct device *dev);
/* All three for all of them, at the end. */
void machine_drop_devices(struct machine *m);

#endif
