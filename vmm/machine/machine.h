// SPDX-License-Identifier: Apache-2.0
/*
 * machine.h - the virtual machine: what it is made of, and its life.
 *
 * One lock guards the machine. Every exit of a vCPU, every callback of the event loop and every function
 * below runs under it; it is released only while a vCPU is in the guest and while the loop sleeps. The
 * flush path never takes it. Lock order: machine lock, device lock (in libvpmem), interrupt leaf locks.
 *
 * Threads: the main thread runs the event loop, each vCPU has a thread, each pmem device a flush worker.
 */
#ifndef PMVM_MACHINE_H
#define PMVM_MACHINE_H

#include "acpi_ged.h"
#include "acpi_pm.h"
#include "broker_process.h"
#include "chardev.h"
#include "gmem.h"
#include "host_memory.h"
#include "io.h"
#include "kvm.h"
#include "loop.h"
#include "machine_config.h"
#include "machine_device.h"
#include "machine_event.h"
#include "machine_netdev.h"
#include "machine_notify.h"
#include "machine_object.h"
#include "pci_hotplug.h"
#include "privileges.h"
#include "run_state.h"
#include "vcpu.h"
#include "walls.h"

struct cpu_host;
struct cpu_msrs;
struct pci_bus;
struct serial;
struct share;
struct vpmem_backing;

#define MEMDEVS_MAX OBJECTS_MAX
#define PMEMS_MAX DEVICES_MAX

/* A memory backend: -object memory-backend-file, memory-backend-memfd, memory-backend-ram. */
struct memdev {
	struct object obj;
	const struct memdev_config *cfg; /* obj.cfg; cfg->backing.size may be 0: ask memdev_size */
	struct vpmem_backing *backing;   /* of a file; NULL for the others: a pmem device has a file */
	struct host_memory memory;       /* of the others */
	int sync_error; /* of the last device, which went with it: the next one fails as well. 0 or -errno */
};

static inline uint64_t memdev_size(const struct memdev *memdev)
{
	return memdev->backing ? vpmem_backing_size(memdev->backing) : memdev->memory.size;
}

/* A pmem device: -device virtio-pmem-pci. */
struct pmem {
	struct device dev;
	const struct pmem_config *cfg; /* dev.cfg */
	struct memdev *memdev;
	gpa_t slot_gpa;                 /* its memory slot; 0: none, or a BAR (shmem) */
	_Atomic int sync_error;         /* -errno, set by the flush worker: the main loop sends the event */
	uint64_t nsync_errors_reported; /* the device's sync_errors at the failure that was reported last */
	bool no_room;                   /* the host had no room for a hole of its file */
	bool truncated;                 /* its file is shorter than its mapping */
	bool is_held;                   /* werror=stop: its failed flushes wait for cont */
	uint64_t nrefused;              /* guest stores to read-only memory */
	uint64_t refused_event_ms;      /* when the last event of that was sent */
};

/* A guest store that left the guest already, and that the host could not do yet. */
struct pending_store {
	struct pmem *pmem;
	uint64_t off;
	unsigned len;
	uint8_t data[8];
};

/* An access of a vCPU for which the host has no page: the main loop finds the reason. */
struct no_page {
	bool is_new;
	struct pmem *pmem; /* NULL: it is not known of which device */
	int error;
};

struct machine {
	pthread_mutex_t lock;
	struct machine_config *opts; /* borrowed; what was taken out of it is empty */
	struct loop loop;
	struct loop_source signals;
	enum request_kind requested;
	enum machine_cause requested_cause;
	enum run_state run_state;
	struct no_page no_page;
	bool io_error;       /* the main loop pauses the machine; cont tries again */
	bool internal_error; /* likewise; only a reset leads on */
	struct stall_watch {
		uint64_t ask_at_ms; /* not before: the file systems are asked for a reason */
		unsigned ask_wait_ms;
		uint64_t refused_since_ms,
			refused_at_ms; /* stalls without a known reason: the first and the last; 0: none */
	} stalls;
	struct loop_timer watch;
	struct machine_notify notify;
	struct pending_store *stores;
	unsigned nstores;

	struct kvm kvm;
	struct cpu_host *cpu_host;
	struct cpu_msrs *new_msrs[CPUS_MAX]; /* of each vCPU as it was created: a reset puts them back */
	bool vcpus_are_new;                  /* a reset has nothing to put back */
	struct ram {
		uint8_t *area; /* the addresses that were reserved; NULL: none, or they are the memory backend's */
		uint8_t *hva;  /* in it, aligned */
		uint64_t size;
	} ram_low, ram_high;       /* from 0, and from RAM_HIGH_BASE */
	struct memdev *ram_memdev; /* what RAM is made of; NULL: anonymous memory of the machine's own */
	struct gmem gmem;
	struct io_space pio, mmio;

	gpa_t pmem_gpa, mem64_gpa; /* windows above RAM: pmem, then 64-bit PCI */
	uint64_t pmem_size, mem64_size;

