// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_vsock.h - vhost-vsock-pci: sockets between the guest and programs of the host, served by the kernel's vhost_vsock.
 *
 * The device of the virtio specification, section 5.10, 1af4:1053: queues for receiving and sending, which the kernel has,
 * and one for events, of which there are none yet. On the host, a program connects to the guest by its CID.
 *
 * A reset of the guest's driver ends the connections of the guest: the descriptor is closed, on which the kernel reports
 * ECONNRESET to their peers on the host, and opened again. A descriptor that the user passed cannot be opened again:
 * peers notice the reset then when they send.
 */
#ifndef PMVM_VHOST_VSOCK_H
#define PMVM_VHOST_VSOCK_H

#include "virtio_pci.h"

#include <vpmem.h>

#define VHOST_VSOCK_MODEL "vhost-vsock-pci"

struct vhost_vsock_options {
	struct virtio_pci_config pci; /* where and how it is plugged; ops and device are filled here */
	const struct gmem *mem;       /* borrowed */
	uint64_t guest_cid;           /* 3 to 2^32 - 1 */
	int vhost_fd;                 /* an open /dev/vhost-vsock; -1: it is opened. Takes it on success */
	bool no_event_idx, no_indirect_desc, no_seqpacket;
};

/*
 * Creates the device and plugs it in. Errors, in QEMU's words: the CID is none that a guest can have, no
 * /dev/vhost-vsock, the CID is taken; those of virtio_pci_create; -E2BIG of vhost_init.
 */
int vhost_vsock_create(const struct vhost_vsock_options *cfg, struct virtio_pci **out, struct vpmem_error *err);

/* Of a transport that vhost_vsock_create made. */
uint64_t vhost_vsock_guest_cid(const struct virtio_pci *vp);

#endif
