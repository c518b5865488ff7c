// SPDX-License-Identifier: Apache-2.0
/*
 * vhost.h - a virtio device whose queues are served by somebody else: its *back end*, the kernel's vhost or another process.
 *
 * What stays here is what a driver sees as registers: negotiation, status, the queues' sizes and addresses. When the driver
 * sets DRIVER_OK, the back end gets the features, the table of memory (vm_memory.h), and of each queue its rings and two
 * eventfds: one that KVM writes to when the driver notifies, one that KVM takes an interrupt from. After that no thread
 * and no system call of ours is on the way of a packet. A reset stops the back end.
 *
 * A device has one or more *parts*: a back end with some of the queues, next to each other. A part runs while the driver
 * runs, the device needs no reset, the machine is not stopped, the part is wanted, and all of its queues are enabled, in
 * whatever order that came about. One that stops without a reset goes on later where it was. A queue of no part is the device's own, or nobody's.
 *
 * Nothing that a guest does ends the machine. The rings must lie wholly in guest memory (virtq_enable), before their
 * addresses go to the back end. What the back end refuses or reports later as broken is DEVICE_NEEDS_RESET, and a line in
 * the log. The end of a back end (has_left) stops its part only.
 *
 * A device embeds struct vhost as its first member, and its struct virtio_device_ops is made of the functions below. All
 * of it runs under the machine lock.
 */
#ifndef PMVM_VHOST_H
#define PMVM_VHOST_H

#include "loop.h"
#include "virtio.h"
#include "virtio_pci.h"
#include "vm_memory.h"

/* A queue, as its back end gets it. */
struct vhost_ring {
	uint16_t idx; /* in the back end: 0 is the first of its part */
	uint16_t size;
	uint16_t base; /* the next entry of the available ring to take */
	const uint8_t *desc_hva, *avail_hva, *used_hva;
	/* Borrowed: the driver has notified; buffers were used; the ring is broken. */
	int kick_efd, call_efd, error_efd;
};

struct vhost_backend;

/* Each returns 0 or -errno, and names in backend->failed what did not work. */
struct vhost_backend_ops {
	/* The start, in this order; set_ring for each queue. */
	int (*set_features)(struct vhost_backend *backend, uint64_t features);
	int (*set_memory)(struct vhost_backend *backend, const struct vm_memory *memory); /* also while it runs */
	int (*set_ring)(struct vhost_backend *backend, const struct vhost_ring *ring);
	int (*run)(struct vhost_backend *backend);
	/*
	 * When it returns, the back end does not access guest memory. Legal at any time. The next start gets everything
	 * anew.
	 */
	void (*stop)(struct vhost_backend *backend);
	/* After stop: how far a queue was served, for the next start. */
	int (*get_base)(struct vhost_backend *backend, uint16_t idx, uint16_t *base);
	/*
	 * After an error: the back end has closed its connection. The part stops, without a fault; the owner of the
	 * connection notices its end as well, and decides what follows. NULL: it never does.
	 */
	bool (*has_left)(const struct vhost_backend *backend);
	const char *more_regions; /* how it can have more regions of memory, for a hint; NULL: it cannot */
};

struct vhost_backend {
	const struct vhost_backend_ops *ops;
	const char *failed; /* what the last error was about, e.g. "VHOST_SET_OWNER" */
};

struct vhost;

struct vhost_part {
	struct vhost_backend *backend; /* borrowed */
	uint16_t first_queue, nqueues;
	bool wanted; /* written before vhost_set_status */
	/* vhost.c's own. */
	struct vhost *vhost;
	struct loop_source errors; /* fd: the eventfd of its rings, or -1 */
	bool running;
};

struct vhost_config {
	const char *model;
	const char *id; /* for messages; may be NULL; copied */
	struct vm *vm;
	struct loop *loop;
	const struct gmem *mem;    /* borrowed: rings lie in it */
	uint64_t features;         /* that the device offers */
	uint64_t backend_features; /* those of them that the back end knows; the others are the device's own */
	uint64_t backend_own;      /* what the back end gets besides, and no driver sees */
	unsigned nqueues;
	uint16_t queue_size_max;
	struct vhost_part *parts; /* borrowed: backend, queues and wanted are set */
	unsigned nparts;
	unsigned regions_max; /* of memory, for each of its back ends */
};

struct vhost {
	struct virtio_pci *pci; /* set by virtio_pci_create */
	const char *model;
	char *id;
	struct vm *vm;
	struct loop *loop;
	struct virtio virtio;
	struct virtq *queues;
	int *kick_efds, *call_efds; /* one for each queue */
	uint64_t backend_features, backend_own;
	struct vhost_part *parts;
	unsigned nparts;
	struct vm_memory_listener listener;
	bool listens;
	bool has_run; /* since the last reset */
	bool paused;  /* the machine is stopped */
};

/*
 * Fills *vhost, which is all zeros, but pci. -E2BIG: the machine has more regions of memory than the back end can have; *err has
 * QEMU's text. Everything that was made is undone by vhost_fini, also after an error.
 */
int vhost_init(struct vhost *vhost, const struct vhost_config *cfg, struct vpmem_error *err);
/* Legal for one that is all zeros, and without the machine lock after vhost_unplug. */
void vhost_fini(struct vhost *vhost);

/* For struct virtio_device_ops; the device is a struct vhost. vhost_read leaves the configuration to the device. */
unsigned vhost_nqueues(const void *device);
void vhost_read(void *device, const struct virtio_select *select, struct virtio_registers *out);
uint8_t vhost_status(const void *device);
uint8_t vhost_config_generation(const void *device);
void vhost_set_driver_features(void *device, uint32_t word, uint32_t bits);
void vhost_set_status(void *device, uint8_t status);
void vhost_queue_set(void *device, uint16_t queue_idx, const struct virtq_regs *regs);
void vhost_queue_enable(void *device, uint16_t queue_idx);
void vhost_queue_reset(void *device, uint16_t queue_idx);
void vhost_queue_kick(void *device, uint16_t queue_idx);
int vhost_queue_kick_efd(const void *device, uint16_t queue_idx);
int vhost_queue_call_efd(const void *device, uint16_t queue_idx);
void vhost_set_paused(void *device, bool paused);
void vhost_unplug(void *device);

/* Starts and stops parts as the registers say. The functions above do so; for a device that has changed one itself. */
void vhost_update(struct vhost *vhost);

/* The device cannot go on until the driver resets it. Stops all parts; what: for the log. */
void vhost_fault(struct vhost *vhost, const char *what);

#endif
