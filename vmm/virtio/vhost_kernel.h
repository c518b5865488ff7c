// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_kernel.h - the kernel's vhost as a back end (vhost.h): the ioctls of /dev/vhost-*.
 *
 * One descriptor is one back end with a few queues of its own, counted from 0. Its owner is this process: the kernel's thread that
 * serves the queues accesses our memory, through the table that it got. Each function below is one ioctl, returns
 * 0 or -errno, and names the ioctl in backend.failed.
 *
 * What is particular to a kind of device (a CID, a tap) is functions of the kind's own: attach starts the data path when
 * all else is set, detach ends it. A kind that closes its descriptor in detach has reopen, for the next start.
 */
#ifndef PMVM_VHOST_KERNEL_H
#define PMVM_VHOST_KERNEL_H

#include "broker.h"
#include "vhost.h"

struct vhost_kernel {
	struct vhost_backend backend; /* first */
	int fd;                       /* -1: closed */
	int (*attach)(struct vhost_kernel *vk);
	void (*detach)(struct vhost_kernel *vk);
	int (*reopen)(struct vhost_kernel *vk); /* may be NULL */
};

/* The operations of vhost.h, for a struct vhost_kernel. */
extern const struct vhost_backend_ops vhost_kernel_ops;

enum vhost_kernel_kind { VHOST_KERNEL_NET, VHOST_KERNEL_VSOCK };

/*
 * Opens the file of a device of this kind, or takes fd if it is not -1, and becomes its owner. -errno; the descriptor is
 * the caller's then. If the file cannot be opened, backend.failed is its path.
 */
int vhost_kernel_open(struct vhost_kernel *vk, enum vhost_kernel_kind kind, int fd);
extern const struct broker_op vhost_kernel_open_op;
/* Ends what it does, and waits for that. Legal for one that is closed. */
void vhost_kernel_close(struct vhost_kernel *vk);

int vhost_kernel_get_features(struct vhost_kernel *vk, uint64_t *features);
int vhost_kernel_vsock_set_guest_cid(struct vhost_kernel *vk, uint64_t cid);
int vhost_kernel_vsock_set_running(struct vhost_kernel *vk, bool running);
/* Connects a queue with a tap's descriptor; -1: with nothing. */
int vhost_kernel_net_set_backend(struct vhost_kernel *vk, unsigned queue_idx, int fd);

/* How many regions the kernel's vhost can have in a table: the module's max_mem_regions. */
unsigned vhost_kernel_regions_max(void);
extern const struct broker_op vhost_kernel_regions_max_op;

#endif
