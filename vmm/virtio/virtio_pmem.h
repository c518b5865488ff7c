// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pmem.h - virtio-pmem-pci: the device of libvpmem behind the virtio-pci transport, 1af4:105b.
 *
 * It is the one place where guest memory and registers of virtio/ become those of vpmem.h.
 */
#ifndef PMVM_VIRTIO_PMEM_H
#define PMVM_VIRTIO_PMEM_H

#include "virtio_pci.h"

#include <vpmem.h>

struct virtio_pmem_options {
	struct virtio_pci_config pci; /* where and how it is plugged; ops, device and window are filled here */
	const struct gmem *mem;       /* guest memory; its regions are copied */
	/*
	 * gmem is made from mem, and callbacks.interrupt is the transport's; callbacks.event keeps its opaque.
	 * callbacks.worker_started is what confines threads (thread.h). With shmem, gpa is 0 and the transport maps the
	 * backing into BAR 2; without, the caller maps it at gpa.
	 */
	struct vpmem_device_options device;
};

/* Creates the device and plugs it in. Errors are those of vpmem_device_create and virtio_pci_create. */
int virtio_pmem_create(const struct virtio_pmem_options *cfg, struct virtio_pci **out, struct vpmem_error *err);

/* Of a transport that virtio_pmem_create made. */
struct vpmem_device *virtio_pmem_device(const struct virtio_pci *vp);
/* Where the pmem window is now: the fixed address, or with shmem the BAR's (0: not mapped). */
gpa_t virtio_pmem_gpa(const struct virtio_pci *vp);

#endif