	int kernel_fd, initrd_fd, pidfile_fd;
	struct broker_process broker; /* opens files for a sandboxed machine */
	struct walls walls;           /* of the sandbox; valid if */
	bool is_sandboxed;
	struct privileges run_user; /* whom the process becomes at the end of its start */
	struct acpi_pm acpi_pm;
	struct acpi_ged acpi_ged;
	struct pci_hotplug pci_hotplug;
	struct share *shares; /* as many as opts->nshares; NULL: none */
	struct chardev_list chardevs;
	struct chardev *console; /* the serial port's; NULL: it is not there yet, or any more */
	struct serial *serial;
	struct pci_bus *pci;
	unsigned nobjects, nnetdevs, ndevices; /* at most OBJECTS_MAX, NETDEVS_MAX, DEVICES_MAX */
	struct object **objects;               /* in the order in which they were made */
	struct object **netdevs;
	struct device **devices;
	unsigned nmemdevs, npmems; /* those of them that are memory backends and pmem devices, in the same order */
	struct memdev **memdevs;
	struct pmem **pmems;
	struct device *balloon;    /* one of the devices; NULL: there is none */
	char vm_generation_id[37]; /* of the device vmgenid, as text; "": there is none */
	unsigned nmacs;            /* addresses of cards that were chosen so far */
	unsigned nanonymous;       /* devices without an id so far */
	unsigned nejected;         /* devices that wait for the main loop to start their reaper */
	unsigned nreapers;         /* with these: threads that wait for the last sync of an ejected device */
	pthread_cond_t reaped;
	const struct machine_observer *observer; /* NULL: none */
	void *observer_state;                    /* NULL: it is not up */
	struct vcpus vcpus;
	int close_error; /* data was lost: the -errno of a failed flush, or of a last sync */
};

/*
 * Builds the machine that opts describes in *m, which is all zeros, and starts its guest, unless that has to wait: see
 * machine_start.
 * Takes the objects and devices out of opts, and borrows the rest until machine_destroy; so it does the observer, which
 * may be NULL. On failure nothing is left behind: no created file, socket or pidfile, and the terminal is as it was.
 */
int machine_build(struct machine_config *opts, const struct machine_observer *observer, struct machine *m,
                  struct vpmem_error *err);

/*
 * The last step of machine_build: starts the threads of the vCPUs. The guest begins with them, but not with -S, not
 * while a character device waits for its peer (wait=on), and not in a daemon, which may still fail: then machine_run
 * starts it, or a monitor. Lock held.
 */
int machine_start(struct machine *m, struct vpmem_error *err);

/* Runs until the guest powers off, somebody ends the program, or the machine fails. Returns 0 or -errno. */
int machine_run(struct machine *m);

/* Takes everything down. Returns 0, or the -errno of a flush or a last sync that failed. */
int machine_destroy(struct machine *m);

/* ---- what a monitor asks for: main thread --------------------------------------------------------- */

/* QEMU's stop: every vCPU is parked on return. Does nothing if the guest does not run. */
void machine_stop(struct machine *m);
/*
 * QEMU's cont. -EPERM: the guest has powered off, or KVM cannot go on with it: a reset is needed first. -ENOSPC and others: what paused the
 * machine is still so.
 */
int machine_cont(struct machine *m, struct vpmem_error *err);
/*
 * A device whose flushes fail since a sync did: the next ones are tried again. -ENODEV: no such device.
 * -EAGAIN: another sync has failed, and its event is sent only now; the error stays.
 */
int machine_clear_error(struct machine *m, const char *id, struct vpmem_error *err);
/* Presses the power button. */
void machine_powerdown(struct machine *m);

/*
 * object_add and device_add: take the configuration on success; *cfg is NULL then. The machine lock is
 * released while a file is opened, reserved or synced, so that the guest runs on.
 * -ENODEV (an absent memdev): class DeviceNotFound. Texts are QEMU's.
 */
int machine_object_add(struct machine *m, struct object_config **cfg, struct vpmem_error *err);
int machine_device_add(struct machine *m, struct device_config **cfg, struct vpmem_error *err);

/*
 * Ends the object; a memory backend closes its file after a last sync. An error of that sync is returned and the object
 * is gone all the same. -ENOENT: no such object. -EBUSY: a device has it.
 */
int machine_object_del(struct machine *m, const char *id, struct vpmem_error *err);

/*
 * Asks the guest to let the device go; the event DEVICE_DELETED or DEVICE_UNPLUG_GUEST_ERROR follows.
 * The id may also be a QOM path. -ENODEV: no such device. -EBUSY: that is under way already.
 */
int machine_device_del(struct machine *m, const char *id, struct vpmem_error *err);

/*
 * netdev_add and netdev_del: the first takes the configuration on success; *cfg is NULL then. A card that has the netdev
 * that is deleted loses its link. -EEXIST, -ENODEV.
 */
int machine_netdev_add(struct machine *m, struct object_config **cfg, struct vpmem_error *err);
int machine_netdev_del(struct machine *m, const char *id, struct vpmem_error *err);
/* QEMU's set_link: name is the id of a network card, or of its netdev. -ENODEV. */
int machine_set_link(struct machine *m, const char *name, bool up, struct vpmem_error *err);

/* vpmem_backing_usage, without the machine lock: it may take seconds for a large file. */
int machine_memdev_usage(struct machine *m, const struct memdev *memdev, struct vpmem_usage *out);

#endif
